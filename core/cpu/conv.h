// Convolutions of 1 to 3 spatial dimensions: forward and both gradients, for every element type, in whatever layout is
// fastest.
#pragma once
#include "tensor/hidden.h"

namespace fb::cpu {

// Always that of the forward convolution. A transposed convolution is the data gradient of one: its input plays `out`.
struct ConvShape {
    Dims in, weight, out;  // N,C,S…  O,C/groups,K…  N,O,S…
    Dims stride, padding, dilation;
    int64_t groups = 1;
    int64_t spatial_dims() const { return int64_t(stride.size()); }
};

// What becomes of the results before they are stored: y · scale + shift, kept between low and high. One number a
// channel, zeros where a last block of channels is filled up; low <= 0 <= high, so that the filling stays zero.
struct Scaling {
    const float *scale, *shift;
    float low, high;
    const float* other = nullptr;  // laid out as the result: added before the limits
};

// `channels_last`: the result gets channels-last strides (visible to the user), else it is contiguous or hidden.
Tensor conv_forward(const ConvShape& s, const Tensor& x, const Tensor& weight, const Tensor& bias, bool channels_last);
Tensor conv_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& weight, bool channels_last);
// A forward convolution with what follows it; undefined where that is not done in one pass. Float, hidden results.
// `other`, a hidden image, is a summand.
Tensor conv_scaled(const ConvShape& s, const Tensor& x, const Tensor& weight, Scaling scaling, const Tensor& other);
// Both gradients of such pictures are best computed from the plain numbers.
bool conv_reads_plain(const ConvShape& s, const Tensor& x, const Tensor& g);
// dW, and where it costs nothing the sum of g over all but the channels when `bias` is set.
Tensor conv_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

}  // namespace fb::cpu
