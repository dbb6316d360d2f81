// Errors carry the Python exception class they become; the text's first line is PyTorch's.
#pragma once
#include <concepts>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

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
    Import,
    Assertion
};

enum class DType : uint8_t;
struct Device;

class Error : public std::exception {
public:
    Error(ErrorKind kind, std::string text) : kind(kind), text(std::move(text)) {}
    const char* what() const noexcept override { return text.c_str(); }
    ErrorKind kind;
    std::string text;
};

// One piece of a message, borrowed until the message is put together. Every use of `check` compiles to a list of these
// and one call; with streams in their place messages were a tenth of what the core took to compile.
class Piece {
public:
    Piece(const char* s) : kind_(Kind::Text), text_(s) {}
    Piece(std::string_view s) : kind_(Kind::Text), text_(s) {}
    Piece(const std::string& s) : kind_(Kind::Text), text_(s) {}
    Piece(bool v) : kind_(Kind::Text), text_(v ? "True" : "False") {}
    Piece(const char& c) : kind_(Kind::Text), text_(&c, 1) {}
    Piece(std::signed_integral auto v) : kind_(Kind::Int), int_(v) {}
    Piece(std::unsigned_integral auto v) : kind_(Kind::Unsigned), int_(int64_t(v)) {}
    Piece(double v) : kind_(Kind::Double), double_(v) {}
    Piece(std::span<const int64_t> list) : kind_(Kind::List), list_(list) {}  // as Python prints a list
    Piece(DType t) : kind_(Kind::Type), int_(int64_t(t)) {}                   // "Float"
    Piece(const Device& d) : kind_(Kind::Device), device_(&d) {}              // "cuda:0"
    template <class T>
        requires std::is_convertible_v<const T&, std::span<const int64_t>>
    Piece(const T& list) : Piece(std::span<const int64_t>(list)) {}
    void append_to(std::string& s) const;

private:
    enum class Kind : uint8_t { Text, Int, Unsigned, Double, List, Type, Device };
    Kind kind_;
    union {
        std::string_view text_;
        int64_t int_;
        double double_;
        std::span<const int64_t> list_;
        const Device* device_;
    };
};

std::string join(std::initializer_list<Piece> pieces);
[[noreturn]] [[gnu::cold]] void raise(ErrorKind kind, std::initializer_list<Piece> pieces);

template <class... A>
std::string str(const A&... a) {
    return join({Piece(a)...});
}
template <class... A>
[[noreturn]] inline void fail(ErrorKind kind, const A&... a) {
    raise(kind, {Piece(a)...});
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
