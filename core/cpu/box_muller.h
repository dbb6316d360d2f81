// Box-Muller in blocks of 16, the way PyTorch makes normal numbers for contiguous tensors.
#pragma once
#include <cstdint>

namespace fb::cpu {

// Turns `count` blocks of 16 uniform numbers into normal ones, in place: the first 8 of a block give radii, the last 8 angles.
// float32 has vector code; it gives the same bits on every CPU.
void box_muller(float* x, int64_t count, float mean, float std);
void box_muller(double* x, int64_t count, double mean, double std);

}  // namespace fb::cpu
