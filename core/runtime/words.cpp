#include "runtime/words.h"
#include <cmath>
#include <numeric>

namespace fb::runtime {

namespace {

bool is_int(const Any& v) { return as<int64_t>(v) || as<bool>(v); }
bool has_tensor(const Arguments& a, bool on_lists) {
    for (size_t i = 0; i < std::min<size_t>(2, a.size()); ++i) {
        if (as<Tensor>(a.values[i])) return true;
        const List* l = as<List>(a.values[i]);
        if (!on_lists && l && !l->items.empty() && as<Tensor>(l->items[0])) return true;
    }
    return false;
}

// ---------------------------------------------------------------- arithmetic
int64_t wrapped(uint64_t v) { return int64_t(v); }
void check_divisor(bool ok) {
    if (!ok) fail(ErrorKind::ZeroDivision, "division by zero");
}
int64_t floor_div(int64_t a, int64_t b) {
    check_divisor(b != 0);
    if (b == -1) return wrapped(-uint64_t(a));
    return a / b - (a % b && (a < 0) != (b < 0));
}
double floor_mod(double a, double b) {
    check_divisor(b != 0);
    const double m = std::fmod(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

template <class I, class D>
Any arithmetic(const Arguments& a, I&& ints, D&& doubles) {
    if (is_int(a[0]) && is_int(a[1])) return ints(integer(a[0]), integer(a[1]));
    return doubles(real(a[0], "a number"), real(a[1], "a number"));
}
bool is_complex_call(const Arguments& a) { return as<C128>(a[0]) || as<C128>(a[1]); }
C128 complex_of(const Any& v) { return as<C128>(v) ? *as<C128>(v) : C128(real(v, "a number")); }

Any repeated(const Any& v, int64_t times) {
    times = std::max<int64_t>(times, 0);
    if (const Text* t = as<Text>(v)) {
        check(!times || t->s.size() <= (size_t(1) << 31) / size_t(times), "a string of the program becomes too long");
        std::string s;
        for (int64_t i = 0; i < times; ++i) s += t->s;
        return text(std::move(s));
    }
    const auto& items = *items_of(v);
    check(!times || items.size() <= (size_t(1) << 28) / size_t(times), "a list of the program becomes too long");
    std::vector<Any> all;
    for (int64_t i = 0; i < times; ++i) all.insert(all.end(), items.begin(), items.end());
    return list(std::move(all));
}

Any add(const Arguments& a) {
    if (as<Text>(a[0])) return text(string(a[0]) + string(a[1]));
    if (items_of(a[0]) && items_of(a[1])) {
        std::vector<Any> all = *items_of(a[0]);
        all.insert(all.end(), items_of(a[1])->begin(), items_of(a[1])->end());
        return as<Tuple>(a[0]) ? tuple(std::move(all)) : list(std::move(all));
    }
    if (is_complex_call(a)) return complex_of(a[0]) + complex_of(a[1]);
    return arithmetic(
        a, [](int64_t x, int64_t y) { return Any(wrapped(uint64_t(x) + uint64_t(y))); },
        [](double x, double y) { return Any(x + y); });
}
Any sub(const Arguments& a) {
    if (is_complex_call(a)) return complex_of(a[0]) - complex_of(a[1]);
    return arithmetic(
        a, [](int64_t x, int64_t y) { return Any(wrapped(uint64_t(x) - uint64_t(y))); },
        [](double x, double y) { return Any(x - y); });
}
Any mul(const Arguments& a) {
    if (as<Text>(a[0]) || items_of(a[0])) return repeated(a[0], integer(a[1]));
    if (as<Text>(a[1]) || items_of(a[1])) return repeated(a[1], integer(a[0]));
    if (is_complex_call(a)) return complex_of(a[0]) * complex_of(a[1]);
    return arithmetic(
        a, [](int64_t x, int64_t y) { return Any(wrapped(uint64_t(x) * uint64_t(y))); },
        [](double x, double y) { return Any(x * y); });
}
Any div(const Arguments& a) {
    if (is_complex_call(a)) return complex_of(a[0]) / complex_of(a[1]);
    const double b = real(a[1], "a number");
    check_divisor(b != 0);
    return real(a[0], "a number") / b;
}
Any floordiv(const Arguments& a) {
    return arithmetic(
        a, [](int64_t x, int64_t y) { return Any(floor_div(x, y)); },
        [](double x, double y) { return Any(std::floor((x - floor_mod(x, y)) / y + 0.5)); });
}
Any remainder(const Arguments& a) {
    if (as<Text>(a[0])) fail(ErrorKind::NotImplemented, "strings with % in a program");
    return arithmetic(
        a, [](int64_t x, int64_t y) { return Any(wrapped(uint64_t(x) - uint64_t(floor_div(x, y)) * uint64_t(y))); },
        [](double x, double y) { return Any(floor_mod(x, y)); });
}
Any neg(const Arguments& a) {
    if (is_int(a[0])) return wrapped(-uint64_t(integer(a[0])));
    if (as<C128>(a[0])) return -*as<C128>(a[0]);
    return -real(a[0], "a number");
}
Any absolute(const Arguments& a) {
    if (is_int(a[0])) return integer(a[0]) < 0 ? neg(a) : Any(integer(a[0]));
    if (const C128* c = as<C128>(a[0])) return std::hypot(c->re, c->im);
    return std::fabs(real(a[0], "a number"));
}
Any round_number(const Arguments& a) {
    const double v = real(a[0], "a number");
    return std::nearbyint(v);
}

template <auto F>
Any of_ints(const Arguments& a) {
    const auto i = uint64_t(integer(a[0])), j = uint64_t(integer(a[1]));
    if (as<bool>(a[0]) && as<bool>(a[1])) return F(i, j) != 0;
    return wrapped(F(i, j));
}
uint64_t bit_and(uint64_t a, uint64_t b) { return a & b; }
uint64_t bit_or(uint64_t a, uint64_t b) { return a | b; }
uint64_t bit_xor(uint64_t a, uint64_t b) { return a ^ b; }
uint64_t left(uint64_t a, uint64_t b) {
    check_value(b < 64, "a shift by ", int64_t(b));
    return a << b;
}
uint64_t right(uint64_t a, uint64_t b) {
    check_value(b < 64, "a shift by ", int64_t(b));
    return uint64_t(int64_t(a) >> b);
}

int order(const Any& a, const Any& b, int depth = 0) {  // -1, 0, 1; 2 where a number is none
    if (as<Text>(a) && as<Text>(b)) {
        const int c = as<Text>(a)->s.compare(as<Text>(b)->s);
        return (c > 0) - (c < 0);
    }
    if (const auto *x = items_of(a), *y = items_of(b); x && y && depth < 50) {
        for (size_t i = 0; i < std::min(x->size(), y->size()); ++i)
            if (const int c = order((*x)[i], (*y)[i], depth + 1)) return c;
        return (x->size() > y->size()) - (x->size() < y->size());
    }
    if (is_int(a) && is_int(b)) return (integer(a) > integer(b)) - (integer(a) < integer(b));
    const double x = real(a, "a number"), y = real(b, "a number");
    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}
template <int... Wanted>
Any compared(const Arguments& a) {
    const int c = order(a[0], a[1]);
    return ((c == Wanted) || ...);
}

template <double (*F)(double)>
Any of_double(const Arguments& a) {
    const double x = real(a[0], "a number"), y = F(x);
    check_value(!std::isnan(y) || std::isnan(x), "math domain error");
    return y;
}
template <double (*F)(double, double)>
Any of_doubles(const Arguments& a) {
    return F(real(a[0], "a number"), real(a[1], "a number"));
}
template <double (*F)(double)>
Any to_int(const Arguments& a) {
    const double v = F(real(a[0], "a number"));
    check_value(v >= -9.2e18 && v <= 9.2e18, "cannot convert float ", v, " to integer");
    return int64_t(v);
}
double positive(double (*f)(double), double x) {
    check_value(x > 0, "math domain error");
    return f(x);
}
double log_(double x) { return positive(std::log, x); }
double log2_(double x) { return positive(std::log2, x); }
double log10_(double x) { return positive(std::log10, x); }
double degrees(double x) { return x * 180 / M_PI; }
double radians(double x) { return x * M_PI / 180; }

Any as_number_int(const Arguments& a) {
    if (as<Text>(a[0])) {
        const std::string& s = string(a[0]);
        char* end = nullptr;
        const long long v = std::strtoll(s.c_str(), &end, int(a.integer_or(1, "base", 10)));
        check_value(!s.empty() && !*end, "invalid literal for int() with base 10: '", s, "'");
        return int64_t(v);
    }
    if (const Tensor* t = as<Tensor>(a[0])) return t->item().integer();
    if (is_int(a[0])) return integer(a[0]);
    return to_int<std::trunc>(a);
}
Any as_number_float(const Arguments& a) {
    if (!as<Text>(a[0])) return real(a[0], "a number");
    const std::string& s = string(a[0]);
    char* end = nullptr;
    const double v = std::strtod(s.c_str(), &end);
    check_value(!s.empty() && !*end, "could not convert string to float: '", s, "'");
    return v;
}
template <int Sign>
Any extreme(const Arguments& a) {
    const auto& values = a.size() == 1 && items_of(a[0]) ? *items_of(a[0]) : a.values;
    check_value(!values.empty(), Sign > 0 ? "max" : "min", "() arg is an empty sequence");
    const Any* best = &values[0];
    bool floats = false;
    for (const Any& v : values) {
        if (order(v, *best) == Sign) best = &v;
        floats |= as<double>(v) != nullptr;
    }
    return a.size() > 1 && floats ? Any(real(*best)) : *best;
}

double fmod_(double a, double b) { return std::fmod(a, b); }
double power(double a, double b) { return std::pow(a, b); }
double atan2_(double a, double b) { return std::atan2(a, b); }
double copysign_(double a, double b) { return std::copysign(a, b); }
double remainder_(double a, double b) { return std::remainder(a, b); }
Any greatest_divisor(const Arguments& a) {
    const auto low = [](int64_t v) { return v < 0 ? -uint64_t(v) : uint64_t(v); };
    return wrapped(std::gcd(low(integer(a[0])), low(integer(a[1]))));
}

[[noreturn]] Any raise(const Arguments& a) {
    std::string kind = a.size() > 1 && as<Text>(a[1]) ? string(a[1]) : "RuntimeError";
    if (kind.starts_with("builtins.")) kind = kind.substr(9);
    throw Raised(ErrorKind::Runtime, kind + ": " + to_text(a[0]));
}

Any is_same(const Arguments& a) {
    if (a[0].index() != a[1].index()) return false;
    if (const Tensor* t = as<Tensor>(a[0])) return *t == *as<Tensor>(a[1]);
    if (const List* l = as<List>(a[0])) return l == as<List>(a[1]);
    if (const Object* o = as<Object>(a[0]); o && as<Object>(a[1])) return o == as<Object>(a[1]) || equal(a[0], a[1]);
    return equal(a[0], a[1]);
}

const Words& all_words() {
    static const Words* all = [] {
        static constexpr Entry entries[] = {
            {"add", {add}},
            {"sub", {sub}},
            {"mul", {mul}},
            {"div", {div}},
            {"true_divide", {div}},
            {"floordiv", {floordiv}},
            {"floor_divide", {floordiv}},
            {"remainder", {remainder}},
            {"neg", {neg}},
            {"abs", {absolute}},
            {"pow", {of_doubles<power>}},
            {"__and__", {of_ints<bit_and>}},
            {"__or__", {of_ints<bit_or>}},
            {"__xor__", {of_ints<bit_xor>}},
            {"__lshift__", {of_ints<left>}},
            {"__rshift__", {of_ints<right>}},
            {"bitwise_not", {[](const Arguments& a) { return Any(~integer(a[0])); }}},
            {"lt", {compared<-1>}},
            {"le", {compared<-1, 0>}},
            {"gt", {compared<1>}},
            {"ge", {compared<1, 0>}},
            {"eq", {[](const Arguments& a) { return Any(equal(a[0], a[1])); }}},
            {"ne", {[](const Arguments& a) { return Any(!equal(a[0], a[1])); }}},
            {"floor", {to_int<std::floor>}},
            {"ceil", {to_int<std::ceil>}},
            {"round", {round_number}},
            {"sqrt", {of_double<std::sqrt>}},
            {"exp", {of_double<std::exp>}},
            {"expm1", {of_double<std::expm1>}},
            {"log", {of_double<log_>}},
            {"log2", {of_double<log2_>}},
            {"log10", {of_double<log10_>}},
            {"log1p", {of_double<std::log1p>}},
            {"sin", {of_double<std::sin>}},
            {"cos", {of_double<std::cos>}},
            {"tan", {of_double<std::tan>}},
            {"asin", {of_double<std::asin>}},
            {"acos", {of_double<std::acos>}},
            {"atan", {of_double<std::atan>}},
            {"sinh", {of_double<std::sinh>}},
            {"cosh", {of_double<std::cosh>}},
            {"tanh", {of_double<std::tanh>}},
            {"erf", {of_double<std::erf>}},
            {"erfc", {of_double<std::erfc>}},
            {"lgamma", {of_double<std::lgamma>}},
            {"gamma", {of_double<std::tgamma>}},
            {"fabs", {of_double<std::fabs>}},
            {"degrees", {of_double<degrees>}},
            {"radians", {of_double<radians>}},
            {"atan2", {of_doubles<atan2_>}},
            {"fmod", {of_doubles<fmod_>}},
            {"copysign", {of_doubles<copysign_>}},
            {"mathremainder", {of_doubles<remainder_>}},
            {"gcd", {greatest_divisor}},
            {"isnan", {[](const Arguments& a) { return Any(std::isnan(real(a[0]))); }}},
            {"isinf", {[](const Arguments& a) { return Any(std::isinf(real(a[0]))); }}},
            {"isfinite", {[](const Arguments& a) { return Any(std::isfinite(real(a[0]))); }}},
            {"__is__", {is_same, true}},
            {"__isnot__", {[](const Arguments& a) { return Any(!truth(is_same(a))); }, true}},
            {"__not__", {[](const Arguments& a) { return Any(!truth(a[0])); }, true}},
            {"Int", {as_number_int, true}},
            {"Float", {as_number_float, true}},
            {"Bool", {[](const Arguments& a) { return Any(truth(a[0])); }, true}},
            {"Complex",
             {[](const Arguments& a) { return Any(a.size() > 1 ? C128(real(a[0]), real(a[1])) : complex_of(a[0])); },
              true}},
            {"IntImplicit", {as_number_int, true}},
            {"FloatImplicit", {as_number_float, true}},
            {"__range_length",
             {[](const Arguments& a) {
                  const int64_t low = integer(a[0]), high = integer(a[1]), step = integer(a[2]);
                  check_value(step != 0, "range() arg 3 must not be zero");
                  if (step > 0 ? low >= high : low <= high) return Any(int64_t(0));
                  return Any(1 + floor_div(high - low - (step > 0 ? 1 : -1), step));
              },
              true}},
            {"__derive_index",
             {[](const Arguments& a) { return Any(integer(a[1]) + integer(a[0]) * integer(a[2])); }, true}},
            {"__round_to_zero_floordiv",
             {[](const Arguments& a) {
                  check_divisor(integer(a[1]) != 0);
                  return integer(a[1]) == -1 ? neg(a) : Any(integer(a[0]) / integer(a[1]));
              },
              true}},
            {"_unwrap_optional", {[](const Arguments& a) { return a[0]; }, true}},
            {"is_scripting", {[](const Arguments&) { return Any(true); }, true}},
            {"_get_tracing_state", {[](const Arguments&) { return Any(false); }, true}},
            {"has_torch_function", {[](const Arguments&) { return Any(false); }, true}},
            // Programs are run for their results: gradients are never recorded, whatever is asked for.
            {"is_grad_enabled", {[](const Arguments&) { return Any(false); }, true}},
            {"set_grad_enabled", {[](const Arguments&) { return Any(None{}); }, true}},
            {"is_autocast_enabled", {[](const Arguments&) { return Any(false); }, true}},
            {"is_autocast_cpu_enabled", {[](const Arguments&) { return Any(false); }, true}},
            {"warn",
             {[](const Arguments& a) {
                  std::fprintf(stderr, "Warning: %s\n", to_text(a[0]).c_str());
                  return Any(None{});
              },
              true}},
        };
        auto* w = new Words;
        for (const Entry& e : entries) w->emplace(e.name, e.word);
        add_text_words(*w);
        add_container_words(*w);
        add_tensor_words(*w);
        add_attention_words(*w);
        return w;
    }();
    return *all;
}

Any print(const Arguments& a) {
    std::string line;
    for (size_t i = 0; i < a.size(); ++i) line += (i ? " " : "") + to_text(a[i]);
    std::printf("%s\n", line.c_str());
    return None{};
}
Any same(const Arguments& a) { return a[0]; }

const Words& primitives() {
    static constexpr Entry entries[] = {
        {"RaiseException", {raise, true}},
        {"Print", {print, true}},
        {"unchecked_unwrap_optional", {same, true}},
        {"min", {extreme<-1>, true}},
        {"max", {extreme<1>, true}},
        {"AutogradZero", {[](const Arguments&) { return Any(None{}); }, true}},
        {"EnumName",
         {[](const Arguments& a) {
              check(as<Object>(a[0]), "no member of an Enum");
              return as<Object>(a[0])->slots.at(0);
          },
          true}},
        {"EnumValue",
         {[](const Arguments& a) {
              check(as<Object>(a[0]), "no member of an Enum");
              return as<Object>(a[0])->slots.at(1);
          },
          true}},
        {"rangelist",
         {[](const Arguments& a) {
              std::vector<Any> all;
              check_value(integer(a[0]) < 1 << 28, "a range of the program is too long");
              for (int64_t i = 0; i < integer(a[0]); ++i) all.push_back(i);
              return list(std::move(all));
          },
          true}},
    };
    static const Words all = [] {
        Words w;
        for (const Entry& e : entries) w.emplace(e.name, e.word);
        return w;
    }();
    return all;
}

// Lists are joined, measured and compared as lists, whatever is in them.
bool works_on_lists(const std::string& name) {
    for (const char* n :
         {"add", "add_", "mul", "slice", "index", "select", "copy", "count", "list", "clear", "eq", "ne", "sort"})
        if (name == n) return true;
    return false;
}

// Before version 4 the quotient of integer tensors was an integer.
Any old_div(const Arguments& a) {
    static const Overloads now = overloads_of("div");
    auto inexact = [](const Any& v) {
        const Tensor* t = as<Tensor>(v);
        return t ? !is_integral(t->dtype(), true) : as<double>(v) != nullptr;
    };
    if (!as<Tensor>(a[0])) return div(a);
    if (!a.names.empty() || inexact(a[0]) || inexact(a[1])) return call_overloads(now, a);
    static const std::vector<std::string> mode{"rounding_mode"};
    Arguments b{{a[0], a[1], text("trunc")}, mode};
    return call_overloads(now, b);
}

}  // namespace

Any Builtin::call(const Arguments& a) const {
    if (plain && (always || !has_tensor(a, on_lists))) return plain(a);
    return call_overloads(overloads, a);
}

Builtin find_word(const std::string& name, int version) {
    if (name == "div" && version < 4) return {old_div, true, false, {}};
    const auto found = all_words().find(name);
    Builtin b{nullptr, false, works_on_lists(name), {}};
    if (found != all_words().end()) {
        b.plain = found->second.plain;
        b.always = found->second.always;
    }
    static const std::unordered_map<std::string, const char*> other_names{
        {"floordiv", "floor_divide"}, {"concat", "cat"},         {"concatenate", "cat"},
        {"swapaxes", "transpose"},    {"swapdims", "transpose"}, {"moveaxis", "movedim"}};
    const auto other = other_names.find(name);
    b.overloads = overloads_of(other == other_names.end() ? name : other->second);
    return b;
}

Builtin find_primitive(const std::string& name) {
    if (const auto found = primitives().find(name); found != primitives().end())
        return {found->second.plain, true, false, {}};
    const auto found = all_words().find("prim_" + name);
    if (found == all_words().end()) fail(ErrorKind::Runtime, "Unknown builtin op: prim::", name);
    return {found->second.plain, true, false, {}};
}

Builtin find_bare(const std::string& name) {
    static const std::unordered_map<std::string, const char*> words{
        {"int", "Int"},      {"float", "Float"}, {"bool", "Bool"},   {"complex", "Complex"}, {"str", "str"},
        {"len", "len"},      {"abs", "abs"},     {"round", "round"}, {"pow", "pow"},         {"ord", "ord"},
        {"chr", "chr"},      {"hex", "hex"},     {"oct", "oct"},     {"bin", "bin"},         {"list", "list"},
        {"dict", "dict"},    {"tuple", "tuple"}, {"range", "range"}, {"sorted", "sorted"},   {"enumerate", "enumerate"},
        {"zip", "zip"},      {"all", "all"},     {"any", "any"},     {"sum", "sum"},         {"reversed", "reversed"},
        {"divmod", "divmod"}};
    if (name == "min" || name == "max") return find_primitive(name);
    if (name == "print") return find_primitive("Print");
    const auto found = words.find(name);
    return found == words.end() ? Builtin{} : find_word(found->second, 10);
}

}  // namespace fb::runtime
