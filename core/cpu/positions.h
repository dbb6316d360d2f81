// Passes over index vectors, masks and sort keys (cpu/radix.h).
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

inline constexpr int64_t kRanked = 128;
struct PositionLoops {
    bool (*all_within)(const int64_t* at, int64_t n, int64_t low, int64_t high);  // every index in [low, high)
    void (*extremes)(const int64_t* at, int64_t n, int64_t* low, int64_t* high);  // widens [*low, *high] to hold all
    void (*extremes4)(const int32_t* at, int64_t n, int32_t* low, int32_t* high);
    // Which of n values, n <= 512, lie in [low, high): their places in `at`, in order, into `to`, which has room for 16
    // more. Returns how many.
    int64_t (*chosen)(const int64_t* at, int64_t n, int64_t low, int64_t high, int32_t* to);
    int64_t (*changes)(const uint64_t* p, int64_t n);  // how many of n differ from the one before
    int64_t (*changes_of_doubles)(const double* p, int64_t n);
    // to[at[i]] += from[i], one after another; steps in elements
    void (*add_f16)(F16* to, int64_t to_step, const F16* from, int64_t from_step, const int64_t* at, int64_t at_step,
                    int64_t n);
    int64_t (*count_true)(const uint8_t* mask, int64_t n);      // bytes that are not zero
    void (*float_keys)(float* line, int64_t n, uint32_t flip);  // in place: sort_key(value) ^ flip
    void (*double_keys)(double* line, int64_t n, uint64_t flip);
    int64_t (*first_below4)(const uint32_t* keys, int64_t n, uint32_t limit);  // n where none is
    int64_t (*first_below8)(const uint64_t* keys, int64_t n, uint64_t limit);
    // rank[i], i < n <= `ranked`: how many keys are below keys[i], or equal and before it. There is room for kRanked.
    int64_t ranked;
    void (*ranks4)(const uint32_t* keys, int64_t n, uint32_t* rank);
    void (*ranks8)(const uint64_t* keys, int64_t n, uint64_t* rank);
};
const PositionLoops& position_loops();  // for this CPU

inline bool all_within(const int64_t* at, int64_t n, int64_t low, int64_t high) {
    return position_loops().all_within(at, n, low, high);
}

}  // namespace fb::cpu
