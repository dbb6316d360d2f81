// The data gradient of convolutions of few channels (the first layers of networks), which a library fills up to whole
// vectors: matrix products over columns, a part of a sample at a time so that they stay in the nearer caches.
#include "base/parallel.h"
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

}  // namespace fb::cpu
