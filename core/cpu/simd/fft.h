// Complex vectors and the butterflies that the transforms of cpu/simd/fft.cpp are made of.
#pragma once
#include "cpu/fft_loops.h"
#include "cpu/simd/turn.h"

namespace fb::cpu::FB_ARCH {

// Registers of half the width where they are 64 bytes long: radix 8 then finds whole vectors after its first pass.
template <class T>
using LineVec = typename VecOf<T, (kWidth > 32 ? 32 : kWidth)>::type;
#if FB_AVX512
template <>
struct VecTraits<LineVec<float>> {
    using scalar = float;
};
template <>
struct VecTraits<LineVec<double>> {
    using scalar = double;
};
inline LineVec<float> fma(LineVec<float> a, LineVec<float> b, LineVec<float> c) {
    return LineVec<float>(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
}
inline LineVec<double> fma(LineVec<double> a, LineVec<double> b, LineVec<double> c) {
    return LineVec<double>(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
}
#endif

template <class V>
struct Pair {
    V re, im;
};
template <class V>
inline Pair<V> operator+(Pair<V> a, Pair<V> b) {
    return {a.re + b.re, a.im + b.im};
}
template <class V>
inline Pair<V> operator-(Pair<V> a, Pair<V> b) {
    return {a.re - b.re, a.im - b.im};
}
template <class V>
inline Pair<V> times(Pair<V> a, V re, V im) {
    return {fma(a.re, re, V(-(a.im * im))), fma(a.re, im, V(a.im * re))};
}
template <class V>
inline Pair<V> scaled(Pair<V> a, Scalar<V> f) {
    return {a.re * f, a.im * f};
}
template <class V>
inline Pair<V> turned(Pair<V> a) {  // times -i
    return {a.im, -a.re};
}
template <class V>
inline Pair<V> conj(Pair<V> a) {
    return {a.re, -a.im};
}
template <class V>
inline Pair<V> get(Split<Scalar<V>> p, int64_t i) {
    return {load<V>(p.re + i), load<V>(p.im + i)};
}
template <class V>
inline void put(Split<Scalar<V>> p, int64_t i, Pair<V> v) {
    store(p.re + i, v.re);
    store(p.im + i, v.im);
}

// ---------------------------------------------------------------- between pairs in memory and vectors
template <class V, int... l>
inline Pair<V> apart(V a, V b, std::integer_sequence<int, l...>) {
    return {__builtin_shufflevector(a, b, 2 * l...), __builtin_shufflevector(a, b, 2 * l + 1 ...)};
}
template <class V>
inline Pair<V> load_pairs(const Scalar<V>* p) {
    constexpr int w = kLanesOf<V>;
    return apart(load<V>(p), load<V>(p + w), std::make_integer_sequence<int, w>());
}
template <class V, int... l>
inline void store_pairs(Scalar<V>* p, Pair<V> v, std::integer_sequence<int, l...>) {
    constexpr int w = sizeof...(l);
    store(p, __builtin_shufflevector(v.re, v.im, (l % 2 * w + l / 2)...));
    store(p + w, __builtin_shufflevector(v.re, v.im, (l % 2 * w + l / 2 + w / 2)...));
}
template <class V>
inline void store_pairs(Scalar<V>* p, Pair<V> v) {
    store_pairs(p, v, std::make_integer_sequence<int, kLanesOf<V>>());
}
template <class V>
inline Pair<V> reversed(Pair<V> v) {
    constexpr auto lanes = std::make_integer_sequence<int, kLanesOf<V>>();
    return {reversed(v.re, lanes), reversed(v.im, lanes)};
}

// ---------------------------------------------------------------- butterflies: the transform of p values, in place
template <class V>
inline void four(Pair<V>& a, Pair<V>& b, Pair<V>& c, Pair<V>& d) {
    const Pair<V> s = a + c, t = a - c, u = b + d, v = turned(b - d);
    a = s + u;
    b = t + v;
    c = s - u;
    d = t - v;
}
template <int p, class V>
inline void butterfly(Pair<V>* a) {
    if constexpr (p == 2) {
        const Pair<V> x = a[0], y = a[1];
        a[0] = x + y;
        a[1] = x - y;
    } else if constexpr (p == 3) {
        const Pair<V> s = a[1] + a[2], d = scaled(turned(a[1] - a[2]), 0.8660254037844386), mid = a[0] - scaled(s, 0.5);
        a[0] = a[0] + s;
        a[1] = mid + d;
        a[2] = mid - d;
    } else if constexpr (p == 4) {
        four(a[0], a[1], a[2], a[3]);
    } else if constexpr (p == 5) {
        constexpr double c1 = 0.30901699437494745, c2 = -0.8090169943749475, s1 = 0.9510565162951535,
                         s2 = 0.5877852522924731;
        const Pair<V> t1 = a[1] + a[4], t2 = a[2] + a[3], t3 = a[1] - a[4], t4 = a[2] - a[3];
        const Pair<V> m1 = a[0] + scaled(t1, c1) + scaled(t2, c2), m2 = a[0] + scaled(t1, c2) + scaled(t2, c1);
        const Pair<V> n1 = turned(scaled(t3, s1) + scaled(t4, s2)), n2 = turned(scaled(t3, s2) - scaled(t4, s1));
        a[0] = a[0] + t1 + t2;
        a[1] = m1 + n1;
        a[4] = m1 - n1;
        a[2] = m2 + n2;
        a[3] = m2 - n2;
    } else if constexpr (p == 8) {
        constexpr double r = 0.7071067811865476;
        four(a[0], a[2], a[4], a[6]);
        four(a[1], a[3], a[5], a[7]);
        // Now a[2k] holds the transform of the even values, a[2k + 1] that of the odd ones.
        const Pair<V> o1 = scaled(Pair<V>{a[3].re + a[3].im, a[3].im - a[3].re}, r), o2 = turned(a[5]),
                      o3 = scaled(Pair<V>{a[7].im - a[7].re, -(a[7].re + a[7].im)}, r);
        const Pair<V> e0 = a[0], e1 = a[2], e2 = a[4], e3 = a[6], o0 = a[1];
        a[0] = e0 + o0;
        a[1] = e1 + o1;
        a[2] = e2 + o2;
        a[3] = e3 + o3;
        a[4] = e0 - o0;
        a[5] = e1 - o1;
        a[6] = e2 - o2;
        a[7] = e3 - o3;
    }
}

}  // namespace fb::cpu::FB_ARCH
