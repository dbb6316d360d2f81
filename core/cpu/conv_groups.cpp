// Convolutions of many groups of few channels (ResNeXt, channel multipliers): several groups together fill a vector.
#include <atomic>
#include "base/parallel.h"
#include "cpu/conv_recast.h"
#include "cpu/depthwise.h"
#include "tensor/hidden.h"

namespace fb::cpu {
namespace {

constexpr int64_t kVector = 16, kServed = 8;  // channels of a group; a library serves multiples of that
constexpr int64_t kMostTimes = 16, kMostChannels = 64;

// How many groups are joined, 1 where that does not help.
int64_t times(const ConvShape& s) {
    const int64_t in = s.weight[1], out = s.weight[0] / s.groups;
    if (s.groups == 1 || (in % kServed == 0 && out % kServed == 0)) return 1;
    const int64_t most = std::min({kMostTimes, s.groups, kMostChannels / std::max(in, out)});
    for (int64_t m = 2; m <= most; ++m)
        if (s.groups % m == 0 && m * in % kVector == 0 && m * out % kVector == 0) return m;
    return most == s.groups ? most : 1;
}
ConvShape joined(const ConvShape& s) {
    const int64_t m = times(s);
    ConvShape r = s;
    r.groups /= m;
    r.weight[1] *= m;
    return r;
}

// Each group's weights have their place among the inputs of the joined group.
template <class F>
void each_kernel(const ConvShape& s, F&& f) {
    const int64_t m = times(s), in = s.weight[1], out = s.weight[0] / s.groups,
                  row = in * product(IntSpan(s.weight).subspan(2));
    for (int64_t o = 0; o < s.weight[0]; ++o) f(o * row, (o * m + o / out % m) * row, row);
}
Tensor spread(const ConvShape& s, const Tensor& w) {
    const Tensor r = empty(joined(s).weight, DType::f32);
    std::fill_n(r.data<float>(), r.numel(), 0.f);
    each_kernel(
        s, [&](int64_t from, int64_t to, int64_t n) { std::copy_n(w.data<float>() + from, n, r.data<float>() + to); });
    return r;
}

// `r` unless something in it is no number.
Tensor if_numbers(Tensor r) {
    if (!r.defined()) return r;
    const Image* i = hidden_image(r);
    const float* p = i ? static_cast<const float*>(i->data) : r.data<float>();
    std::atomic<bool> fine{true};
    parallel_for(i ? i->count() : r.numel(), 65536, [&](int64_t begin, int64_t end) {
        int bad = 0;
        for (int64_t k = begin; k < end; ++k) bad |= p[k] != p[k];
        if (bad) fine.store(false, std::memory_order_relaxed);
    });
    return fine ? r : Tensor();
}

}  // namespace

bool joins_groups(const ConvShape& s, DType t, bool channels_last) {
    return t == DType::f32 && !channels_last && s.in[1] >= kServed && !is_depthwise(s, t, false) && times(s) > 1;
}
Tensor joined_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    return if_numbers(conv_forward(joined(s), x, spread(s, w), bias, false));
}
Tensor joined_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    return if_numbers(conv_scaled(joined(s), x, spread(s, w), scaling, Tensor()));
}
Tensor joined_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    return if_numbers(conv_data_gradient(joined(s), g, spread(s, w), false));
}
Tensor joined_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    const Tensor wide = conv_weight_gradient(joined(s), x, g, bias), r = empty(s.weight, DType::f32);
    each_kernel(s, [&](int64_t to, int64_t from, int64_t n) {
        std::copy_n(wide.data<float>() + from, n, r.data<float>() + to);
    });
    return r;
}

}  // namespace fb::cpu
