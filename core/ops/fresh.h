// Memory that a user asks for and that nothing was written to: `empty` and its like, what `resize_` adds.
#pragma once
#include <atomic>
#include "tensor/tensor.h"

namespace fb {

// Whether it is filled, with NaN or the largest number: asked for by use_deterministic_algorithms.
extern constinit std::atomic<bool> fill_fresh;

Tensor fresh(Tensor t);  // what a user gets of memory that nothing was written to

}  // namespace fb
