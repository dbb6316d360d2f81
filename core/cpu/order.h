// The memory order of results.
#pragma once
#include "op/op.h"

namespace fb::cpu {

// Strides for the result of operands: where all lie in C order it does so too. Otherwise its dimensions are sorted by
// the strides of the operands, of which the first that tells two dimensions apart decides; broadcast dimensions tell
// nothing.
Dims strides_as(std::span<const TensorImpl* const> operands, IntSpan shape);

}  // namespace fb::cpu
