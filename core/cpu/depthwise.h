// Depthwise convolutions over rows of channels (one or two spatial dimensions): forward with what follows, and the
// gradients, for which oneDNN is slow.
#pragma once
#include <cstdint>
#include "cpu/conv.h"

namespace fb::cpu {

struct DepthwiseShape {
    int64_t in[2], out[2], kernel[2], stride[2], pad[2], dilation[2];
};

// Compiled for each instruction set. `width` is a multiple of `lanes`; weights lie as kernel positions of `width` each.
struct DepthwiseLoops {
    int64_t lanes;
    // One picture of a block of `lanes` channels.
    void (*forward)(const DepthwiseShape& s, const float* x, const float* w, float* y, const Scaling& scaling);
    // The same of groups of 2 or 4 channels: each weight's place holds one vector for every input of a group.
    void (*groups)(const DepthwiseShape& s, int64_t size, const float* x, const float* w, float* y,
                   const Scaling& scaling);
    // dx of one picture; all of it is written.
    void (*data_gradient)(const DepthwiseShape& s, const float* g, const float* w, float* dx, int64_t width);
    // Adds what one picture gives to dw, and to db unless it is null.
    void (*weight_gradient)(const DepthwiseShape& s, const float* x, const float* g, float* dw, float* db,
                            int64_t width);
};
const DepthwiseLoops& depthwise_loops();

// Whether these functions do it: float, one filter a channel, nothing asked about strides.
bool is_depthwise(const ConvShape& s, DType t, bool channels_last);
// Volumes: a sum over the slices that a line of taps looks at, each of them as a picture. Forward only.
bool is_depthwise_volume(const ConvShape& s, DType t, bool channels_last);
Tensor depthwise_volumes(const ConvShape& s, const Tensor& x, const Tensor& weight, const Scaling& scaling);
Tensor depthwise_scaled(const ConvShape& s, const Tensor& x, const Tensor& weight, const Scaling& scaling);
// Groups of two or four inputs and as many outputs.
bool are_small_groups(const ConvShape& s, DType t, bool channels_last);
Tensor small_groups_scaled(const ConvShape& s, const Tensor& x, const Tensor& weight, const Scaling& scaling);
Tensor depthwise_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& weight);
Tensor depthwise_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

}  // namespace fb::cpu
