// Which way a convolution is computed.
#include <limits>
#include "base/parallel.h"
#include "cpu/conv_one.h"
#include "cpu/conv_recast.h"
#include "cpu/depthwise.h"
#include "cpu/images.h"
#include "cpu/norm.h"

namespace fb::cpu {
namespace {

Tensor as_channels_last(const Tensor& t) {
    const Tensor r = empty_strided(t.sizes(), channels_last_strides(t.sizes()), t.dtype());
    copy_data(r, t);
    return r;
}
Tensor wide(const Tensor& t) { return t.defined() ? convert(t, DType::f32) : t; }

// With stride 1 the data gradient is a convolution with the mirrored filters, where the padding allows it.
bool mirrors(const ConvShape& s) {
    for (int64_t d = 0; d < s.spatial_dims(); ++d) {
        const size_t i = size_t(d);
        if (s.stride[i] != 1 || s.dilation[i] * (s.weight[i + 2] - 1) < s.padding[i]) return false;
    }
    return true;
}
Tensor mirrored_depthwise(const ConvShape& s, const Tensor& g, const Tensor& weight) {
    ConvShape m{s.out, s.weight, s.in, s.stride, s.padding, s.dilation, s.groups};
    for (size_t i = 0; i < m.padding.size(); ++i) m.padding[i] = s.dilation[i] * (s.weight[i + 2] - 1) - s.padding[i];
    const Tensor w = dense(weight), flipped = empty(s.weight, DType::f32);
    const int64_t taps = product(IntSpan(s.weight).subspan(2));
    for (int64_t c = 0; c < s.groups; ++c)
        std::reverse_copy(w.data<float>() + c * taps, w.data<float>() + (c + 1) * taps,
                          flipped.data<float>() + c * taps);
    return conv_forward(m, g, flipped, Tensor(), false);
}

// Long lines of taps, which the library multiplies as a matrix of one row.
bool is_long_depthwise(const ConvShape& s, DType t, bool channels_last) {
    constexpr int64_t kServed = 7;
    return is_depthwise(s, t, channels_last) &&
           std::ranges::any_of(IntSpan(s.weight).subspan(2), [](int64_t k) { return k > kServed; });
}
// What own loops do with scales and limits, without them.
template <class F>
Tensor with_bias(const ConvShape& s, const Tensor& bias, F&& scaled) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const size_t filled = size_t((s.out[1] + 15) / 16 * 16);
    const std::vector<float> ones(filled, 1.f);
    std::vector<float> shift(filled, 0.f);
    if (bias.defined()) std::copy_n(bias.data<float>(), s.out[1], shift.begin());
    return scaled(Scaling{ones.data(), shift.data(), -infinity, infinity});
}

}  // namespace

Tensor conv_forward(const ConvShape& s, const Tensor& x, const Tensor& weight, const Tensor& bias, bool channels_last) {
    const Tensor w = dense(weight), b = bias.defined() ? dense(bias) : bias;
    if (winograd_fits(s, ConvPass::Forward, x.dtype(), channels_last || shows_channels_last(x)))
        if (Tensor r = winograd_forward(s, x, w, b); r.defined()) return r;
    if (!channels_last && one_reads(s, x)) return one_forward(s, x, w, b);
    const bool shows = channels_last || shows_channels_last(x);
    if (rows_fit(s, x.dtype(), shows)) return rows_forward(s, x, w, b);
    if (is_long_depthwise(s, x.dtype(), shows))
        if (Tensor r = with_bias(s, b, [&](const Scaling& c) { return depthwise_scaled(s, x, w, c); }); r.defined())
            return r;
    if (is_depthwise_volume(s, x.dtype(), shows))
        return with_bias(s, b, [&](const Scaling& c) { return depthwise_volumes(s, x, w, c); });
    if (are_small_groups(s, x.dtype(), shows))
        return with_bias(s, b, [&](const Scaling& c) { return small_groups_scaled(s, x, w, c); });
    if (has_few_outputs(s, x.dtype(), shows)) return few_outputs_forward(s, x, w, b);
    if (patches_fit(s, x, shows)) return patches_forward(s, x, w, b);
    if (phases_fit(s, ConvPass::Forward, x.dtype(), shows)) return phases_forward(s, x, w, b);
    if (slices_fit(s, ConvPass::Forward, x.dtype(), shows)) return slices_forward(s, x, w, b);
    if (joins_groups(s, x.dtype(), shows))
        if (Tensor r = joined_forward(s, x, w, b); r.defined()) return r;
    if (Tensor r = library_forward(s, x, w, b, channels_last); r.defined()) return r;
    if (is_low_precision(x.dtype()))
        return convert(conv_forward(s, wide(x), wide(w), wide(b), channels_last), x.dtype());
    const Tensor r = columns_forward(s, x, w, b);
    return channels_last ? as_channels_last(r) : r;
}

Tensor conv_scaled(const ConvShape& s, const Tensor& x, const Tensor& weight, Scaling scaling, const Tensor& other) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr int64_t kMuch = 1 << 20, kWide = 10;
    const Tensor w = dense(weight);
    const bool limits = scaling.low > -infinity || scaling.high < infinity;
    const Ptr<Image> summand = other.defined() ? hold_image(other) : Ptr<Image>();
    if (other.defined() && (!summand || summand->dtype != DType::f32 || !same(summand->sizes, s.out))) return {};
    if (summand && summand->order == preferred_order()) scaling.other = static_cast<const float*>(summand->data);
    const bool joins = !summand || scaling.other;  // who makes results in that order adds on the way
    // The library scales on its way but cannot limit (it would make zeros of what is no number): that is a pass of its
    // own, which costs more than its faster loops gain once the results leave the nearest caches.
    const int64_t results = product(s.out);
    if (!summand && (is_long_depthwise(s, x.dtype(), false) ||
                     (limits && 4 * results >= kMuch && s.out.back() >= kWide && is_depthwise(s, x.dtype(), false))))
        if (Tensor r = depthwise_scaled(s, x, w, scaling); r.defined()) return r;
    if (joins && one_fits(s) && (one_reads(s, x) || ((limits || summand) && results >= kMuch)))
        return one_scaled(s, x, w, scaling);
    if (joins && winograd_fits(s, ConvPass::Forward, x.dtype(), false, w->storage->can_keep_derived()))
        if (Tensor r = winograd_scaled(s, x, w, scaling); r.defined()) return r;
    if (joins && narrow_fits(s, w)) return narrow_scaled(s, x, w, scaling);
    const bool few = has_few_outputs(s, x.dtype(), false);
    if (!summand && phases_fit(s, ConvPass::Forward, x.dtype(), false)) return phases_scaled(s, x, w, scaling);
    if (!summand && are_small_groups(s, x.dtype(), false)) return small_groups_scaled(s, x, w, scaling);
    if (!summand && joins_groups(s, x.dtype(), false))
        if (Tensor r = joined_scaled(s, x, w, scaling); r.defined()) return r;
    Tensor r = few ? Tensor() : library_scaled(s, x, w, scaling);
    const bool scaled = r.defined();
    if (!scaled) r = conv_forward(s, x, w, Tensor(), false);
    else if (!limits && !summand) return r;
    const Image* image = hidden_image(r);
    if (summand && (!image || image->order != summand->order)) return {};
    const float* q = summand ? static_cast<const float*>(summand->data) : nullptr;
    if (scaled) {
        float* p = image ? static_cast<float*>(image->data) : r.data<float>();
        parallel_for(image ? image->count() : r.numel(), 32768, [&](int64_t begin, int64_t end) {
            one_loops().limit(p + begin, q ? q + begin : nullptr, end - begin, scaling.low, scaling.high);
        });
        return r;
    }
    if (image && (image->order == Order::ChannelsLast || block_of(image->order) != one_loops().lanes)) return {};
    const int64_t width = image ? one_loops().lanes : 1, blocks = (s.out[1] + width - 1) / width,
                  rows = product(IntSpan(s.out).subspan(2)), size = rows * width;
    float* p = image ? static_cast<float*>(image->data) : r.data<float>();
    parallel_for(s.out[0] * blocks, std::max<int64_t>(1, 32768 / size), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            Scaling here = scaling;
            here.scale += i % blocks * width;
            here.shift += i % blocks * width;
            if (image) {
                one_loops().scale(p + i * size, q ? q + i * size : nullptr, rows, here);
                continue;
            }
            norm_loops(DType::f32)->scale(p + i * size, p + i * size, rows, double(*here.scale), double(*here.shift));
            one_loops().limit(p + i * size, nullptr, rows, here.low, here.high);
        }
    });
    return r;
}

Tensor conv_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& weight, bool channels_last) {
    if (is_depthwise(s, g.dtype(), channels_last))
        return mirrors(s) ? mirrored_depthwise(s, g, weight) : depthwise_data_gradient(s, g, weight);
    const Tensor w = dense(weight);
    if (winograd_fits(s, ConvPass::Data, g.dtype(), channels_last || shows_channels_last(g)))
        if (Tensor r = winograd_data_gradient(s, g, w); r.defined()) return r;
    if (!channels_last && one_reads(s, g)) return one_data_gradient(s, g, w);
    if (rows_fit(s, g.dtype(), channels_last || shows_channels_last(g))) return rows_data_gradient(s, g, w);
    const bool shows = channels_last || shows_channels_last(g);
    if (has_few_outputs(s, g.dtype(), shows)) return few_outputs_data_gradient(s, g, w);
    if (phases_fit(s, ConvPass::Data, g.dtype(), shows)) return phases_data_gradient(s, g, w);
    if (slices_fit(s, ConvPass::Data, g.dtype(), shows)) return slices_data_gradient(s, g, w);
    if (joins_groups(s, g.dtype(), shows))
        if (Tensor r = joined_data_gradient(s, g, w); r.defined()) return r;
    // oneDNN fills a few channels up to a block.
    if (few_fit(s, g.dtype(), channels_last || shows_channels_last(g))) return few_data_gradient(s, g, w);
    if (Tensor r = library_data_gradient(s, g, w, channels_last); r.defined()) return r;
    if (is_low_precision(g.dtype())) return convert(conv_data_gradient(s, wide(g), wide(w), channels_last), g.dtype());
    const Tensor r = columns_data_gradient(s, g, w);
    return channels_last ? as_channels_last(r) : r;
}

bool conv_reads_plain(const ConvShape& s, const Tensor& x, const Tensor& g) {
    return one_reads(s, x) && one_reads(s, g);
}

Tensor conv_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    const Tensor both[] = {x, g};
    settle_views(both);
    if (is_depthwise(s, x.dtype(), shows_channels_last(x) || shows_channels_last(g)))
        return depthwise_weight_gradient(s, x, g, bias);
    if (winograd_fits(s, ConvPass::Weights, x.dtype(), shows_channels_last(x) || shows_channels_last(g)))
        if (Tensor r = winograd_weight_gradient(s, x, g, bias); r.defined()) return r;
    if (conv_reads_plain(s, x, g)) return one_weight_gradient(s, x, g);
    if (rows_fit(s, x.dtype(), shows_channels_last(x) || shows_channels_last(g)))
        return rows_weight_gradient(s, x, g, bias);
    const bool shows = shows_channels_last(x) || shows_channels_last(g);
    if (has_few_outputs(s, x.dtype(), shows)) return few_outputs_weight_gradient(s, x, g);
    if (phases_fit(s, ConvPass::Weights, x.dtype(), shows)) return phases_weight_gradient(s, x, g, bias);
    if (slices_fit(s, ConvPass::Weights, x.dtype(), shows)) return slices_weight_gradient(s, x, g, bias);
    if (joins_groups(s, x.dtype(), shows)) return joined_weight_gradient(s, x, g, bias);
    if (few_taps_fit(s, x.dtype(), shows)) return few_taps_weight_gradient(s, x, g, bias);
    if (Tensor r = library_weight_gradient(s, x, g, bias); r.defined()) return r;
    if (!is_low_precision(x.dtype())) return columns_weight_gradient(s, x, g, bias);
    const Tensor r = convert(conv_weight_gradient(s, wide(x), wide(g), bias), x.dtype());
    if (bias && bias->defined()) *bias = convert(*bias, x.dtype());  // not all ways sum it on the way
    return r;
}

}  // namespace fb::cpu
