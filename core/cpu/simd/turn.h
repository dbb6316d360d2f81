// Lanes in another order: reversed vectors, squares of as many rows as lanes turned.
#pragma once
#include <utility>
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {

template <class V>
inline constexpr int kLanesOf = int(sizeof(V) / sizeof(Scalar<V>));

template <class V, int... l>
inline V reversed(V v, std::integer_sequence<int, l...>) {
    constexpr int w = sizeof...(l);
    return __builtin_shufflevector(v, v, (w - 1 - l)...);
}

// Rows i and i + block of a square change the blocks that lie off the diagonal.
template <int block, class V, int... l>
inline void exchange(V& a, V& b, std::integer_sequence<int, l...>) {
    constexpr int w = sizeof...(l);
    const V low = __builtin_shufflevector(a, b, (l & block ? w + l - block : l)...);
    b = __builtin_shufflevector(a, b, (l & block ? w + l : l + block)...);
    a = low;
}
template <class V, int block = 1>
inline void transpose(V* rows) {
    constexpr int w = kLanesOf<V>;
    if constexpr (block < w) {
#pragma GCC unroll 16
        for (int i = 0; i < w; ++i)
            if (!(i & block)) exchange<block>(rows[i], rows[i + block], std::make_integer_sequence<int, w>());
        transpose<V, 2 * block>(rows);
    }
}

}  // namespace fb::cpu::FB_ARCH
