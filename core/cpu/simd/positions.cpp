// Passes over index vectors and masks, compiled once for each instruction set.
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

}  // namespace

extern constexpr PositionLoops position_loops = {all_within, count_true};

}  // namespace fb::cpu::FB_ARCH
