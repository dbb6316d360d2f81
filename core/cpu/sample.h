// Sums over a few chosen rows of a table for each of many points: resampling at given places.
#pragma once
#include <cstdint>

namespace fb::cpu {

// Tap t of point p is row index[t·stride + p] of a table with rows of `width` floats (a multiple of 4) and has the
// weight weight[t·stride + p]; taps outside the table, whose `length` rows these are, do not count.
struct Taps {
    const int64_t* index;
    const float* weight;
    int64_t count, stride, length;
};
// Pairs of x and y in [-1, 1] in a picture; modes and paddings are grid_sample's.
struct Places {
    const float* at;
    int32_t height, width;
    int mode, padding;
    bool align;
};
struct SampleLoops {
    void (*gather)(const float* table, int64_t width, const Taps& taps, int64_t n, float* out);  // n rows of sums
    void (*scatter)(const float* rows, int64_t width, int64_t used, int64_t row, const Taps& taps, int64_t n,
                    float* table);  // the adjoint, added to `used` columns of a table with rows of `width`
    void (*products)(const float* rows, const float* table, int64_t width, const Taps& taps, int64_t n,
                     float* out);  // out[t·stride + p]: row p times the row of its tap
    // Index and weight of the neighbours (kNeighbours of the mode) of n places in a picture.
    void (*neighbours)(const Places& places, int64_t n, int64_t stride, int64_t* index, float* weight);
    // n places of a picture whose channels lie together, rows of `width` floats (a multiple of 4) and one of zeros
    // behind the last: channel c of place p goes to out[c·stride + p]. The nearest pixels are taken from the picture as
    // it is, channel by channel.
    void (*picture)(const Places& places, int64_t n, const float* table, int64_t width, int64_t channels, float* out,
                    int64_t stride);
};
inline constexpr int kNeighbours[] = {4, 1, 16};  // bilinear, nearest, bicubic
inline constexpr int kMostPlaces = 64;            // at a time
const SampleLoops& sample_loops();                // for this CPU

}  // namespace fb::cpu
