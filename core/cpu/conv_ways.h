// The ways to compute a convolution; `conv.cpp` chooses. Each gives an undefined tensor where it cannot do it.
#pragma once
#include "cpu/conv.h"

namespace fb::cpu {

inline double conv_work(const ConvShape& s) {  // multiplications
    return double(product(s.out)) * double(product(s.weight)) / double(std::max<int64_t>(1, s.weight[0]));
}
// Channels-last strides that the user sees, as opposed to a hidden order. A slice of such a tensor has the same order
// of strides but gaps between its rows or pictures: it does not count.
inline bool shows_channels_last(const Tensor& t) {
    return !t.is_contiguous() && is_channels_last(t.sizes(), t.strides()) &&
           is_non_overlapping_and_dense(t.sizes(), t.strides());
}

// --- oneDNN: float, and bfloat16 where the processor has it; in hidden orders
Tensor library_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias, bool channels_last);
Tensor library_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w, bool channels_last);
Tensor library_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// The same with what follows; undefined where the library has no kernel for it. The limits are not applied.
Tensor library_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);

// --- products with the weights as they lie: float, few positions and many weights
bool rows_fit(const ConvShape& s, DType t, bool channels_last);
Tensor rows_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor rows_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor rows_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// --- products of gathered rows with packed weights, with what follows: few positions in a line, weights that stay
bool narrow_fits(const ConvShape& s, const Tensor& w);
Tensor narrow_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);

// --- windows side by side, as those that cut a picture into patches: float, one product
bool patches_fit(const ConvShape& s, const Tensor& x, bool channels_last);
Tensor patches_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);

// --- a few channels: float
bool few_fit(const ConvShape& s, DType t, bool channels_last);
Tensor few_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
bool few_taps_fit(const ConvShape& s, DType t, bool channels_last);
Tensor few_taps_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

// --- matrix products over columns: every other type
Tensor columns_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor columns_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor columns_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

}  // namespace fb::cpu
