// Batch normalisation over tensors N, C, … in any layout: sums per channel, and linear maps with numbers per channel.
#pragma once
#include <functional>
#include <vector>
#include "cpu/norm.h"
#include "tensor/hidden.h"

namespace fb::cpu {

using Numbers = std::vector<double>;

// Where the channels lie. Plain: runs of one channel. Otherwise rows of neighbouring channels, in blocks.
struct ChannelLayout {
    int64_t samples, channels, spatial;
    int64_t block = 0;            // 0: plain; else channels in a row
    int64_t blocks = 1;           // rows of different channel blocks follow each other
    int64_t from = 0, upto = -1;  // only these blocks (plain: channels) are meant; -1: all

    static ChannelLayout plain(IntSpan sizes);
    static ChannelLayout rows(IntSpan sizes);  // channels-last
    static ChannelLayout of(const Image& image);
    int64_t width() const { return block ? block : 1; }
    int64_t groups() const { return block ? blocks : channels; }
    int64_t padded() const { return width() * groups(); }
    bool whole() const { return upto < 0; }
    int64_t first_channel() const { return from * width(); }
    int64_t end_channel() const { return (whole() ? groups() : upto) * width(); }  // with what fills up
    int64_t count() const { return samples * spatial; }                            // elements of a channel
};

struct TwoSums {
    Numbers first, second;
    explicit TwoSums(int64_t n) : first(size_t(n), 0), second(size_t(n), 0) {}
};
// The sums are added to what is there.
void channel_sums(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* x, const Numbers& shift,
                  TwoSums& sums);
void channel_dots(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* g, const void* x,
                  const Numbers& mean, TwoSums& sums);
void channel_scale(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* x, void* y,
                   const Numbers& a, const Numbers& b);
void channel_combine(const NormLoops& k, size_t itemsize, const ChannelLayout& l, const void* g, const void* x,
                     void* out, const Numbers& a, const Numbers& b, const Numbers& c);

// What is summed up first and then mapped is best taken in parts of all channels that a core's own cache holds, each
// by one thread: body(part). All channels at once where such parts would be too few. `bytes`: of an element in all
// tensors.
void each_part(const ChannelLayout& l, size_t bytes, const std::function<void(const ChannelLayout&)>& body);

}  // namespace fb::cpu
