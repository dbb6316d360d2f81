// Products at every position, compiled once for each instruction set.
#include "cpu/conv_one.h"
#include "cpu/simd/limited.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kN = kLanes<float>;
#if FB_AVX512
constexpr int kPositions = 14;  // by two vectors of outputs: 28 of 32 registers
constexpr int kRow = 16;
#elif FB_AVX2
constexpr int kPositions = 6;
constexpr int kRow = 8;  // with 16 a tile and the weights of its outputs would not stay in the nearest cache
#else
constexpr int kPositions = 2;
constexpr int kRow = 4;
#endif

// `step` between positions, `input_step` between inputs of a block.
template <int R, int V, int step, int input_step>
void tile(const OneTile& t) {
    F sum[R][V] = {};
    const float* w = t.w;
    if (t.scaling.other)  // asked for now, it has come when the sums are done
        for (int v = 0; v < V; v++)
            for (int r = 0; r < R; r++) __builtin_prefetch(t.scaling.other + v * t.y_block + r * kN);
    for (int64_t c0 = 0; c0 < t.inputs; c0 += kN) {
        const float* x = t.x + c0 / kN * t.x_block;
        const int64_t n = t.inputs - c0 < kN ? t.inputs - c0 : kN;
        if (input_step == 1 && c0 + kN < t.inputs)
#pragma GCC unroll 14
            for (int r = 0; r < R; r++) __builtin_prefetch(x + t.x_block + r * step);
        for (int64_t c = 0; c < n; c++, w += V * kN) {
            F weight[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) weight[v] = load<F>(w + v * kN);
#pragma GCC unroll 14
            for (int r = 0; r < R; r++) {
                const F value = splat<F>(x[r * step + c * input_step]);
#pragma GCC unroll 2
                for (int v = 0; v < V; v++) sum[r][v] = fma(weight[v], value, sum[r][v]);
            }
        }
    }
    const F low = splat<F>(t.scaling.low), high = splat<F>(t.scaling.high);
#pragma GCC unroll 2
    for (int v = 0; v < V; v++) {
        const F scale = load<F>(t.scaling.scale + v * kN), shift = load<F>(t.scaling.shift + v * kN);
        const float* other = t.scaling.other ? t.scaling.other + v * t.y_block : nullptr;
#pragma GCC unroll 14
        for (int r = 0; r < R; r++) {
            F value = fma(sum[r][v], scale, shift);
            if (other) value = value + load<F>(other + r * kN);
            store(t.y + v * t.y_block + r * kN, limited(value, low, high));
        }
    }
}

template <int R>
void tile_of(const OneTile& t) {
    if (t.count < R) {
        if constexpr (R > 1) tile_of<R - 1>(t);
    } else if (t.from == OneInput::Far) {
        if (t.pair) tile<R, 2, 2 * kN, 1>(t);
        else tile<R, 1, 2 * kN, 1>(t);
    } else if (t.from == OneInput::Near) {
        if (t.pair) tile<R, 2, kN, 1>(t);
        else tile<R, 1, kN, 1>(t);
    } else {
        if (t.pair) tile<R, 2, 1, kRow>(t);
        else tile<R, 1, 1, kRow>(t);
    }
}

// Four positions at a time, so that a tap's place is looked up once for four products.
void tap_sums(const TapSums& t) {
    constexpr int kTaps = TapSums::kTaps;
    F sum[kTaps] = {};
    const int64_t step = t.x_step;
    for (int64_t y = 0; y < t.lines; y++) {
        const float *g = t.g + y * t.line * kN, *x = t.x + y * t.x_line;
        int64_t left = t.line;
        for (; left >= 4; left -= 4, g += 4 * kN, x += 4 * step) {
            const F g0 = load<F>(g), g1 = load<F>(g + kN), g2 = load<F>(g + 2 * kN), g3 = load<F>(g + 3 * kN);
#pragma GCC unroll 9
            for (int r = 0; r < kTaps; r++) {
                const float* q = x + t.offsets[r];
                sum[r] = fma(g0, splat<F>(q[0]), sum[r]);
                sum[r] = fma(g1, splat<F>(q[step]), sum[r]);
                sum[r] = fma(g2, splat<F>(q[2 * step]), sum[r]);
                sum[r] = fma(g3, splat<F>(q[3 * step]), sum[r]);
            }
        }
        for (; left > 0; left--, g += kN, x += step) {
            const F one = load<F>(g);
#pragma GCC unroll 9
            for (int r = 0; r < kTaps; r++) sum[r] = fma(one, splat<F>(x[t.offsets[r]]), sum[r]);
        }
    }
#pragma GCC unroll 9
    for (int r = 0; r < kTaps; r++) store(t.sums + r * kN, load<F>(t.sums + r * kN) + sum[r]);
}

void limit(float* p, const float* other, int64_t count, float low, float high) {
    const F l = splat<F>(low), h = splat<F>(high);
    int64_t i = 0;
    for (; i + kN <= count; i += kN) {
        const F value = load<F>(p + i);
        store(p + i, limited(other ? value + load<F>(other + i) : value, l, h));
    }
    for (; i < count; i++) {
        const float value = other ? p[i] + other[i] : p[i];
        p[i] = value < low ? low : value > high ? high : value;
    }
}

void scale(float* p, const float* other, int64_t rows, const Scaling& s) {
    const F by = load<F>(s.scale), shift = load<F>(s.shift), l = splat<F>(s.low), h = splat<F>(s.high);
    for (int64_t i = 0; i < rows * kN; i += kN) {
        F value = fma(load<F>(p + i), by, shift);
        if (other) value = value + load<F>(other + i);
        store(p + i, limited(value, l, h));
    }
}

}  // namespace

extern constexpr OneLoops one_table = {kN, kPositions, kRow, tap_sums, tile_of<kPositions>, limit, scale};

}  // namespace fb::cpu::FB_ARCH
