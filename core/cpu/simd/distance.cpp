// Distances of one row and many, a register of rows at a time.
#include "cpu/distance.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <Distance how, class V>
V joined(V all, V apart) {
    if constexpr (how == Distance::count) return all + (apart != V{} ? splat<V>(1) : V{});
    else if constexpr (how == Distance::sum) return all + abs(apart);
    else if constexpr (how == Distance::euclid) return fma(apart, apart, all);
    else return (abs(apart) > all) | (apart != apart) ? abs(apart) : all;  // NaN stays
}
template <Distance how, class V>
V together(V a, V b) {
    if constexpr (how == Distance::largest) return (b > a) | (b != b) ? b : a;
    else return a + b;
}

template <Distance how, int registers, class T>
void block(const T* a, const T* b, int64_t stride, int64_t width, int64_t n, T* to) {
    using V = Vec<T>;
    constexpr int64_t kRun = 128;  // sums of so many are added up: fewer roundings in a row
    V all[registers] = {};
    for (int64_t begin = 0; begin < width; begin += kRun) {
        const int64_t end = begin + kRun < width ? begin + kRun : width;
        V part[registers] = {};
        for (int64_t k = begin; k < end; ++k) {
            const V x = splat<V>(a[k]);
#pragma GCC unroll 8
            for (int r = 0; r < registers; ++r)
                part[r] = joined<how>(part[r], V(x - load<V>(b + k * stride + r * kLanes<T>)));
        }
#pragma GCC unroll 8
        for (int r = 0; r < registers; ++r) all[r] = together<how>(all[r], part[r]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < registers; ++r) {
        if constexpr (how == Distance::euclid) all[r] = sqrt(all[r]);
        const int64_t rest = n - r * kLanes<T>;
        if (rest >= kLanes<T>) store(to + r * kLanes<T>, all[r]);
        else if (rest > 0) __builtin_memcpy(to + r * kLanes<T>, &all[r], size_t(rest) * sizeof(T));
    }
}
template <Distance how, class T>
void line(const T* a, const T* b, int64_t stride, int64_t width, int64_t n, T* to) {
    constexpr int kTogether = kWidth == 32 ? 6 : 4;  // as many as hide the latency and fit; 64 rows are the most
    int64_t j = 0;
    for (; j + kTogether * kLanes<T> <= n; j += kTogether * kLanes<T>)
        block<how, kTogether>(a, b + j, stride, width, kTogether * kLanes<T>, to + j);
    if (j == n) return;
    if (n - j <= kLanes<T>) block<how, 1>(a, b + j, stride, width, n - j, to + j);
    else block<how, kTogether>(a, b + j, stride, width, n - j, to + j);
}
template <class T>
void distances(Distance how, const T* a, const T* b, int64_t stride, int64_t width, int64_t n, T* to) {
    switch (how) {
        case Distance::count: return line<Distance::count>(a, b, stride, width, n, to);
        case Distance::sum: return line<Distance::sum>(a, b, stride, width, n, to);
        case Distance::euclid: return line<Distance::euclid>(a, b, stride, width, n, to);
        case Distance::largest: return line<Distance::largest>(a, b, stride, width, n, to);
    }
}

}  // namespace

extern constexpr DistanceLoops distance_loops = {distances<float>, distances<double>};

}  // namespace fb::cpu::FB_ARCH
