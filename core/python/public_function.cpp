// Functions written in Python that the protocol of __torch_function__ sees as themselves: nn.functional's.
//
// The object stands where the function stood and passes for it (`inspect` and `isinstance` take it for a function). A
// call of plain tensors goes straight through; what is asked otherwise gets the call as PyTorch passes it on, which
// flambeau.overrides works out. A check inside each function would cost more, and a wrapper in Python much more.
#include "python/override.h"

namespace fb::py {
namespace {

struct PublicFunction {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject* function;
    PyObject* dict;
};
PyObject* ask;  // flambeau.overrides._ask_public, once it was needed

PyObject* inner(PyObject* self) { return reinterpret_cast<PublicFunction*>(self)->function; }

PyObject* call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) {
    const Arguments in{args, PyVectorcall_NARGS(flags), names};
    if (!asks_override(in)) [[likely]]
        return PyObject_Vectorcall(inner(self), args, flags, names);
    return guarded([&] {
        PyObject* function = kept_attribute(ask, "flambeau.overrides", "_ask_public");
        std::vector<PyObject*> all{self};
        all.insert(all.end(), args, args + in.n + in.keywords());
        return PyObject_Vectorcall(function, all.data(), size_t(in.n) + 1, names);
    });
}

PyObject* create(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    PyObject* function;
    static const char* names[] = {"function", nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", const_cast<char**>(names), &PyFunction_Type, &function))
        return nullptr;
    PyObject* made = type->tp_alloc(type, 0);
    if (!made) return nullptr;
    auto* self = reinterpret_cast<PublicFunction*>(made);
    self->vectorcall = call;
    self->function = Py_NewRef(function);
    self->dict = nullptr;
    return made;
}
int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(inner(self));
    Py_VISIT(reinterpret_cast<PublicFunction*>(self)->dict);
    return 0;
}
int clear(PyObject* self) {
    Py_CLEAR(reinterpret_cast<PublicFunction*>(self)->function);
    Py_CLEAR(reinterpret_cast<PublicFunction*>(self)->dict);
    return 0;
}
void dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    clear(self);
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* bind(PyObject* self, PyObject* object, PyObject*) {
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}
PyObject* get(PyObject* self, PyObject* name) {
    if (PyObject* found = PyObject_GenericGetAttr(self, name)) return found;
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
    PyErr_Clear();
    return PyObject_GetAttr(inner(self), name);
}
PyObject* repr(PyObject* self) { return PyObject_Repr(inner(self)); }
PyObject* reduce(PyObject* self, PyObject*) { return PyObject_GetAttrString(inner(self), "__qualname__"); }
PyObject* wrapped(PyObject* self, void*) { return Py_NewRef(inner(self)); }
PyObject* kind(PyObject*, void*) { return Py_NewRef(reinterpret_cast<PyObject*>(&PyFunction_Type)); }
template <class Name>
PyObject* of_inner(PyObject* self, void*) {
    return PyObject_GetAttrString(inner(self), Name::s);
}
struct Module {
    static constexpr const char* s = "__module__";
};
struct Doc {
    static constexpr const char* s = "__doc__";
};

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PublicFunction, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(PublicFunction, dict), READONLY, nullptr},
    {},
};
PyGetSetDef getset[] = {
    {"__wrapped__", wrapped, nullptr, nullptr, nullptr},
    {"__class__", kind, nullptr, nullptr, nullptr},
    {"__module__", of_inner<Module>, nullptr, nullptr, nullptr},
    {"__doc__", of_inner<Doc>, nullptr, nullptr, nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {},
};
PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};

}  // namespace

void init_public_functions(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(create)},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_repr, reinterpret_cast<void*>(repr)},
        {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(clear)},
        {Py_tp_getattro, reinterpret_cast<void*>(get)},
        {Py_tp_descr_get, reinterpret_cast<void*>(bind)},
        {Py_tp_members, members},
        {Py_tp_getset, getset},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec{
        "flambeau._C._PublicFunction", sizeof(PublicFunction), 0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_METHOD_DESCRIPTOR, slots};
    add_type(module, "_PublicFunction", make_type(spec));
}

}  // namespace fb::py
