// Distances of rows, compiled once for each instruction set.
#pragma once
#include <cstdint>

namespace fb::cpu {

inline constexpr int64_t kPastRows = 64;

enum class Distance { count, sum, euclid, largest };  // p = 0, 1, 2, ∞

// to[j] = the distance of `a` and row j of b, j < n, both of `width` values. b is turned: value k of row j is
// b[k·stride + j], and may be read up to kPastRows values past the last j.
template <class T>
using DistanceLoop = void (*)(Distance, const T* a, const T* b, int64_t stride, int64_t width, int64_t n, T* to);
struct DistanceLoops {
    DistanceLoop<float> floats;
    DistanceLoop<double> doubles;
};
const DistanceLoops& distance_loops();  // for this CPU

}  // namespace fb::cpu
