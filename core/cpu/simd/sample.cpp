// Weighted sums of rows, compiled once for each instruction set.
#include "cpu/sample.h"
#include <type_traits>
#include "cpu/simd/vec.h"

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

// A place in [-1, 1] as a position, brought back inside as the padding says: 0 not at all, 1 to the edge, 2 mirrored.
inline float position(float at, int64_t size, int padding, bool align) {
    const float one = at + 1, n = float(size);
    float x = align ? one * float(double(size - 1) / 2) : (one * n - 1) / 2;
    if (padding == 2) {
        const float low = align ? 0 : -0.5f, span = align ? n - 1 : n;
        if (span <= 0) return 0;
        const float d = __builtin_fabsf(x - low), turns = __builtin_floorf(d / span), extra = __builtin_fmodf(d, span);
        x = __builtin_fmodf(turns, 2) == 0 ? extra + low : span + low - extra;
    }
    if (padding) {
        x = x < 0 ? 0 : x;
        x = x > n - 1 ? n - 1 : x;
    }
    return x;
}
void neighbours(const float* places, int64_t n, int64_t stride, int64_t height, int64_t width, int padding, bool align,
                int64_t* index, float* weight) {
    const auto walk = [&](auto how) {
        constexpr int kHow = decltype(how)::value;
        const float w = float(width), h = float(height);
#pragma omp simd
        for (int64_t p = 0; p < n; ++p) {
            const float x = position(places[2 * p], width, kHow, align),
                        y = position(places[2 * p + 1], height, kHow, align);
            const float x0 = __builtin_floorf(x), y0 = __builtin_floorf(y), fx = x - x0, fy = y - y0;
            const bool left = x0 >= 0 && x0 < w, right = x0 >= -1 && x0 < w - 1, top = y0 >= 0 && y0 < h,
                       bottom = y0 >= -1 && y0 < h - 1;
            // A position outside of the range of int32 is outside of the picture.
            const int32_t column = int32_t(x0 < -1  ? -1
                                           : x0 > w ? w
                                                    : x0),
                          line = int32_t(y0 < -1  ? -1
                                         : y0 > h ? h
                                                  : y0),
                          at = line * int32_t(width) + column;
            index[p] = left && top ? at : -1;
            index[stride + p] = right && top ? at + 1 : -1;
            index[2 * stride + p] = left && bottom ? at + int32_t(width) : -1;
            index[3 * stride + p] = right && bottom ? at + int32_t(width) + 1 : -1;
            weight[p] = (1 - fx) * (1 - fy);
            weight[stride + p] = fx * (1 - fy);
            weight[2 * stride + p] = (1 - fx) * fy;
            weight[3 * stride + p] = fx * fy;
        }
    };
    if (padding == 0) walk(std::integral_constant<int, 0>());
    else if (padding == 1) walk(std::integral_constant<int, 1>());
    else walk(std::integral_constant<int, 2>());
}

}  // namespace

extern constexpr SampleLoops sample_loops = {gather, scatter, products, neighbours};

}  // namespace fb::cpu::FB_ARCH
