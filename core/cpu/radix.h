// Order by digits: stable sorting and selection of keys whose unsigned order is that of the values.
#pragma once
#include <bit>
#include <cstdint>
#include "cpu/positions.h"

namespace fb::cpu {

// NaN sorts behind everything, -0 equals 0.
inline uint32_t sort_key(float v) {
    const uint32_t bits = std::bit_cast<uint32_t>(v), b = v == 0 ? 0 : bits;
    return v != v ? ~uint32_t(0) : b ^ (uint32_t(int32_t(b) >> 31) | 0x80000000u);
}
inline uint64_t sort_key(double v) {
    const uint64_t bits = std::bit_cast<uint64_t>(v), b = v == 0 ? 0 : bits;
    return v != v ? ~uint64_t(0) : b ^ (uint64_t(int64_t(b) >> 63) | uint64_t(1) << 63);
}
inline uint64_t sort_key(int64_t v) { return uint64_t(v) ^ uint64_t(1) << 63; }
inline uint64_t sort_key(uint64_t v) { return v; }
template <class T>
using KeyOf = decltype(sort_key(T()));

// A line of values becomes the line of their keys, all bits of them flipped where `flip` is ~0 (descending order).
inline void to_keys(float* line, int64_t n, uint32_t flip) { position_loops().float_keys(line, n, flip); }
inline void to_keys(double* line, int64_t n, uint64_t flip) { position_loops().double_keys(line, n, flip); }
inline void to_keys(int64_t* line, int64_t n, uint64_t flip) {
    for (int64_t i = 0; i < n; ++i) line[i] = int64_t(sort_key(line[i]) ^ flip);
}
inline void to_keys(uint64_t* line, int64_t n, uint64_t flip) {
    for (int64_t i = 0; i < n; ++i) line[i] ^= flip;
}

// order[i]: where the i-th smallest key stands; equal keys keep their order.
void radix_order(const uint32_t* keys, int64_t n, int64_t* order);
void radix_order(const uint64_t* keys, int64_t n, int64_t* order);

// Where the k-th smallest stands; of equal ones the first counts as the smaller.
int64_t radix_place(const uint32_t* keys, int64_t n, int64_t k);
int64_t radix_place(const uint64_t* keys, int64_t n, int64_t k);

// order[i], i < k: where the i-th smallest key stands (in any order unless `sorted`). Equal keys leave a choice; it is
// made as the standard library's partial_sort and nth_element make it, which is what PyTorch's results show.
void smallest_order(const uint32_t* keys, int64_t n, int64_t k, bool sorted, int64_t* order);
void smallest_order(const uint64_t* keys, int64_t n, int64_t k, bool sorted, int64_t* order);

}  // namespace fb::cpu
