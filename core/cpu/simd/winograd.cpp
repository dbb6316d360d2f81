// The transforms and the product of Winograd's convolution, compiled once for each instruction set.
#include "cpu/winograd.h"
#include "cpu/simd/limited.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kN = kLanes<float>, kP = kWinogradPatch;
constexpr double kA = 0.75, kB = 1.5, kA2 = kA * kA, kB2 = kB * kB;  // the points are 0, ±a, ±b, infinity
#if FB_AVX512
constexpr int kTiles = 12;  // by two vectors of outputs: 24 of 32 registers
#elif FB_AVX2
constexpr int kTiles = 6;
#else
constexpr int kTiles = 2;
#endif

inline F times(double c, F x) { return splat<F>(float(c)) * x; }
inline F plus(double c, F x, F y) { return fma(splat<F>(float(c)), x, y); }

// False if a lane is not a number.
inline bool all_zero(F v) {
    float lanes[kN];
    store(lanes, v);
    bool yes = true;
    for (float x : lanes) yes &= x == 0;
    return yes;
}

// The values of d0 + d1 t + … at the points' polynomials.
inline void transform_input(const F* d, int64_t step, F* t, int64_t to) {
    const F d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const F even_a = plus(-kB2, d2, d4), odd_a = times(kA, plus(-kB2, d1, d3)), even_b = plus(-kA2, d2, d4),
            odd_b = times(kB, plus(-kA2, d1, d3));
    t[0] = plus(kA2 * kB2, d0, plus(-(kA2 + kB2), d2, d4));
    t[to] = even_a + odd_a;
    t[2 * to] = even_a - odd_a;
    t[3 * to] = even_b + odd_b;
    t[4 * to] = even_b - odd_b;
    t[5 * to] = plus(kA2 * kB2, d1, plus(-(kA2 + kB2), d3, d5));
}
inline void transform_output(const F* m, int64_t step, F* y, int64_t to) {
    const F sum_a = m[step] + m[2 * step], dif_a = m[step] - m[2 * step], sum_b = m[3 * step] + m[4 * step],
            dif_b = m[3 * step] - m[4 * step];
    y[0] = m[0] + (sum_a + sum_b);
    y[to] = plus(kA, dif_a, times(kB, dif_b));
    y[2 * to] = plus(kA2, sum_a, times(kB2, sum_b));
    y[3 * to] = plus(kA2 * kA, dif_a, plus(kB2 * kB, dif_b, m[5 * step]));
}
// The transpose of it: from four gradients to the points'.
inline void transform_gradient(const F* y, int64_t step, F* m, int64_t to) {
    const F y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    const F even_a = plus(kA2, y2, y0), odd_a = plus(kA2 * kA, y3, times(kA, y1)), even_b = plus(kB2, y2, y0),
            odd_b = plus(kB2 * kB, y3, times(kB, y1));
    m[0] = y0;
    m[to] = even_a + odd_a;
    m[2 * to] = even_a - odd_a;
    m[3 * to] = even_b + odd_b;
    m[4 * to] = even_b - odd_b;
    m[5 * to] = y3;
}
constexpr double kFilterA = 1 / (2 * kA2 * (kA2 - kB2)), kFilterB = 1 / (2 * kB2 * (kB2 - kA2));
// Filters in double, rounded once.
inline void transform_filter(const D* g, int64_t step, D* t, int64_t to) {
    const D g0 = g[0], g1 = g[step], g2 = g[2 * step];
    const D even_a = (g0 + g2 * kA2) * kFilterA, odd_a = g1 * (kA * kFilterA), even_b = (g0 + g2 * kB2) * kFilterB,
            odd_b = g1 * (kB * kFilterB);
    t[0] = g0 * (1 / (kA2 * kB2));
    t[to] = even_a + odd_a;
    t[2 * to] = even_a - odd_a;
    t[3 * to] = even_b + odd_b;
    t[4 * to] = even_b - odd_b;
    t[5 * to] = g2;
}
// The transpose of it: from the points' gradients to three taps.
inline void transform_taps(const F* t, int64_t step, F* g, int64_t to) {
    const F sum_a = t[step] + t[2 * step], dif_a = t[step] - t[2 * step], sum_b = t[3 * step] + t[4 * step],
            dif_b = t[3 * step] - t[4 * step];
    g[0] = plus(1 / (kA2 * kB2), t[0], plus(kFilterA, sum_a, times(kFilterB, sum_b)));
    g[to] = plus(kA * kFilterA, dif_a, times(kB * kFilterB, dif_b));
    g[2 * to] = plus(kA2 * kFilterA, sum_a, plus(kB2 * kFilterB, sum_b, t[5 * step]));
}

void weights(const float* w, int64_t out_step, int64_t in_step, bool mirrored, int64_t inputs, float* u) {
    constexpr int64_t lanes = kLanes<double>, width = 2 * kN, most = 4;
    // Points lie a power of two apart, where they would push each other out of the caches: a few inputs at a time.
    alignas(64) float room[kWinogradPoints][most][width];
    for (int64_t c0 = 0; c0 < inputs; c0 += most) {
        const int64_t count = inputs - c0 < most ? inputs - c0 : most;
        for (int64_t o = 0; o < width; o += lanes)
            for (int64_t c = 0; c < count; c++) {
                double taps[9][lanes];
                for (int64_t l = 0; l < lanes; l++) {
                    const float* p = w + (o + l) * out_step + (c0 + c) * in_step;
                    for (int64_t k = 0; k < 9; k++) taps[mirrored ? 8 - k : k][l] = double(p[k]);
                }
                D g[9], half[18], all[36];
                for (int64_t k = 0; k < 9; k++) g[k] = load<D>(taps[k]);
                for (int64_t j = 0; j < 3; j++) transform_filter(g + j, 3, half + j, 3);
                for (int64_t i = 0; i < 6; i++) transform_filter(half + i * 3, 1, all + i * 6, 1);
                for (int64_t p = 0; p < kWinogradPoints; p++)
                    store(&room[p][c][o], __builtin_convertvector(all[p], HalfVec<float>));
            }
        for (int64_t p = 0; p < kWinogradPoints; p++)
            for (int64_t i = 0; i < count * width; i += kN)
                store(u + (p * inputs + c0) * width + i, load<F>(&room[p][0][0] + i));
    }
}

void input(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v, int64_t point_step) {
    F d[36], t[36];
    if (y >= 0 && x >= 0 && y + kP <= height && x + kP <= width) {
        for (int64_t i = 0; i < kP; i++)
            for (int64_t j = 0; j < kP; j++) d[i * kP + j] = load<F>(picture + ((y + i) * width + x + j) * kN);
    } else {
        for (int64_t i = 0; i < kP; i++)
            for (int64_t j = 0; j < kP; j++) {
                const bool inside = y + i >= 0 && y + i < height && x + j >= 0 && x + j < width;
                d[i * kP + j] = inside ? load<F>(picture + ((y + i) * width + x + j) * kN) : F{};
            }
    }
    for (int64_t j = 0; j < kP; j++) transform_input(d + j, kP, t + j, kP);
    for (int64_t i = 0; i < kP; i++) {
        F row[kP];
        transform_input(t + i * kP, 1, row, 1);
        for (int64_t j = 0; j < kP; j++) store(v + (i * kP + j) * point_step, row[j]);
    }
}

void multiply(const float* u, const float* v, float* m, int64_t inputs) {
    F sum[kTiles][2] = {};
    for (int64_t c = 0; c < inputs; c++, u += 2 * kN) {
        const F a = load<F>(u), b = load<F>(u + kN);
#pragma GCC unroll 12
        for (int r = 0; r < kTiles; r++) {
            const F x = splat<F>(v[r * inputs + c]);
            sum[r][0] = fma(a, x, sum[r][0]);
            sum[r][1] = fma(b, x, sum[r][1]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < kTiles; r++) {
        store(m + r * 2 * kN, sum[r][0]);
        store(m + r * 2 * kN + kN, sum[r][1]);
    }
}

bool output(const float* m, int64_t point_step, const Scaling& scaling, float* picture, int64_t height, int64_t width,
            int64_t y, int64_t x) {
    F t[24];
    for (int64_t j = 0; j < kP; j++) {
        F column[kP];
        for (int64_t i = 0; i < kP; i++) column[i] = load<F>(m + (i * kP + j) * point_step);
        transform_output(column, 1, t + j, kP);
    }
    const F scale = scaling.scale ? load<F>(scaling.scale) : splat<F>(1),
            shift = scaling.shift ? load<F>(scaling.shift) : F{}, low = splat<F>(scaling.low),
            high = splat<F>(scaling.high);
    F none = {};  // times zero is zero, unless a number is not finite
    for (int64_t i = 0; i < kWinogradTile && y + i < height; i++) {
        F row[kWinogradTile];
        transform_output(t + i * kP, 1, row, 1);
        for (int64_t j = 0; j < kWinogradTile && x + j < width; j++) {
            const int64_t at = ((y + i) * width + x + j) * kN;
            F value = fma(row[j], scale, shift);
            if (scaling.other) value = value + load<F>(scaling.other + at);
            store(picture + at, limited(value, low, high));
        }
        for (int64_t j = 0; j < kWinogradTile; j++) none = fma(row[j], F{}, none);
    }
    return all_zero(none);
}

// What a gradient's tile is at the points; beyond the picture it is zero. Adds its sum to `total`.
void gradient(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v, int64_t point_step,
              float* total) {
    constexpr int64_t T = kWinogradTile;
    F d[T * T], t[kP * T], sum = {};
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < T; j++) {
            const bool inside = y + i < height && x + j < width;
            d[i * T + j] = inside ? load<F>(picture + ((y + i) * width + x + j) * kN) : F{};
            sum = sum + d[i * T + j];
        }
    if (total) store(total, F(load<F>(total) + sum));
    for (int64_t j = 0; j < T; j++) transform_gradient(d + j, T, t + j, T);
    for (int64_t i = 0; i < kP; i++) {
        F row[kP];
        transform_gradient(t + i * T, 1, row, 1);
        for (int64_t j = 0; j < kP; j++) store(v + (i * kP + j) * point_step, row[j]);
    }
}

// The taps of the filters of a vector of inputs.
bool taps(const float* sums, int64_t point_step, float* w) {
    F t[18], all[9], none = {};
    for (int64_t j = 0; j < kP; j++) {
        F column[kP];
        for (int64_t i = 0; i < kP; i++) column[i] = load<F>(sums + (i * kP + j) * point_step);
        transform_taps(column, 1, t + j, kP);
    }
    for (int64_t i = 0; i < 3; i++) transform_taps(t + i * kP, 1, all + i * 3, 1);
    for (int64_t k = 0; k < 9; k++) {
        none = fma(all[k], F{}, none);
        for (int64_t l = 0; l < kN; l++) w[l * 9 + k] = all[k][l];
    }
    return all_zero(none);
}

}  // namespace

extern constexpr WinogradLoops winograd_table = {kN, kTiles, weights, input, multiply, output, gradient, taps};

}  // namespace fb::cpu::FB_ARCH
