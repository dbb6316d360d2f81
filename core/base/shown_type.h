// What PyTorch's messages call a tensor of a type: its old class, where it had one.
#pragma once
#include "base/error.h"
#include "base/names.h"

namespace fb {

inline std::string shown_type(DType t) {
    const bool late = t == DType::b1 || t == DType::bf16 || is_complex(t) || is_float8(t);
    return str(late ? "CPU" : "torch.", scalar_name(t), late ? "Type" : "Tensor");
}

}  // namespace fb
