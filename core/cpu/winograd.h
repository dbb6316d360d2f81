// Convolutions with fewer multiplications (Winograd's minimal filtering): small filters of one or two dimensions.
// Lavin, Gray: "Fast Algorithms for Convolutional Neural Networks", 2015. For three taps of stride 1 the points 0,
// ±3/4, ±3/2, infinity keep the error within twice that of the direct sum (see docs/design/performance.md), where the
// usual 0, ±1, ±2 make it ten times. Stride 2 takes its filters apart into those that meet every other number, two taps
// each: F(2, 2), whose transforms only add.
#pragma once
#include <cstdint>
#include "cpu/conv.h"

namespace fb::cpu {

// One dimension of an algorithm: results of a tile, products they take, how far apart the patches lie that it reads;
// how many different numbers a gradient's tile makes, and which of them each product takes.
struct WinogradSide {
    int64_t tile, points, step, gradients;
    const int8_t* gradient_of;
};

// Compiled for each instruction set. Transformed data lies as [point][tile][channel], weights as
// [pair of blocks][point][input][2 * lanes], products as [point][tile][2 * lanes].
struct WinogradLoops {
    int64_t lanes, tiles;  // floats in a vector; tiles a product takes at once
    WinogradSide y, x;
    // 2 * lanes filters for all inputs: filter o of input c lies at w + o * out_step + c * in_step.
    void (*weights)(const float* w, int64_t out_step, int64_t in_step, bool mirrored, int64_t inputs, float* u);
    // One patch of one block of channels, from (y, x), which may lie outside.
    void (*input)(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v,
                  int64_t point_step);
    void (*multiply)(const float* u, const float* v, float* m, int64_t inputs);
    // One tile of one block of channels at (y, x); what lies outside is dropped. False if a number is not finite before
    // it is scaled.
    bool (*output)(const float* m, int64_t point_step, const Scaling& scaling, float* picture, int64_t height,
                   int64_t width, int64_t y, int64_t x);
    // For the filters' gradient (null in algorithms of data gradients): one tile of one block of the result's gradient,
    // whose sum is added to `total` (or null); and from the sums over all tiles, [point][input], the taps of one output
    // for a vector of inputs. False if one is not finite.
    void (*gradient)(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v,
                     int64_t point_step, float* total);
    bool (*taps)(const float* sums, int64_t point_step, float* w);
    int64_t points() const { return y.points * x.points; }
    int64_t gradients() const { return y.gradients * x.gradients; }
    int64_t gradient_of(int64_t point) const {
        return y.gradient_of[point / x.points] * x.gradients + x.gradient_of[point % x.points];
    }
};
// 3x3 and lines of 3, the same for sums over many inputs, then stride 2: 3x3 and 4x4, each with the gradient of its
// data.
struct WinogradTable {
    WinogradLoops three, line, three_long, line_long, half_three, double_three, half_four, double_four;
};

enum class ConvPass : uint8_t { Forward, Data, Weights };

// `kept`: the transformed weights stay for the next call, so that few positions are enough.
bool winograd_fits(const ConvShape& s, ConvPass pass, DType t, bool channels_last, bool kept = false);
// Undefined where a result is not finite: an infinite input would make a whole tile NaN, so it has to be computed
// directly.
Tensor winograd_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor winograd_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);
Tensor winograd_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor winograd_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias);

}  // namespace fb::cpu
