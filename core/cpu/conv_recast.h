// Convolutions written as convolutions of another shape, which have a faster way. Float, nothing that shows
// channels-last strides; `conv.cpp` asks whether it fits.
#pragma once
#include "cpu/conv_ways.h"
#include "cpu/winograd.h"

namespace fb::cpu {

// --- kernels whose taps lie apart, stride 1 (`conv_phases.cpp`): every d-th pixel makes a picture of its own, on which
// the taps are neighbours
bool phases_fit(const ConvShape& s, ConvPass pass, DType t, bool channels_last);
Tensor phases_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor phases_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);
Tensor phases_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor phases_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// --- kernels of one slice in volumes (`conv_slices.cpp`): every slice is a picture
bool slices_fit(const ConvShape& s, ConvPass pass, DType t, bool channels_last);
Tensor slices_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor slices_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor slices_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// --- groups of few channels (`conv_groups.cpp`): several make a group that fills vectors, with zeros between them.
// What an infinite input would make of the zeros is noticed; then the results are undefined.
bool joins_groups(const ConvShape& s, DType t, bool channels_last);
Tensor joined_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor joined_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);
Tensor joined_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor joined_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// --- up to four outputs, stride 1 (`conv_few_outputs.cpp`): input and result change places, the kernel is mirrored
bool has_few_outputs(const ConvShape& s, DType t, bool channels_last);
Tensor few_outputs_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor few_outputs_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor few_outputs_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g);

}  // namespace fb::cpu
