// Numbers that a type of elements cannot hold.
#pragma once
#include "base/scalar.h"
#include "base/dtype.h"

namespace fb {

// Raises where PyTorch's checked conversion would: NaN and numbers out of range for integers (negative ones wrap round
// in unsigned types), numbers beyond the largest finite one, imaginary parts for real types.
void check_fits(const Scalar& s, DType to);

// The real number that a parameter of an activation is: computed in double for doubles, otherwise in float.
double real_parameter(const Scalar& s, DType elements);

}  // namespace fb
