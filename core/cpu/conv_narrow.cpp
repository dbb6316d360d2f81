// Convolutions with narrow results (the last layers of a network that answers): products of gathered rows with packed
// weights. The library keeps three positions of a line at a time on CPUs with 16 registers; of seven one is left over.
#include "base/parallel.h"
#include "cpu/conv_one.h"
#include "cpu/conv_ways.h"
#include "cpu/dnnl.h"
#include "cpu/gemm_block.h"
#include "cpu/images.h"
#include "cpu/packed.h"

namespace fb::cpu {
namespace {

constexpr int64_t kLanes = 8;          // of a hidden block
constexpr int64_t kMostWidth = 8;      // of a line of results
constexpr int64_t kRowsAtOnce = 60;    // about as many share a panel of weights while it is near
constexpr int64_t kPortion = 8 << 20;  // bytes of rows that are gathered before they are multiplied

// The weights of `columns` outputs for each tap and input, one after the other.
Packed by_taps(const Tensor& w, int64_t columns) {
    constexpr int kForm = 10;
    const int64_t outputs = w.size(0), inputs = w.size(1), taps = w.size(2) * w.size(3), depth = inputs * taps,
                  panels = (outputs + columns - 1) / columns;
    return packed_weight(w, dnn::Desc(), kForm, size_t(panels * columns * depth) * sizeof(float), [&](void* p) {
        const float* from = w.data<float>();
        parallel_for(panels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                float* to = static_cast<float*>(p) + i * columns * depth;
                for (int64_t c = 0; c < inputs; ++c)
                    for (int64_t t = 0; t < taps; ++t)
                        for (int64_t q = 0; q < columns; ++q) {
                            const int64_t o = i * columns + q;
                            to[(t * inputs + c) * columns + q] = o < outputs ? from[o * depth + c * taps + t] : 0.f;
                        }
            }
        });
    });
}

// Row m: what the taps meet at position m of a picture, tap by tap.
void gather(const ConvShape& s, const float* picture, int64_t m, float* row) {
    const int64_t inputs = s.in[1], spatial = s.in[2] * s.in[3], y0 = m / s.out[3] * s.stride[0] - s.padding[0],
                  x0 = m % s.out[3] * s.stride[1] - s.padding[1];
    for (int64_t i = 0; i < s.weight[2]; ++i)
        for (int64_t j = 0; j < s.weight[3]; ++j, row += inputs) {
            const int64_t y = y0 + i * s.dilation[0], x = x0 + j * s.dilation[1];
            if (y < 0 || y >= s.in[2] || x < 0 || x >= s.in[3]) {
                std::fill_n(row, inputs, 0.f);
                continue;
            }
            const float* from = picture + (y * s.in[3] + x) * kLanes;
            for (int64_t c = 0; c < inputs; c += kLanes, from += spatial * kLanes) std::copy_n(from, kLanes, row + c);
        }
}

}  // namespace

bool narrow_fits(const ConvShape& s, const Tensor& w) {
    constexpr int64_t kFewestInputs = 64, kFewestOutputs = 64, kFewestWeights = 1 << 18;
    return block_of(preferred_order()) == kLanes && s.spatial_dims() == 2 && s.groups == 1 && product(s.out) > 0 &&
           s.out[3] <= kMostWidth && s.weight[2] * s.weight[3] > 1 && s.in[1] % kLanes == 0 && s.out[1] % kLanes == 0 &&
           s.in[1] >= kFewestInputs && s.out[1] >= kFewestOutputs && product(s.weight) >= kFewestWeights &&
           w->storage->can_keep_derived();
}

Tensor narrow_scaled(const ConvShape& s, const Tensor& x0, const Tensor& w, const Scaling& scaling) {
    const GemmKernel& kernel = gemm_kernel();
    const OneLoops& loops = one_loops();
    const Tensor x = image_in(x0, preferred_order()), y = make_hidden(s.out, DType::f32, preferred_order());
    const float* from = static_cast<const float*>(hidden_image(x)->data);
    float* to = static_cast<float*>(hidden_image(y)->data);
    const int64_t positions = s.out[2] * s.out[3], inputs = s.in[1], outputs = s.out[1], samples = s.out[0],
                  depth = inputs * s.weight[2] * s.weight[3], columns = kernel.columns,
                  panels = (outputs + columns - 1) / columns,
                  row = depth + 16,  // rows a power of two apart would push each other out of the nearest cache
        at_once = std::max<int64_t>(1, kRowsAtOnce / positions),  // samples
        portion = std::clamp<int64_t>(kPortion / (positions * row * int64_t(sizeof(float))), at_once, samples);
    const Packed packed = by_taps(w, columns);
    const dnn::Scratch room(size_t(portion * positions * row) * sizeof(float));
    float* rows = room.as<float>();
    for (int64_t first = 0; first < samples; first += portion) {
        const int64_t count = std::min(portion, samples - first), chunks = (count + at_once - 1) / at_once;
        parallel_for(count * positions, std::max<int64_t>(1, 16384 / depth), [&](int64_t begin, int64_t end) {
            for (int64_t m = begin; m < end; ++m)
                gather(s, from + (first + m / positions) * inputs * s.in[2] * s.in[3], m % positions, rows + m * row);
        });
        // A thread keeps a panel for all rows: the weights are read once.
        parallel_for(panels * chunks, 1, [&](int64_t begin, int64_t end) {
            const dnn::Scratch room_c(size_t(at_once * positions * columns) * sizeof(float));
            float* c = room_c.as<float>();
            alignas(64) float none[64];  // nothing is packed
            for (int64_t item = begin; item < end; ++item) {
                const int64_t panel = item / chunks, n0 = item % chunks * at_once, some = std::min(at_once, count - n0);
                GemmBlock g{some * positions,
                            columns,
                            depth,
                            1,
                            0,
                            rows + n0 * positions * row,
                            row,
                            1,
                            packed->as<const float>() + panel * columns * depth,
                            columns,
                            1,
                            c,
                            columns};
                g.b_panel = columns * depth;
                kernel.run(g, {}, none);
                for (int64_t b = panel * columns; b < std::min(outputs, (panel + 1) * columns); b += kLanes)
                    for (int64_t n = 0; n < some; ++n) {
                        const int64_t at = ((first + n0 + n) * outputs + b) * positions;
                        const float* sums = c + n * positions * columns + b - panel * columns;
                        for (int64_t m = 0; m < positions; ++m)
                            std::copy_n(sums + m * columns, kLanes, to + at + m * kLanes);
                        Scaling here = scaling;
                        here.scale += b, here.shift += b;
                        loops.scale(to + at, scaling.other ? scaling.other + at : nullptr, positions, here);
                    }
            }
        });
    }
    return y;
}

}  // namespace fb::cpu
