#include "runtime/lexer.h"
#include <cctype>
#include <charconv>
#include "base/error.h"

namespace fb::runtime {
namespace {

class Lexer {
public:
    Lexer(const std::string& text, const std::string& file) : s_(text), file_(file) {}

    std::vector<Token> all() {
        std::vector<int> columns{0};
        while (at_ < s_.size()) {
            if (fresh_ && brackets_ == 0) {
                int column = 0;
                while (peek() == ' ' || peek() == '\t') ++column, ++at_;
                if (peek() == '#') skip_comment();
                if (peek() == '\r') ++at_;
                if (peek() == '\n') {
                    ++at_, ++line_;
                    continue;
                }
                if (at_ >= s_.size()) break;
                if (column > columns.back()) {
                    columns.push_back(column);
                    put(Token::Indent);
                }
                while (column < columns.back()) {
                    columns.pop_back();
                    put(Token::Dedent);
                }
                if (column != columns.back()) refuse("unindent does not match any outer indentation level");
                fresh_ = false;
            }
            next();
        }
        if (!fresh_) put(Token::Newline);
        for (; columns.size() > 1; columns.pop_back()) put(Token::Dedent);
        put(Token::End);
        return std::move(tokens_);
    }

private:
    char peek(size_t n = 0) const { return at_ + n < s_.size() ? s_[at_ + n] : '\0'; }
    void put(Token::Kind kind, std::string text = {}, Any value = None{}) {
        tokens_.push_back({kind, line_, std::move(text), std::move(value)});
    }
    [[noreturn]] void refuse(const std::string& why) const {
        fail(ErrorKind::Runtime, why, " here:\n  File \"", file_, "\", line ", line_);
    }
    void skip_comment() {
        while (at_ < s_.size() && s_[at_] != '\n') ++at_;
    }
    static bool begins_name(char c) { return std::isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 128; }

    void next() {
        const char c = peek();
        if (c == '\n') {
            ++at_;
            if (brackets_ == 0) {
                put(Token::Newline);
                fresh_ = true;
            }
            ++line_;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
            ++at_;
        } else if (c == '#') {
            skip_comment();
        } else if (c == '\\' && peek(1) == '\n') {
            at_ += 2;
            ++line_;
        } else if (c == '"' || c == '\'') {
            string();
        } else if (std::isdigit((unsigned char)c) || (c == '.' && std::isdigit((unsigned char)peek(1)))) {
            number();
        } else if (begins_name(c)) {
            const size_t from = at_;
            while (begins_name(peek()) || std::isdigit((unsigned char)peek())) ++at_;
            put(Token::Name, s_.substr(from, at_ - from));
        } else {
            sign();
        }
    }

    void number() {
        const size_t from = at_;
        if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
            at_ += 2;
            while (std::isxdigit((unsigned char)peek())) ++at_;
            put(Token::Number, {}, int64_t(std::strtoull(s_.c_str() + from, nullptr, 16)));
            return;
        }
        bool whole = true;
        while (std::isdigit((unsigned char)peek()) || peek() == '.' || peek() == 'e' || peek() == 'E' ||
               ((peek() == '-' || peek() == '+') && (s_[at_ - 1] == 'e' || s_[at_ - 1] == 'E'))) {
            whole &= bool(std::isdigit((unsigned char)peek()));
            ++at_;
        }
        const char *begin = s_.data() + from, *end = s_.data() + at_;
        if (whole && peek() != 'j') {
            // -9223372036854775808 comes as a minus and one more than fits
            uint64_t i = 0;
            const auto [stop, wrong] = std::from_chars(begin, end, i);
            if (wrong != std::errc() || stop != end || i > uint64_t(1) << 63) refuse("a number is too large");
            put(Token::Number, {}, int64_t(i));
            return;
        }
        double d = 0;
        const auto [stop, wrong] = std::from_chars(begin, end, d);
        if (stop != end || wrong == std::errc::invalid_argument) refuse("this is no number");
        if (wrong == std::errc::result_out_of_range) d = std::strtod(begin, nullptr);
        if (peek() == 'j') ++at_, put(Token::Number, {}, C128(0, d));
        else put(Token::Number, {}, d);
    }

    void string() {
        const char quote = peek();
        const bool three = peek(1) == quote && peek(2) == quote;
        at_ += three ? 3 : 1;
        std::string s;
        while (!(peek() == quote && (!three || (peek(1) == quote && peek(2) == quote)))) {
            if (at_ >= s_.size() || (peek() == '\n' && !three)) refuse("a string has no end");
            if (peek() == '\n') ++line_;
            if (peek() == '\\') escape(s);
            else s += s_[at_++];
        }
        at_ += three ? 3 : 1;
        put(Token::String, {}, runtime::text(std::move(s)));
    }
    void escape(std::string& s) {
        ++at_;
        const char c = peek();
        static constexpr std::string_view names = "ntrabfv\\'\"", values = "\n\t\r\a\b\f\v\\'\"";
        if (const size_t i = names.find(c); i != names.npos && c) {
            s += values[i];
            ++at_;
        } else if (c == '\n') {
            ++at_, ++line_;
        } else if (c == 'x' || (c >= '0' && c <= '7')) {
            int v = 0, n = 0;
            if (c == 'x') {
                for (++at_; n < 2 && std::isxdigit((unsigned char)peek()); ++n, ++at_)
                    v = v * 16 + (std::isdigit((unsigned char)peek()) ? peek() - '0' : (peek() | 32) - 'a' + 10);
            } else {
                for (; n < 3 && peek() >= '0' && peek() <= '7'; ++n, ++at_) v = v * 8 + peek() - '0';
            }
            s += char(v);
        } else {
            s += '\\';
        }
    }

    void sign() {
        static constexpr std::string_view longest[] = {"**=", "//=", "<<=", ">>=", "->", "**", "//", "<<",
                                                       ">>",  "<=",  ">=",  "==",  "!=", "+=", "-=", "*=",
                                                       "/=",  "%=",  "&=",  "|=",  "^=", "@="};
        static constexpr std::string_view single = "+-*/%&|^~<>=()[]{}.,:;@";
        const std::string_view rest = std::string_view(s_).substr(at_);
        for (const std::string_view sign : longest)
            if (rest.starts_with(sign)) return take(sign);
        if (single.find(rest[0]) == single.npos) refuse(str("unexpected '", rest[0], "'"));
        if (rest[0] == '(' || rest[0] == '[' || rest[0] == '{') ++brackets_;
        if (rest[0] == ')' || rest[0] == ']' || rest[0] == '}') brackets_ = std::max(brackets_ - 1, 0);
        take(rest.substr(0, 1));
    }
    void take(std::string_view sign) {
        put(Token::Sign, std::string(sign));
        at_ += sign.size();
    }

    const std::string& s_;
    const std::string& file_;
    size_t at_ = 0;
    int line_ = 1, brackets_ = 0;
    bool fresh_ = true;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokens_of(const std::string& text, const std::string& file) { return Lexer(text, file).all(); }

}  // namespace fb::runtime
