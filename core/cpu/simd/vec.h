// Vectors of one register for the instruction set this file is compiled for: plain GCC/clang vector types, so that + -
// * / < and ?: work on them and other processors build too; intrinsics only where a single instruction has no other
// name.
//
// Files that include this are compiled once for each instruction set with FB_ARCH naming the namespace. They must not
// instantiate inline functions of other headers (the linker could keep the AVX-512 copy for everybody): hence builtins
// in place of <cmath>, and own 16-bit and complex types in place of fb's.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef FB_ARCH
#error "compile with -DFB_ARCH=baseline, avx2 or avx512"
#endif

namespace fb::cpu::FB_ARCH {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define FB_AVX512 1
inline constexpr int kWidth = 64;
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define FB_AVX2 1
inline constexpr int kWidth = 32;
#else
inline constexpr int kWidth = 16;
#endif

template <class T, int bytes>
struct VecOf {
    typedef T type __attribute__((vector_size(bytes)));
};
template <class T>
using Vec = typename VecOf<T, kWidth>::type;
template <class T>
using HalfVec = typename VecOf<T, kWidth / 2>::type;
template <class T>
inline constexpr int kLanes = kWidth / int(sizeof(T));

using F = Vec<float>;
using D = Vec<double>;

template <class V>
struct VecTraits;
template <>
struct VecTraits<F> {
    using scalar = float;
    using integer = int32_t;
    using bits = Vec<int32_t>;
};
template <>
struct VecTraits<D> {
    using scalar = double;
    using integer = int64_t;
    using bits = Vec<int64_t>;
};
template <class V>
using Scalar = typename VecTraits<V>::scalar;
template <class V>
using Bits = typename VecTraits<V>::bits;  // integer lanes of the same width: masks (0 or -1) and bit patterns

// Half, bfloat16 and complex elements as they lie in memory.
struct Half {
    uint16_t bits;
};
struct BHalf {
    uint16_t bits;
};
template <class T>
struct Cx {
    T re, im;
};
struct HalfCx {
    Half re, im;
};

template <class V>
inline V splat(Scalar<V> x) {
    return x - V{};  // not x + 0: that would lose the sign of -0
}
template <class V>
inline V load(const void* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <class V>
inline void store(void* p, V v) {
    __builtin_memcpy(p, &v, sizeof v);
}
template <class To, class From>
inline To bitcast(From v) {
    static_assert(sizeof(To) == sizeof(From));
    To r;
    __builtin_memcpy(&r, &v, sizeof r);
    return r;
}

// ---- single instructions ----
inline F fma(F a, F b, F c) {
#if FB_AVX512
    return F(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c)));
#elif FB_AVX2
    return F(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c)));
#else
    return a * b + c;
#endif
}
inline D fma(D a, D b, D c) {
#if FB_AVX512
    return D(_mm512_fmadd_pd(__m512d(a), __m512d(b), __m512d(c)));
#elif FB_AVX2
    return D(_mm256_fmadd_pd(__m256d(a), __m256d(b), __m256d(c)));
#else
    return a * b + c;
#endif
}
#if FB_AVX512 || FB_AVX2
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

inline F sqrt(F x) {
#if FB_AVX512
    return F(_mm512_sqrt_ps(__m512(x)));
#elif FB_AVX2
    return F(_mm256_sqrt_ps(__m256(x)));
#elif defined(__SSE2__)
    return F(_mm_sqrt_ps(__m128(x)));
#else
    for (int i = 0; i < kLanes<float>; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
inline D sqrt(D x) {
#if FB_AVX512
    return D(_mm512_sqrt_pd(__m512d(x)));
#elif FB_AVX2
    return D(_mm256_sqrt_pd(__m256d(x)));
#elif defined(__SSE2__)
    return D(_mm_sqrt_pd(__m128d(x)));
#else
    for (int i = 0; i < kLanes<double>; i++) x[i] = __builtin_sqrt(x[i]);
    return x;
#endif
}

template <class V>
inline V abs(V x) {
    return bitcast<V>(bitcast<Bits<V>>(x) & ~bitcast<Bits<V>>(splat<V>(-0.0)));
}
template <class V>
inline V sign_bit(V x) {  // ±0
    return bitcast<V>(bitcast<Bits<V>>(x) & bitcast<Bits<V>>(splat<V>(-0.0)));
}
template <class V>
inline V with_sign(V magnitude, V sign) {  // magnitude must not be negative
    return bitcast<V>(bitcast<Bits<V>>(magnitude) | bitcast<Bits<V>>(sign_bit(sign)));
}

// To nearest even. The baseline adds and takes away 2^52 (2^23), which rounds.
template <class V>
inline V round_even(V x) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm512_roundscale_ps(__m512(x), 8));
    else return V(_mm512_roundscale_pd(__m512d(x), 8));
#elif FB_AVX2
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm256_round_ps(__m256(x), 8));
    else return V(_mm256_round_pd(__m256d(x), 8));
#else
    const V magic = splat<V>(sizeof(Scalar<V>) == 4 ? 8388608.0 : 4503599627370496.0), a = abs(x);
    V r = a + magic;
    asm("" : "+x"(r));  // keep the compiler from cancelling the two
    return a < magic ? with_sign(V(r - magic), x) : x;
#endif
}
template <class V>
inline V floor(V x) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm512_roundscale_ps(__m512(x), 9));
    else return V(_mm512_roundscale_pd(__m512d(x), 9));
#elif FB_AVX2
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm256_round_ps(__m256(x), 9));
    else return V(_mm256_round_pd(__m256d(x), 9));
#else
    const V r = round_even(x);
    return with_sign(abs(V(r > x ? r - splat<V>(1) : r)), V(x < V{} ? splat<V>(-1) : x));
#endif
}
template <class V>
inline V ceil(V x) {
    return -floor(V(-x));
}
template <class V>
inline V trunc(V x) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm512_roundscale_ps(__m512(x), 11));
    else return V(_mm512_roundscale_pd(__m512d(x), 11));
#elif FB_AVX2
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm256_round_ps(__m256(x), 11));
    else return V(_mm256_round_pd(__m256d(x), 11));
#else
    return with_sign(floor(abs(x)), x);
#endif
}

// The second operand where either is NaN: min(bound, x) keeps the NaN of x. This is what the instruction does.
template <class V>
inline V min(V a, V b) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm512_min_ps(__m512(a), __m512(b)));
    else return V(_mm512_min_pd(__m512d(a), __m512d(b)));
#elif FB_AVX2
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm256_min_ps(__m256(a), __m256(b)));
    else return V(_mm256_min_pd(__m256d(a), __m256d(b)));
#else
    return a < b ? a : b;
#endif
}
template <class V>
inline V max(V a, V b) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm512_max_ps(__m512(a), __m512(b)));
    else return V(_mm512_max_pd(__m512d(a), __m512d(b)));
#elif FB_AVX2
    if constexpr (sizeof(Scalar<V>) == 4) return V(_mm256_max_ps(__m256(a), __m256(b)));
    else return V(_mm256_max_pd(__m256d(a), __m256d(b)));
#else
    return a > b ? a : b;
#endif
}
template <class V>
inline V min_nan(V a, V b) {  // NaN where either is
    return a != a ? a : min(a, b);
}
template <class V>
inline V max_nan(V a, V b) {
    return a != a ? a : max(a, b);
}

// 2^n for a whole number n within the exponent range
inline F exp2i(F n) { return bitcast<F>((__builtin_convertvector(n, Vec<int32_t>) + 127) << 23); }
inline D exp2i(D n) {
    // n + 1.5·2^52 holds n in its low bits: cheaper than a conversion to 64-bit integers where there is none
    const D shifted = n + 6755399441055744.0;
    return bitcast<D>((bitcast<Vec<int64_t>>(shifted) + 1023) << 52);
}
// x · 2^n for a whole number n, with overflow and gradual underflow
inline F ldexp(F x, F n) {
#if FB_AVX512
    return F(_mm512_scalef_ps(__m512(x), __m512(n)));
#else
    const F h = round_even(F(n * 0.5f));
    return x * exp2i(h) * exp2i(F(n - h));
#endif
}
inline D ldexp(D x, D n) {
#if FB_AVX512
    return D(_mm512_scalef_pd(__m512d(x), __m512d(n)));
#else
    const D h = round_even(D(n * 0.5));
    return x * exp2i(h) * exp2i(D(n - h));
#endif
}

template <class B>
inline bool any(B mask) {
#if FB_AVX512
    return _mm512_movepi32_mask(__m512i(mask)) != 0;
#elif FB_AVX2
    return _mm256_movemask_epi8(__m256i(mask)) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_epi8(__m128i(mask)) != 0;
#else
    const auto w = bitcast<typename VecOf<int64_t, 16>::type>(mask);
    return (w[0] | w[1]) != 0;
#endif
}

// ---- between float and double ----
struct D2 {
    D lo, hi;
};
inline D2 widen(F x) {
#if FB_AVX512  // GCC 12 widens the halves of 256 bits one by one
    const __m512 v(x);
    return {D(_mm512_cvtps_pd(_mm512_castps512_ps256(v))), D(_mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)))};
#elif FB_AVX2  // nor by way of memory
    const __m256 v(x);
    return {D(_mm256_cvtps_pd(_mm256_castps256_ps128(v))), D(_mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)))};
#else
    HalfVec<float> h[2];
    __builtin_memcpy(h, &x, sizeof x);
    return {__builtin_convertvector(h[0], D), __builtin_convertvector(h[1], D)};
#endif
}
inline F narrow(D2 x) {
#if FB_AVX2
    return F(_mm256_set_m128(_mm256_cvtpd_ps(__m256d(x.hi)), _mm256_cvtpd_ps(__m256d(x.lo))));
#else
    const HalfVec<float> h[2] = {__builtin_convertvector(x.lo, HalfVec<float>),
                                 __builtin_convertvector(x.hi, HalfVec<float>)};
    F r;
    __builtin_memcpy(&r, h, sizeof r);
    return r;
#endif
}

// ---- half and bfloat16 ----
inline float to_float(float x) { return x; }
inline double to_float(double x) { return x; }
inline float to_float(BHalf x) { return bitcast<float>(uint32_t(x.bits) << 16); }
inline float to_float(Half x) {
#if FB_AVX512 || FB_AVX2
    return _cvtsh_ss(x.bits);
#else
    const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, mag = uint32_t(x.bits & 0x7fff) << 13;
    if (mag >= 0x0f800000) return bitcast<float>(sign | 0x70000000 | mag);  // infinite or NaN
    return bitcast<float>(sign |
                          bitcast<uint32_t>(bitcast<float>(mag) * 5.192296858534828e33f));  // 2^112: subnormals too
#endif
}
template <class T>
inline T from_float(float x) = delete;
template <>
inline float from_float<float>(float x) {
    return x;
}
template <>
inline BHalf from_float<BHalf>(float x) {
    const uint32_t u = bitcast<uint32_t>(x);
    return {uint16_t((u & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
template <>
inline Half from_float<Half>(float x) {
#if FB_AVX512 || FB_AVX2
    return {uint16_t(_cvtss_sh(x, 0))};
#else
    const uint32_t u = bitcast<uint32_t>(x), sign = (u >> 16) & 0x8000, mag = u & 0x7fffffff;
    uint32_t r;
    if (mag >= 0x47800000) r = mag > 0x7f800000 ? 0x7e00 : 0x7c00;
    else if (mag < 0x38800000) r = bitcast<uint32_t>(bitcast<float>(mag) + 0.5f) - 0x3f000000;  // the adder rounds
    else r = (mag - 0x38000000 + 0xfff + ((mag >> 13) & 1)) >> 13;
    return {uint16_t(sign | r)};
#endif
}
template <class T>
inline T from_float(double x) {
    if constexpr (sizeof(T) == 8) return x;
    else return from_float<T>(float(x));
}

// One register of computing type from memory of type T and back.
inline F load_as(const float* p) { return load<F>(p); }
inline D load_as(const double* p) { return load<D>(p); }
inline F load_as(const BHalf* p) {
#if FB_AVX512
    const auto u = Vec<uint32_t>(_mm512_cvtepu16_epi32(load<__m256i>(p)));
#elif FB_AVX2  // GCC 12 widens by halves, and narrows with what its last bits may need
    const auto u = Vec<uint32_t>(_mm256_cvtepu16_epi32(load<__m128i>(p)));
#else
    const auto u = __builtin_convertvector(load<HalfVec<uint16_t>>(p), Vec<uint32_t>);
#endif
    return bitcast<F>(u << 16);
}
inline F load_as(const Half* p) {
#if FB_AVX512
    return F(_mm512_cvtph_ps(load<__m256i>(p)));
#elif FB_AVX2
    return F(_mm256_cvtph_ps(load<__m128i>(p)));
#else
    F r;
    for (int i = 0; i < kLanes<float>; i++) r[i] = to_float(p[i]);
    return r;
#endif
}
inline void store_as(float* p, F x) { store(p, x); }
inline void store_as(double* p, D x) { store(p, x); }
inline void store_as(BHalf* p, F x) {
    const auto u = bitcast<Vec<uint32_t>>(x);
    const auto r = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    const Vec<uint32_t> q = x != x ? (Vec<uint32_t>{} + 0x7fc0) : r;
#if FB_AVX512
    store(p, _mm512_cvtepi32_epi16(__m512i(q)));
#elif FB_AVX2
    store(p, _mm_packus_epi32(_mm256_castsi256_si128(__m256i(q)), _mm256_extracti128_si256(__m256i(q), 1)));
#else
    store(p, __builtin_convertvector(q, HalfVec<uint16_t>));
#endif
}
inline void store_as(Half* p, F x) {
#if FB_AVX512
    store(p, _mm512_cvtps_ph(__m512(x), 0));
#elif FB_AVX2
    store(p, _mm256_cvtps_ph(__m256(x), 0));
#else
    for (int i = 0; i < kLanes<float>; i++) p[i] = from_float<Half>(x[i]);
#endif
}

// Two registers of bfloat16 at once, every second element in each: no lanes have to be moved.
struct F2 {
    F even, odd;
};
inline F2 load_pair(const void* p) {
    const auto u = load<Vec<uint32_t>>(p);
    return {bitcast<F>(u << 16), bitcast<F>(u & 0xffff0000u)};
}
inline void store_pair(void* p, F2 x) {
    const auto rounded = [](F v) {
        const auto u = bitcast<Vec<uint32_t>>(v);
        const auto r = u + 0x7fff + ((u >> 16) & 1);
        return v != v ? (Vec<uint32_t>{} + 0x7fc00000) : r;
    };
    store(p, Vec<uint32_t>((rounded(x.even) >> 16) | (rounded(x.odd) & 0xffff0000u)));
}

}  // namespace fb::cpu::FB_ARCH
