// Batch normalisation over tensors N, C, … in any layout: sums per channel, and linear maps with numbers per channel.
#pragma once
#include <vector>
#include "cpu/norm.h"
#include "tensor/hidden.h"

namespace fb::cpu {

using Numbers = std::vector<double>;

// Where the channels lie. Plain: runs of one channel. Otherwise rows of neighbouring channels, in blocks.
struct ChannelLayout {
    int64_t samples, channels, spatial;
    int64_t block = 0;   // 0: plain; else channels in a row
    int64_t blocks = 1;  // rows of different channel blocks follow each other

    static ChannelLayout plain(IntSpan sizes);
    static ChannelLayout rows(IntSpan sizes);  // channels-last
    static ChannelLayout of(const Image& image);
    int64_t padded() const { return block ? block * blocks : channels; }
    int64_t count() const { return samples * spatial; }  // elements of a channel
};

struct TwoSums {
    Numbers first, second;
};
TwoSums channel_sums(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* x, const Numbers& shift);
TwoSums channel_dots(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* g, const void* x,
                     const Numbers& mean);
void channel_scale(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* x, void* y,
                   const Numbers& a, const Numbers& b);
void channel_combine(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* g, const void* x,
                     void* out, const Numbers& a, const Numbers& b, const Numbers& c);

}  // namespace fb::cpu
