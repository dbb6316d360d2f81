// Convolutions to up to four channels (the last layers of networks that make pictures), which a library fills up to
// whole vectors. With input and result in each other's place these are the first layers of networks.
#include "cpu/conv_recast.h"

namespace fb::cpu {
namespace {

constexpr int64_t kMost = 4, kFewestInputs = 8;

ConvShape turned(const ConvShape& s) {
    ConvShape t{s.out, s.weight, s.in, s.stride, s.padding, s.dilation, 1};
    std::swap(t.weight[0], t.weight[1]);
    for (size_t d = 0; d < s.padding.size(); ++d) t.padding[d] = s.dilation[d] * (s.weight[d + 2] - 1) - s.padding[d];
    return t;
}
// (a, b, taps) to (b, a, taps backwards).
Tensor mirrored(const Tensor& w) {
    Dims sizes = w.sizes();
    const int64_t a = sizes[0], b = sizes[1], taps = product(IntSpan(sizes).subspan(2));
    std::swap(sizes[0], sizes[1]);
    const Tensor r = empty(sizes, DType::f32);
    const float* from = w.data<float>();
    float* to = r.data<float>();
    for (int64_t i = 0; i < a * b; ++i, from += taps)
        std::reverse_copy(from, from + taps, to + (i % b * a + i / b) * taps);
    return r;
}

}  // namespace

bool has_few_outputs(const ConvShape& s, DType t, bool channels_last) {
    if (t != DType::f32 || channels_last || s.groups != 1 || s.spatial_dims() > 2 || s.out[1] > kMost ||
        s.in[1] < kFewestInputs || product(IntSpan(s.weight).subspan(2)) == 1)
        return false;
    for (size_t d = 0; d < s.padding.size(); ++d)
        if (s.stride[d] != 1 || s.padding[d] > s.dilation[d] * (s.weight[d + 2] - 1)) return false;
    return true;
}

Tensor few_outputs_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const Tensor r = conv_data_gradient(turned(s), x, mirrored(w), false);
    if (!bias.defined()) return r;
    const int64_t spatial = product(IntSpan(s.out).subspan(2));
    float* p = r.data<float>();
    for (int64_t i = 0; i < s.out[0] * s.out[1]; ++i, p += spatial) {
        const float b = bias.data<float>()[i % s.out[1]];
        for (int64_t j = 0; j < spatial; ++j) p[j] += b;
    }
    return r;
}
Tensor few_outputs_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    return conv_forward(turned(s), g, mirrored(w), Tensor(), false);
}
Tensor few_outputs_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g) {
    return mirrored(conv_weight_gradient(turned(s), g, x, nullptr));
}

}  // namespace fb::cpu
