// Matrices turned and strips reversed in registers, compiled once for each instruction set.
#include "cpu/copy_loops.h"
#include "cpu/simd/turn.h"

namespace fb::cpu::FB_ARCH {
namespace {

// The elements are moved as if they were floating-point numbers, whose shuffles every set has; none is computed with.
template <class T, class U>
void turn(const U* from, int64_t from_row, U* to, int64_t to_row, int64_t ni, int64_t nj) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>;
    int64_t i = 0;
    for (; i + w <= ni; i += w) {
        int64_t j = 0;
        for (; j + w <= nj; j += w) {
            V rows[w];
#pragma GCC unroll 16
            for (int k = 0; k < w; ++k) rows[k] = load<V>(from + (i + k) * from_row + j);
            transpose(rows);
#pragma GCC unroll 16
            for (int k = 0; k < w; ++k) store(to + (j + k) * to_row + i, rows[k]);
        }
        for (; j < nj; ++j)
            for (int k = 0; k < w; ++k) to[j * to_row + i + k] = from[(i + k) * from_row + j];
    }
    for (int64_t j = 0; j < nj; ++j)
        for (int64_t k = i; k < ni; ++k) to[j * to_row + k] = from[k * from_row + j];
}
// The first elements of the result in a register of their own, so that the next ones are whole lines of the cache; the
// last register goes back over what is there.
template <class T, class U>
void reverse(const U* from, U* to, int64_t n) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>;
    const auto put = [&](int64_t i) {
        store(to + i, reversed(load<V>(from - i - w + 1), std::make_integer_sequence<int, w>()));
    };
    if (n < w) {
        for (int64_t i = 0; i < n; ++i) to[i] = from[-i];
        return;
    }
    put(0);
    const int64_t past = int64_t(reinterpret_cast<uintptr_t>(to) & (kWidth - 1)) / int64_t(sizeof(U));
    for (int64_t i = w - past; i + w <= n; i += w) put(i);
    put(n - w);
}

void bytes(char* to, const char* from, int64_t n) {
    using V = Vec<uint8_t>;
    store(to, load<V>(from));
    int64_t i = kWidth - int64_t(reinterpret_cast<uintptr_t>(to) & (kWidth - 1));  // from here on whole registers
    for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
        // names, not an array: GCC 12 would keep that in memory
        const V a = load<V>(from + i), b = load<V>(from + i + kWidth), c = load<V>(from + i + 2 * kWidth),
                d = load<V>(from + i + 3 * kWidth);
        store(to + i, a);
        store(to + i + kWidth, b);
        store(to + i + 2 * kWidth, c);
        store(to + i + 3 * kWidth, d);
    }
    for (; i + kWidth <= n; i += kWidth) store(to + i, load<V>(from + i));
    store(to + n - kWidth, load<V>(from + n - kWidth));
}

void strips(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t n, int64_t length) {
    using V = Vec<uint8_t>;
    constexpr int64_t kFour = 4 * kWidth;
    const int64_t fours = length / kFour * kFour, rest = length - fours;
    if (rest % kWidth || rest > 2 * kWidth) {
        for (; n > 0; --n, to += to_step, from += from_step) bytes(to, from, length);
        return;
    }
    for (; n > 0; --n, to += to_step, from += from_step) {
        int64_t i = 0;
        for (; i < fours; i += kFour) {
            const V a = load<V>(from + i), b = load<V>(from + i + kWidth), c = load<V>(from + i + 2 * kWidth),
                    d = load<V>(from + i + 3 * kWidth);
            store(to + i, a);
            store(to + i + kWidth, b);
            store(to + i + 2 * kWidth, c);
            store(to + i + 3 * kWidth, d);
        }
        if (rest) store(to + i, load<V>(from + i));
        if (rest > kWidth) store(to + i + kWidth, load<V>(from + i + kWidth));
    }
}

}  // namespace

extern constexpr CopyLoops copy_loops = {kLanes<float>,
                                         kLanes<double>,
                                         turn<float, uint32_t>,
                                         turn<double, uint64_t>,
                                         reverse<float, uint32_t>,
                                         reverse<double, uint64_t>,
                                         bytes,
                                         strips};

}  // namespace fb::cpu::FB_ARCH
