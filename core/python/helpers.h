// Small things that several files of the binding need.
#pragma once
#include <string>
#include "python/object.h"

#if PY_VERSION_HEX < 0x030d0000
// One name for both spellings of "a strong reference to the item".
inline PyObject* PyList_GetItemRef(PyObject* list, Py_ssize_t i) { return Py_XNewRef(PyList_GetItem(list, i)); }
#endif

namespace fb::py {

// --- making the module
PyTypeObject* make_type(PyType_Spec& spec);                             // throws PythonError
void add_object(PyObject* module, const char* name, PyObject* stolen);  // throws PythonError
void add_type(PyObject* module, const char* name, PyTypeObject* type);
void add_functions(PyObject* module, PyMethodDef* methods);
void init_device(PyObject* module);
void init_autocast(PyObject* module);
void init_errors(PyObject* module);
void init_overrides(PyObject* module);
void init_public_functions(PyObject* module);
void init_sparse_gradients();
void init_storage(PyObject* module);

// What the package is called now: "torch" while it stands in for PyTorch. Objects say that they are of this module.
PyObject* package_name();

// --- reading objects
std::string type_name(PyObject* o);  // as messages call it: "Tensor", "torch.dtype", "int"
bool to_layout(PyObject* o, Layout& out);
bool to_format(PyObject* o, MemoryFormat& out);
bool to_bool(PyObject* o, bool& out);      // bool and NumPy's bool
bool to_double(PyObject* o, double& out);  // float, int, NumPy numbers
bool is_numpy_array(PyObject* o);
bool is_numpy_scalar(PyObject* o);
PyObject* numpy_if_loaded();                                       // borrowed; null when nobody imported NumPy yet
PyObject* import_attribute(const char* module, const char* name);  // new reference; throws PythonError
// The same, imported once; borrowed. No `static` that an import initializes: its lock would stay held while the import
// lets other threads run, and these would wait for it with the interpreter's lock, which the import needs to go on.
PyObject* kept_attribute(PyObject*& kept, const char* module, const char* name);
Device default_device();
extern thread_local int default_device_depth;  // > 0: something other than the CPU was asked for

inline PyObject* none() { return Py_NewRef(Py_None); }
// A sequence (tuple or list) as a span of borrowed items; other iterables are not sequences here.
inline bool is_list(PyObject* o) { return PyTuple_Check(o) || PyList_Check(o); }
inline Py_ssize_t list_size(PyObject* o) { return PyTuple_Check(o) ? PyTuple_GET_SIZE(o) : PyList_GET_SIZE(o); }
inline PyObject* list_item(PyObject* o, Py_ssize_t i) {
    return PyTuple_Check(o) ? PyTuple_GET_ITEM(o, i) : PyList_GET_ITEM(o, i);
}

[[noreturn]] void raise(PyObject* type, const std::string& text);  // sets the exception and unwinds

template <class F>
PyCFunction as_method(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

}  // namespace fb::py
