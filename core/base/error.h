// Errors carry the Python exception class they become; the text's first line is PyTorch's.
#pragma once
#include <cstdint>
#include <exception>
#include <span>
#include <sstream>
#include <string>

namespace fb {

enum class ErrorKind {
    Runtime,
    Type,
    Value,
    Index,
    NotImplemented,
    Linalg,
    OutOfMemory,
    Attribute,
    ZeroDivision,
    Import
};

class Error : public std::exception {
public:
    Error(ErrorKind kind, std::string text) : kind(kind), text(std::move(text)) {}
    const char* what() const noexcept override { return text.c_str(); }
    ErrorKind kind;
    std::string text;
};

// Writes a value as Python would print it: shapes as lists.
template <class T>
void put(std::ostream& s, const T& v) {
    if constexpr (std::is_convertible_v<const T&, std::span<const int64_t>>) {
        const std::span<const int64_t> list = v;
        s << '[';
        for (size_t i = 0; i < list.size(); ++i) s << (i ? ", " : "") << list[i];
        s << ']';
    } else if constexpr (std::is_same_v<T, bool>) {
        s << (v ? "True" : "False");
    } else {
        s << v;
    }
}
template <class... A>
std::string str(const A&... a) {
    std::ostringstream s;
    (put(s, a), ...);
    return s.str();
}
template <class... A>
[[noreturn]] [[gnu::cold, gnu::noinline]] void fail(ErrorKind kind, const A&... a) {
    throw Error(kind, str(a...));
}

template <class... A>
inline void check(bool ok, const A&... a) {
    if (!ok) [[unlikely]]
        fail(ErrorKind::Runtime, a...);
}
template <class... A>
inline void check_type(bool ok, const A&... a) {
    if (!ok) [[unlikely]]
        fail(ErrorKind::Type, a...);
}
template <class... A>
inline void check_value(bool ok, const A&... a) {
    if (!ok) [[unlikely]]
        fail(ErrorKind::Value, a...);
}
template <class... A>
inline void check_index(bool ok, const A&... a) {
    if (!ok) [[unlikely]]
        fail(ErrorKind::Index, a...);
}

}  // namespace fb
