// torch.ops: an overload as an object, and operators that are defined in Python.
#include "python/operators.h"
#include <unordered_map>
#include "graph/trace.h"
#include "python/function.h"
#include "python/generator.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

// ---------------------------------------------------------------- values
template <class T, class F>
PyObject* list_from(const T& items, F&& convert) {
    Ref r = checked(PyList_New(Py_ssize_t(items.size())));
    Py_ssize_t i = 0;
    for (const auto& x : items) PyList_SET_ITEM(r.get(), i++, checked(convert(x)).detach());
    return r.detach();
}

bool same_value(const Value& a, const Value& b) {
    if (a.tag != b.tag || a.len != b.len) return false;
    switch (a.tag) {
        case Tag::None: return true;
        case Tag::Bool: return a.b == b.b;
        case Tag::Int: return a.i == b.i;
        case Tag::Double: return a.d == b.d;
        case Tag::DType: return a.dt == b.dt;
        case Tag::Layout: return a.layout_v == b.layout_v;
        case Tag::Format: return a.format_v == b.format_v;
        case Tag::Ints: return same(a.ints(), b.ints());
        case Tag::String: return a.string() == b.string();
        default: return false;
    }
}

// ---------------------------------------------------------------- kernels written in Python
std::unordered_map<const Op*, PyObject*>& python_kernels() {
    static auto* m = new std::unordered_map<const Op*, PyObject*>;
    return *m;
}

class WithLock {
public:
    WithLock() : state_(PyGILState_Ensure()) {}
    ~WithLock() { PyGILState_Release(state_); }
    WithLock(const WithLock&) = delete;
    WithLock& operator=(const WithLock&) = delete;

private:
    PyGILState_STATE state_;
};

void run_python_kernel(Frame& f) {
    const WithLock lock;
    const Op& op = *f.op;
    const size_t n = op.schema.args.size();
    std::vector<std::pair<TensorImpl*, uint32_t>> written;
    Ref args = checked(PyTuple_New(Py_ssize_t(n)));
    for (size_t i = 0; i < n; ++i) {
        PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), checked(to_python(f.args[i])).detach());
        if (op.schema.args[i].mutated && f.args[i].is_tensor())
            written.emplace_back(f.args[i].tensor_ptr, f.args[i].tensor_ptr->version());
    }
    const Ref r = checked(PyObject_CallObject(python_kernels().at(&op), args.get()));
    take_results(op, r.get(), f);
    for (const auto& [t, version] : written)
        if (t->version() == version) t->bump_version();  // written through NumPy or the like
}

// define(schema, kernel): an operator of the table whose kernel is a Python callable.
PyObject* define_operator(PyObject*, PyObject* args) {
    const char* schema;
    PyObject* kernel;
    if (!PyArg_ParseTuple(args, "sO", &schema, &kernel)) return nullptr;
    return guarded([&] {
        const auto* text = new std::string(schema);  // the table keeps it
        const Schema read = parse_schema(*text);
        int lists = 0;
        for (Kind k : read.return_kinds) lists += k != Kind::Tensor;
        if (read.return_kinds.size() > 5 || (lists && read.return_kinds.size() > 1))
            fail(ErrorKind::NotImplemented, "schema '", schema, "': at most five tensors, or one other result");
        if (const Op* known = Registry::get().find(read.full_name())) {  // the same once more: another kernel
            const auto i = python_kernels().find(known);
            if (i == python_kernels().end() || known->schema.text != read.text)
                fail(ErrorKind::Runtime, "operator ", read.full_name(), " is there already");
            Py_SETREF(i->second, Py_NewRef(kernel));
            return none();
        }
        Registry::get().add(text->c_str(), "").boxed(run_python_kernel);
        auto* op = const_cast<Op*>(Registry::get().all().back().get());
        op->only_inplace = !read.args.empty() && read.args[0].mutated && read.args[0].kind == Kind::Tensor;
        op->takes_lazy = true;
        graph::users_operators().insert(op);
        python_kernels()[op] = Py_NewRef(kernel);
        return none();
    });
}

// ---------------------------------------------------------------- overloads
struct Overload {
    PyObject_HEAD vectorcallfunc vectorcall;
    std::vector<Signature>* signatures;  // one
    PyObject *dict, *weakrefs;
};
Overload* as_overload(PyObject* o) { return reinterpret_cast<Overload*>(o); }

// In-place forms take the tensor by position: `self=` is moved there.
PyObject* call_with_self_first(PyObject* self, PyObject* const* args, PyObject* names) {
    const Py_ssize_t n = PyTuple_GET_SIZE(names);
    std::vector<PyObject*> moved;
    Ref others = checked(PyTuple_New(n - 1));
    Py_ssize_t k = 0;
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* name = PyTuple_GET_ITEM(names, i);
        if (moved.size() == size_t(k) && PyUnicode_CompareWithASCIIString(name, "self") == 0) {
            moved.insert(moved.begin(), args[i]);
            continue;
        }
        if (k == n - 1) raise(PyExc_TypeError, "the tensor that is written is missing: argument 'self'");
        PyTuple_SET_ITEM(others.get(), k++, Py_NewRef(name));
        moved.push_back(args[i]);
    }
    return PyObject_Vectorcall(self, moved.data(), 1, others.get());
}

PyObject* overload_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    return guarded([&]() -> PyObject* {
        const Arguments in{args, PyVectorcall_NARGS(flags), names};
        if (asks_override(in)) [[unlikely]]
            return call_override(self, in);
        if (!in.n && in.keywords() && as_overload(self)->signatures->front().form == Form::Inplace)
            return call_with_self_first(self, args, names);
        return call_signatures(*as_overload(self)->signatures, in);
    });
}

// The arguments that an operator written in Python takes: a call raises what PyTorch raises, or says whether
// somebody else takes over.
struct ArgumentCheck {
    PyObject_HEAD vectorcallfunc vectorcall;
    Overloads* overloads;
};
ArgumentCheck* as_check(PyObject* o) { return reinterpret_cast<ArgumentCheck*>(o); }

PyObject* check_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    return guarded([&]() -> PyObject* {
        const Arguments in{args, PyVectorcall_NARGS(flags), names};
        if (asks_override(in)) return PyBool_FromLong(true);
        Call call;
        const auto& all = as_check(self)->overloads->list;
        if (is_method(all[0].form)) check_self(all[0].shown, in);
        if (std::ranges::none_of(all, [&](const Signature& s) { return parse(s, in, call); })) raise_no_match(all, in);
        return PyBool_FromLong(false);
    });
}

// _ArgumentCheck(schemas, a method?, takes out=?): called, it says whether an argument or a mode takes over.
PyObject* check_new(PyTypeObject* type, PyObject* args, PyObject*) {
    PyObject* schemas;
    int method, out;
    if (!PyArg_ParseTuple(args, "O!pp", &PyTuple_Type, &schemas, &method, &out)) return nullptr;
    return guarded([&]() -> PyObject* {
        Ref o = checked(type->tp_alloc(type, 0));
        ArgumentCheck* v = as_check(o.get());
        v->vectorcall = check_call;
        v->overloads = new Overloads;
        const Form form = method ? Form::Method : Form::Function;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(schemas); ++i) {
            const char* text = PyUnicode_AsUTF8(PyTuple_GET_ITEM(schemas, i));
            if (!text) throw PythonError{};
            Schema schema = parse_schema(text);
            if (Overloads told; !i && !(told = told_overloads(schema.space, schema.name, form)).list.empty()) {
                *v->overloads = std::move(told);
                break;
            }
            v->overloads->add(std::move(schema), form, out);
        }
        if (v->overloads->list.empty()) raise(PyExc_ValueError, "_ArgumentCheck: no schema given");
        return o.detach();
    });
}
void check_dealloc(PyObject* self) {
    delete as_check(self)->overloads;
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}
PyMemberDef check_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ArgumentCheck, vectorcall), READONLY, nullptr},
    {},
};

// _Overload(full name, in place?)
PyObject* overload_new(PyTypeObject* type, PyObject* args, PyObject*) {
    const char* name;
    int inplace;
    if (!PyArg_ParseTuple(args, "sp", &name, &inplace)) return nullptr;
    return guarded([&]() -> PyObject* {
        const Op& op = require_op(name);
        Ref o = checked(type->tp_alloc(type, 0));
        Overload* v = as_overload(o.get());
        v->vectorcall = overload_call;
        v->signatures = new std::vector<Signature>;
        Signature s(op, inplace ? Form::Inplace : Form::Function);
        for (size_t i = 0; i < op.schema.args.size(); ++i) {  // schemas' own names: `self`
            s.aliases[i][0] = s.names[i];
            s.names[i] = checked(PyUnicode_InternFromString(op.schema.args[i].name.c_str())).detach();
        }
        s.varargs = -1;
        v->signatures->push_back(std::move(s));
        return o.detach();
    });
}
void overload_dealloc(PyObject* self) {
    Overload* o = as_overload(self);
    if (o->weakrefs) PyObject_ClearWeakRefs(self);
    delete o->signatures;
    Py_CLEAR(o->dict);
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef overload_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Overload, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Overload, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Overload, weakrefs), READONLY, nullptr},
    {},
};
PyGetSetDef overload_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {},
};
PyMethodDef functions[] = {
    {"_define_operator", define_operator, METH_VARARGS, "Adds an operator whose kernel is a Python callable."},
    {},
};

}  // namespace

PyObject* to_python(const Value& v) {
    switch (v.tag) {
        case Tag::None: return none();
        case Tag::Tensor: return wrap(v.tensor());
        case Tag::Ints: return list_from(v.ints(), [](int64_t i) { return PyLong_FromLongLong(i); });
        case Tag::Doubles: return list_from(v.doubles(), [](double d) { return PyFloat_FromDouble(d); });
        case Tag::Bools: return list_from(v.bools(), [](bool b) { return PyBool_FromLong(b); });
        case Tag::Scalars: return list_from(v.scalars(), [](const Scalar& s) { return wrap(s); });
        case Tag::Tensors: return list_from(v.tensors(), [](const Tensor& t) { return wrap(t); });
        case Tag::String: return PyUnicode_FromStringAndSize(v.chars, Py_ssize_t(v.len));
        case Tag::DType: return wrap(v.dt);
        case Tag::Layout: return wrap(v.layout_v);
        case Tag::Device: return wrap(v.device_v);
        case Tag::Format: return wrap(v.format_v);
        case Tag::Generator: return object_of(v.generator_v);
        default: return wrap(v.scalar());
    }
}

void take_results(const Op& op, PyObject* o, Frame& f) {
    const auto& kinds = op.schema.return_kinds;
    auto tensor = [&](PyObject* x) -> Tensor {
        if (x == Py_None) return {};
        if (!is_tensor(x)) raise(PyExc_TypeError, op.schema.full_name() + ": expected a Tensor, not " + type_name(x));
        return unwrap(x);
    };
    f.n = uint8_t(kinds.size());
    if (kinds.empty()) return;
    if (kinds.size() == 1) {
        if (kinds[0] == Kind::Tensor) {
            f.result[0] = tensor(o);
        } else if (kinds[0] == Kind::Tensors) {
            if (!is_list(o)) raise(PyExc_TypeError, op.schema.full_name() + ": expected a list, not " + type_name(o));
            for (Py_ssize_t i = 0; i < list_size(o); ++i) f.list.push_back(tensor(list_item(o, i)));
        } else if (kinds[0] == Kind::String) {
            const char* text = PyUnicode_AsUTF8(o);
            if (!text) throw PythonError{};
            f.text = text;
        } else if (DType t; kinds[0] == Kind::DType && to_dtype(o, t)) {
            f.value = Value(t);
        } else if (Scalar s; to_scalar(o, s)) {
            f.value = Value(s);
        } else {
            raise(PyExc_TypeError, op.schema.full_name() + ": expected a number, not " + type_name(o));
        }
        return;
    }
    if (!is_list(o) || list_size(o) != Py_ssize_t(kinds.size()))
        raise(PyExc_TypeError,
              str(op.schema.full_name(), ": expected a tuple of ", kinds.size(), ", not ", type_name(o)));
    for (size_t i = 0; i < kinds.size(); ++i) f.result[i] = tensor(list_item(o, Py_ssize_t(i)));
}

void call_arguments(const Op& op, const Frame& f, Ref& args, Ref& kwargs) {
    const auto& all = op.schema.args;
    size_t last = 0;  // positional ones up to the last that is not its default
    for (size_t i = 0; i < all.size(); ++i)
        if (!all[i].keyword_only && !(all[i].has_default && same_value(f.args[i], all[i].fallback))) last = i + 1;
    args = checked(PyTuple_New(Py_ssize_t(last)));
    kwargs = checked(PyDict_New());
    for (size_t i = 0; i < all.size(); ++i) {
        if (i < last) {
            PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), checked(to_python(f.args[i])).detach());
        } else if (all[i].keyword_only && !(all[i].has_default ? same_value(f.args[i], all[i].fallback)
                                                               : all[i].optional && f.args[i].is_none())) {
            const Ref v = checked(to_python(f.args[i]));
            if (PyDict_SetItemString(kwargs.get(), all[i].name.c_str(), v.get()) < 0) throw PythonError{};
        }
    }
    if (!f.given || f.inplace) return;
    const size_t n = op.schema.return_kinds.size();
    Ref out = n == 1 ? checked(wrap(f.given[0])) : checked(PyTuple_New(Py_ssize_t(n)));
    for (size_t i = 0; n > 1 && i < n; ++i)
        PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(wrap(f.given[i])).detach());
    if (PyDict_SetItemString(kwargs.get(), "out", out.get()) < 0) throw PythonError{};
}

bool is_defined_in_python(const Op& op) { return python_kernels().contains(&op); }

void init_operators(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(overload_new)},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_dealloc, reinterpret_cast<void*>(overload_dealloc)},
        {Py_tp_members, overload_members},
        {Py_tp_getset, overload_getset},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau._C._Overload", sizeof(Overload), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_VECTORCALL, slots};
    add_type(module, "_Overload", make_type(spec));
    PyType_Slot check_slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(check_new)},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_dealloc, reinterpret_cast<void*>(check_dealloc)},
        {Py_tp_members, check_members},
        {0, nullptr},
    };
    PyType_Spec check_spec{"flambeau._C._ArgumentCheck", sizeof(ArgumentCheck), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL, check_slots};
    add_type(module, "_ArgumentCheck", make_type(check_spec));
    add_functions(module, functions);
}

}  // namespace fb::py
