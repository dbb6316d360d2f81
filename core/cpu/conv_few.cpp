// The gradients of convolutions of few channels (the first layers of networks), which a library fills up to whole
// vectors. Data: matrix products over columns, a part of a sample at a time so that they stay in the nearer caches.
// Weights: sums over a picture of what its plain numbers and a block of outputs have in common, without columns.
#include "base/parallel.h"
#include "cpu/conv_one.h"
#include "cpu/conv_ways.h"
#include "cpu/gemm_block.h"
#include "cpu/images.h"
#include "cpu/packed.h"

namespace fb::cpu {
namespace {

constexpr int64_t kMostChannels = 4, kMostTaps = 512;
constexpr int64_t kRoom = 64 << 10;  // floats of columns at once

// One dimension is the last of two.
struct Columns {
    int64_t channels, outputs, samples, in_y, in_x, out_y, out_x, k_y, k_x, stride_y, stride_x, pad_y, pad_x, dil_y,
        dil_x, rows, lines;

    explicit Columns(const ConvShape& s) {
        const size_t last = s.in.size() - 1, d = last - 2;
        const bool flat = last == 2;
        channels = s.in[1];
        outputs = s.out[1];
        samples = s.in[0];
        in_y = flat ? 1 : s.in[2];
        in_x = s.in[last];
        out_y = flat ? 1 : s.out[2];
        out_x = s.out[last];
        k_y = flat ? 1 : s.weight[2];
        k_x = s.weight[last];
        stride_y = flat ? 1 : s.stride[0];
        stride_x = s.stride[d];
        pad_y = flat ? 0 : s.padding[0];
        pad_x = s.padding[d];
        dil_y = flat ? 1 : s.dilation[0];
        dil_x = s.dilation[d];
        rows = channels * k_y * k_x;
        lines = std::clamp<int64_t>(kRoom / (rows * out_x), 1, out_y);  // of the result at once
    }
    int64_t positions() const { return out_y * out_x; }
    int64_t reach_y() const { return (out_y - 1) * stride_y + (k_y - 1) * dil_y + 1; }  // of a padded picture
    int64_t reach_x() const { return (out_x - 1) * stride_x + (k_x - 1) * dil_x + 1; }
    int64_t room() const { return rows * lines * out_x; }

    // Adds what columns say of lines [y0, y1) of the result to the pixels they meet.
    void scatter(const float* columns, int64_t y0, int64_t y1, float* picture) const {
        const int64_t width = (y1 - y0) * out_x;
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t kx = r % k_x * dil_x - pad_x, ky = r / k_x % k_y * dil_y - pad_y, c = r / (k_x * k_y);
            const int64_t first = std::clamp<int64_t>((stride_x - 1 - kx) / stride_x, 0, out_x),
                          end = in_x > kx ? std::clamp<int64_t>((in_x - 1 - kx) / stride_x + 1, first, out_x) : first;
            for (int64_t y = y0; y < y1; ++y) {
                const int64_t line = y * stride_y + ky;
                if (line < 0 || line >= in_y || first == end) continue;
                const float* from = columns + r * width + (y - y0) * out_x + first;
                float* to = picture + (c * in_y + line) * in_x + first * stride_x + kx;
                if (stride_x == 1)
                    for (int64_t i = 0; i < end - first; ++i) to[i] += from[i];
                else
                    for (int64_t i = 0; i < end - first; ++i) to[i * stride_x] += from[i];
            }
        }
    }
};

// A gradient as it lies: blocks of outputs, each a matrix.
struct Blocks {
    Tensor keep;
    const float* data;
    int64_t outputs, width, positions, by_output, by_position, sample;

    Blocks(const Tensor& g, int64_t positions) : outputs(g.size(1)), positions(positions) {
        if (const Ptr<Image> i = hold_image(g)) {
            keep = pinned(g);
            data = static_cast<const float*>(i->data);
            width = i->order == Order::ChannelsLast ? outputs : block_of(i->order);
            by_output = 1;
            by_position = width;
            sample = i->padded_channels() * positions;
        } else {
            keep = dense(g);
            data = keep.data<float>();
            width = outputs;
            by_output = positions;
            by_position = 1;
            sample = outputs * positions;
        }
    }
    int64_t count() const { return (outputs + width - 1) / width; }
    int64_t outputs_of(int64_t block) const { return std::min(width, outputs - block * width); }
    const float* at(int64_t n, int64_t block, int64_t position) const {
        return data + n * sample + block * width * positions + position * by_position;
    }
};

// What the taps of all outputs meet, in planes of reach_y by reach_x.
Tensor padded(const Columns& c, const Tensor& x) {
    if (!c.pad_y && !c.pad_x && c.in_y == c.reach_y() && c.in_x == c.reach_x()) return x;
    const Tensor r = empty(Dims{c.samples * c.channels, c.reach_y(), c.reach_x()}, DType::f32);
    std::fill_n(r.data<float>(), r.numel(), 0.f);
    const int64_t lines = std::min(c.in_y, c.reach_y() - c.pad_y), width = std::min(c.in_x, c.reach_x() - c.pad_x);
    parallel_for(c.samples * c.channels, std::max<int64_t>(1, 16384 / (c.in_y * c.in_x)), [&](int64_t i, int64_t end) {
        for (; i < end; ++i)
            for (int64_t y = 0; y < lines; ++y)
                std::copy_n(x.data<float>() + (i * c.in_y + y) * c.in_x, width,
                            r.data<float>() + (i * c.reach_y() + y + c.pad_y) * c.reach_x() + c.pad_x);
    });
    return r;
}

void multiply(const GemmBlock& product) {
    const dnn::Scratch room(size_t(gemm_kernel().room(product)) * sizeof(float));
    gemm_kernel().run(product, {}, room.as<float>());
}

}  // namespace

bool few_fit(const ConvShape& s, DType t, bool channels_last) {
    return t == DType::f32 && !channels_last && s.groups == 1 && s.spatial_dims() <= 2 && s.in[1] <= kMostChannels &&
           product(s.weight) / s.weight[0] <= kMostTaps && product(s.out) > 0;
}

Tensor few_data_gradient(const ConvShape& s, const Tensor& g0, const Tensor& w) {
    const Columns c(s);
    const Blocks g(g0, c.positions());
    const Tensor dx = empty(s.in, DType::f32);
    float* out = dx.data<float>();
    const float* weights = w.data<float>();
    const int64_t size = c.channels * c.in_y * c.in_x;
    parallel_for(c.samples, 1, [&](int64_t begin, int64_t end) {
        const dnn::Scratch room(size_t(c.room()) * sizeof(float));
        for (int64_t n = begin; n < end; ++n) {
            std::fill_n(out + n * size, size, 0.f);
            for (int64_t y0 = 0; y0 < c.out_y; y0 += c.lines) {
                const int64_t y1 = std::min(c.out_y, y0 + c.lines), width = (y1 - y0) * c.out_x;
                for (int64_t b = 0; b < g.count(); ++b)
                    multiply({c.rows, width, g.outputs_of(b), 1, b ? 1.f : 0.f, weights + b * g.width * c.rows, 1,
                              c.rows, g.at(n, b, y0 * c.out_x), g.by_output, g.by_position, room.as<float>(), width,
                              1});
                c.scatter(room.as<float>(), y0, y1, out + n * size);
            }
        }
    });
    return dx;
}

bool few_taps_fit(const ConvShape& s, DType t, bool channels_last) {
    // The library reads three plain channels as they lie, and with vectors of 16 any number of them.
    return few_fit(s, t, channels_last) && (s.in[1] != 3 || s.stride.back() == 1) &&
           preferred_order() == Order::Blocked8 && one_loops().lanes == block_of(Order::Blocked8);
}

Tensor few_taps_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g0, Tensor* bias) {
    constexpr int64_t kParts = 16, kLanes = block_of(Order::Blocked8), kAtOnce = TapSums::kTaps;
    constexpr int64_t kNear = 4096;  // floats of outputs that stay near while every tap meets them
    const Columns c(s);
    const Tensor from = padded(c, dense(x)), g = image_in(g0, Order::Blocked8);
    const Pictures pictures(*hidden_image(g));
    const int64_t blocks = pictures.count / c.samples, groups = (c.rows + kAtOnce - 1) / kAtOnce,
                  parts = std::min(kParts, c.samples), room = (groups * kAtOnce + 1) * kLanes,
                  plane = c.reach_y() * c.reach_x(), size = c.positions() * kLanes,
                  lines = std::clamp<int64_t>(kNear / (c.out_x * kLanes), 1, c.out_y);
    std::vector<int64_t> offsets;
    for (int64_t r = 0; r < groups * kAtOnce; ++r) {
        const int64_t tap = std::min(r, c.rows - 1);  // the last one again where they do not fill the last group
        offsets.push_back(tap / (c.k_y * c.k_x) * plane + tap / c.k_x % c.k_y * c.dil_y * c.reach_x() +
                          tap % c.k_x * c.dil_x);
    }
    // The samples of a part are summed up in turn, then the parts, whatever the number of threads.
    std::vector<float> sums(size_t(blocks * parts * room), 0.f);
    parallel_for(blocks * parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t b = i % blocks, part = i / blocks;
            float* to = sums.data() + i * room;
            TapSums t{nullptr, {}, c.stride_y * c.reach_x(), c.stride_x, nullptr, c.out_y, c.out_x, nullptr};
            for (int64_t n = part * c.samples / parts; n < (part + 1) * c.samples / parts; ++n) {
                const float *picture = from.data<float>() + n * c.channels * plane,
                            *outputs = pictures.as<float>() + (n * blocks + b) * size;
                for (int64_t y = 0; y < c.out_y; y += lines) {
                    t.lines = std::min(lines, c.out_y - y);
                    t.x = picture + y * t.x_line;
                    t.g = outputs + y * c.out_x * kLanes;
                    for (int64_t k = 0; k < groups; ++k) {
                        std::copy_n(offsets.begin() + k * kAtOnce, kAtOnce, t.offsets);
                        t.sums = to + k * kAtOnce * kLanes;
                        one_loops().tap_sums(t);
                    }
                }
                if (!bias) continue;
                float total[kLanes] = {}, *last = to + groups * kAtOnce * kLanes;
                for (int64_t p = 0; p < size; p += kLanes)
                    for (int64_t l = 0; l < kLanes; ++l) total[l] += outputs[p + l];
                for (int64_t l = 0; l < kLanes; ++l) last[l] += total[l];
            }
        }
    });
    const auto sum = [&](int64_t output, int64_t row) {
        float total = 0;
        for (int64_t part = 0; part < parts; ++part)
            total += sums[size_t((part * blocks + output / kLanes) * room + row * kLanes + output % kLanes)];
        return total;
    };
    const Tensor dw = empty(s.weight, DType::f32);
    for (int64_t i = 0; i < dw.numel(); ++i) dw.data<float>()[i] = sum(i / c.rows, i % c.rows);
    if (bias) {
        *bias = empty(Dims{c.outputs}, DType::f32);
        for (int64_t o = 0; o < c.outputs; ++o) bias->data<float>()[o] = sum(o, groups * kAtOnce);
    }
    return dw;
}

}  // namespace fb::cpu
