// Gradients of convolutions with more weights than positions (the last layers of a network on small pictures): products
// with the weights as they lie, because packing them and unpacking their gradient costs more than the multiplications.
#include "base/parallel.h"
#include "cpu/conv_ways.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/images.h"

namespace fb::cpu {
namespace {

// Where the numbers of a picture lie, plain or in blocks of channels.
struct Places {
    float* data;
    int64_t sample, block, position, width;

    Places(const Tensor& t, int64_t positions) {
        const Image* i = hidden_image(t);
        width = !i ? 1 : i->order == Order::ChannelsLast ? i->channels() : block_of(i->order);
        data = i ? static_cast<float*>(i->data) : t.data<float>();
        position = width;
        block = positions * width;
        sample = (i ? i->padded_channels() : t.size(1)) * positions;
    }
    float& at(int64_t n, int64_t channel, int64_t p) const {
        return data[n * sample + channel / width * block + p * position + channel % width];
    }
};

struct Rows {
    const ConvShape& s;
    int64_t channels = s.in[1], outputs = s.out[1], taps = s.weight[2] * s.weight[3], width = channels * taps,
            in = s.in[2] * s.in[3], positions = s.out[2] * s.out[3], count = s.out[0] * positions;

    // f(row, sample, where each tap lies in the picture or -1) for every position of the result
    template <class F>
    void each(F&& f) const {
        parallel_for(count, std::max<int64_t>(1, 16384 / width), [&](int64_t begin, int64_t end) {
            std::vector<int64_t> from(size_t(taps), -1);
            for (int64_t m = begin; m < end; ++m) {
                const int64_t y0 = m % positions / s.out[3] * s.stride[0] - s.padding[0],
                              x0 = m % s.out[3] * s.stride[1] - s.padding[1];
                for (int64_t t = 0; t < taps; ++t) {
                    const int64_t y = y0 + t / s.weight[3] * s.dilation[0], x = x0 + t % s.weight[3] * s.dilation[1];
                    from[size_t(t)] = y >= 0 && y < s.in[2] && x >= 0 && x < s.in[3] ? y * s.in[3] + x : -1;
                }
                f(m, m / positions, from.data());
            }
        });
    }
    // Row m: what the weights of a filter, in their order, meet at position m.
    void gather(const Tensor& x, float* rows) const {
        const Places p(x, in);
        each([&](int64_t m, int64_t n, const int64_t* from) {
            float* row = rows + m * width;
            for (int64_t t = 0; t < taps; ++t)
                for (int64_t c = 0; c < channels; ++c) row[c * taps + t] = from[t] < 0 ? 0.f : p.at(n, c, from[t]);
        });
    }
    void scatter(const float* rows, const Tensor& dx) const {
        const Places p(dx, in);
        // Positions share pixels, so a thread takes channels.
        parallel_for(channels, std::max<int64_t>(1, 16384 / (count * taps)), [&](int64_t begin, int64_t end) {
            for (int64_t n = 0; n < s.in[0]; ++n)
                for (int64_t i = 0; i < in; ++i)
                    for (int64_t c = begin; c < end; ++c) p.at(n, c, i) = 0;
            const Rows alone{s};
            alone.each([&](int64_t m, int64_t n, const int64_t* from) {
                const float* row = rows + m * width;
                for (int64_t t = 0; t < taps; ++t) {
                    if (from[t] < 0) continue;
                    for (int64_t c = begin; c < end; ++c) p.at(n, c, from[t]) += row[c * taps + t];
                }
            });
        });
    }
    void gather_results(const Tensor& g, float* rows) const {
        const Places p(g, positions);
        for (int64_t m = 0; m < count; ++m)
            for (int64_t o = 0; o < outputs; ++o) rows[m * outputs + o] = p.at(m / positions, o, m % positions);
    }
};

// Laid out as the operand is.
Tensor result_like(const Tensor& operand, IntSpan sizes) {
    const Image* i = hidden_image(operand);
    if (!i) return empty(sizes, DType::f32);
    const Tensor r = make_hidden(sizes, DType::f32, i->order);
    clear_filling(*hidden_image(r));
    return r;
}
Tensor readable(const Tensor& t) { return hidden_image(t) ? pinned(t) : dense(t); }

}  // namespace

bool rows_fit(const ConvShape& s, DType t, bool channels_last) {
    constexpr int64_t kMostPositions = 64, kFewestWeights = 1 << 18;
    return t == DType::f32 && !channels_last && s.spatial_dims() == 2 && s.groups == 1 && product(s.out) > 0 &&
           s.out[0] * s.out[2] * s.out[3] <= kMostPositions && product(s.weight) >= kFewestWeights;
}

Tensor rows_forward(const ConvShape& s, const Tensor& x0, const Tensor& w, const Tensor& bias) {
    const Rows r{s};
    const Tensor x = readable(x0), y = make_hidden(s.out, DType::f32, preferred_order());
    clear_filling(*hidden_image(y));
    const dnn::Scratch rows(size_t(r.count * r.width) * sizeof(float)),
        out(size_t(r.count * r.outputs) * sizeof(float));
    r.gather(x, rows.as<float>());
    gemm(DType::f32, r.count, r.outputs, r.width, 1, {rows.as(), r.width, 1}, {w.data(), 1, r.width}, 0, out.as(),
         r.outputs, bias.defined() ? bias.data() : nullptr);
    const Places p(y, r.positions);
    for (int64_t m = 0; m < r.count; ++m)
        for (int64_t o = 0; o < r.outputs; ++o)
            p.at(m / r.positions, o, m % r.positions) = out.as<float>()[m * r.outputs + o];
    return y;
}

Tensor rows_data_gradient(const ConvShape& s, const Tensor& g0, const Tensor& w) {
    const Rows r{s};
    const Tensor g = readable(g0), dx = result_like(g, s.in);
    const dnn::Scratch rows(size_t(r.count * r.width) * sizeof(float)),
        out(size_t(r.count * r.outputs) * sizeof(float));
    r.gather_results(g, out.as<float>());
    gemm(DType::f32, r.count, r.width, r.outputs, 1, {out.as(), r.outputs, 1}, {w.data(), r.width, 1}, 0, rows.as(),
         r.width);
    r.scatter(rows.as<float>(), dx);
    return dx;
}

Tensor rows_weight_gradient(const ConvShape& s, const Tensor& x0, const Tensor& g0, Tensor* bias) {
    const Rows r{s};
    const Tensor x = readable(x0), g = readable(g0), dw = empty(s.weight, DType::f32);
    const dnn::Scratch rows(size_t(r.count * r.width) * sizeof(float)),
        out(size_t(r.count * r.outputs) * sizeof(float));
    r.gather(x, rows.as<float>());
    r.gather_results(g, out.as<float>());
    gemm(DType::f32, r.outputs, r.width, r.count, 1, {out.as(), 1, r.outputs}, {rows.as(), r.width, 1}, 0, dw.data(),
         r.width);
    if (bias) {
        *bias = empty(Dims{r.outputs}, DType::f32);
        for (int64_t o = 0; o < r.outputs; ++o) {
            float sum = 0;
            for (int64_t m = 0; m < r.count; ++m) sum += out.as<float>()[m * r.outputs + o];
            bias->data<float>()[o] = sum;
        }
    }
    return dw;
}

}  // namespace fb::cpu
