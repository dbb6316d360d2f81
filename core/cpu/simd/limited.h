// What follows a convolution, in registers.
#pragma once
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {

inline F limited(F x, F low, F high) { return min(high, max(low, x)); }  // what is no number stays

}  // namespace fb::cpu::FB_ARCH
