// Loops of cpu/copy.h, compiled once for each instruction set: elements of 4 and of 8 bytes, strides in elements.
#pragma once
#include <cstdint>
#include <cstring>

namespace fb::cpu {

struct CopyLoops {
    int64_t side4, side8;  // matrices smaller than this in a direction gain nothing
    // to[j·to_row + i] = from[i·from_row + j] for i < ni, j < nj
    void (*turn4)(const uint32_t* from, int64_t from_row, uint32_t* to, int64_t to_row, int64_t ni, int64_t nj);
    void (*turn8)(const uint64_t* from, int64_t from_row, uint64_t* to, int64_t to_row, int64_t ni, int64_t nj);
    // to[i] = from[-i]
    void (*reverse4)(const uint32_t* from, uint32_t* to, int64_t n);
    void (*reverse8)(const uint64_t* from, uint64_t* to, int64_t n);
    void (*bytes)(char* to, const char* from, int64_t n);  // apart from each other, at least a register of them
    // n strips of at least 64 bytes, `to_step` and `from_step` bytes apart
    void (*strips)(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t n, int64_t bytes);
};
const CopyLoops& copy_loops();  // for this CPU

// Short lengths need no call; the last piece may go over the one before. memcpy of the C library moves middling lengths
// by string instructions, which are slow where the two addresses differ by little more than whole pages; the longest
// ones pass the caches.
inline void copy_bytes(void* to, const void* from, int64_t n) {
    constexpr int64_t kPiece = 16, kPieces = 256, kString = 1024, kPastCaches = int64_t(4) << 20;
    char* const q = static_cast<char*>(to);
    const char* const p = static_cast<const char*>(from);
    if (n >= kPiece && n <= kPieces) {
        for (int64_t at = 0; at + kPiece < n; at += kPiece) std::memcpy(q + at, p + at, kPiece);
        std::memcpy(q + n - kPiece, p + n - kPiece, kPiece);
    } else if (n < kString || n >= kPastCaches) {
        std::memcpy(q, p, size_t(n));
    } else {
        copy_loops().bytes(q, p, n);
    }
}

}  // namespace fb::cpu
