// Passes over index vectors, masks and sort keys, compiled once for each instruction set.
#include "cpu/positions.h"

namespace fb::cpu::FB_ARCH {
namespace {

bool all_within(const int64_t* at, int64_t n, int64_t low, int64_t high) {
    int64_t signs = 0;  // a difference that is negative says no
#pragma omp simd reduction(| : signs)
    for (int64_t i = 0; i < n; ++i) signs |= (at[i] - low) | (high - 1 - at[i]);
    return signs >= 0;
}

int64_t count_true(const uint8_t* mask, int64_t n) {
    constexpr int kRuns = 64;
    int64_t count = 0, i = 0;
    while (i + kRuns <= n) {  // counted in bytes, up to 255 of them
        uint8_t part[kRuns] = {};
        const int64_t end = n - i < 255 * kRuns ? n : i + 255 * kRuns;
        for (; i + kRuns <= end; i += kRuns)
#pragma omp simd
            for (int k = 0; k < kRuns; ++k) part[k] = uint8_t(part[k] + (mask[i + k] != 0));
        for (int k = 0; k < kRuns; ++k) count += part[k];
    }
    for (; i < n; ++i) count += mask[i] != 0;
    return count;
}

template <class Float, class Key>
void keys_of(Float* line, int64_t n, Key flip) {
    constexpr int kSign = int(sizeof(Key)) * 8 - 1;
    Key* const keys = reinterpret_cast<Key*>(line);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
        Key b;
        __builtin_memcpy(&b, line + i, sizeof b);
        const Key magnitude = b & ~(Key(1) << kSign),
                  infinite = sizeof(Key) == 4 ? Key(0x7f800000) : Key(0x7ffull << 52);
        b = magnitude == 0 ? 0 : b;
        const Key negative = Key(0) - (b >> kSign), key = b ^ (negative | Key(1) << kSign);
        const Key k = (magnitude > infinite ? ~Key(0) : key) ^ flip;
        __builtin_memcpy(keys + i, &k, sizeof k);
    }
}

int64_t first_below(const uint32_t* keys, int64_t n, uint32_t limit) {
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint32_t any = 0;
#pragma omp simd reduction(| : any)
        for (int k = 0; k < 64; ++k) any |= keys[i + k] < limit;
        if (any) break;
    }
    while (i < n && keys[i] >= limit) ++i;
    return i;
}

}  // namespace

extern constexpr PositionLoops position_loops = {all_within, count_true, keys_of<float, uint32_t>,
                                                 keys_of<double, uint64_t>, first_below};

}  // namespace fb::cpu::FB_ARCH
