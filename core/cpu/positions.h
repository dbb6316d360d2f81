// Passes over index vectors and masks.
#pragma once
#include <cstdint>

namespace fb::cpu {

struct PositionLoops {
    bool (*all_within)(const int64_t* at, int64_t n, int64_t low, int64_t high);  // every index in [low, high)
    int64_t (*count_true)(const uint8_t* mask, int64_t n);                        // bytes that are not zero
};
const PositionLoops& position_loops();  // for this CPU

inline bool all_within(const int64_t* at, int64_t n, int64_t low, int64_t high) {
    return position_loops().all_within(at, n, low, high);
}

}  // namespace fb::cpu
