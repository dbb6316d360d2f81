#include "python/parse.h"
#include <algorithm>
#include <cstring>
#include "python/tensor_object.h"

namespace fb::py {
namespace {

PyObject* intern(const char* s) { return checked(PyUnicode_InternFromString(s)).detach(); }

PyObject *kw_out, *kw_requires_grad, *kw_pin_memory, *kw_layout, *kw_device, *kw_dtype;

void init_keywords() {
    if (kw_out) return;
    kw_requires_grad = intern("requires_grad");
    kw_pin_memory = intern("pin_memory");
    kw_layout = intern("layout");
    kw_device = intern("device");
    kw_dtype = intern("dtype");
    kw_out = intern("out");
}

}  // namespace

bool called_self(const Schema& s, Form form) {
    static constexpr std::string_view some[] = {"as_strided_scatter", "broadcast_to", "fill",      "permute",
                                                "rand_like",          "randint_like", "randn_like"};
    return form != Form::Function || s.name.ends_with('_') || std::ranges::find(some, s.name) != std::end(some);
}

namespace {
// Other keywords for an argument: NumPy's names; those of PyTorch's `split`, which is a function in Python; those of
// its documentation and of its table of signatures (`torch.overrides`).
Aliases aliases_of(const Schema& s, Form form, const std::string& name) {
    const auto all = [](auto... names) { return Aliases{intern(names)...}; };
    if (s.name == "split") {
        if (name == "self" && !is_method(form)) return all("tensor");
        if (name == "split_size" && !is_method(form)) return all("split_size_or_sections");
    } else if (s.name.ends_with("split") && s.name != "unsafe_split" && &name == &s.args[1].name)
        return all("indices_or_sections");
    if (s.space == "special" && name == "x") return all("input");
    if (name == "self" && called_self(s, form)) return all("self", "x1", "x", "a");
    if (name == "self") return all("x1", "x", "a");
    if (name == "dim") return all("axis");
    if (name == "keepdim") return all("keepdims");
    if (name == "other") return all("x2");
    return {};
}

// A number as the value of an argument that takes Python numbers; 0-d tensors without history are numbers too.
bool number(PyObject* o, Scalar& s) {
    if (to_scalar(o, s)) return true;
    if (!is_tensor(o)) return false;
    const Tensor& t = unwrap(o);
    if (t.dim() != 0 || t.requires_grad() || t.is_meta()) return false;
    s = t.item();
    return true;
}

// One size of many: too large a number is an error of its own, at its place.
bool size_item(PyObject* o, int64_t& i, const char* function, const std::string& name, Py_ssize_t place) {
    try {
        return to_int(o, i);
    } catch (const PythonError&) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw;
        PyErr_Clear();
        raise(PyExc_TypeError, str(function, "(): argument '", name, "' failed to unpack the object at pos ", place + 1,
                                   " with error \"Overflow when unpacking long long\""));
    }
}

// The items of a list argument. `first` decides whether the list fits at all; a later wrong item is an error of its
// own.
template <class T, class F>
bool convert_list(PyObject* o, const Arg& arg, Arena& arena, const char* what, Value& v, F&& item) {
    if (!is_list(o)) return false;
    const Py_ssize_t n = list_size(o);
    T* room = arena.take<T>(size_t(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = i < list_size(o) ? list_item(o, i) : Py_None;
        if (item(x, room[i], i)) continue;
        if (i == 0) return false;
        raise(PyExc_TypeError, str(arena.function, "(): argument '", arg.name, "' failed to unpack the object at pos ",
                                   i + 1, " with error \"type must be ", what, ",but got ", type_name(x), "\""));
    }
    v = Value(std::span<const T>(room, size_t(n)));
    return true;
}

bool convert_tensors(PyObject* o, const Arg& arg, Value& v, Arena& arena) {
    if (!is_list(o)) return false;
    const Py_ssize_t n = list_size(o);
    std::vector<Tensor>& list = arena.tensors();
    list.reserve(size_t(n));
    for (Py_ssize_t i = 0; i < n && i < list_size(o); ++i) {
        PyObject* x = list_item(o, i);
        if (is_tensor(x)) list.push_back(unwrap(x));
        else if (x == Py_None && arg.optional_items) list.emplace_back();
        else
            raise(PyExc_TypeError,
                  str("expected Tensor as element ", i, " in argument ", arena.argument, ", but got ", type_name(x)));
    }
    v = Value(TensorSpan(list));
    return true;
}

bool convert_ints(PyObject* o, const Arg& arg, Value& v, Arena& arena) {
    if (is_list(o)) {
        return convert_list<int64_t>(o, arg, arena, "tuple of ints", v, [&](PyObject* x, int64_t& v, Py_ssize_t k) {
            return size_item(x, v, arena.function, arg.name, k);
        });
    }
    int64_t i;
    if (arg.list_size > 0 && to_int(o, i)) {
        int64_t* room = arena.take<int64_t>(size_t(arg.list_size));
        std::fill_n(room, arg.list_size, i);
        v = Value(IntSpan(room, size_t(arg.list_size)));
        return true;
    }
    return false;
}

bool is_keyword(PyObject* name, PyObject* interned) {
    return name == interned || (interned && PyUnicode_Compare(name, interned) == 0);
}

bool is_keyword(PyObject* name, PyObject* interned, const Aliases& aliases) {
    return is_keyword(name, interned) ||
           std::ranges::any_of(aliases, [&](PyObject* alias) { return is_keyword(name, alias); });
}

// The value of a keyword argument or null; `used` counts what was found.
PyObject* keyword(const Arguments& in, PyObject* name, const Aliases& aliases, Py_ssize_t& used) {
    const Py_ssize_t k = in.keywords();
    for (int pass = 0; pass < 2; ++pass) {  // keyword names are nearly always interned: pointers first
        for (Py_ssize_t i = 0; i < k; ++i) {
            PyObject* given = PyTuple_GET_ITEM(in.names, i);
            if (pass ? is_keyword(given, name, aliases) : given == name) {
                ++used;
                return in.args[in.n + i];
            }
        }
    }
    return nullptr;
}

bool given_by_keyword(const Arguments& in, PyObject* name) {
    Py_ssize_t unused = 0;
    return in.keywords() && keyword(in, name, {}, unused);
}

const char* kind_name(const Arg& a) {
    switch (a.kind) {
        case Kind::Tensor:
        case Kind::Operand: return "Tensor";
        case Kind::Tensors: return "tuple of Tensors";
        case Kind::Scalar: return "Number";
        case Kind::Scalars: return "tuple of Scalars";
        case Kind::Int: return "int";
        case Kind::Float: return "float";
        case Kind::Bool: return "bool";
        case Kind::Ints: return "tuple of ints";
        case Kind::Floats: return "tuple of floats";
        case Kind::Bools: return "tuple of bools";
        case Kind::String: return "str";
        case Kind::DType: return "torch.dtype";
        case Kind::Layout: return "torch.layout";
        case Kind::Device: return "torch.device";
        case Kind::Format: return "torch.memory_format";
        case Kind::Generator: return "torch.Generator";
    }
    return "";
}

// The name an argument has in messages and as a keyword: a tensor `self` is `input` for functions.
const char* shown_name(const Arg& a) {
    return a.name == "self" && (a.kind == Kind::Tensor || a.kind == Kind::Operand) ? "input" : a.name.c_str();
}
const char* shown_name(const Signature& s, size_t i) { return shown_name(s.op->schema.args[i]); }

std::string wrong_type(const Signature& s, size_t i, Py_ssize_t position, PyObject* o) {
    const Arg& a = s.op->schema.args[i];
    std::string where = position >= 0 ? str(" (position ", position + 1 - s.first_shown, ")") : "";
    std::string what = type_name(o);
    if (a.kind == Kind::Ints && is_list(o) && list_size(o))
        return str("argument '", shown_name(s, i), "'", where, " must be tuple of ints, but found element of type ",
                   type_name(list_item(o, 0)), " at pos 0");
    return str("argument '", shown_name(s, i), "'", where, " must be ", kind_name(a), ", not ", what);
}

bool take_out(const Signature& s, PyObject* out, Call& call, std::string* why) {
    const size_t n = s.op->schema.return_kinds.size();
    auto bad = [&](const char* must) {
        if (why) *why = str("argument 'out' must be ", must, ", not ", type_name(out));
        return false;
    };
    if (out == Py_None) return true;
    call.out = out;
    call.has_given = true;
    if (n == 1) {
        if (is_tensor(out)) {
            call.given[0] = unwrap(out);
            return true;
        }
        return bad("Tensor");
    }
    if (!is_list(out)) return bad("tuple of Tensors");
    if (size_t(list_size(out)) != n)
        raise(PyExc_TypeError, str("expected tuple of ", n, " elements but got ", list_size(out)));
    for (size_t i = 0; i < n; ++i) {
        PyObject* x = list_item(out, Py_ssize_t(i));
        if (!is_tensor(x))
            raise(PyExc_TypeError, str("expected Tensor as element ", i, " in argument 0, but got ", type_name(x)));
        call.given[i] = unwrap(x);
    }
    return true;
}

// Keywords that belong to no schema argument.
bool take_extras(const Signature& s, const Arguments& in, Py_ssize_t& used, Call& call, std::string* why) {
    if (s.has_out)
        if (PyObject* out = keyword(in, kw_out, {}, used); out && !take_out(s, out, call, why)) return false;
    if (!s.factory) return true;
    auto flag = [&](PyObject* name, bool& to) {
        PyObject* o = keyword(in, name, {}, used);
        if (!o || o == Py_None || to_bool(o, to)) return true;
        if (why) *why = str("argument '", PyUnicode_AsUTF8(name), "' must be bool, not ", type_name(o));
        return false;
    };
    bool pin = false;
    if (!flag(kw_requires_grad, call.requires_grad) || !flag(kw_pin_memory, pin)) return false;
    if (s.op->schema.index_of("layout") < 0) {
        Layout l = Layout::Strided;
        PyObject* o = keyword(in, kw_layout, {}, used);
        if (o && o != Py_None && !to_layout(o, l)) {
            if (why) *why = "argument 'layout' must be torch.layout, not " + type_name(o);
            return false;
        }
        if (l != Layout::Strided)
            fail(ErrorKind::NotImplemented, "flambeau's ", s.op->schema.name, "() makes strided tensors only");
    }
    if (s.dtype_arg < 0 && s.op->schema.index_of("dtype") < 0) {
        if (PyObject* o = keyword(in, kw_dtype, {}, used); o && o != Py_None) {
            if (why) *why = "got an unexpected keyword argument 'dtype'";
            return false;
        }
    }
    return true;
}

std::string unknown_keyword(const Signature& s, const Arguments& in) {
    for (Py_ssize_t i = 0; i < in.keywords(); ++i) {
        PyObject* given = PyTuple_GET_ITEM(in.names, i);
        bool known = (s.has_out && is_keyword(given, kw_out)) ||
                     (s.factory && (is_keyword(given, kw_requires_grad) || is_keyword(given, kw_pin_memory) ||
                                    is_keyword(given, kw_layout)));
        for (size_t a = size_t(s.first_shown); a < s.names.size(); ++a) {
            const bool same = is_keyword(given, s.names[a]);
            if (!same && (Py_ssize_t(a) < in.n || !is_keyword(given, s.names[a], s.aliases[a]))) continue;
            if (Py_ssize_t(a) < in.n && !s.op->schema.args[a].keyword_only)
                return str(" got multiple values for argument '", PyUnicode_AsUTF8(given), "'");
            known = true;
        }
        if (!known) return str(" got an unexpected keyword argument '", PyUnicode_AsUTF8(given), "'");
    }
    return " got an unexpected keyword argument";
}

bool required(const Arg& a) { return !a.has_default && !(a.keyword_only && a.optional); }

std::string too_many(const Signature& s, Py_ssize_t given) {
    const int most = s.shown_positional();
    int least = 0;
    for (size_t i = size_t(s.first_shown); i < s.names.size(); ++i) least += required(s.op->schema.args[i]);
    const Py_ssize_t n = given - s.first_shown;
    const char* were = n == 1 ? "was" : "were";
    if (least == most)
        return str(" takes ", most, " positional argument", most == 1 ? "" : "s", " but ", n, " ", were, " given");
    return str(" takes from ", least, " to ", most, " positional arguments but ", n, " were given");
}

// From the first missing positional one on, all that have no default count: those given by keyword too.
std::string missing(const Signature& s, const Arguments& in) {
    std::string names;
    int n = 0;
    for (size_t i = size_t(std::max<Py_ssize_t>(in.n, s.first_shown)); i < s.names.size(); ++i) {
        const Arg& a = s.op->schema.args[i];
        if (a.has_default || (!n && (a.keyword_only || given_by_keyword(in, s.names[i])))) continue;
        names += str(n++ ? ", " : "", "\"", shown_name(s, i), "\"");
    }
    return missing_arguments(n, names);
}

}  // namespace

std::string missing_arguments(int n, const std::string& names) {
    return str(" missing ", n, " required positional argument", n == 1 ? "s" : "", ": ", names);  // PyTorch's plural
}

// ---------------------------------------------------------------- one object
bool convert(PyObject* o, const Arg& arg, Value& v, Arena& arena) {
    if (o == Py_None) {
        v = Value();
        if (arg.kind == Kind::Ints && arg.has_default && arg.ints.empty()) {  // stride=[]: None stands for it
            v = arg.fallback;
            return true;
        }
        return arg.optional;
    }
    switch (arg.kind) {
        case Kind::Tensor:
            if (!is_tensor(o)) return false;
            v = Value(impl_of(o));
            return true;
        case Kind::Operand: {
            if (is_tensor(o)) {
                v = Value(impl_of(o));
                return true;
            }
            Scalar s;
            if (!to_scalar(o, s)) return false;
            v = Value(s);
            return true;
        }
        case Kind::Scalar: {
            Scalar s;
            if (!number(o, s)) return false;
            v = Value(s);
            return true;
        }
        case Kind::Int: {
            int64_t i;
            if (!to_int(o, i)) return false;
            v = Value(i);
            return true;
        }
        case Kind::Float: {
            double d;
            if (!to_double(o, d)) {
                Scalar s;
                if (!is_tensor(o) || !number(o, s) || s.is_complex()) return false;
                d = s.real();
            }
            v = Value(d);
            return true;
        }
        case Kind::Bool: {
            bool b;
            if (!to_bool(o, b)) return false;
            v = Value(b);
            return true;
        }
        case Kind::Tensors: return convert_tensors(o, arg, v, arena);
        case Kind::Ints: return convert_ints(o, arg, v, arena);
        case Kind::Floats: {
            if (double d; arg.list_size > 0 && to_double(o, d)) {
                double* room = arena.take<double>(size_t(arg.list_size));
                std::fill_n(room, arg.list_size, d);
                v = Value(std::span<const double>(room, size_t(arg.list_size)));
                return true;
            }
            return convert_list<double>(o, arg, arena, "tuple of floats", v,
                                        [](PyObject* x, double& d, Py_ssize_t) { return to_double(x, d); });
        }
        case Kind::Bools:
            return convert_list<bool>(o, arg, arena, "tuple of bools", v,
                                      [](PyObject* x, bool& b, Py_ssize_t) { return to_bool(x, b); });
        case Kind::Scalars:
            return convert_list<Scalar>(o, arg, arena, "tuple of Scalars", v,
                                        [](PyObject* x, Scalar& s, Py_ssize_t) { return number(x, s); });
        case Kind::String: {
            if (!PyUnicode_Check(o)) return false;
            Py_ssize_t n;
            const char* s = PyUnicode_AsUTF8AndSize(o, &n);
            if (!s) throw PythonError{};
            v = Value(std::string_view(s, size_t(n)));
            return true;
        }
        case Kind::DType: {
            DType t;
            if (!to_dtype(o, t)) return false;
            v = Value(t);
            return true;
        }
        case Kind::Layout: {
            Layout l;
            if (!to_layout(o, l)) return false;
            v = Value(l);
            return true;
        }
        case Kind::Device: {
            Device d;
            if (!to_device(o, d)) return false;
            v = Value(d);
            return true;
        }
        case Kind::Format: {
            MemoryFormat f;
            if (!to_format(o, f)) return false;
            v = Value(f);
            return true;
        }
        case Kind::Generator: {
            Generator* g;
            if (!to_generator(o, g)) return false;
            v = Value(g);
            return true;
        }
    }
    return false;
}

// ---------------------------------------------------------------- a whole call
bool parse(const Signature& s, const Arguments& in, Call& call, std::string* why) {
    const std::vector<Arg>& args = s.op->schema.args;
    const int n_args = int(args.size());
    const Py_ssize_t n = in.n;
    call.arena.function = s.shown.c_str();
    call.has_given = call.requires_grad = false;
    Py_ssize_t used = 0;
    if (s.tensor_varargs && (n ? is_tensor(in.args[0]) : !in.keywords())) {
        std::vector<Tensor>& list = call.arena.tensors();
        for (Py_ssize_t i = 0; i < n; ++i) {
            if (!is_tensor(in.args[i])) return false;
            list.push_back(unwrap(in.args[i]));
        }
        new (&call.values[0]) Value(TensorSpan(list));
        return !in.keywords();
    }
    const bool spread = s.varargs >= 0 && n > s.varargs && (n > s.varargs + 1 || !is_list(in.args[s.varargs]));
    if (n > s.op->schema.positional && !spread) {
        if (why) *why = too_many(s, n);
        return false;
    }
    for (int i = 0; i < n_args; ++i) {
        const Arg& a = args[size_t(i)];
        Value& v = *new (&call.values[i]) Value;
        PyObject* o = nullptr;
        Py_ssize_t position = -1;
        if (i < n && !a.keyword_only) {
            if (i == s.varargs && spread) {
                const Py_ssize_t count = n - i;
                int64_t* room = call.arena.take<int64_t>(size_t(count));
                for (Py_ssize_t k = 0; k < count; ++k) {
                    PyObject* x = in.args[i + k];
                    if (size_item(x, room[k], call.arena.function, a.name, k)) continue;
                    if (k == 0) {
                        if (why) *why = count > 1 ? too_many(s, n) : ": " + wrong_type(s, size_t(i), i, x);
                        return false;
                    }
                    raise(PyExc_TypeError,
                          str(s.shown, "(): argument '", a.name, "' failed to unpack the object at pos ", k + 1,
                              " with error \"type must be tuple of ints,but got ", type_name(x), "\""));
                }
                v = Value(IntSpan(room, size_t(count)));
                continue;
            }
            o = in.args[i];
            position = i;
        } else if (in.names && i >= s.first_shown) {
            o = keyword(in, s.names[size_t(i)], s.aliases[size_t(i)], used);
        }
        if (!o) {
            if (required(a)) {
                if (why) *why = missing(s, in);
                return false;
            }
            v = a.fallback;
            continue;
        }
        call.arena.argument = i - s.first_shown;
        if (!convert(o, a, v, call.arena)) {
            if (why) *why = ": " + wrong_type(s, size_t(i), position, o);
            return false;
        }
    }
    if (s.needs_tensor) {
        bool some = false;
        for (int i = 0; i < n_args; ++i)
            some = some || (args[size_t(i)].kind == Kind::Operand && call.values[i].is_tensor());
        if (!some) {
            if (why) *why = ": " + wrong_type(s, 0, 0, in.n ? in.args[0] : Py_None);
            return false;
        }
    }
    if (used < in.keywords()) {
        const std::string* before = why;
        if (!take_extras(s, in, used, call, why)) {
            if (before && !why->starts_with(" ")) *why = ": " + *why;
            return false;
        }
        if (used < in.keywords()) {
            if (why) *why = unknown_keyword(s, in);
            return false;
        }
    }
    if (s.factory && default_device_depth && s.device_arg >= 0 && call.values[s.device_arg].is_none() &&
        !(n_args && call.values[0].is_tensor()))
        call.values[s.device_arg] = Value(default_device());
    return true;
}

// ---------------------------------------------------------------- signatures
bool works_on_numbers(std::string_view name) {
    static constexpr std::string_view all[] = {"add", "sub",    "subtract",    "mul",         "multiply",
                                               "div", "divide", "true_divide", "floor_divide"};
    return std::ranges::find(all, name) != std::end(all);
}

int Signature::least() const {
    int n = 0;
    for (size_t i = size_t(first_shown); i < op->schema.args.size(); ++i) n += required(op->schema.args[i]);
    return n;
}

int Signature::most() const {
    const Schema& s = op->schema;
    const int extras = factory ? 1 + (s.index_of("layout") < 0) + (s.index_of("pin_memory") < 0) : 0;
    return int(s.args.size()) - first_shown + has_out + extras;
}

Signature::Signature(const Op& o, Form form) : op(&o), form(form) {
    init_keywords();
    const Schema& s = o.schema;
    shown = str(s.space.empty() || s.space == "nn" ? "" : s.space + "_", s.name, is_inplace(form) ? "_" : "");
    first_shown = is_method(form) ? 1 : 0;
    for (size_t i = 0; i < s.args.size(); ++i) {
        const Arg& a = s.args[i];
        names.push_back(intern(shown_name(a)));
        aliases.push_back(aliases_of(s, form, a.name));
        if (a.keyword_only && a.kind == Kind::DType) dtype_arg = int(i);
        if (a.keyword_only && a.kind == Kind::Device) device_arg = int(i);
    }
    needs_tensor = !s.args.empty() && s.args[0].kind == Kind::Operand && !works_on_numbers(s.name) &&
                   std::ranges::none_of(s.args, [](const Arg& a) { return a.kind == Kind::Tensor && !a.optional; });
    static constexpr std::string_view spread_tensors[] = {"chain_matmul", "meshgrid", "broadcast_tensors",
                                                          "cartesian_prod", "block_diag"};
    tensor_varargs = s.args.size() == 1 && s.args[0].kind == Kind::Tensors &&
                     std::ranges::find(spread_tensors, s.name) != std::end(spread_tensors);
    factory = dtype_arg >= 0 && device_arg >= 0;
    has_out = form == Form::Function && o.has_out;
    if (shown_positional() == 1) {
        const Arg& a = s.args[size_t(first_shown)];
        if (a.kind == Kind::Ints && !a.keyword_only) varargs = first_shown;
    }
}

std::string Signature::text() const {
    std::string t = "(";
    bool star = false;
    auto separate = [&](bool keyword_only) {
        if (t.size() > 1) t += ", ";
        if (keyword_only && !star) {
            t += "*, ";
            star = true;
        }
    };
    auto show = [&](const Arg& a, size_t i) {
        separate(a.keyword_only);
        t += str(kind_name(a), " ", shown_name(*this, i));
        if (a.has_default || (a.optional && a.keyword_only)) {
            std::string d = a.has_default ? a.default_text : "None";
            if (a.kind == Kind::String && d.size() > 1 && d != "None") d = "\"" + d.substr(1, d.size() - 2) + "\"";
            t += " = " + d;
        }
    };
    const auto& args = op->schema.args;
    for (size_t i = size_t(first_shown); i < args.size(); ++i)
        if (!factory || !(args[i].kind == Kind::DType || args[i].kind == Kind::Device || args[i].kind == Kind::Layout ||
                          args[i].name == "pin_memory"))
            show(args[i], i);
    if (has_out) {
        separate(true);
        t += op->schema.return_kinds.size() > 1 ? "tuple of Tensors out = None" : "Tensor out = None";
    }
    if (factory) {
        separate(true);
        t += "torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, bool pin_memory = "
             "False, "
             "bool requires_grad = False";
    }
    return t + ")";
}

}  // namespace fb::py
