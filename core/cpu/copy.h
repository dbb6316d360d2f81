// Copies between layouts that need no arithmetic: strips, reversed strips, matrices turned in registers.
#pragma once
#include "cpu/iter.h"

namespace fb::cpu {

// Elements of `item` bytes, strides in bytes; those of the source may be negative. False, with nothing done, where the
// result has no contiguous dimension or none of the ways fits.
bool copy_elements(IntSpan sizes, char* to, IntSpan to_strides, const char* from, IntSpan from_strides, int64_t item);

}  // namespace fb::cpu
