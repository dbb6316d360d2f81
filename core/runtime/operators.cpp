#include "runtime/operators.h"
#include <deque>

namespace fb::runtime {
namespace {

// What the values of one call borrow.
struct Room {
    std::deque<Dims> ints;
    std::deque<std::vector<double>> doubles;
    std::deque<std::vector<Scalar>> scalars;
    std::deque<std::unique_ptr<bool[]>> bools;
    std::deque<std::vector<Tensor>> tensors;
};

bool as_scalar(const Any& v, Scalar& s) {
    if (const bool* b = as<bool>(v)) s = *b;
    else if (const int64_t* i = as<int64_t>(v)) s = *i;
    else if (const double* d = as<double>(v)) s = *d;
    else if (const C128* c = as<C128>(v)) s = *c;
    else if (const Tensor* t = as<Tensor>(v); t && t->dim() == 0) s = t->item();
    else return false;
    return true;
}
bool as_int(const Any& v, int64_t& i) {
    const int64_t* p = as<int64_t>(v);
    if (p) i = *p;
    else if (const Tensor* t = as<Tensor>(v); t && t->dim() == 0 && is_integral(t->dtype(), false))
        i = t->item().integer();
    else return false;
    return true;
}
bool as_double(const Any& v, double& d) {
    Scalar s;
    if (as<bool>(v) || !as_scalar(v, s) || s.is_complex()) return false;
    d = s.real();
    return true;
}

bool convert_ints(const Any& v, const Arg& arg, Value& to, Room& room) {
    int64_t one;
    if (arg.list_size > 0 && as_int(v, one)) {
        to = Value(room.ints.emplace_back(Dims(size_t(arg.list_size), one)));
        return true;
    }
    const auto* items = items_of(v);
    if (!items) return false;
    Dims& list = room.ints.emplace_back();
    for (const Any& x : *items) {
        if (!as_int(x, one)) return false;
        list.push_back(one);
    }
    to = Value(list);
    return true;
}

bool convert_tensors(const Any& v, const Arg& arg, Value& to, Room& room) {
    const auto* items = items_of(v);
    if (!items) return false;
    auto& list = room.tensors.emplace_back();
    for (const Any& x : *items) {
        if (const Tensor* t = as<Tensor>(x)) list.push_back(*t);
        else if (is_none(x) && arg.optional_items) list.emplace_back();
        else return false;
    }
    to = Value(list);
    return true;
}

template <class T, class F>
bool convert_numbers(const Any& v, const Arg& arg, Value& to, std::deque<std::vector<T>>& room, F&& one) {
    T number;
    const auto* items = items_of(v);
    if (!items && !(arg.list_size > 0 && one(v, number))) return false;
    auto& list = room.emplace_back();
    if (!items) list.assign(size_t(arg.list_size), number);
    else
        for (const Any& x : *items) {
            if (!one(x, number)) return false;
            list.push_back(number);
        }
    to = Value(std::span<const T>(list));
    return true;
}

bool convert(const Any& v, const Arg& arg, Value& to, Room& room) {
    if (is_none(v)) {
        to = Value();
        return arg.optional;
    }
    Scalar s;
    int64_t i;
    double d;
    switch (arg.kind) {
        case Kind::Tensor:
            if (!as<Tensor>(v)) return false;
            to = Value(*as<Tensor>(v));
            return true;
        case Kind::Operand:
            if (as<Tensor>(v)) to = Value(*as<Tensor>(v));
            else if (as_scalar(v, s)) to = Value(s);
            else return false;
            return true;
        case Kind::Scalar:
            if (!as_scalar(v, s)) return false;
            to = Value(s);
            return true;
        case Kind::Int:
            if (!as_int(v, i)) return false;
            to = Value(i);
            return true;
        case Kind::Float:
            if (!as_double(v, d)) return false;
            to = Value(d);
            return true;
        case Kind::Bool:
            if (!as<bool>(v)) return false;
            to = Value(*as<bool>(v));
            return true;
        case Kind::Tensors: return convert_tensors(v, arg, to, room);
        case Kind::Ints: return convert_ints(v, arg, to, room);
        case Kind::Floats: return convert_numbers(v, arg, to, room.doubles, as_double);
        case Kind::Scalars: return convert_numbers(v, arg, to, room.scalars, as_scalar);
        case Kind::Bools: {
            const auto* items = items_of(v);
            if (!items) return false;
            auto& list = room.bools.emplace_back(new bool[items->size() + 1]);
            for (size_t k = 0; k < items->size(); ++k) {
                if (!as<bool>((*items)[k])) return false;
                list[k] = *as<bool>((*items)[k]);
            }
            to = Value(std::span<const bool>(list.get(), items->size()));
            return true;
        }
        case Kind::String:
            if (!as<Text>(v)) return false;
            to = Value(std::string_view(as<Text>(v)->s));
            return true;
        case Kind::DType:
            if (!as<int64_t>(v)) return false;
            i = *as<int64_t>(v);
            if (i < 0 || i >= kDTypeLimit || !itemsize(DType(i)))
                fail(ErrorKind::NotImplemented, "the program names the dtype of number ", i, ", which flambeau lacks");
            to = Value(DType(i));
            return true;
        case Kind::Layout:
            if (!as<int64_t>(v) || *as<int64_t>(v) < 0 || *as<int64_t>(v) > 2) return false;
            to = Value(Layout(*as<int64_t>(v)));
            return true;
        case Kind::Format:
            if (!as<int64_t>(v) || *as<int64_t>(v) < 0 || *as<int64_t>(v) > 3) return false;
            to = Value(MemoryFormat(*as<int64_t>(v)));
            return true;
        case Kind::Device:
            if (as<Device>(v)) to = Value(*as<Device>(v));
            else if (as<Text>(v)) to = Value(device_of(as<Text>(v)->s));
            else return false;
            return true;
        case Kind::Generator: return false;
    }
    return false;
}

bool fill(const Op& op, const Arguments& a, Value* values, Room& room, Tensor& out) {
    const std::vector<Arg>& args = op.schema.args;
    if (a.positional() > args.size()) return false;
    uint32_t have = 0;
    for (size_t i = 0; i < a.values.size(); ++i) {
        int place = int(i);
        if (i >= a.positional()) {
            const std::string& name = a.names[i - a.positional()];
            place = op.schema.index_of(name);
            if (place < 0 && name == "self") place = op.schema.index_of("input");
            if (place < 0 && name == "input") place = op.schema.index_of("self");
            if (place < 0 && name == "out" && op.has_out && as<Tensor>(a.values[i])) {
                out = *as<Tensor>(a.values[i]);
                continue;
            }
            // What says how memory lies, and says nothing new, may be left out of the table.
            const bool idle = name == "layout" || name == "pin_memory" || name == "requires_grad";
            if (place < 0 && idle && !truth(a.values[i])) continue;
            if (place < 0 || have >> place & 1) return false;
        }
        if (!convert(a.values[i], args[size_t(place)], values[place], room)) return false;
        have |= 1u << place;
    }
    for (size_t i = 0; i < args.size(); ++i) {
        if (have >> i & 1) continue;
        if (!args[i].has_default && !args[i].optional) return false;
        values[i] = args[i].has_default ? args[i].fallback : Value();
    }
    return true;
}

Any boxed(const Value& v) {
    switch (v.tag) {
        case Tag::None: return None{};
        case Tag::Tensor: return v.tensor();
        case Tag::DType: return int64_t(v.dt);
        case Tag::Device: return v.device_v;
        default: return from_scalar(v.scalar());
    }
}
Any boxed(const Tensor& t) { return t.defined() ? Any(t) : Any(None{}); }

Any results(const Op& op, Frame& f) {
    const auto& kinds = op.schema.return_kinds;
    if (kinds.empty()) return None{};
    if (kinds[0] == Kind::Tensors) {
        std::vector<Any> items;
        for (const Tensor& t : f.list) items.push_back(boxed(t));
        return list(std::move(items));
    }
    if (kinds[0] == Kind::String) return text(f.text);
    if (kinds[0] != Kind::Tensor) return boxed(f.value);
    if (kinds.size() == 1) return boxed(f.result[0]);
    std::vector<Any> items;
    for (int i = 0; i < f.n; ++i) items.push_back(boxed(f.result[i]));
    return tuple(std::move(items));
}

}  // namespace

const Any& Arguments::operator[](size_t i) const {
    check(i < values.size(), "a call of the program has ", values.size(), " arguments, too few");
    return values[i];
}
const Any* Arguments::find(size_t i, std::string_view name) const {
    if (i < positional()) return &values[i];
    for (size_t k = 0; k < names.size(); ++k)
        if (names[k] == name) return &values[positional() + k];
    return nullptr;
}
bool Arguments::given(size_t i, std::string_view name) const {
    const Any* v = find(i, name);
    return v && !is_none(*v);
}
int64_t Arguments::integer_or(size_t i, std::string_view name, int64_t other) const {
    return given(i, name) ? integer(*find(i, name)) : other;
}

Device device_of(std::string_view name) {
    const size_t colon = name.find(':');
    const std::string_view kind = name.substr(0, colon);
    Device d{kind == "cuda" ? DeviceType::CUDA : kind == "meta" ? DeviceType::Meta : DeviceType::CPU};
    if (kind != fb::name(d.type)) fail(ErrorKind::Runtime, "the program names a device '", name, "' that is not there");
    if (colon != name.npos) d.index = int8_t(std::atoi(std::string(name.substr(colon + 1)).c_str()));
    if (d.type == DeviceType::CPU) d.index = -1;
    return d;
}

Overloads overloads_of(const std::string& name) {
    static const auto* by_name = [] {
        auto* all = new std::unordered_map<std::string, std::vector<const Op*>>;
        for (const auto& op : Registry::get().all()) {
            const Schema& s = op->schema;
            (*all)[s.space.empty() ? s.name : s.space + "_" + s.name].push_back(op.get());
        }
        return all;
    }();
    auto find = [&](const std::string& n) -> const std::vector<const Op*>* {
        for (const std::string& key : {n, "nn_" + n})
            if (const auto i = by_name->find(key); i != by_name->end()) return &i->second;
        return nullptr;
    };
    Overloads o{name, false, {}};
    if (const auto* found = find(name)) {
        o.ops = *found;
    } else if (name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_') {
        const auto* plain = find(name.substr(0, name.size() - 1));
        if (plain)
            for (const Op* op : *plain)
                if (op->has_inplace) o.ops.push_back(op);
        o.inplace = true;
    }
    return o;
}

Any call_overloads(const Overloads& o, const Arguments& a) {
    if (o.ops.empty())
        fail(ErrorKind::NotImplemented, "the operator aten::", o.name,
             " of the program is not there in flambeau's core (operators that are written in Python need Python)");
    for (const Op* op : o.ops) {
        Value values[kMaxArgs];
        Room room;
        Tensor out;
        if (op->schema.args.size() > kMaxArgs || !fill(*op, a, values, room, out)) continue;
        Frame f(*op, values);
        if (o.inplace) {
            if (!values[0].is_tensor()) continue;
            const Tensor self = values[0].tensor();
            f.given = &self;
            f.inplace = true;
            op->call(f);
            return self;
        }
        if (out.defined()) f.given = &out;
        op->call(f);
        return out.defined() ? Any(out) : results(*op, f);
    }
    std::string types;
    for (size_t i = 0; i < a.values.size(); ++i)
        types +=
            (i ? ", " : "") + (i >= a.positional() ? a.names[i - a.positional()] + "=" : "") + type_name(a.values[i]);
    std::string known;
    for (const Op* op : o.ops) known += "\n  aten::" + op->schema.text;
    fail(ErrorKind::Type, "aten::", o.name, "(", types, "): these arguments fit none of", known);
}

}  // namespace fb::runtime
