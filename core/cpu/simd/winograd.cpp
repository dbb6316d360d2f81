// The transforms and the product of Winograd's convolution, compiled once for each instruction set.
#include "cpu/winograd.h"
#include "cpu/simd/limited.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kN = kLanes<float>;
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

// False if a lane is not a number or anything else than zero.
inline bool all_zero(F v) {
    float lanes[kN];
    store(lanes, v);
    bool yes = true;
    for (float x : lanes) yes &= x == 0;
    return yes;
}

// An algorithm of one dimension makes `tile` results of a patch of numbers by products at `points` points; the next
// patch lies `step` further. All are exact; those of two dimensions nest two of them.
//
// F(4, 3): four sums of three neighbours by the values of d0 + d1 t + … at 0, ±a, ±b and infinity.
struct Three {
    static constexpr int64_t tile = 4, patch = 6, points = 6, taps = 3, step = 4, gradients = 6;
    static constexpr int8_t gradient_of[] = {0, 1, 2, 3, 4, 5};

    static void input(const F* d, int64_t from, F* t, int64_t to) {
        const F d0 = d[0], d1 = d[from], d2 = d[2 * from], d3 = d[3 * from], d4 = d[4 * from], d5 = d[5 * from];
        const F even_a = plus(-kB2, d2, d4), odd_a = times(kA, plus(-kB2, d1, d3)), even_b = plus(-kA2, d2, d4),
                odd_b = times(kB, plus(-kA2, d1, d3));
        t[0] = plus(kA2 * kB2, d0, plus(-(kA2 + kB2), d2, d4));
        t[to] = even_a + odd_a;
        t[2 * to] = even_a - odd_a;
        t[3 * to] = even_b + odd_b;
        t[4 * to] = even_b - odd_b;
        t[5 * to] = plus(kA2 * kB2, d1, plus(-(kA2 + kB2), d3, d5));
    }
    static void output(const F* m, F* y, int64_t to) {
        const F sum_a = m[1] + m[2], dif_a = m[1] - m[2], sum_b = m[3] + m[4], dif_b = m[3] - m[4];
        y[0] = m[0] + (sum_a + sum_b);
        y[to] = plus(kA, dif_a, times(kB, dif_b));
        y[2 * to] = plus(kA2, sum_a, times(kB2, sum_b));
        y[3 * to] = plus(kA2 * kA, dif_a, plus(kB2 * kB, dif_b, m[5]));
    }
    // The transpose of `output`: from gradients of results to those of the points.
    static void gradient(const F* y, int64_t from, F* m, int64_t to) {
        const F y0 = y[0], y1 = y[from], y2 = y[2 * from], y3 = y[3 * from];
        const F even_a = plus(kA2, y2, y0), odd_a = plus(kA2 * kA, y3, times(kA, y1)), even_b = plus(kB2, y2, y0),
                odd_b = plus(kB2 * kB, y3, times(kB, y1));
        m[0] = y0;
        m[to] = even_a + odd_a;
        m[2 * to] = even_a - odd_a;
        m[3 * to] = even_b + odd_b;
        m[4 * to] = even_b - odd_b;
        m[5 * to] = y3;
    }
    static constexpr double by_a = 1 / (2 * kA2 * (kA2 - kB2)), by_b = 1 / (2 * kB2 * (kB2 - kA2));
    // Filters in double, rounded once.
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        const D g0 = g[0], g1 = g[from], g2 = g[2 * from];
        const D even_a = (g0 + g2 * kA2) * by_a, odd_a = g1 * (kA * by_a), even_b = (g0 + g2 * kB2) * by_b,
                odd_b = g1 * (kB * by_b);
        t[0] = g0 * (1 / (kA2 * kB2));
        t[to] = even_a + odd_a;
        t[2 * to] = even_a - odd_a;
        t[3 * to] = even_b + odd_b;
        t[4 * to] = even_b - odd_b;
        t[5 * to] = g2;
    }
    // The transpose of `filter`: from the gradients of points to those of taps.
    static void tap(const F* t, F* g, int64_t to) {
        const F sum_a = t[1] + t[2], dif_a = t[1] - t[2], sum_b = t[3] + t[4], dif_b = t[3] - t[4];
        g[0] = plus(1 / (kA2 * kB2), t[0], plus(by_a, sum_a, times(by_b, sum_b)));
        g[to] = plus(kA * by_a, dif_a, times(kB * by_b, dif_b));
        g[2 * to] = plus(kA2 * by_a, sum_a, plus(kB2 * by_b, sum_b, t[5]));
    }
};
// F(2, 3), at 0, ±1 and infinity: saves less and errs less, for long sums.
struct ThreeShort {
    static constexpr int64_t tile = 2, patch = 4, points = 4, taps = 3, step = 2, gradients = 4;
    static constexpr int8_t gradient_of[] = {0, 1, 2, 3};
    static void input(const F* d, int64_t from, F* t, int64_t to) {
        t[0] = d[0] - d[2 * from];
        t[to] = d[from] + d[2 * from];
        t[2 * to] = d[2 * from] - d[from];
        t[3 * to] = d[3 * from] - d[from];
    }
    static void output(const F* m, F* y, int64_t to) {
        y[0] = m[0] + (m[1] + m[2]);
        y[to] = (m[1] - m[2]) + m[3];
    }
    static void gradient(const F* y, int64_t from, F* m, int64_t to) {
        m[0] = y[0];
        m[to] = y[0] + y[from];
        m[2 * to] = y[0] - y[from];
        m[3 * to] = y[from];
    }
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        const D even = (g[0] + g[2 * from]) * 0.5, odd = g[from] * 0.5;
        t[0] = g[0];
        t[to] = even + odd;
        t[2 * to] = even - odd;
        t[3 * to] = g[2 * from];
    }
    static void tap(const F* t, F* g, int64_t to) {
        const F sum = times(0.5, t[1] + t[2]);
        g[0] = t[0] + sum;
        g[to] = times(0.5, t[1] - t[2]);
        g[2 * to] = sum + t[3];
    }
};
// The missing dimension of a line.
struct None {
    static constexpr int64_t tile = 1, patch = 1, points = 1, taps = 1, step = 1, gradients = 1;
    static constexpr int8_t gradient_of[] = {0};
    static void input(const F* d, int64_t, F* t, int64_t) { t[0] = d[0]; }
    static void output(const F* m, F* y, int64_t) { y[0] = m[0]; }
    static void gradient(const F* y, int64_t, F* m, int64_t) { m[0] = y[0]; }
    static void filter(const D* g, int64_t, D* t, int64_t) { t[0] = g[0]; }
    static void tap(const F* t, F* g, int64_t) { g[0] = t[0]; }
};
// F(2, 2), of which those below consist: a·x0 + b·x1 and a·x1 + b·x2 are the sums of neighbours among
// (x0 - x1)·a, x1·(a + b), (x2 - x1)·b.
inline void pair_input(F x0, F x1, F x2, F* t, int64_t to) {
    t[0] = x0 - x1;
    t[to] = x1;
    t[2 * to] = x2 - x1;
}
inline void pair_filter(D a, D b, D* t, int64_t to) {
    t[0] = a;
    t[to] = a + b;
    t[2 * to] = b;
}
inline void pair_gradient(F y0, F y1, F* m, int64_t to) {
    m[0] = y0;
    m[to] = y0 + y1;
    m[2 * to] = y1;
}
// Three taps, every other result: the outer taps meet numbers two apart, the middle one those between.
struct HalfThree {
    static constexpr int64_t tile = 2, patch = 5, points = 5, taps = 3, step = 4, gradients = 3;
    static constexpr int8_t gradient_of[] = {0, 1, 2, 0, 2};
    static void input(const F* d, int64_t from, F* t, int64_t to) {
        pair_input(d[0], d[2 * from], d[4 * from], t, to);
        t[3 * to] = d[from];
        t[4 * to] = d[3 * from];
    }
    static void output(const F* m, F* y, int64_t to) {
        y[0] = m[0] + m[1] + m[3];
        y[to] = m[1] + m[2] + m[4];
    }
    static void gradient(const F* y, int64_t from, F* m, int64_t to) { pair_gradient(y[0], y[from], m, to); }
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        pair_filter(g[0], g[2 * from], t, to);
        t[3 * to] = t[4 * to] = g[from];
    }
    static void tap(const F* t, F* g, int64_t to) {
        g[0] = t[0] + t[1];
        g[to] = t[3] + t[4];
        g[2 * to] = t[1] + t[2];
    }
};
// What those results came from: even numbers met the middle tap, odd ones the outer two.
struct DoubleThree {
    static constexpr int64_t tile = 4, patch = 3, points = 5, taps = 3, step = 2, gradients = 0;
    static constexpr int8_t gradient_of[] = {0};
    static void input(const F* d, int64_t from, F* t, int64_t to) {
        pair_input(d[0], d[from], d[2 * from], t, to);
        t[3 * to] = d[0];
        t[4 * to] = d[from];
    }
    static void output(const F* m, F* y, int64_t to) {
        y[0] = m[3];
        y[to] = m[0] + m[1];
        y[2 * to] = m[4];
        y[3 * to] = m[1] + m[2];
    }
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        pair_filter(g[2 * from], g[0], t, to);
        t[3 * to] = t[4 * to] = g[from];
    }
};
// Four taps, every other result: even taps meet even numbers, odd taps odd ones.
struct HalfFour {
    static constexpr int64_t tile = 2, patch = 6, points = 6, taps = 4, step = 4, gradients = 3;
    static constexpr int8_t gradient_of[] = {0, 1, 2, 0, 1, 2};
    static void input(const F* d, int64_t from, F* t, int64_t to) {
        pair_input(d[0], d[2 * from], d[4 * from], t, to);
        pair_input(d[from], d[3 * from], d[5 * from], t + 3 * to, to);
    }
    static void output(const F* m, F* y, int64_t to) {
        y[0] = (m[0] + m[1]) + (m[3] + m[4]);
        y[to] = (m[1] + m[2]) + (m[4] + m[5]);
    }
    static void gradient(const F* y, int64_t from, F* m, int64_t to) { pair_gradient(y[0], y[from], m, to); }
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        pair_filter(g[0], g[2 * from], t, to);
        pair_filter(g[from], g[3 * from], t + 3 * to, to);
    }
    static void tap(const F* t, F* g, int64_t to) {
        g[0] = t[0] + t[1];
        g[to] = t[3] + t[4];
        g[2 * to] = t[1] + t[2];
        g[3 * to] = t[4] + t[5];
    }
};
// What those came from: two sums of two taps each.
struct DoubleFour {
    static constexpr int64_t tile = 4, patch = 4, points = 6, taps = 4, step = 2, gradients = 0;
    static constexpr int8_t gradient_of[] = {0};
    static void input(const F* d, int64_t from, F* t, int64_t to) {
        pair_input(d[0], d[from], d[2 * from], t, to);
        pair_input(d[from], d[2 * from], d[3 * from], t + 3 * to, to);
    }
    static void output(const F* m, F* y, int64_t to) {
        y[0] = m[0] + m[1];
        y[to] = m[3] + m[4];
        y[2 * to] = m[1] + m[2];
        y[3 * to] = m[4] + m[5];
    }
    static void filter(const D* g, int64_t from, D* t, int64_t to) {
        pair_filter(g[3 * from], g[from], t, to);
        pair_filter(g[2 * from], g[0], t + 3 * to, to);
    }
};

template <class Y, class X>
void weights(const float* w, int64_t out_step, int64_t in_step, bool mirrored, int64_t inputs, float* u) {
    constexpr int64_t lanes = kLanes<double>, width = 2 * kN, most = 4, count_taps = Y::taps * X::taps,
                      points = Y::points * X::points;
    // Points lie a power of two apart, where they would push each other out of the caches: a few inputs at a time.
    alignas(64) float room[points][most][width];
    for (int64_t c0 = 0; c0 < inputs; c0 += most) {
        const int64_t count = inputs - c0 < most ? inputs - c0 : most;
        for (int64_t o = 0; o < width; o += lanes)
            for (int64_t c = 0; c < count; c++) {
                double taps[count_taps][lanes];
                for (int64_t l = 0; l < lanes; l++) {
                    const float* p = w + (o + l) * out_step + (c0 + c) * in_step;
                    for (int64_t k = 0; k < count_taps; k++) taps[mirrored ? count_taps - 1 - k : k][l] = double(p[k]);
                }
                D g[count_taps], half[Y::points * X::taps], all[points];
                for (int64_t k = 0; k < count_taps; k++) g[k] = load<D>(taps[k]);
                for (int64_t j = 0; j < X::taps; j++) Y::filter(g + j, X::taps, half + j, X::taps);
                for (int64_t i = 0; i < Y::points; i++) X::filter(half + i * X::taps, 1, all + i * X::points, 1);
                for (int64_t p = 0; p < points; p++)
                    store(&room[p][c][o], __builtin_convertvector(all[p], HalfVec<float>));
            }
        for (int64_t p = 0; p < points; p++)
            for (int64_t i = 0; i < count * width; i += kN)
                store(u + (p * inputs + c0) * width + i, load<F>(&room[p][0][0] + i));
    }
}

template <class Y, class X>
void input(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v, int64_t point_step) {
    F d[Y::patch * X::patch], t[Y::points * X::patch];
    if (y >= 0 && x >= 0 && y + Y::patch <= height && x + X::patch <= width) {
#pragma GCC unroll 6
        for (int64_t i = 0; i < Y::patch; i++)
#pragma GCC unroll 6
            for (int64_t j = 0; j < X::patch; j++)
                d[i * X::patch + j] = load<F>(picture + ((y + i) * width + x + j) * kN);
    } else {
        for (int64_t i = 0; i < Y::patch; i++)
            for (int64_t j = 0; j < X::patch; j++) {
                const bool inside = y + i >= 0 && y + i < height && x + j >= 0 && x + j < width;
                d[i * X::patch + j] = inside ? load<F>(picture + ((y + i) * width + x + j) * kN) : F{};
            }
    }
#pragma GCC unroll 6
    for (int64_t j = 0; j < X::patch; j++) Y::input(d + j, X::patch, t + j, X::patch);
#pragma GCC unroll 6
    for (int64_t i = 0; i < Y::points; i++) {
        F row[X::points];
        X::input(t + i * X::patch, 1, row, 1);
#pragma GCC unroll 6
        for (int64_t j = 0; j < X::points; j++) store(v + (i * X::points + j) * point_step, row[j]);
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

template <class Y, class X>
bool output(const float* m, int64_t point_step, const Scaling& scaling, float* picture, int64_t height, int64_t width,
            int64_t y, int64_t x) {
    F t[Y::tile * X::points];
#pragma GCC unroll 6
    for (int64_t j = 0; j < X::points; j++) {
        F column[Y::points];
#pragma GCC unroll 6
        for (int64_t i = 0; i < Y::points; i++) column[i] = load<F>(m + (i * X::points + j) * point_step);
        Y::output(column, t + j, X::points);
    }
    const F scale = scaling.scale ? load<F>(scaling.scale) : splat<F>(1),
            shift = scaling.shift ? load<F>(scaling.shift) : F{}, low = splat<F>(scaling.low),
            high = splat<F>(scaling.high);
    F none = {};  // times zero is zero, unless a number is not finite
    for (int64_t i = 0; i < Y::tile && y + i < height; i++) {
        F row[X::tile];
        X::output(t + i * X::points, row, 1);
        for (int64_t j = 0; j < X::tile && x + j < width; j++) {
            const int64_t at = ((y + i) * width + x + j) * kN;
            F value = fma(row[j], scale, shift);
            if (scaling.other) value = value + load<F>(scaling.other + at);
            store(picture + at, limited(value, low, high));
        }
#pragma GCC unroll 6
        for (int64_t j = 0; j < X::tile; j++) none = fma(row[j], F{}, none);
    }
    return all_zero(none);
}

// What a gradient's tile is at the points, those that are the same once; beyond the picture it is zero. Adds its sum to
// `total`.
template <class Y, class X>
void gradient(const float* picture, int64_t height, int64_t width, int64_t y, int64_t x, float* v, int64_t point_step,
              float* total) {
    F d[Y::tile * X::tile], t[Y::gradients * X::tile], sum = {};
#pragma GCC unroll 6
    for (int64_t i = 0; i < Y::tile; i++)
#pragma GCC unroll 6
        for (int64_t j = 0; j < X::tile; j++) {
            const bool inside = y + i < height && x + j < width;
            d[i * X::tile + j] = inside ? load<F>(picture + ((y + i) * width + x + j) * kN) : F{};
            sum = sum + d[i * X::tile + j];
        }
    if (total) store(total, F(load<F>(total) + sum));
#pragma GCC unroll 6
    for (int64_t j = 0; j < X::tile; j++) Y::gradient(d + j, X::tile, t + j, X::tile);
#pragma GCC unroll 6
    for (int64_t i = 0; i < Y::gradients; i++) {
        F row[X::gradients];
        X::gradient(t + i * X::tile, 1, row, 1);
#pragma GCC unroll 6
        for (int64_t j = 0; j < X::gradients; j++) store(v + (i * X::gradients + j) * point_step, row[j]);
    }
}

// The taps of the filters of a vector of inputs.
template <class Y, class X>
bool taps(const float* sums, int64_t point_step, float* w) {
    constexpr int64_t count = Y::taps * X::taps;
    F t[Y::taps * X::points], all[count], none = {};
#pragma GCC unroll 6
    for (int64_t j = 0; j < X::points; j++) {
        F column[Y::points];
#pragma GCC unroll 6
        for (int64_t i = 0; i < Y::points; i++) column[i] = load<F>(sums + (i * X::points + j) * point_step);
        Y::tap(column, t + j, X::points);
    }
#pragma GCC unroll 6
    for (int64_t i = 0; i < Y::taps; i++) X::tap(t + i * X::points, all + i * X::taps, 1);
    for (int64_t k = 0; k < count; k++) {
        none = fma(all[k], F{}, none);
        for (int64_t l = 0; l < kN; l++) w[l * count + k] = all[k][l];
    }
    return all_zero(none);
}

template <class A>
constexpr WinogradSide side() {
    return {A::tile, A::points, A::step, A::gradients, A::gradient_of};
}
template <class Y, class X>
constexpr WinogradLoops answering() {
    return {kN, kTiles, side<Y>(), side<X>(), weights<Y, X>, input<Y, X>, multiply, output<Y, X>, nullptr, nullptr};
}
template <class Y, class X>
constexpr WinogradLoops learning() {
    WinogradLoops loops = answering<Y, X>();
    loops.gradient = gradient<Y, X>;
    loops.taps = taps<Y, X>;
    return loops;
}

}  // namespace

extern constexpr WinogradTable winograd_table = {
    learning<Three, Three>(),           learning<None, Three>(),
    learning<ThreeShort, ThreeShort>(), learning<None, ThreeShort>(),
    learning<HalfThree, HalfThree>(),   answering<DoubleThree, DoubleThree>(),
    learning<HalfFour, HalfFour>(),     answering<DoubleFour, DoubleFour>()};

}  // namespace fb::cpu::FB_ARCH
