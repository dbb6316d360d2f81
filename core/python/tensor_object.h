// The Python object of a tensor, and what its files share.
#pragma once
#include "python/helpers.h"

namespace fb::py {

struct TensorObject {
    PyObject_HEAD TensorImpl* impl;  // owned, except while the tensor owns the object (TensorImpl::owns_object)
    PyObject* dict;
    PyObject* weakrefs;
    bool asked;  // one of the tensors that `ask_subclass` counts
};

inline TensorObject* as_tensor_object(PyObject* o) { return reinterpret_cast<TensorObject*>(o); }
inline TensorImpl* impl_of(PyObject* o) { return as_tensor_object(o)->impl; }
void track(PyObject* tensor);  // lets the cyclic collector see an object that may now be part of a cycle

// The slots and tables of the type, each from its own file.
extern PyNumberMethods tensor_numbers;  // tensor_number.cpp
PyObject* tensor_compare(PyObject* a, PyObject* b, int how);
void warn_of_lost_history(const Tensor& t);  // once: a number was taken from a tensor that is being recorded
extern PyGetSetDef tensor_getset[];          // tensor_property.cpp
extern PyMethodDef tensor_methods[];         // tensor_method.cpp
PyObject* tensor_subscript(PyObject* self, PyObject* key);                    // indexing.cpp
int tensor_assign_subscript(PyObject* self, PyObject* key, PyObject* value);  // indexing.cpp
Py_ssize_t tensor_length(PyObject* self);
int tensor_get_buffer(PyObject* self, Py_buffer* view, int flags);  // buffer.cpp
void tensor_release_buffer(PyObject* self, Py_buffer* view);
Tensor legacy_tensor(PyObject* args, PyObject* kwargs, DType dtype);  // construct.cpp: torch.Tensor(…)

void change_requires_grad(const Tensor& t, bool on, const char* wrong_dtype);
void replace_data(const Tensor& t, const Tensor& from);  // t.data = from

// Python objects that only a tensor's hooks and history refer to; for the cyclic collector.
int visit_autograd(const TensorImpl& t, visitproc visit, void* arg);
void clear_autograd(TensorImpl& t);

}  // namespace fb::py
