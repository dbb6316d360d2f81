// What a contiguous tensor takes.
#pragma once
#include "tensor/tensor.h"

namespace fb {

size_t checked_bytes(IntSpan sizes, DType dtype);  // throws for negative sizes and where the number does not fit

}  // namespace fb
