// __torch_function__: arguments and modes that want to see a call before it is made.
#pragma once
#include <initializer_list>
#include "python/helpers.h"

namespace fb::py {

// What is asked before a call, in this thread. 0 almost always.
struct OverrideState {
    bool no_subclasses = false;  // DisableTorchFunctionSubclass
    bool disabled = false;       // DisableTorchFunction: modes neither
    bool skip_next = false;      // only for the next call (`disabled` is set too)
    uint32_t modes = 0;          // length of the stack of TorchFunctionModes
};
extern constinit thread_local OverrideState override_state;

bool type_overrides(PyTypeObject* type);  // has a __torch_function__ that is not the disabled one

// True for objects whose class wants to be asked. Plain tensors and Python's own types are told apart quickly.
inline bool overrides(PyObject* o) {
    PyTypeObject* t = Py_TYPE(o);
    if (t == tensor_type || t == &PyLong_Type || t == &PyFloat_Type || t == &PyBool_Type || o == Py_None ||
        t == &PyUnicode_Type)
        return false;
    return type_overrides(t);
}
bool any_overrides(PyObject* const* args, Py_ssize_t n);  // also one level inside tuples and lists

// A call as vectorcall gives it.
struct Arguments {
    PyObject* const* args;
    Py_ssize_t n;               // positional
    PyObject* names = nullptr;  // keyword names or null; their values follow the positional ones
    Py_ssize_t keywords() const { return names ? PyTuple_GET_SIZE(names) : 0; }
};
bool asks_after_skip();  // the call that is passed by puts everything back
inline bool asks_override(const Arguments& a) {
    if (override_state.disabled) [[unlikely]]
        return asks_after_skip();
    if (override_state.modes) [[unlikely]]
        return true;
    return any_overrides(a.args, a.n + a.keywords());
}
// The result of the first mode or argument that takes the call of `function`; throws when nobody does.
PyObject* call_override(PyObject* function, const Arguments& a);
// Whether a type has `_sees_operators`: a part of this package that PyTorch has below the protocol, asked about
// operators by their own names.
bool sees_operators(PyTypeObject* type);
// Whether somebody else is asked, who knows `a - b`, `bool(a)`, … by the methods that PyTorch has for them.
bool asks_outside(std::initializer_list<PyObject*> args);
inline bool asks_outside_of(PyObject* self) {
    return (Py_TYPE(self) != tensor_type || override_state.modes) && asks_outside({self});
}
PyObject* call_method_override(const char* method, std::initializer_list<PyObject*> args);
// For attributes: `function` is the getter or setter as an attribute of the type gives it (`Tensor.shape.__get__`).
PyObject* call_property_override(PyObject* self, const char* property, const char* which, PyObject* value);

}  // namespace fb::py
