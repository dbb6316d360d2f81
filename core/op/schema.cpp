#include "op/schema.h"
#include <charconv>

namespace fb {
namespace {

class Reader {
public:
    explicit Reader(std::string_view s) : all_(s), s_(s) {}
    void space() {
        while (!s_.empty() && s_[0] == ' ') s_.remove_prefix(1);
    }
    bool eat(std::string_view w) {
        space();
        if (!s_.starts_with(w)) return false;
        s_.remove_prefix(w.size());
        return true;
    }
    void need(std::string_view w) {
        if (!eat(w)) bad(str("expected '", w, "'"));
    }
    std::string_view word() {
        space();
        size_t n = 0;
        while (n < s_.size() && (std::isalnum((unsigned char)s_[n]) || s_[n] == '_')) ++n;
        if (!n) bad("expected a word");
        return take(n);
    }
    std::string_view until(std::string_view stops) {  // brackets are kept together
        space();
        int depth = 0;
        size_t n = 0;
        for (; n < s_.size(); ++n) {
            if (!depth && stops.find(s_[n]) != std::string_view::npos) break;
            if (s_[n] == '[') ++depth;
            if (s_[n] == ']') --depth;
        }
        return take(n);
    }
    char peek() {
        space();
        return s_.empty() ? '\0' : s_[0];
    }
    [[noreturn]] void bad(const std::string& what) {
        fail(ErrorKind::Runtime, "schema '", all_, "': ", what, " at character ", all_.size() - s_.size());
    }

private:
    std::string_view take(size_t n) {
        auto r = s_.substr(0, n);
        s_.remove_prefix(n);
        return r;
    }
    std::string_view all_, s_;
};

Kind kind_of(std::string_view w, Reader& r) {
    if (w == "Tensor") return Kind::Tensor;
    if (w == "Operand") return Kind::Operand;
    if (w == "Scalar") return Kind::Scalar;
    if (w == "int" || w == "SymInt") return Kind::Int;
    if (w == "float") return Kind::Float;
    if (w == "bool") return Kind::Bool;
    if (w == "str") return Kind::String;
    if (w == "ScalarType") return Kind::DType;
    if (w == "Layout") return Kind::Layout;
    if (w == "Device") return Kind::Device;
    if (w == "MemoryFormat") return Kind::Format;
    if (w == "Generator") return Kind::Generator;
    r.bad(str("unknown type '", w, "'"));
}

Kind list_of(Kind k, Reader& r) {
    switch (k) {
        case Kind::Tensor: return Kind::Tensors;
        case Kind::Int: return Kind::Ints;
        case Kind::Float: return Kind::Floats;
        case Kind::Bool: return Kind::Bools;
        case Kind::Scalar: return Kind::Scalars;
        default: r.bad("no list of this type");
    }
}

void read_type(Reader& r, Arg& a) {
    a.kind = kind_of(r.word(), r);
    if (r.eat("(")) {  // alias annotation: (a), (a!)
        a.mutated = r.until(")").find('!') != std::string_view::npos;
        r.need(")");
    }
    bool question = r.eat("?");
    if (r.eat("[")) {
        a.optional_items = question;
        question = false;
        if (r.peek() != ']') {
            const auto n = r.word();
            std::from_chars(n.data(), n.data() + n.size(), a.list_size);
        }
        r.need("]");
        a.kind = list_of(a.kind, r);
        question = r.eat("?");
    }
    a.optional = question;
}

double to_double(std::string_view w) {
    if (w == "inf") return __builtin_inf();
    if (w == "-inf") return -__builtin_inf();
    return std::stod(std::string(w));
}

void read_default(Arg& a, std::string_view w, Reader& r) {
    a.has_default = true;
    a.default_text = w;
    if (w == "None") {
        a.optional = true;
        return;
    }
    switch (a.kind) {
        case Kind::Bool: a.fallback = Value(w == "True"); return;
        case Kind::Int: a.fallback = Value(int64_t(std::stoll(std::string(w)))); return;
        case Kind::Float: a.fallback = Value(to_double(w)); return;
        case Kind::Scalar:
        case Kind::Operand:
            if (w == "True" || w == "False") a.fallback = Value(w == "True");
            else if (w.find_first_of(".en") != std::string_view::npos) a.fallback = Value(to_double(w));
            else a.fallback = Value(int64_t(std::stoll(std::string(w))));
            return;
        case Kind::String:
            a.text = w.substr(1, w.size() - 2);
            a.fallback = Value(std::string_view(a.text));
            return;
        case Kind::Ints: {
            if (w[0] != '[') {
                a.ints.assign(size_t(std::max(1, a.list_size)), std::stoll(std::string(w)));
            } else {
                std::string body(w.substr(1, w.size() - 2));
                for (size_t p = 0; p < body.size();) {
                    size_t used = 0;
                    a.ints.push_back(std::stoll(body.substr(p), &used));
                    p += used;
                    while (p < body.size() && (body[p] == ',' || body[p] == ' ')) ++p;
                }
            }
            a.fallback = Value(IntSpan(a.ints));
            return;
        }
        case Kind::Format:
            a.fallback = Value(w == "preserve_format" ? MemoryFormat::Preserve : MemoryFormat::Contiguous);
            return;
        default: r.bad(str("no default of this type: ", w));
    }
}

}  // namespace

int Schema::index_of(std::string_view arg) const {
    for (size_t i = 0; i < args.size(); ++i)
        if (args[i].name == arg) return int(i);
    return -1;
}

Schema parse_schema(std::string_view text) {
    Reader r(text);
    Schema s;
    s.text = text;
    std::string_view w = r.word();
    if (r.eat("::")) {
        s.space = w;
        w = r.word();
    }
    s.name = w;
    if (r.eat(".")) s.overload = r.word();
    r.need("(");
    bool keyword_only = false;
    s.args.reserve(16);  // default values point into the elements: they must not move
    while (!r.eat(")")) {
        if (r.eat("*")) {
            keyword_only = true;
        } else {
            if (s.args.size() == s.args.capacity()) r.bad("more than 16 arguments");
            Arg& a = s.args.emplace_back();
            read_type(r, a);
            a.name = r.word();
            a.keyword_only = keyword_only;
            if (!keyword_only) ++s.positional;
            if (r.eat("=")) read_default(a, r.until(",)"), r);
        }
        if (!r.eat(",") && r.peek() != ')') r.bad("expected ',' or ')'");
    }
    r.need("->");
    auto one = [&] {
        Arg a;
        read_type(r, a);
        s.return_kinds.push_back(a.kind);
        const char c = r.peek();
        s.returns.emplace_back(std::isalpha((unsigned char)c) ? r.word() : std::string_view());
    };
    if (r.eat("(")) {
        while (!r.eat(")")) {
            one();
            r.eat(",");
        }
    } else {
        one();
    }
    return s;
}

}  // namespace fb
