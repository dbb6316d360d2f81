// What operators make of float8 tensors.
#pragma once
#include "op/op.h"

namespace fb {

enum class Float8Use {
    as_is,   // the operator moves bytes, or says itself what it does not take
    widened  // it computes in float32, and what it gives is rounded
};
// For a call with float8 among its tensors; raises where PyTorch has no kernel for them.
Float8Use float8_use(const Op& op, const Frame& f);

}  // namespace fb
