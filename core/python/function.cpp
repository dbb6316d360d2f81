// One callable for each operator name: torch.add, Tensor.add, Tensor.add_, torch._C._nn.gelu.
#include "python/function.h"
#include <map>
#include <unordered_map>
#include "python/tensor_object.h"

namespace fb::py {
namespace {

struct OpFunction {
    PyObject_HEAD vectorcallfunc vectorcall;
    const Group* group;
    PyObject* dict;
};
PyTypeObject *function_type, *method_type;

const Group& group_of(PyObject* o) { return *reinterpret_cast<OpFunction*>(o)->group; }

struct Key {
    std::string space, name;
    Form form;
    bool operator<(const Key& o) const { return std::tie(space, name, form) < std::tie(o.space, o.name, o.form); }
};
std::map<Key, std::unique_ptr<Group>>& groups() {
    static auto* g = new std::map<Key, std::unique_ptr<Group>>;
    return *g;
}

// ---------------------------------------------------------------- named results
struct ResultTypes {
    PyTypeObject *made, *out;  // of fresh results, and of those written into out=
};
std::unordered_map<const Op*, ResultTypes>& result_types() {
    static auto* m = new std::unordered_map<const Op*, ResultTypes>;
    return *m;
}

PyObject* named_repr(PyObject* self) {
    std::string text = std::string(Py_TYPE(self)->tp_name) + "(\n";
    const PyMemberDef* fields = Py_TYPE(self)->tp_members;
    const Py_ssize_t n = PyTuple_GET_SIZE(self);
    for (Py_ssize_t i = 0; i < n; ++i) {
        const Ref r(PyObject_Repr(PyTuple_GET_ITEM(self, i)));
        if (!r) return nullptr;
        text += std::string(fields[i].name) + "=" + PyUnicode_AsUTF8(r.get()) + (i + 1 < n ? ",\n" : ")");
    }
    return PyUnicode_FromString(text.c_str());
}

PyTypeObject* make_result_type(const Op& op, PyObject* module, const char* ending) {
    const Schema& s = op.schema;
    const std::string name = (s.space.empty() || s.space == "nn" ? "" : s.space + "_") + s.name + ending;
    if (PyObject* known = PyObject_GetAttrString(module, name.c_str())) return reinterpret_cast<PyTypeObject*>(known);
    PyErr_Clear();
    auto* full = new std::string("torch.return_types." + name);  // the type keeps pointing at it
    auto* fields = new std::vector<PyStructSequence_Field>;
    for (const std::string& r : s.returns) fields->push_back({r.c_str(), nullptr});
    fields->push_back({nullptr, nullptr});
    PyStructSequence_Desc desc{full->c_str(), nullptr, fields->data(), int(s.returns.size())};
    PyTypeObject* type = PyStructSequence_NewType(&desc);
    if (!type) throw PythonError{};
    type->tp_repr = named_repr;
    type->tp_str = named_repr;
    add_type(module, name.c_str(), type);
    return type;
}

// ---------------------------------------------------------------- results
PyObject* wrap_value(const Value& v) {
    switch (v.tag) {
        case Tag::None: return none();
        case Tag::Tensor: return wrap(v.tensor());
        case Tag::DType: return wrap(v.dt);
        case Tag::Layout: return wrap(v.layout_v);
        case Tag::Device: return wrap(v.device_v);
        default: return wrap(v.scalar());
    }
}

template <class T>
PyObject* wrap_tuple(const T& list, size_t n) {
    Ref t = checked(PyTuple_New(Py_ssize_t(n)));
    for (size_t i = 0; i < n; ++i) PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), checked(wrap(Tensor(list[i]))).detach());
    return t.detach();
}

// What out= was given as comes back.
PyObject* wrap_given(const Op& op, const Call& call) {
    if (op.schema.return_kinds.size() == 1) return Py_NewRef(call.out);
    const auto found = result_types().find(&op);
    if (found == result_types().end()) return PySequence_Tuple(call.out);
    Ref r = checked(PyStructSequence_New(found->second.out));
    for (Py_ssize_t i = 0; i < list_size(call.out); ++i)
        PyStructSequence_SetItem(r.get(), i, Py_NewRef(list_item(call.out, i)));
    return r.detach();
}

void set_requires_grad(const Tensor& t) {
    check(is_floating(t.dtype()) || is_complex(t.dtype()),
          "Only Tensors of floating point and complex dtype can require gradients");
    t->requires_grad = true;
}

PyObject* run(const Signature& s, Call& call, const Arguments& in) {
    const Op& op = *s.op;
    Frame f(op, call.values);
    if (is_inplace(s.form)) {
        if (!call.values[0].is_tensor())
            fail(ErrorKind::Type, op.schema.name, "_(): argument 'input' (position 1) must be Tensor, not ",
                 type_name(in.args[0]));
        f.given = &call.values[0].tensor();
        f.inplace = true;
        op.call(f);
        return Py_NewRef(in.args[0]);
    }
    if (call.has_given) {
        f.given = call.given;
        op.call(f);
        return wrap_given(op, call);
    }
    op.call(f);
    if (call.requires_grad) [[unlikely]]
        set_requires_grad(f.result[0]);
    return wrap_results(op, f);
}

// ---------------------------------------------------------------- the callables
PyObject* op_call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    return guarded([&]() -> PyObject* {
        const Group& g = group_of(self);
        const Arguments in{args, PyVectorcall_NARGS(flags), names};
        if (asks_override(in)) [[unlikely]]
            return call_override(self, in);
        return call_group(g, in);
    });
}

PyObject* method_get(PyObject* self, PyObject* object, PyObject*) {
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

PyObject* function_repr(PyObject* self) {
    const Group& g = group_of(self);
    if (!is_method(g.form) && g.space.empty())
        return PyUnicode_FromFormat("<built-in method %s of type object at %p>", g.name.c_str(),
                                    static_cast<void*>(function_type));
    if (!is_method(g.form)) return PyUnicode_FromFormat("<built-in function %s>", g.name.c_str());
    return PyUnicode_FromFormat("<method '%s' of 'torch._C.TensorBase' objects>", g.name.c_str());
}
PyObject* function_name(PyObject* self, void*) { return PyUnicode_FromString(group_of(self).name.c_str()); }
PyObject* function_qualname(PyObject* self, void*) {
    const Group& g = group_of(self);
    return PyUnicode_FromFormat("%s%s", is_method(g.form) ? "Tensor." : "", g.name.c_str());
}
PyObject* function_module(PyObject* self, void*) {
    const Group& g = group_of(self);
    Ref package(package_name());
    if (!package || g.space.empty()) return package.detach();
    return PyUnicode_FromFormat("%U._C._%s", package.get(), g.space.c_str());
}
PyObject* function_doc(PyObject* self, void*) {
    std::string text;
    for (const Signature& s : group_of(self).signatures) text += group_of(self).name + s.text() + "\n";
    return PyUnicode_FromString(text.c_str());
}
PyObject* function_objclass(PyObject* self, void*) {
    if (is_method(group_of(self).form)) return Py_NewRef(reinterpret_cast<PyObject*>(tensor_type));
    PyErr_SetString(PyExc_AttributeError, "__objclass__");
    return nullptr;
}
PyObject* function_schemas(PyObject* self, void*) {
    Ref list(PyList_New(0));
    for (const Signature& s : group_of(self).signatures) {
        const Ref text(PyUnicode_FromString(s.op->schema.text.c_str()));
        if (!text || PyList_Append(list.get(), text.get()) < 0) return nullptr;
    }
    return list.detach();
}
PyObject* function_signature(PyObject* self, void*) {
    return guarded([&] {
        const Group& g = group_of(self);
        const Ref make = checked(import_attribute("flambeau._signatures", "of_operator"));
        const Ref schemas = checked(function_schemas(self, nullptr));
        bool out = false, factory = false;
        for (const Signature& s : g.signatures) {
            out |= s.op->has_out;
            factory |= s.factory;
        }
        const auto flag = [](bool yes) { return yes ? Py_True : Py_False; };
        const bool own_name = called_self(g.signatures[0].op->schema, g.form);
        return PyObject_CallFunction(make.get(), "OOOO", schemas.get(), flag(own_name), flag(out), flag(factory));
    });
}
PyObject* function_reduce(PyObject* self, PyObject*) {
    const Group& g = group_of(self);
    if (!is_method(g.form)) return PyUnicode_FromString(g.name.c_str());
    PyObject* getattr = PyDict_GetItemString(PyEval_GetBuiltins(), "getattr");
    return Py_BuildValue("O(Os)", getattr, tensor_type, g.name.c_str());
}
void function_dealloc(PyObject* self) {
    Py_CLEAR(reinterpret_cast<OpFunction*>(self)->dict);
    PyTypeObject* type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OpFunction, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(OpFunction, dict), READONLY, nullptr},
    {},
};
PyGetSetDef getset[] = {
    {"__name__", function_name, nullptr, nullptr, nullptr},
    {"__qualname__", function_qualname, nullptr, nullptr, nullptr},
    {"__module__", function_module, nullptr, nullptr, nullptr},
    {"__doc__", function_doc, nullptr, nullptr, nullptr},
    {"_schemas", function_schemas, nullptr, nullptr, nullptr},
    {"__signature__", function_signature, nullptr, nullptr, nullptr},
    {"__objclass__", function_objclass, nullptr, nullptr, nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {},
};
PyMethodDef methods[] = {{"__reduce__", function_reduce, METH_NOARGS, nullptr}, {}};

PyTypeObject* make_function_type(const char* name, bool binds) {
    std::vector<PyType_Slot> slots{
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_repr, reinterpret_cast<void*>(function_repr)},
        {Py_tp_dealloc, reinterpret_cast<void*>(function_dealloc)},
        {Py_tp_members, members},
        {Py_tp_getset, getset},
        {Py_tp_methods, methods},
    };
    if (binds) slots.push_back({Py_tp_descr_get, reinterpret_cast<void*>(method_get)});
    slots.push_back({0, nullptr});
    unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION;
    if (binds) flags |= Py_TPFLAGS_METHOD_DESCRIPTOR;
    PyType_Spec spec{name, sizeof(OpFunction), 0, flags, slots.data()};
    return make_type(spec);
}

bool comes_before(const Schema& a, const Schema& b) {
    for (size_t i = 0; i < std::min(a.args.size(), b.args.size()); ++i) {
        const bool x = a.args[i].kind == Kind::Tensor, y = b.args[i].kind == Kind::Tensor;
        if (x != y) return x;
    }
    return false;
}

Group& add_signature(const Op& op, std::string name, Form form) {
    auto& g = groups()[Key{op.schema.space, name, form}];
    if (!g) {
        g = std::make_unique<Group>();
        g->space = op.schema.space;
        g->name = std::move(name);
        g->form = form;
    }
    // A tensor is tried before a number: a 0-d tensor would pass for one.
    Signature s(op, form);
    auto at = std::ranges::find_if(
        g->signatures, [&](const Signature& other) { return comes_before(s.op->schema, other.op->schema); });
    g->signatures.insert(at, std::move(s));
    return *g;
}

PyObject* make_object(const Group& g) {
    OpFunction* o = PyObject_New(OpFunction, is_method(g.form) ? method_type : function_type);
    if (!o) throw PythonError{};
    o->vectorcall = op_call;
    o->group = &g;
    o->dict = nullptr;
    return reinterpret_cast<PyObject*>(o);
}

PyObject* space_module(PyObject* module, const std::string& space) {  // borrowed
    const std::string name = space.empty() ? "_VariableFunctions" : "_" + space;
    if (PyObject* m = PyObject_GetAttrString(module, name.c_str())) {
        Py_DECREF(m);
        return m;
    }
    PyErr_Clear();
    PyObject* m = checked(PyModule_New(("flambeau._C." + name).c_str())).detach();
    add_object(module, name.c_str(), m);
    return m;
}

}  // namespace

PyObject* wrap_results(const Op& op, Frame& f) {
    const auto& kinds = op.schema.return_kinds;
    if (kinds.empty()) return none();
    if (kinds.size() == 1) {
        switch (kinds[0]) {
            case Kind::Tensor: return wrap(std::move(f.result[0]));
            case Kind::Tensors: return wrap_tuple(f.list, f.list.size());
            case Kind::String: return PyUnicode_FromStringAndSize(f.text.data(), Py_ssize_t(f.text.size()));
            default: return wrap_value(f.value);
        }
    }
    const auto found = result_types().find(&op);
    if (found == result_types().end()) return wrap_tuple(f.result, f.n);
    Ref r = checked(PyStructSequence_New(found->second.made));
    for (int i = 0; i < f.n; ++i) PyStructSequence_SetItem(r.get(), i, checked(wrap(std::move(f.result[i]))).detach());
    return r.detach();
}

PyObject* call_group(const Group& g, const Arguments& in) {
    if (is_method(g.form)) check_self(g.name, in);
    return call_signatures(g.signatures, in);
}

PyObject* call_signatures(const std::vector<Signature>& all, const Arguments& in) {
    Call call;
    for (const Signature& s : all)
        if (parse(s, in, call)) return run(s, call, in);
    PyObject* made = nullptr;
    for (const Signature& s : all)
        if (old_order(s, in, [&](const Arguments& now) { made = call_signatures(all, now); })) return made;
    raise_no_match(all, in);
}

const Group* find_group(std::string_view space, std::string_view name, Form form) {
    const auto i = groups().find(Key{std::string(space), std::string(name), form});
    return i == groups().end() ? nullptr : i->second.get();
}

void init_ops(PyObject* module) {
    function_type = make_function_type("flambeau._C._Function", false);
    method_type = make_function_type("flambeau._C._Method", true);
    PyObject* returns = checked(PyModule_New("flambeau.return_types")).detach();
    add_object(module, "return_types", returns);
    for (const auto& op : Registry::get().all()) {
        const Schema& s = op->schema;
        if (s.returns.size() > 1 && !s.returns[0].empty())
            result_types()[op.get()] = {make_result_type(*op, returns, ""), make_result_type(*op, returns, "_out")};
        if (op->as_function) add_signature(*op, s.name, Form::Function);
        if (op->as_method) add_signature(*op, s.name, Form::Method);
        if (op->has_inplace) {
            add_signature(*op, s.name + "_", Form::Inplace);
            add_signature(*op, s.name + "_", Form::InplaceFunction);
        }
    }
    for (auto& [key, g] : groups()) {
        g->object = make_object(*g);
        if (key.form == Form::Function) {
            add_object(space_module(module, g->space), g->name.c_str(), Py_NewRef(g->object));
            const std::string flat = g->space.empty() || g->space == "nn" ? g->name : g->space + "_" + g->name;
            if (g->space != "nn" && !PyObject_HasAttrString(module, flat.c_str()))
                add_object(module, flat.c_str(), Py_NewRef(g->object));
        } else if (key.form == Form::InplaceFunction) {
            PyObject* m = space_module(module, g->space);  // torch.relu_, torch._C._nn.elu_
            if (PyObject_HasAttrString(m, g->name.c_str())) continue;
            add_object(m, g->name.c_str(), Py_NewRef(g->object));
            if (g->space.empty()) add_object(module, g->name.c_str(), Py_NewRef(g->object));
        } else {
            if (key.form == Form::Inplace && !g->signatures[0].op->as_method) continue;
            if (PyObject_SetAttrString(reinterpret_cast<PyObject*>(tensor_type), g->name.c_str(), g->object) < 0)
                throw PythonError{};
        }
    }
}

}  // namespace fb::py
