// The loop that turns elements of four bytes between planes and blocks of channels; the layer of kernels brings the one
// for this CPU.
#pragma once
#include <cstdint>

namespace fb {

// to[j·to_row + i] = from[i·from_row + j] for i < ni, j < nj
using Turn4 = void (*)(const uint32_t* from, int64_t from_row, uint32_t* to, int64_t to_row, int64_t ni, int64_t nj);
extern Turn4 turn4;

}  // namespace fb
