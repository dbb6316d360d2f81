// Operators as objects: one overload of the table, or one that Python defines, and its arguments as Python sees them.
#pragma once
#include "python/parse.h"

namespace fb::py {

PyObject* to_python(const Value& v);                     // new reference
void take_results(const Op& op, PyObject* o, Frame& f);  // what Python code returned for a call
// The arguments of a call, as PyTorch shows them: trailing defaults left out, keyword-only ones and `out` by name.
void call_arguments(const Op& op, const Frame& f, Ref& args, Ref& kwargs);
bool is_defined_in_python(const Op& op);
// For a new tensor whose class has `__torch_dispatch__`: such classes are asked as long as they have tensors.
PyObject* ask_subclass(PyObject* tensor);
void subclass_gone();
bool type_dispatches(PyTypeObject* type);

void init_operators(PyObject* module);   // operators.cpp
void init_dispatch(PyObject* module);    // dispatch.cpp
void init_signatures(PyObject* module);  // signature.cpp

}  // namespace fb::py
