#include "cpu/depthwise.h"
#include <algorithm>
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/images.h"
#include "cpu/packed.h"

namespace fb::cpu {
namespace baseline {
extern const DepthwiseLoops depthwise_table;
}
namespace avx2 {
extern const DepthwiseLoops depthwise_table;
}
namespace avx512 {
extern const DepthwiseLoops depthwise_table;
}

const DepthwiseLoops& depthwise_loops() {
    return for_this_cpu<baseline::depthwise_table, avx2::depthwise_table, avx512::depthwise_table>();
}

namespace {

DepthwiseShape shape_of(const ConvShape& s) {
    DepthwiseShape d{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {1, 1}};
    const size_t n = size_t(s.spatial_dims()), skip = 2 - n;
    for (size_t i = 0; i < n; ++i) {
        d.in[skip + i] = s.in[i + 2];
        d.out[skip + i] = s.out[i + 2];
        d.kernel[skip + i] = s.weight[i + 2];
        d.stride[skip + i] = s.stride[i];
        d.pad[skip + i] = s.padding[i];
        d.dilation[skip + i] = s.dilation[i];
    }
    return d;
}
int64_t taps_of(const ConvShape& s) { return product(IntSpan(s.weight).subspan(2)); }

// (channel, tap) to (block, tap, channel of the block), channels filled up with zeros, and back.
std::vector<float> by_taps(const float* w, int64_t channels, int64_t taps, int64_t width, int64_t blocks) {
    std::vector<float> r(size_t(blocks * taps * width), 0.f);
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t k = 0; k < taps; ++k) r[size_t((c / width * taps + k) * width + c % width)] = w[c * taps + k];
    return r;
}
void by_channels(const std::vector<float>& packed, float* w, int64_t channels, int64_t taps, int64_t width) {
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t k = 0; k < taps; ++k) w[c * taps + k] = packed[size_t((c / width * taps + k) * width + c % width)];
}
// As the loops want it: an order whose rows are whole vectors.
Tensor in_rows(const Tensor& t) {
    const Image* i = hidden_image(t);
    return i && i->order != Order::ChannelsLast && block_of(i->order) % depthwise_loops().lanes == 0
               ? pinned(t)
               : image_in(t, preferred_order());
}

}  // namespace

bool is_depthwise(const ConvShape& s, DType t, bool channels_last) {
    return t == DType::f32 && !channels_last && s.groups == s.weight[0] && s.weight[1] == 1 && s.in[1] == s.groups &&
           s.groups >= 8 && s.spatial_dims() <= 2;
}

Tensor depthwise_scaled(const ConvShape& s, const Tensor& x0, const Tensor& weight, const Scaling& scaling) {
    const int64_t lanes = depthwise_loops().lanes;
    if (block_of(preferred_order()) != lanes) return {};
    const DepthwiseShape d = shape_of(s);
    const Tensor x = image_in(x0, preferred_order()), y = make_hidden(s.out, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(y));
    const int64_t blocks = from.count / s.in[0], taps = taps_of(s), in = d.in[0] * d.in[1] * lanes,
                  out = d.out[0] * d.out[1] * lanes;
    constexpr int kForm = 4;
    const Packed packed =
        packed_weight(weight, dnn::Desc(), kForm, size_t(blocks * taps * lanes) * sizeof(float), [&](void* p) {
            std::ranges::copy(by_taps(weight.data<float>(), s.groups, taps, lanes, blocks), static_cast<float*>(p));
        });
    const float* w = packed->as<const float>();
    parallel_for(from.count, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t b = i % blocks;
            depthwise_loops().forward(
                d, from.as<float>() + i * in, w + b * taps * lanes, to.as<float>() + i * out,
                {scaling.scale + b * lanes, scaling.shift + b * lanes, scaling.low, scaling.high});
        }
    });
    return y;
}

bool are_small_groups(const ConvShape& s, DType t, bool channels_last) {
    const int64_t size = s.weight[1], lanes = depthwise_loops().lanes;
    return t == DType::f32 && !channels_last && (size == 2 || size == 4) && s.weight[0] == size * s.groups &&
           lanes % size == 0 && s.spatial_dims() <= 2 && s.out[1] >= lanes && block_of(preferred_order()) == lanes;
}

Tensor small_groups_scaled(const ConvShape& s, const Tensor& x0, const Tensor& weight, const Scaling& scaling) {
    const DepthwiseShape d = shape_of(s);
    const Tensor x = image_in(x0, preferred_order()), y = make_hidden(s.out, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(y));
    const int64_t lanes = depthwise_loops().lanes, blocks = from.count / s.in[0], size = s.weight[1], taps = taps_of(s),
                  block = taps * size * lanes, in = d.in[0] * d.in[1] * lanes, out = d.out[0] * d.out[1] * lanes;
    constexpr int kForm = 7;
    const Packed packed =
        packed_weight(weight, dnn::Desc(), kForm, size_t(blocks * block) * sizeof(float), [&](void* p) {
            float* to_w = static_cast<float*>(p);
            std::fill_n(to_w, blocks * block, 0.f);
            for (int64_t o = 0; o < s.weight[0]; ++o)
                for (int64_t j = 0; j < size; ++j)
                    for (int64_t k = 0; k < taps; ++k)
                        to_w[o / lanes * block + (k * size + j) * lanes + o % lanes] =
                            weight.data<float>()[(o * size + j) * taps + k];
        });
    const float* w = packed->as<const float>();
    parallel_for(from.count, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t b = i % blocks;
            depthwise_loops().groups(d, size, from.as<float>() + i * in, w + b * block, to.as<float>() + i * out,
                                     {scaling.scale + b * lanes, scaling.shift + b * lanes, scaling.low, scaling.high});
        }
    });
    return y;
}

bool is_depthwise_volume(const ConvShape& s, DType t, bool channels_last) {
    return t == DType::f32 && !channels_last && s.groups == s.weight[0] && s.weight[1] == 1 && s.in[1] == s.groups &&
           s.groups >= 8 && s.spatial_dims() == 3 && block_of(preferred_order()) == depthwise_loops().lanes;
}

Tensor depthwise_volumes(const ConvShape& s, const Tensor& x0, const Tensor& weight, const Scaling& scaling) {
    const int64_t lanes = depthwise_loops().lanes;
    DepthwiseShape d{};
    for (size_t i = 0; i < 2; ++i) {
        d.in[i] = s.in[i + 3];
        d.out[i] = s.out[i + 3];
        d.kernel[i] = s.weight[i + 3];
        d.stride[i] = s.stride[i + 1];
        d.pad[i] = s.padding[i + 1];
        d.dilation[i] = s.dilation[i + 1];
    }
    const Tensor x = image_in(x0, preferred_order()), y = make_hidden(s.out, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(y));
    const int64_t blocks = from.count / s.in[0], taps = taps_of(s), of_slice = d.kernel[0] * d.kernel[1],
                  in = d.in[0] * d.in[1] * lanes, out = d.out[0] * d.out[1] * lanes, deep = s.out[2];
    const std::vector<float> w = by_taps(weight.data<float>(), s.groups, taps, lanes, blocks), one(size_t(lanes), 1.f),
                             none(size_t(lanes), 0.f);
    parallel_for(from.count * deep, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out * s.weight[2])),
                 [&](int64_t begin, int64_t end) {
                     const dnn::Scratch room(size_t(out) * sizeof(float));
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t z = i % deep, picture = i / deep, b = picture % blocks;
                         float* const result = to.as<float>() + i * out;
                         const Scaling first{one.data(), scaling.shift + b * lanes, scaling.low, scaling.high},
                             next{one.data(), none.data(), scaling.low, scaling.high};
                         bool begun = false;
                         for (int64_t k = 0; k < s.weight[2]; ++k) {
                             const int64_t slice = z * s.stride[0] - s.padding[0] + k * s.dilation[0];
                             if (slice < 0 || slice >= s.in[2]) continue;
                             depthwise_loops().forward(d, from.as<float>() + (picture * s.in[2] + slice) * in,
                                                       w.data() + (b * taps + k * of_slice) * lanes,
                                                       begun ? room.as<float>() : result, begun ? next : first);
                             if (begun)
                                 for (int64_t j = 0; j < out; ++j) result[j] += room.as<float>()[j];
                             begun = true;
                         }
                         for (int64_t j = 0; !begun && j < out; ++j) result[j] = first.shift[j % lanes];
                     }
                 });
    return y;
}

Tensor depthwise_data_gradient(const ConvShape& s, const Tensor& g0, const Tensor& weight) {
    const DepthwiseShape d = shape_of(s);
    const Tensor g = in_rows(g0);
    const Image& image = *hidden_image(g);
    const Tensor dx = make_hidden(s.in, DType::f32, image.order);
    const Pictures from(image), to(*hidden_image(dx));
    const int64_t width = from.width, blocks = from.count / image.sizes[0], taps = taps_of(s),
                  in = d.in[0] * d.in[1] * width, out = d.out[0] * d.out[1] * width;
    const std::vector<float> w = by_taps(dense(weight).data<float>(), s.groups, taps, width, blocks);
    parallel_for(from.count, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, in)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            depthwise_loops().data_gradient(d, from.as<float>() + i * out, w.data() + i % blocks * taps * width,
                                            to.as<float>() + i * in, width);
    });
    return dx;
}

Tensor depthwise_weight_gradient(const ConvShape& s, const Tensor& x0, const Tensor& g0, Tensor* bias) {
    const DepthwiseShape d = shape_of(s);
    const Tensor x = in_rows(x0), g = image_in(g0, hidden_image(x)->order);
    const Pictures px(*hidden_image(x)), pg(*hidden_image(g));
    const int64_t samples = s.in[0], width = px.width, blocks = px.count / samples, taps = taps_of(s),
                  in = d.in[0] * d.in[1] * width, out = d.out[0] * d.out[1] * width;
    std::vector<float> dw(size_t(blocks * taps * width), 0.f), db(size_t(bias ? blocks * width : 0), 0.f);
    const Tensor r = empty(s.weight, DType::f32);
    parallel_for(blocks, std::max<int64_t>(1, 4096 / std::max<int64_t>(1, samples * out / width)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t b = begin; b < end; ++b)
                         for (int64_t n = 0; n < samples; ++n) {
                             const int64_t i = n * blocks + b;
                             depthwise_loops().weight_gradient(d, px.as<float>() + i * in, pg.as<float>() + i * out,
                                                               dw.data() + b * taps * width,
                                                               bias ? db.data() + b * width : nullptr, width);
                         }
                 });
    by_channels(dw, r.data<float>(), s.groups, taps, width);
    if (bias) {
        *bias = empty(Dims{s.groups}, DType::f32);
        std::copy_n(db.begin(), s.groups, bias->data<float>());
    }
    return r;
}

}  // namespace fb::cpu
