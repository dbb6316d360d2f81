#include "runtime/value.h"
#include <cmath>
#include "op/op.h"
#include "runtime/program.h"

namespace fb::runtime {
namespace {

constinit thread_local Heap* waiting = nullptr;
constinit thread_local int destroying = 0;
constexpr int kDeepest = 200;  // values within values that are compared, printed and converted

void check_depth(int depth) {
    check(depth < kDeepest, "a value of the program is nested more than ", kDeepest, " deep");
}

std::string number_text(double d) {
    if (!std::isfinite(d)) return std::isnan(d) ? "nan" : d < 0 ? "-inf" : "inf";
    char room[40];
    std::snprintf(room, sizeof room, "%.17g", d);
    std::string s = room;
    if (s.find_first_not_of("-0123456789") == s.npos) s += ".";
    return s;
}

template <class T, class F>
std::string joined(const char* open, const T& items, const char* close, F&& one) {
    std::string s = open;
    for (size_t i = 0; i < items.size(); ++i) s += (i ? ", " : "") + one(items[i]);
    return s + close;
}

Any nested(const Tensor& flat, IntSpan sizes, int64_t& at) {
    if (sizes.empty()) return from_scalar(op<"select">(flat, int64_t(0), at++).item());
    std::vector<Any> items;
    for (int64_t i = 0; i < sizes[0]; ++i) items.push_back(nested(flat, sizes.subspan(1), at));
    return list(std::move(items));
}

struct Flat {  // the numbers of nested lists, one after the other
    Dims sizes;
    std::vector<Scalar> numbers;
    DType dtype = DType::none;

    void note(DType t) {
        auto rank = [](DType t) {
            return is_complex(t) ? 4 : is_floating(t) ? 3 : t == DType::b1 ? 1 : t == DType::none ? 0 : 2;
        };
        if (rank(t) > rank(dtype)) dtype = t;
    }
    void take(const Any& v, size_t depth) {
        check_depth(int(depth));
        if (const auto* items = items_of(v)) {
            if (depth == sizes.size() && numbers.empty()) sizes.push_back(int64_t(items->size()));
            check_value(depth < sizes.size() && sizes[depth] == int64_t(items->size()), "expected sequence of length ",
                        depth < sizes.size() ? sizes[depth] : 0, " at dim ", depth, " (got ", items->size(), ")");
            for (const Any& x : *items) take(x, depth + 1);
            return;
        }
        check_value(depth == sizes.size(), "torch.tensor: lists of different depths");
        if (const bool* b = as<bool>(v)) add(*b, DType::b1);
        else if (const int64_t* i = as<int64_t>(v)) add(*i, DType::i64);
        else if (const double* d = as<double>(v)) add(*d, default_dtype());
        else if (const C128* c = as<C128>(v)) add(*c, to_complex(default_dtype()));
        else if (const Tensor* t = as<Tensor>(v)) add(t->item(), t->dtype());
        else fail(ErrorKind::Type, "torch.tensor: no number but a ", type_name(v));
    }
    void add(Scalar s, DType t) {
        numbers.push_back(s);
        note(t);
    }
};

}  // namespace

void Heap::destroy(Heap* h) {
    if (destroying >= 50) {
        h->next_ = waiting;
        waiting = h;
        return;
    }
    ++destroying;
    delete h;
    while (destroying == 1 && waiting) {
        Heap* next = waiting;
        waiting = next->next_;
        delete next;
    }
    --destroying;
}

size_t Hash::operator()(const Any& key) const {
    if (const Text* t = as<Text>(key)) return std::hash<std::string>()(t->s);
    if (as<bool>(key) || as<int64_t>(key)) return std::hash<double>()(double(integer(key)));
    if (const double* d = as<double>(key)) return std::hash<double>()(*d);
    if (const Tensor* t = as<Tensor>(key)) return std::hash<const void*>()(t->get());
    size_t h = key.index();
    if (const Tuple* t = as<Tuple>(key))
        for (const Any& x : t->items) h = h * 31 + (items_of(x) ? 1 : (*this)(x));
    return h;
}
bool Equal::operator()(const Any& a, const Any& b) const {
    if (as<Tensor>(a) && as<Tensor>(b)) return *as<Tensor>(a) == *as<Tensor>(b);
    return equal(a, b);
}

const Any* Dict::find(const Any& key) const {
    const auto found = places_.find(key);
    return found == places_.end() ? nullptr : &items_[found->second].second;
}
void Dict::set(const Any& key, Any value) {
    const auto [place, fresh] = places_.try_emplace(key, items_.size());
    if (fresh) items_.emplace_back(key, std::move(value));
    else items_[place->second].second = std::move(value);
}
bool Dict::erase(const Any& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return false;
    items_.erase(items_.begin() + ptrdiff_t(found->second));
    places_.clear();
    for (size_t i = 0; i < items_.size(); ++i) places_.emplace(items_[i].first, i);
    return true;
}
void Dict::clear() {
    places_.clear();
    items_.clear();
}

Any from_scalar(const Scalar& s) {
    switch (s.kind) {
        case Scalar::Kind::Bool: return s.i != 0;
        case Scalar::Kind::Int: return s.i;
        case Scalar::Kind::Double: return s.d;
        case Scalar::Kind::Complex: return s.complex();
    }
    return None{};
}

std::string type_name(const Any& v) {
    static constexpr const char* names[] = {"NoneType", "bool", "int",   "float", "complex", "Device",        "Tensor",
                                            "str",      "List", "Tuple", "Dict",  "object",  "part of a file"};
    if (const Object* o = as<Object>(v)) return o->kind->name;
    return names[v.index()];
}

bool equal(const Any& a, const Any& b, int depth) {
    check_depth(depth);
    auto number = [](const Any& v) { return v.index() >= 1 && v.index() <= 4; };
    if (number(a) && number(b)) {
        if (as<int64_t>(a) && as<int64_t>(b)) return *as<int64_t>(a) == *as<int64_t>(b);
        auto wide = [](const Any& v) { return as<C128>(v) ? *as<C128>(v) : C128(real(v)); };
        return wide(a) == wide(b);
    }
    if (a.index() != b.index()) return false;
    if (is_none(a)) return true;
    if (const Text* x = as<Text>(a)) return x->s == as<Text>(b)->s;
    if (const Device* x = as<Device>(a)) return *x == *as<Device>(b);
    if (const auto* x = items_of(a)) {
        const auto* y = items_of(b);
        if (x->size() != y->size()) return false;
        for (size_t i = 0; i < x->size(); ++i)
            if (!equal((*x)[i], (*y)[i], depth + 1)) return false;
        return true;
    }
    if (const Dict* x = as<Dict>(a)) {
        const Dict* y = as<Dict>(b);
        if (x->items().size() != y->items().size()) return false;
        for (const auto& [k, v] : x->items()) {
            const Any* other = y->find(k);
            if (!other || !equal(v, *other, depth + 1)) return false;
        }
        return true;
    }
    if (const Tensor* x = as<Tensor>(a)) {
        if (*x == *as<Tensor>(b)) return true;
        return same(x->sizes(), as<Tensor>(b)->sizes()) && truth(Any(op<"all">(op<"eq">(*x, *as<Tensor>(b)))));
    }
    if (const Object* x = as<Object>(a)) {
        const Object* y = as<Object>(b);
        return x == y || (x->kind == y->kind && x->kind->base == "Enum" && equal(x->slots[1], y->slots[1], depth + 1));
    }
    return false;
}

std::string to_text(const Any& v, int depth) {
    check_depth(depth);
    auto one = [&](const Any& x) { return to_text(x, depth + 1); };
    if (is_none(v)) return "None";
    if (const bool* b = as<bool>(v)) return *b ? "True" : "False";
    if (const int64_t* i = as<int64_t>(v)) return std::to_string(*i);
    if (const double* d = as<double>(v)) return number_text(*d);
    if (const C128* c = as<C128>(v))
        return "(" + number_text(c->re) + (c->im < 0 ? "" : "+") + number_text(c->im) + "j)";
    if (const Device* d = as<Device>(v)) return str(*d);
    if (const Text* t = as<Text>(v)) return t->s;
    if (const List* l = as<List>(v)) return joined("[", l->items, "]", one);
    if (const Tuple* t = as<Tuple>(v)) return joined("(", t->items, t->items.size() == 1 ? ",)" : ")", one);
    if (const Dict* d = as<Dict>(v))
        return joined("{", d->items(), "}", [&](const auto& kv) { return one(kv.first) + ": " + one(kv.second); });
    if (const Tensor* t = as<Tensor>(v)) {
        const std::string kind = name(t->dtype());
        if (t->numel() > 1000) return str("tensor of ", kind, " and shape ", t->sizes());
        return "tensor(" + one(nested_list(*t)) + ", " + kind + ")";
    }
    if (const Object* o = as<Object>(v); o && o->kind->base == "Enum") return o->kind->name + "." + one(o->slots[0]);
    return "<" + type_name(v) + ">";
}

bool truth(const Any& v) {
    if (const bool* b = as<bool>(v)) return *b;
    if (const int64_t* i = as<int64_t>(v)) return *i != 0;
    if (const double* d = as<double>(v)) return *d != 0;
    if (const Tensor* t = as<Tensor>(v)) {
        check(t->numel() == 1, "Boolean value of Tensor with ", t->numel() ? "more than one" : "no", " value",
              t->numel() ? "" : "s", " is ambiguous");
        return !t->item().is_zero();
    }
    if (const auto* l = items_of(v)) return !l->empty();
    if (const Text* t = as<Text>(v)) return !t->s.empty();
    if (const Dict* d = as<Dict>(v)) return !d->items().empty();
    return !is_none(v);
}

int64_t integer(const Any& v, const char* what) {
    if (const int64_t* i = as<int64_t>(v)) return *i;
    if (const bool* b = as<bool>(v)) return *b;
    if (const Tensor* t = as<Tensor>(v)) return t->item().integer();
    fail(ErrorKind::Type, "expected ", what, " but found a ", type_name(v));
}
double real(const Any& v, const char* what) {
    if (const double* d = as<double>(v)) return *d;
    if (as<int64_t>(v) || as<bool>(v)) return double(integer(v));
    if (const Tensor* t = as<Tensor>(v)) return t->item().real();
    fail(ErrorKind::Type, "expected ", what, " but found a ", type_name(v));
}
const std::string& string(const Any& v, const char* what) {
    if (const Text* t = as<Text>(v)) return t->s;
    fail(ErrorKind::Type, "expected ", what, " but found a ", type_name(v));
}
const std::vector<Any>* items_of(const Any& v) {
    if (const List* l = as<List>(v)) return &l->items;
    if (const Tuple* t = as<Tuple>(v)) return &t->items;
    return nullptr;
}

Any nested_list(const Tensor& t) {
    const Tensor flat = op<"reshape">(t, Dims{t.numel()});
    int64_t at = 0;
    return nested(flat, t.sizes(), at);
}

Tensor tensor_of(const Any& v, DType dtype) {
    if (const Tensor* t = as<Tensor>(v)) {
        const Tensor copy = op<"clone">(*t);
        return dtype == DType::none ? copy : copy.to(dtype);
    }
    Flat flat;
    flat.take(v, 0);
    const DType wanted = dtype != DType::none ? dtype : flat.dtype != DType::none ? flat.dtype : default_dtype();
    const int64_t n = int64_t(flat.numbers.size());
    // Numbers travel in the widest type of their kind, so that each is rounded once.
    const DType wide = is_complex(flat.dtype) ? DType::c128 : is_floating(flat.dtype) ? DType::f64 : DType::i64;
    Tensor all = empty(Dims{n}, wide);
    for (int64_t i = 0; i < n; ++i) {
        const Scalar& s = flat.numbers[size_t(i)];
        if (wide == DType::c128) all.data<C128>()[i] = s.complex();
        else if (wide == DType::f64) all.data<double>()[i] = s.real();
        else all.data<int64_t>()[i] = s.integer();
    }
    return op<"reshape">(all.to(wanted), flat.sizes);
}

}  // namespace fb::runtime
