// ModuleBase: what flambeau.nn.Module (Python) stands on.
//
// Python code of a module is met three times a step for each layer: m(x), m.weight and m.training = ….
// These three are here; whatever is rarer (hooks, binding of parameters and children, notes on errors) is
// Python, in flambeau/nn/modules/_call.py and _members.py, and is handed over once by ModuleBase._install.
#include "python/nn_module.h"

#include <vector>

#include "python/object.h"

namespace fb::py {
namespace {

struct ModuleObject {
    PyObject_HEAD PyObject* dict;
    PyObject* weak;
    vectorcallfunc call;
};
ModuleObject* as_module(PyObject* o) { return reinterpret_cast<ModuleObject*>(o); }

PyTypeObject module_type = {PyVarObject_HEAD_INIT(nullptr, 0)};

// Names looked up at every call, interned once.
struct Names {
    PyObject *parameters, *buffers, *modules, *forward, *getattr, *getattribute;
    PyObject* hooks[4];
} names;

// Python functions and the dictionaries of hooks that watch all modules.
struct Support {
    PyObject *call_with_hooks, *note_module_path, *bind_member;
    PyObject* global_hooks;  // tuple of dictionaries
} support;

PyObject* getattr_method;       // ModuleBase.__getattr__ as it is found in a type's dictionary
PyObject* getattribute_method;  // ModuleBase.__getattribute__

// --- attributes ---

// The parameter, buffer or child `name`; borrowed, null if there is none.
PyObject* find_member(ModuleObject* self, PyObject* name) {
    if (!self->dict) return nullptr;
    for (PyObject* registry : {names.parameters, names.buffers, names.modules}) {
        PyObject* members = PyDict_GetItemWithError(self->dict, registry);
        if (!members || !PyDict_Check(members)) continue;
        if (PyObject* found = PyDict_GetItemWithError(members, name)) return found;
    }
    return nullptr;
}

PyObject* no_attribute(PyObject* self, PyObject* name) {
    PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute %R", Py_TYPE(self)->tp_name, name);
    return nullptr;
}

PyObject* module_getattr(PyObject* self, PyObject* name) {
    if (PyObject* found = find_member(as_module(self), name)) return Py_NewRef(found);
    return PyErr_Occurred() ? nullptr : no_attribute(self, name);
}

PyObject* module_getattro(PyObject* self, PyObject* name) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject* in_type = _PyType_Lookup(type, name);
    descrgetfunc get = nullptr;
    Ref keep;
    if (in_type) {
        keep = Ref::borrow(in_type);
        get = Py_TYPE(in_type)->tp_descr_get;
    }
    PyObject* found = nullptr;
    if (get && Py_TYPE(in_type)->tp_descr_set) {
        found = get(in_type, self, reinterpret_cast<PyObject*>(type));
    } else {
        PyObject* dict = as_module(self)->dict;
        if (dict) {
            if (PyObject* own = PyDict_GetItemWithError(dict, name)) return Py_NewRef(own);
            if (PyErr_Occurred()) return nullptr;
        }
        if (in_type) found = get ? get(in_type, self, reinterpret_cast<PyObject*>(type)) : Py_NewRef(in_type);
    }
    if (found) return found;
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
    // A class with a __getattr__ of its own is asked by it, from the slot that called us.
    if (type->tp_getattro != module_getattro) return PyErr_Occurred() ? nullptr : no_attribute(self, name);
    // A property that failed is for Python a name not found: members come next, the error is about `name`.
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject* result = module_getattr(self, name);
    if (!result && kind) {
        PyErr_NormalizeException(&kind, &value, &trace);
        PyObject *kind2, *value2, *trace2;
        PyErr_Fetch(&kind2, &value2, &trace2);
        PyErr_NormalizeException(&kind2, &value2, &trace2);
        PyException_SetContext(value2, Py_NewRef(value));
        PyErr_Restore(kind2, value2, trace2);
    }
    Py_XDECREF(kind);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return result;
}

// Values that are no tensors and no modules, under names that are no members, are plain attributes; the rest
// is Python's.  Methods rather than slots: a C slot would forbid object.__setattr__(module, name, value).
PyObject* module_setattr(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    if (count != 2) return PyErr_Format(PyExc_TypeError, "expected 2 arguments, got %zd", count);
    PyObject *name = args[0], *value = args[1];
    const bool binds = is_tensor(value) || PyObject_TypeCheck(value, &module_type);
    if (!binds && !find_member(as_module(self), name)) {
        if (PyErr_Occurred() || PyObject_GenericSetAttr(self, name, value) < 0) return nullptr;
        Py_RETURN_NONE;
    }
    PyObject* full[] = {self, name, value};
    return PyObject_Vectorcall(support.bind_member, full, 3, nullptr);
}

PyObject* module_delattr(PyObject* self, PyObject* name) {
    PyObject* full[] = {self, name};
    return PyObject_Vectorcall(support.bind_member, full, 2, nullptr);
}

// --- calls ---

bool has_hooks(ModuleObject* self) {
    if (!self->dict) return true;  // __init__ did not run: the full road tells
    for (PyObject* name : names.hooks) {
        PyObject* hooks = PyDict_GetItemWithError(self->dict, name);
        if (!hooks || !PyDict_Check(hooks) || PyDict_GET_SIZE(hooks)) return true;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(support.global_hooks); ++i)
        if (PyDict_GET_SIZE(PyTuple_GET_ITEM(support.global_hooks, i))) return true;
    return false;
}

// Vectorcall arguments as a tuple and a dictionary.
bool pack(PyObject* const* args, Py_ssize_t count, PyObject* kwnames, Ref& positional, Ref& named) {
    positional = Ref(PyTuple_New(count));
    named = Ref(PyDict_New());
    if (!positional || !named) return false;
    for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(positional.get(), i, Py_NewRef(args[i]));
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
        if (PyDict_SetItem(named.get(), PyTuple_GET_ITEM(kwnames, i), args[count + i]) < 0) return false;
    return true;
}

PyObject* call_with_hooks(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
    PyErr_Clear();
    Ref positional, named;
    if (!pack(args, count, kwnames, positional, named)) return nullptr;
    PyObject* full[] = {self, positional.get(), named.get()};
    return PyObject_Vectorcall(support.call_with_hooks, full, 3, nullptr);
}

// type(self).forward(self, *args), without a bound method in between.
PyObject* call_forward(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject* own = PyDict_GetItemWithError(as_module(self)->dict, names.forward);
    if (own) {
        Ref keep = Ref::borrow(own);
        return PyObject_Vectorcall(own, args, nargsf, kwnames);
    }
    PyObject* forward = _PyType_Lookup(Py_TYPE(self), names.forward);
    if (!forward || !PyType_HasFeature(Py_TYPE(forward), Py_TPFLAGS_METHOD_DESCRIPTOR)) {
        Ref bound(PyObject_GetAttr(self, names.forward));
        return bound ? PyObject_Vectorcall(bound.get(), args, nargsf, kwnames) : nullptr;
    }
    Ref keep = Ref::borrow(forward);
    if (nargsf & PY_VECTORCALL_ARGUMENTS_OFFSET) {
        // the caller lends the place before its arguments
        PyObject** with_self = const_cast<PyObject**>(args) - 1;
        PyObject* lent = std::exchange(with_self[0], self);
        PyObject* result = PyObject_Vectorcall(forward, with_self, size_t(count) + 1, kwnames);
        with_self[0] = lent;
        return result;
    }
    const Py_ssize_t total = count + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    std::vector<PyObject*> with_self(size_t(total) + 1);
    with_self[0] = self;
    std::copy(args, args + total, with_self.begin() + 1);
    return PyObject_Vectorcall(forward, with_self.data(), size_t(count) + 1, kwnames);
}

// Lets Python add "in Net.fc1 (Linear 400→120)" to the error that is set.
void note_module_path(PyObject* self) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return;
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyErr_NormalizeException(&kind, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject* args[] = {self, value};
    PyObject* done = PyObject_Vectorcall(support.note_module_path, args, 2, nullptr);
    if (!done) PyErr_WriteUnraisable(self);
    Py_XDECREF(done);
    PyErr_Restore(kind, value, trace);
}

// Out of the outermost module comes what is computed (ops/waiting.h).
PyObject* computed(PyObject* result) {
    return guarded([&] {
        Ref keep(result);
        compute_waiting();
        return Py_NewRef(result);
    });
}

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    ++tls.modules;
    PyObject* result = has_hooks(as_module(self)) ? call_with_hooks(self, args, PyVectorcall_NARGS(nargsf), kwnames)
                                                  : call_forward(self, args, nargsf, kwnames);
    if (--tls.modules == 0 && result && result_waits.load(std::memory_order_relaxed)) [[unlikely]]
        result = computed(result);
    if (!result) note_module_path(self);
    return result;
}

PyObject* module_call(PyObject* self, PyObject* args, PyObject* kwargs);

PyObject* module_vectorcall(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (Py_TYPE(self)->tp_call != module_call) {
        // a __call__ was put into the class after it was made
        Ref positional, named;
        if (!pack(args, count, kwnames, positional, named)) return nullptr;
        return Py_TYPE(self)->tp_call(self, positional.get(), named.get());
    }
    return call(self, args, nargsf, kwnames);
}

// The same from a tuple and a dictionary: super().__call__(x), or a class whose calls are not vectorcalls.
PyObject* module_call(PyObject* self, PyObject* args, PyObject* kwargs) {
    as_module(self)->call = module_vectorcall;  // the first call of an object comes here, see init_nn_module
    const Py_ssize_t count = PyTuple_GET_SIZE(args);
    std::vector<PyObject*> all(&PyTuple_GET_ITEM(args, 0), &PyTuple_GET_ITEM(args, 0) + count);
    Ref kwnames(kwargs && PyDict_GET_SIZE(kwargs) ? PyTuple_New(PyDict_GET_SIZE(kwargs)) : nullptr);
    PyObject *key, *value;
    for (Py_ssize_t at = 0, i = 0; kwnames && PyDict_Next(kwargs, &at, &key, &value); ++i) {
        PyTuple_SET_ITEM(kwnames.get(), i, Py_NewRef(key));
        all.push_back(value);
    }
    return call(self, all.data(), size_t(count), kwnames.get());
}

// --- the type ---

int module_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(as_module(self)->dict);
    return 0;
}

int module_clear(PyObject* self) {
    Py_CLEAR(as_module(self)->dict);
    return 0;
}

void module_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    if (as_module(self)->weak) PyObject_ClearWeakRefs(self);
    Py_CLEAR(as_module(self)->dict);
    Py_TYPE(self)->tp_free(self);
}

// A subclass in Python gets slots that look its methods up by name; where those are ours, ours go back in.
PyObject* module_init_subclass(PyObject* cls, PyObject* args, PyObject* kwargs) {
    PyTypeObject* type = reinterpret_cast<PyTypeObject*>(cls);
    if (_PyType_Lookup(type, names.getattr) == getattr_method &&
        _PyType_Lookup(type, names.getattribute) == getattribute_method)
        type->tp_getattro = module_getattro;
    if (type->tp_call == module_call) type->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
    // object.__init_subclass__ and those of other bases come after this one in the order of resolution
    PyObject* super_type = reinterpret_cast<PyObject*>(&PySuper_Type);
    Ref super(PyObject_CallFunctionObjArgs(super_type, &module_type, cls, nullptr));
    if (!super) return nullptr;
    Ref next(PyObject_GetAttrString(super.get(), "__init_subclass__"));
    return next ? PyObject_Call(next.get(), args, kwargs) : nullptr;
}

PyObject* module_install(PyObject*, PyObject* args) {
    Support given{};
    if (!PyArg_ParseTuple(args, "OOOO!", &given.call_with_hooks, &given.note_module_path, &given.bind_member,
                          &PyTuple_Type, &given.global_hooks))
        return nullptr;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given.global_hooks); ++i)
        if (!PyDict_Check(PyTuple_GET_ITEM(given.global_hooks, i))) {
            PyErr_SetString(PyExc_TypeError, "_install expects a tuple of dictionaries");
            return nullptr;
        }
    for (PyObject* o : {given.call_with_hooks, given.note_module_path, given.bind_member, given.global_hooks})
        Py_INCREF(o);
    support = given;
    Py_RETURN_NONE;
}

// Whether to call the module is to call this function with it: no hooks, and nothing put in its place.
PyObject* module_runs(PyObject* self, PyObject* forward) {
    PyTypeObject* type = Py_TYPE(self);
    const bool plain = type->tp_call == module_call && !has_hooks(as_module(self)) &&
                       _PyType_Lookup(type, names.forward) == forward &&
                       !PyDict_GetItemWithError(as_module(self)->dict, names.forward);
    if (PyErr_Occurred()) return nullptr;
    return PyBool_FromLong(plain);
}

PyMethodDef methods[] = {
    {"__getattr__", module_getattr, METH_O, "The parameter, buffer or child of that name."},
    {"__setattr__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(module_setattr)), METH_FASTCALL, nullptr},
    {"__delattr__", module_delattr, METH_O, nullptr},
    {"__init_subclass__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(module_init_subclass)),
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, nullptr},
    {"_runs", module_runs, METH_O, "Whether to call this module is to call that function with it."},
    {"_install", module_install, METH_VARARGS | METH_STATIC,
     "_install(call_with_hooks, note_module_path, bind_member, global_hooks): the parts written in Python."},
    {},
};

PyGetSetDef getset[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr}, {}};

}  // namespace

void init_nn_module(PyObject* module) {
    auto interned = [](const char* text) { return checked(PyUnicode_InternFromString(text)).detach(); };
    names = {interned("_parameters"),
             interned("_buffers"),
             interned("_modules"),
             interned("forward"),
             interned("__getattr__"),
             interned("__getattribute__"),
             {interned("_forward_hooks"), interned("_forward_pre_hooks"), interned("_backward_hooks"),
              interned("_backward_pre_hooks")}};
    PyTypeObject& t = module_type;
    t.tp_name = "flambeau._C.ModuleBase";
    t.tp_doc = "Calls and attribute access of flambeau.nn.Module.";
    t.tp_basicsize = sizeof(ModuleObject);
    t.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL;
    t.tp_new = PyBaseObject_Type.tp_new;
    t.tp_dealloc = module_dealloc;
    t.tp_traverse = module_traverse;
    t.tp_clear = module_clear;
    t.tp_getattro = module_getattro;
    t.tp_call = module_call;
    t.tp_methods = methods;
    t.tp_getset = getset;
    t.tp_dictoffset = offsetof(ModuleObject, dict);
    t.tp_weaklistoffset = offsetof(ModuleObject, weak);
    t.tp_vectorcall_offset = offsetof(ModuleObject, call);
    if (PyType_Ready(&t) < 0) throw PythonError{};
    // No __new__ of its own: that of a class which comes after Module in the order of resolution must be found.
    if (PyDict_DelItemString(t.tp_dict, "__new__") < 0) throw PythonError{};
    PyType_Modified(&t);
    getattr_method = _PyType_Lookup(&t, names.getattr);
    getattribute_method = _PyType_Lookup(&t, names.getattribute);
    if (PyModule_AddObjectRef(module, "ModuleBase", reinterpret_cast<PyObject*>(&t)) < 0) throw PythonError{};
}

}  // namespace fb::py
