// Depthwise convolutions and their gradients over rows of channels, compiled once for each instruction set.
#include "cpu/depthwise.h"
#include "cpu/simd/limited.h"
#include "cpu/simd/shuffle.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kN = kLanes<float>;

int64_t first_output(int64_t tap, int64_t pad, int64_t stride) {  // the first whose input at this tap is inside
    const int64_t missing = pad - tap;
    return missing <= 0 ? 0 : (missing + stride - 1) / stride;
}
int64_t end_output(int64_t tap, int64_t pad, int64_t stride, int64_t in, int64_t out) {
    const int64_t room = in - 1 + pad - tap;
    if (room < 0) return 0;
    const int64_t end = room / stride + 1;
    return end < out ? end : out;
}

// `count` neighbouring outputs of a row, all of whose columns of taps from k0 to k1 are inside.
template <int K, int S, int count>
inline void outputs(const DepthwiseShape& s, const float* x, const float* w, int64_t ky0, int64_t ky1, F* sum) {
    const int64_t row = s.in[1] * kN, step = (S ? S : s.stride[1]) * kN;
    for (int64_t ky = ky0; ky < ky1; ky++) {
        const float* from = x + ky * s.dilation[0] * row;
        for (int64_t k = 0; !K && k < s.kernel[1]; k++) {
            const F tap = load<F>(w + (ky * s.kernel[1] + k) * kN);
            const float* p = from + k * s.dilation[1] * kN;
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) sum[i] = fma(load<F>(p + i * step), tap, sum[i]);
        }
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            const F tap = load<F>(w + (ky * K + k) * kN);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) sum[i] = fma(load<F>(from + i * step + k * kN), tap, sum[i]);
        }
    }
}
// One output, some of whose columns of taps are outside.
inline F output_at_edge(const DepthwiseShape& s, const float* x, const float* w, int64_t ky0, int64_t ky1, int64_t top,
                        int64_t left) {
    const int64_t d = s.dilation[1];
    int64_t kx0 = 0, kx1 = s.kernel[1];
    while (kx0 < kx1 && left + kx0 * d < 0) kx0++;
    while (kx1 > kx0 && left + (kx1 - 1) * d >= s.in[1]) kx1--;
    F sum{};
    for (int64_t ky = ky0; ky < ky1; ky++) {
        const float* from = x + ((top + ky * s.dilation[0]) * s.in[1] + left) * kN;
        for (int64_t kx = kx0; kx < kx1; kx++)
            sum = fma(load<F>(from + kx * d * kN), load<F>(w + (ky * s.kernel[1] + kx) * kN), sum);
    }
    return sum;
}
template <int K, int S>  // the width of the kernel if taps are neighbours, and the stride along a row; 0: any
void forward_of(const DepthwiseShape& s, const float* x, const float* w, float* y, const Scaling& scaling) {
    constexpr int kTogether = kN == 16 ? 8 : 4;
    const F scale = load<F>(scaling.scale), shift = load<F>(scaling.shift), low = splat<F>(scaling.low),
            high = splat<F>(scaling.high);
    const int64_t begin = first_output(0, s.pad[1], s.stride[1]),
                  end = end_output((s.kernel[1] - 1) * s.dilation[1], s.pad[1], s.stride[1], s.in[1], s.out[1]);
    for (int64_t oy = 0; oy < s.out[0]; oy++) {
        float* to = y + oy * s.out[1] * kN;
        const auto put = [&](int64_t ox, F sum) { store(to + ox * kN, limited(fma(sum, scale, shift), low, high)); };
        const int64_t top = oy * s.stride[0] - s.pad[0];
        int64_t ky0 = 0, ky1 = s.kernel[0], ox = 0;
        while (ky0 < ky1 && top + ky0 * s.dilation[0] < 0) ky0++;
        while (ky1 > ky0 && top + (ky1 - 1) * s.dilation[0] >= s.in[0]) ky1--;
        const auto put_edge = [&] { put(ox, output_at_edge(s, x, w, ky0, ky1, top, ox * s.stride[1] - s.pad[1])); };
        for (; ox < s.out[1] && ox < begin; ox++) put_edge();
        const float* from = x + (top * s.in[1] - s.pad[1]) * kN;
        for (; ox + kTogether <= end; ox += kTogether) {
            F sum[kTogether] = {};
            outputs<K, S, kTogether>(s, from + ox * s.stride[1] * kN, w, ky0, ky1, sum);
            for (int i = 0; i < kTogether; i++) put(ox + i, sum[i]);
        }
        for (; ox < end; ox++) {
            F sum[1] = {};
            outputs<K, S, 1>(s, from + ox * s.stride[1] * kN, w, ky0, ky1, sum);
            put(ox, sum[0]);
        }
        for (; ox < s.out[1]; ox++) put_edge();
    }
}
void forward(const DepthwiseShape& s, const float* x, const float* w, float* y, const Scaling& scaling) {
    const int64_t step = s.stride[1], wide = s.dilation[1] == 1 ? s.kernel[1] : 0;
    if (wide == 3 && step == 1) forward_of<3, 1>(s, x, w, y, scaling);
    else if (wide == 3 && step == 2) forward_of<3, 2>(s, x, w, y, scaling);
    else if (wide == 5 && step == 1) forward_of<5, 1>(s, x, w, y, scaling);
    else if (wide == 5) forward_of<5, 0>(s, x, w, y, scaling);
    else if (wide == 7) forward_of<7, 0>(s, x, w, y, scaling);
    else forward_of<0, 0>(s, x, w, y, scaling);
}

// Every lane has the input of its group that `j` says.
template <int G>
inline F of_group(F v, int j) {
    Bits<F> from;
    for (int l = 0; l < int(kN); l++) from[l] = l / G * G + j;
    return shuffled(v, from);
}
template <int G, int count>
inline void group_outputs(const DepthwiseShape& s, const float* x, const float* w, int64_t ky0, int64_t ky1,
                          int64_t kx0, int64_t kx1, F* sum) {
    const int64_t step = s.stride[1] * kN;
    for (int64_t ky = ky0; ky < ky1; ky++)
        for (int64_t kx = kx0; kx < kx1; kx++) {
            const float *from = x + (ky * s.dilation[0] * s.in[1] + kx * s.dilation[1]) * kN,
                        *taps = w + (ky * s.kernel[1] + kx) * G * kN;
            F value[count];
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) value[i] = load<F>(from + i * step);
#pragma GCC unroll 8
            for (int j = 0; j < G; j++) {
                const F tap = load<F>(taps + j * kN);
#pragma GCC unroll 8
                for (int i = 0; i < count; i++) sum[i] = fma(of_group<G>(value[i], j), tap, sum[i]);
            }
        }
}
template <int G>
void groups_of(const DepthwiseShape& s, const float* x, const float* w, float* y, const Scaling& scaling) {
    constexpr int kTogether = kN == 16 ? 8 : 4;
    const F scale = load<F>(scaling.scale), shift = load<F>(scaling.shift), low = splat<F>(scaling.low),
            high = splat<F>(scaling.high);
    const int64_t d = s.dilation[1], begin = first_output(0, s.pad[1], s.stride[1]),
                  end = end_output((s.kernel[1] - 1) * d, s.pad[1], s.stride[1], s.in[1], s.out[1]);
    for (int64_t oy = 0; oy < s.out[0]; oy++) {
        const int64_t top = oy * s.stride[0] - s.pad[0];
        int64_t ky0 = 0, ky1 = s.kernel[0];
        while (ky0 < ky1 && top + ky0 * s.dilation[0] < 0) ky0++;
        while (ky1 > ky0 && top + (ky1 - 1) * s.dilation[0] >= s.in[0]) ky1--;
        const auto put = [&](int64_t ox, F sum) {
            store(y + (oy * s.out[1] + ox) * kN, limited(fma(sum, scale, shift), low, high));
        };
        for (int64_t ox = 0; ox < s.out[1];) {
            const int64_t left = ox * s.stride[1] - s.pad[1];
            const float* from = x + (top * s.in[1] + left) * kN;
            if (ox >= begin && ox + kTogether <= end) {
                F sum[kTogether] = {};
                group_outputs<G, kTogether>(s, from, w, ky0, ky1, 0, s.kernel[1], sum);
                for (int i = 0; i < kTogether; i++) put(ox++, sum[i]);
                continue;
            }
            int64_t kx0 = 0, kx1 = s.kernel[1];
            while (kx0 < kx1 && left + kx0 * d < 0) kx0++;
            while (kx1 > kx0 && left + (kx1 - 1) * d >= s.in[1]) kx1--;
            F sum[1] = {};
            group_outputs<G, 1>(s, from, w, ky0, ky1, kx0, kx1, sum);
            put(ox++, sum[0]);
        }
    }
}
void groups(const DepthwiseShape& s, int64_t size, const float* x, const float* w, float* y, const Scaling& scaling) {
    if (size == 2) groups_of<2>(s, x, w, y, scaling);
    else groups_of<4>(s, x, w, y, scaling);
}

// Every input position gathers from the outputs that looked at it.
void data_gradient(const DepthwiseShape& s, const float* g, const float* w, float* dx, int64_t width) {
    for (int64_t y = 0; y < s.in[0]; y++)
        for (int64_t x = 0; x < s.in[1]; x++)
            for (int64_t c = 0; c < width; c += kN) {
                F sum{};
                for (int64_t ky = 0; ky < s.kernel[0]; ky++) {
                    const int64_t ty = y + s.pad[0] - ky * s.dilation[0], oy = ty / s.stride[0];
                    if (ty < 0 || oy * s.stride[0] != ty || oy >= s.out[0]) continue;
                    const float *row = g + oy * s.out[1] * width + c, *taps = w + ky * s.kernel[1] * width + c;
                    for (int64_t kx = 0; kx < s.kernel[1]; kx++) {
                        const int64_t tx = x + s.pad[1] - kx * s.dilation[1], ox = tx / s.stride[1];
                        if (tx < 0 || ox * s.stride[1] != tx || ox >= s.out[1]) continue;
                        sum = fma(load<F>(row + ox * width), load<F>(taps + kx * width), sum);
                    }
                }
                store(dx + (y * s.in[1] + x) * width + c, sum);
            }
}

// The same where two neighbours of a row of outputs lie two inputs apart and the kernel is 3 wide: pairs of inputs.
void data_gradient_3_2(const DepthwiseShape& s, const float* g, const float* w, float* dx, int64_t width) {
    for (int64_t y = 0; y < s.in[0]; y++) {
        const float *rows[2], *taps[2];
        int64_t n = 0;
        for (int64_t ky = (y + s.pad[0]) & 1; ky < 3; ky += 2) {
            const int64_t ty = y + s.pad[0] - ky, oy = ty >> 1;
            if (ty < 0 || oy >= s.out[0]) continue;
            rows[n] = g + oy * s.out[1] * width;
            taps[n++] = w + ky * 3 * width;
        }
        float* to = dx + y * s.in[1] * width;
        for (int64_t c = 0; c < width; c += kN) {
            F t[2][3];
            for (int64_t k = 0; k < n; k++)
                for (int64_t j = 0; j < 3; j++) t[k][j] = load<F>(taps[k] + j * width + c);
            for (int64_t x = 0; x < s.in[1]; x++) {
                const int64_t at = x + s.pad[1], o = at >> 1;
                F sum{};
                for (int64_t k = 0; k < n; k++) {
                    const float* row = rows[k] + c;
                    if (at & 1) {
                        if (o < s.out[1]) sum = fma(load<F>(row + o * width), t[k][1], sum);
                    } else {
                        if (o < s.out[1]) sum = fma(load<F>(row + o * width), t[k][0], sum);
                        if (o >= 1 && o - 1 < s.out[1]) sum = fma(load<F>(row + (o - 1) * width), t[k][2], sum);
                    }
                }
                store(to + x * width + c, sum);
            }
        }
    }
}

// The outputs of a row for which tap k is inside: [first[k], last[k]).
constexpr int kMostTaps = 7;
struct TapRanges {
    int64_t first[kMostTaps], last[kMostTaps];
};

// One row of outputs against the row of inputs it looks at, K neighbouring taps at once.
template <int K>
inline void row_taps(const DepthwiseShape& s, const TapRanges& ranges, const float* x, const float* g, float* dw,
                     int64_t width) {
    const int64_t begin = ranges.first[0], end = ranges.last[K - 1] > begin ? ranges.last[K - 1] : begin;
    const int64_t step = s.stride[1] * width;
    for (int64_t c = 0; c < width; c += kN) {
        F sum[K] = {};
        const float *p = x + (begin * s.stride[1] - s.pad[1]) * width + c, *q = g + begin * width + c;
        for (int64_t o = begin; o < end; o++, p += step, q += width) {
            const F v = load<F>(q);
#pragma GCC unroll 8
            for (int k = 0; k < K; k++) sum[k] = fma(v, load<F>(p + k * width), sum[k]);
        }
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {  // outputs for which this tap, but not all of them, is inside
            const auto add = [&](int64_t o) {
                sum[k] =
                    fma(load<F>(g + o * width + c), load<F>(x + (o * s.stride[1] - s.pad[1] + k) * width + c), sum[k]);
            };
            const int64_t left = begin < ranges.last[k] ? begin : ranges.last[k],
                          right = end > ranges.first[k] ? end : ranges.first[k];
            for (int64_t o = ranges.first[k]; o < left; o++) add(o);
            for (int64_t o = right < left ? left : right; o < ranges.last[k]; o++) add(o);
            float* to = dw + k * width + c;
            store(to, F(load<F>(to) + sum[k]));
        }
    }
}
void row_any(const DepthwiseShape& s, const float* x, const float* g, float* dw, int64_t width) {
    for (int64_t k = 0; k < s.kernel[1]; k++) {
        const int64_t tap = k * s.dilation[1], first = first_output(tap, s.pad[1], s.stride[1]),
                      last = end_output(tap, s.pad[1], s.stride[1], s.in[1], s.out[1]);
        for (int64_t c = 0; c < width; c += kN) {
            F total{};
            for (int64_t o = first; o < last; o++)
                total =
                    fma(load<F>(g + o * width + c), load<F>(x + (o * s.stride[1] - s.pad[1] + tap) * width + c), total);
            float* to = dw + k * width + c;
            store(to, F(load<F>(to) + total));
        }
    }
}

void data_gradient_any(const DepthwiseShape& s, const float* g, const float* w, float* dx, int64_t width) {
    const bool three = s.kernel[0] == 3 && s.kernel[1] == 3 && s.stride[0] == 2 && s.stride[1] == 2 &&
                       s.dilation[0] == 1 && s.dilation[1] == 1;
    if (three) data_gradient_3_2(s, g, w, dx, width);
    else data_gradient(s, g, w, dx, width);
}

// Sums are kept for a row of outputs, then added up: the error grows with the square root of rows and columns.
void weight_gradient(const DepthwiseShape& s, const float* x, const float* g, float* dw, float* db, int64_t width) {
    const bool near = s.dilation[1] == 1;
    TapRanges ranges{};
    for (int64_t k = 0; k < kMostTaps && k < s.kernel[1]; k++) {
        ranges.first[k] = first_output(k, s.pad[1], s.stride[1]);
        ranges.last[k] = end_output(k, s.pad[1], s.stride[1], s.in[1], s.out[1]);
    }
    for (int64_t oy = 0; oy < s.out[0]; oy++) {
        const float* row = g + oy * s.out[1] * width;
        for (int64_t ky = 0; ky < s.kernel[0]; ky++) {
            const int64_t y = oy * s.stride[0] - s.pad[0] + ky * s.dilation[0];
            if (y < 0 || y >= s.in[0]) continue;
            const float* from = x + y * s.in[1] * width;
            float* to = dw + ky * s.kernel[1] * width;
            if (near && s.kernel[1] == 3) row_taps<3>(s, ranges, from, row, to, width);
            else if (near && s.kernel[1] == 5) row_taps<5>(s, ranges, from, row, to, width);
            else if (near && s.kernel[1] == 7) row_taps<7>(s, ranges, from, row, to, width);
            else row_any(s, from, row, to, width);
        }
        for (int64_t c = 0; db && c < width; c += kN) {
            F total{};
            for (int64_t o = 0; o < s.out[1]; o++) total += load<F>(row + o * width + c);
            store(db + c, F(load<F>(db + c) + total));
        }
    }
}

}  // namespace

extern constexpr DepthwiseLoops depthwise_table = {kN, forward, groups, data_gradient_any, weight_gradient};

}  // namespace fb::cpu::FB_ARCH
