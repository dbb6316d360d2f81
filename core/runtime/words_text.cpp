// Strings of programs: bytes, as in PyTorch.
#include <cctype>
#include "runtime/words.h"

namespace fb::runtime {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

template <int (*F)(int)>
Any mapped(const Arguments& a) {
    std::string s = string(a[0]);
    for (char& c : s) c = char(F((unsigned char)c));
    return text(std::move(s));
}
template <int (*F)(int)>
Any every(const Arguments& a) {
    const std::string& s = string(a[0]);
    for (char c : s)
        if (!F((unsigned char)c)) return false;
    return !s.empty();
}
Any is_upper(const Arguments& a) {
    bool any = false;
    for (unsigned char c : string(a[0])) {
        if (std::islower(c)) return false;
        any |= std::isupper(c) != 0;
    }
    return any;
}
Any is_lower(const Arguments& a) {
    bool any = false;
    for (unsigned char c : string(a[0])) {
        if (std::isupper(c)) return false;
        any |= std::islower(c) != 0;
    }
    return any;
}
Any capitalize(const Arguments& a) {
    std::string s = string(a[0]);
    for (size_t i = 0; i < s.size(); ++i)
        s[i] = char(i ? std::tolower((unsigned char)s[i]) : std::toupper((unsigned char)s[i]));
    return text(std::move(s));
}

template <bool Left, bool Right>
Any strip(const Arguments& a) {
    const std::string& s = string(a[0]);
    const std::string_view out = a.given(1, "chars") ? std::string_view(string(*a.find(1, "chars"))) : kSpaces;
    size_t from = 0, to = s.size();
    while (Left && from < to && out.find(s[from]) != out.npos) ++from;
    while (Right && from < to && out.find(s[to - 1]) != out.npos) --to;
    return text(s.substr(from, to - from));
}

Any split(const Arguments& a) {
    const std::string& s = string(a[0]);
    int64_t left = a.integer_or(2, "max", -1);
    std::vector<Any> parts;
    if (!a.given(1, "separator")) {
        for (size_t i = s.find_first_not_of(kSpaces); i < s.size();) {
            const size_t end = left == 0 ? s.size() : std::min(s.size(), s.find_first_of(kSpaces, i));
            parts.push_back(text(s.substr(i, end - i)));
            i = s.find_first_not_of(kSpaces, end);
            --left;
        }
        return list(std::move(parts));
    }
    const std::string& separator = string(*a.find(1, "separator"));
    check_value(!separator.empty(), "empty separator");
    size_t from = 0;
    for (size_t at; left != 0 && (at = s.find(separator, from)) != s.npos; from = at + separator.size(), --left)
        parts.push_back(text(s.substr(from, at - from)));
    parts.push_back(text(s.substr(from)));
    return list(std::move(parts));
}
Any split_lines(const Arguments& a) {
    const std::string& s = string(a[0]);
    std::vector<Any> parts;
    for (size_t from = 0; from < s.size();) {
        const size_t at = std::min(s.size(), s.find_first_of("\n\r", from));
        parts.push_back(text(s.substr(from, at - from)));
        from = at + (s.compare(at, 2, "\r\n") == 0 ? 2 : 1);
    }
    return list(std::move(parts));
}
Any join(const Arguments& a) {
    const auto* items = items_of(a[1]);
    if (!items) fail(ErrorKind::Type, "join takes a list of strings");
    std::string s;
    for (size_t i = 0; i < items->size(); ++i) s += (i ? string(a[0]) : "") + string((*items)[i]);
    return text(std::move(s));
}
Any replace(const Arguments& a) {
    const std::string &s = string(a[0]), &old = string(a[1]), &fresh = string(a[2]);
    int64_t left = a.integer_or(3, "max", -1);
    if (old.empty()) fail(ErrorKind::NotImplemented, "replace of nothing in a string of a program");
    std::string out;
    size_t from = 0;
    for (size_t at; left != 0 && (at = s.find(old, from)) != s.npos; from = at + old.size(), --left)
        out += s.substr(from, at - from) + fresh;
    return text(out + s.substr(from));
}

// The piece of a string that `start` and `end` leave.
std::pair<std::string, int64_t> piece(const Arguments& a, size_t at) {
    const std::string& s = string(a[0]);
    const int64_t n = int64_t(s.size());
    auto place = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    const int64_t start = place(a.integer_or(at, "start", 0));
    const int64_t given = a.integer_or(at + 1, "end", -1), end = given == -1 ? n : place(given);
    return {s.substr(size_t(start), size_t(std::max<int64_t>(end - start, 0))), start};
}
Any find(const Arguments& a) {
    const auto [s, start] = piece(a, 2);
    const size_t i = s.find(string(a[1]));
    return i == s.npos ? int64_t(-1) : start + int64_t(i);
}
Any rfind(const Arguments& a) {
    const auto [s, start] = piece(a, 2);
    const size_t i = s.rfind(string(a[1]));
    return i == s.npos ? int64_t(-1) : start + int64_t(i);
}
Any starts_with(const Arguments& a) { return piece(a, 2).first.starts_with(string(a[1])); }
Any ends_with(const Arguments& a) { return piece(a, 2).first.ends_with(string(a[1])); }

Any format(const Arguments& a) {
    const std::string& pattern = string(a[0]);
    std::string s;
    size_t from = 0, next = 1;
    for (size_t at; (at = pattern.find("{}", from)) != pattern.npos; from = at + 2) {
        check(next < a.size(), "Too few arguments for format string: ", pattern);
        s += pattern.substr(from, at - from) + to_text(a[next++]);
    }
    check(next == a.size(), "Too many arguments for format string: ", pattern);
    return text(s + pattern.substr(from));
}
Any percent_format(const Arguments& a) {
    const std::string& pattern = string(a[0]);
    const auto* packed = a.size() == 2 ? items_of(a[1]) : nullptr;
    const std::vector<Any> values = packed ? *packed : std::vector<Any>(a.values.begin() + 1, a.values.end());
    std::string s;
    size_t next = 0;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] != '%') {
            s += pattern[i];
            continue;
        }
        const char kind = ++i < pattern.size() ? pattern[i] : '\0';
        if (kind == '%') {
            s += '%';
            continue;
        }
        check(next < values.size(), "Too few arguments for format string: ", pattern);
        char room[64];
        if (kind == 's' || kind == 'r') s += to_text(values[next++]);
        else if (kind == 'd' || kind == 'i') s += std::to_string(integer(values[next++]));
        else if (kind == 'f' || kind == 'e' || kind == 'g') {
            const double d = real(values[next++]);
            const std::string one = {'%', kind, '\0'};
            char wide[400];
            std::snprintf(wide, sizeof wide, one.c_str(), d);
            s += wide;
        } else if (kind == 'x' || kind == 'o') {
            std::snprintf(room, sizeof room, kind == 'x' ? "%llx" : "%llo",
                          (unsigned long long)integer(values[next++]));
            s += room;
        } else {
            fail(ErrorKind::NotImplemented, "the format '%", kind, "' in a program");
        }
    }
    check(next == values.size(), "Too many arguments for format string: ", pattern);
    return text(std::move(s));
}

template <int Base>
Any in_base(const Arguments& a) {
    const int64_t v = integer(a[0]);
    uint64_t rest = v < 0 ? -uint64_t(v) : uint64_t(v);
    std::string digits;
    do digits.insert(digits.begin(), "0123456789abcdef"[rest % Base]);
    while (rest /= Base);
    return text((v < 0 ? "-0" : "0") + std::string(1, Base == 2 ? 'b' : Base == 8 ? 'o' : 'x') + digits);
}

}  // namespace

void add_text_words(Words& w) {
    static constexpr Entry entries[] = {
        {"upper", {mapped<std::toupper>, true}},
        {"lower", {mapped<std::tolower>, true}},
        {"capitalize", {capitalize, true}},
        {"isdigit", {every<std::isdigit>, true}},
        {"isdecimal", {every<std::isdigit>, true}},
        {"isnumeric", {every<std::isdigit>, true}},
        {"isalpha", {every<std::isalpha>, true}},
        {"isalnum", {every<std::isalnum>, true}},
        {"isspace", {every<std::isspace>, true}},
        {"isupper", {is_upper, true}},
        {"islower", {is_lower, true}},
        {"strip", {strip<true, true>, true}},
        {"lstrip", {strip<true, false>, true}},
        {"rstrip", {strip<false, true>, true}},
        {"split", {split}},
        {"splitlines", {split_lines, true}},
        {"join", {join, true}},
        {"replace", {replace, true}},
        {"find", {find, true}},
        {"rfind", {rfind, true}},
        {"startswith", {starts_with, true}},
        {"endswith", {ends_with, true}},
        {"format", {format, true}},
        {"percentFormat", {percent_format, true}},
        {"str", {[](const Arguments& a) { return text(to_text(a[0])); }, true}},
        {"hex", {in_base<16>, true}},
        {"oct", {in_base<8>, true}},
        {"bin", {in_base<2>, true}},
        {"ord",
         {[](const Arguments& a) {
              check(string(a[0]).size() == 1, "ord() takes one character");
              return Any(int64_t((unsigned char)string(a[0])[0]));
          },
          true}},
        {"chr", {[](const Arguments& a) { return text(std::string(1, char(integer(a[0])))); }, true}},
    };
    for (const Entry& e : entries) w.emplace(e.name, e.word);
}

}  // namespace fb::runtime
