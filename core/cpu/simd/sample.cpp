// Weighted sums of rows, compiled once for each instruction set.
#include "cpu/sample.h"
#include <type_traits>
#include "cpu/simd/turn.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <int bytes>
using Floats = typename VecOf<float, bytes>::type;

// Calls f(a vector, column) over the columns, widest vectors first.
template <class F, int bytes = kWidth>
inline void columns(int64_t from, int64_t width, F&& f) {
    constexpr int64_t w = bytes / 4;
    for (; from + w <= width; from += w) f(Floats<bytes>{}, from);
    if constexpr (bytes > 16) columns<F, bytes / 2>(from, width, static_cast<F&&>(f));
}

void gather(const float* table, int64_t width, const Taps& taps, int64_t n, float* out) {
    for (int64_t p = 0; p < n; ++p)
        columns(0, width, [&]<class V>(V sum, int64_t c) {
            for (int64_t t = 0; t < taps.count; ++t) {
                const int64_t i = taps.index[t * taps.stride + p];
                if (uint64_t(i) < uint64_t(taps.length))
                    sum += load<V>(table + i * width + c) * taps.weight[t * taps.stride + p];
            }
            store(out + p * width + c, sum);
        });
}
void scatter(const float* rows, int64_t width, int64_t used, int64_t row, const Taps& taps, int64_t n, float* table) {
    for (int64_t p = 0; p < n; ++p)
        for (int64_t t = 0; t < taps.count; ++t) {
            const int64_t i = taps.index[t * taps.stride + p];
            if (uint64_t(i) >= uint64_t(taps.length)) continue;
            const float weight = taps.weight[t * taps.stride + p];
            columns(0, used, [&]<class V>(V, int64_t c) {
                float* to = table + i * width + c;
                store(to, load<V>(to) + load<V>(rows + p * row + c) * weight);
            });
        }
}
void products(const float* rows, const float* table, int64_t width, const Taps& taps, int64_t n, float* out) {
    for (int64_t p = 0; p < n; ++p)
        for (int64_t t = 0; t < taps.count; ++t) {
            const int64_t i = taps.index[t * taps.stride + p];
            float sum = 0;
            if (uint64_t(i) < uint64_t(taps.length))
                columns(0, width, [&]<class V>(V, int64_t c) {
                    const V v = load<V>(rows + p * width + c) * load<V>(table + i * width + c);
                    float part[sizeof(V) / 4];
                    store(part, v);
                    for (int k = int(sizeof(V) / 8); k > 0; k /= 2)
                        for (int l = 0; l < k; ++l) part[l] += part[l + k];
                    sum += part[0];
                });
            out[t * taps.stride + p] = sum;
        }
}

// ---------------------------------------------------------------- places in a picture
using I = Vec<int32_t>;

// A position brought back inside as the padding says: 0 not at all, 1 to the edge, 2 mirrored.
inline F inside(F x, float n, int padding, bool align) {
    if (padding == 2) {
        const float low = align ? 0 : -0.5f, span = align ? n - 1 : n, both = 2 * span;
        if (span <= 0) return F{};
        const F d = abs(F(x - low)), rest = d - trunc(F(d / both)) * both, back = both - rest;
        x = (rest < back ? rest : back) + low;
    }
    if (padding) {
        x = x < F{} ? F{} : x;
        x = x > n - 1 ? splat<F>(n - 1) : x;
    }
    return x;
}
// What a register of places has in one direction.
struct Line {
    int taps;
    I at[4], there[4];
    F weight[4];
    Line(F place, const Places& p, int32_t size) {
        const float n = float(size);
        const F one = place + 1.0f, raw = p.align ? one * ((n - 1) / 2) : (one * n - 1.0f) * 0.5f;
        const auto tap = [&](int k, F x, F w) {
            there[k] = (x >= F{}) & (x < n);  // before it is a whole number: others are outside of the picture, too
            at[k] = __builtin_convertvector(there[k] ? x : F{}, I);
            weight[k] = w;
        };
        if (p.mode == 1) {
            taps = 1;
            tap(0, round_even(inside(raw, n, p.padding, p.align)), splat<F>(1));
            return;
        }
        const F x = p.mode == 2 ? raw : inside(raw, n, p.padding, p.align), base = floor(x), t = x - base;
        if (p.mode == 0) {
            taps = 2;
            tap(0, base, F(1.0f - t)), tap(1, F(base + 1.0f), t);
            return;
        }
        taps = 4;
        constexpr float a = -0.75f;
        const auto near = [](F s) { return F(((a + 2) * s - (a + 3)) * s * s + 1.0f); };
        const auto far = [](F s) { return F(((a * s - 5 * a) * s + 8 * a) * s - 4 * a); };
        const F w[4] = {far(F(t + 1.0f)), near(t), near(F(1.0f - t)), far(F(2.0f - t))};
        for (int k = 0; k < 4; ++k) tap(k, inside(F(base + float(k - 1)), n, p.padding, p.align), w[k]);
    }
};
// Calls f(tap, first place, index, weight) for registers of places; taps outside have the index `none` and no weight.
template <class Take>
inline void each_tap(const Places& p, int64_t n, int32_t none, Take f) {
    constexpr int64_t w = kLanes<float>;
    for (int64_t first = 0; first < n; first += w) {
        float pairs[2 * w] = {};
        const int64_t many = n - first < w ? n - first : w;
        __builtin_memcpy(pairs, p.at + 2 * first, size_t(2 * many) * sizeof(float));
        F x, y;
        for (int64_t k = 0; k < w; ++k) x[k] = pairs[2 * k], y[k] = pairs[2 * k + 1];
        const Line across(x, p, p.width), down(y, p, p.height);
        for (int i = 0; i < down.taps; ++i)
            for (int j = 0; j < across.taps; ++j) {
                const I there = down.there[i] & across.there[j], outside = I{} + none;
                f(i * across.taps + j, first, I(there ? down.at[i] * p.width + across.at[j] : outside),
                  F(there ? F(down.weight[i] * across.weight[j]) : F{}), many);
            }
    }
}
void neighbours(const Places& p, int64_t n, int64_t stride, int64_t* index, float* weight) {
    each_tap(p, n, -1, [=](int t, int64_t first, I at, F w, int64_t many) {
        for (int64_t k = 0; k < many; ++k) {
            index[t * stride + first + k] = at[k];
            weight[t * stride + first + k] = w[k];
        }
    });
}
// Four places at a time: sums of as many channels as V has lanes, turned.
template <class V>
inline void four_places(const float* table, int64_t width, const int32_t* index, const float* weight, int taps,
                        float* out, int64_t stride, int64_t channels, int64_t places) {
    constexpr int w = int(sizeof(V) / sizeof(float));
    V sum[4] = {};
    for (int t = 0; t < taps; ++t, index += kMostPlaces, weight += kMostPlaces)
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) sum[k] += load<V>(table + int64_t(index[k]) * width) * weight[k];
    Floats<16> part[w / 4][4];
    for (int k = 0; k < 4; ++k) __builtin_memcpy(&part[0][k], &sum[k], 16);
    if constexpr (w == 8)
        for (int k = 0; k < 4; ++k) __builtin_memcpy(&part[1][k], reinterpret_cast<char*>(&sum[k]) + 16, 16);
    constexpr std::make_integer_sequence<int, 4> lanes;
    for (auto& four : part) {
        for (int k = 0; k < 4; k += 2) exchange<1>(four[k], four[k + 1], lanes);
        for (int k = 0; k < 2; ++k) exchange<2>(four[k], four[k + 2], lanes);
    }
    for (int c = 0; c < w && c < channels; ++c)
        if (places >= 4) store(out + c * stride, part[c / 4][c % 4]);
        else __builtin_memcpy(out + c * stride, &part[c / 4][c % 4], size_t(places) * sizeof(float));
}
void picture(const Places& p, int64_t n, const float* table, int64_t width, int64_t channels, float* out,
             int64_t stride) {
    int32_t index[16 * kMostPlaces];
    float weight[16 * kMostPlaces];
    each_tap(p, n, p.height * p.width, [&](int t, int64_t first, I at, F w, int64_t) {
        store(index + t * kMostPlaces + first, at);
        store(weight + t * kMostPlaces + first, w);
    });
    if (p.mode == 1) {
        const int64_t length = int64_t(p.height) * p.width;
        for (int64_t c = 0; c < channels; ++c, table += length, out += stride)
#pragma GCC unroll 4
            for (int64_t k = 0; k < n; ++k) out[k] = index[k] < length ? table[index[k]] : 0;
        return;
    }
    const int taps = kNeighbours[p.mode];
    for (int64_t k = 0; k < n; k += 4) {
        int64_t c = 0;
        for (; c + 8 <= width; c += 8)
            four_places<Floats<32>>(table + c, width, index + k, weight + k, taps, out + c * stride + k, stride,
                                    channels - c, n - k);
        if (c < width)
            four_places<Floats<16>>(table + c, width, index + k, weight + k, taps, out + c * stride + k, stride,
                                    channels - c, n - k);
    }
}

}  // namespace

extern constexpr SampleLoops sample_loops = {gather, scatter, products, neighbours, picture};

}  // namespace fb::cpu::FB_ARCH
