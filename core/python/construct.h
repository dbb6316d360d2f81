// Tensors from Python data.
#pragma once
#include "python/helpers.h"

namespace fb::py {

// A fresh tensor with the contents of nested sequences, numbers, arrays or tensors. DType::none: inferred from them.
Tensor tensor_from(PyObject* data, DType dtype, Device device);
DType infer_dtype(PyObject* data);

// NumPy and other memory.
Tensor tensor_from_array(PyObject* array, bool warn_if_readonly);  // shares the memory
PyObject* array_from_tensor(const Tensor& t);                      // shares the memory
void init_numpy(PyObject* module);
void init_dlpack(PyObject* module);

}  // namespace fb::py
