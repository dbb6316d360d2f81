// Anomaly mode's ear for in-place operations: who wrote into a tensor last.
#pragma once
#include "tensor/tensor.h"

namespace fb {

inline void (*note_write)(const Tensor& written,
                          const std::string& operation) = nullptr;  // null unless anomaly mode is on

}  // namespace fb
