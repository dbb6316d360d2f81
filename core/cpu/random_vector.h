// The steps from uniform numbers in [0, 1) that have vector code. It gives the same bits on every CPU.
#pragma once
#include <cstdint>

namespace fb::cpu {

// Turns `count` blocks of 16 uniform numbers into normal ones, in place: the first 8 of a block give radii,
// the last 8 angles.
void box_muller(float* x, int64_t count, float mean, float std);
void box_muller(double* x, int64_t count, double mean, double std);

// x = x * (to - from) + from, fused, in place. Rounding may reach `to`, which is excluded: such numbers
// become `from`.
void stretch(float* x, int64_t n, float from, float to);
void stretch(double* x, int64_t n, double from, double to);

}  // namespace fb::cpu
