// Loops of cpu/copy.h, compiled once for each instruction set: elements of 4 and of 8 bytes, strides in elements.
#pragma once
#include <cstdint>

namespace fb::cpu {

struct CopyLoops {
    int64_t side4, side8;  // matrices smaller than this in a direction gain nothing
    // to[j·to_row + i] = from[i·from_row + j] for i < ni, j < nj
    void (*turn4)(const uint32_t* from, int64_t from_row, uint32_t* to, int64_t to_row, int64_t ni, int64_t nj);
    void (*turn8)(const uint64_t* from, int64_t from_row, uint64_t* to, int64_t to_row, int64_t ni, int64_t nj);
    // to[i] = from[-i]
    void (*reverse4)(const uint32_t* from, uint32_t* to, int64_t n);
    void (*reverse8)(const uint64_t* from, uint64_t* to, int64_t n);
};
const CopyLoops& copy_loops();  // for this CPU

}  // namespace fb::cpu
