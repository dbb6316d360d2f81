// The first n elements of a register, n less than it has lanes: read with zeros behind them, and written.
#pragma once
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {

#if FB_AVX2
// Read from number lanes - n on: all bits of the first n lanes.
template <class I>
struct FirstLanes {
    I mask[2 * kLanes<I>] = {};
    constexpr FirstLanes() {
        for (int k = 0; k < kLanes<I>; ++k) mask[k] = ~I(0);
    }
    __m256i operator()(int64_t n) const { return load<__m256i>(mask + kLanes<I> - n); }
};
template <class I>
inline constexpr FirstLanes<I> first_lanes;

// As 128 bits: of four and more elements two halves that overlap.
inline __m128i load_first_halves(const void* from, int64_t n) {
    const char* const p = static_cast<const char*>(from);
    if (n >= 4) {
        const auto low = load<uint64_t>(p), high = load<uint64_t>(p + 2 * (n - 4));
        return _mm_set_epi64x(n == 4 ? 0 : int64_t(high >> (16 * (8 - n))), int64_t(low));
    }
    if (n >= 2)
        return _mm_cvtsi64_si128(
            int64_t(load<uint32_t>(p) | uint64_t(load<uint32_t>(p + 2 * (n - 2))) << (16 * (n - 2))));
    return n ? _mm_cvtsi32_si128(load<uint16_t>(p)) : _mm_setzero_si128();
}
// The first `bytes` < 16, which are a multiple of `item`. (Masked stores are slow on some of these processors.)
template <int item>
inline void store_first_bytes(char* p, __m128i v, int64_t bytes) {
    if (bytes & 8) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), v);
        v = _mm_unpackhi_epi64(v, v);
        p += 8;
    }
    if constexpr (item <= 4)
        if (bytes & 4) {
            store(p, _mm_cvtsi128_si32(v));
            v = _mm_srli_epi64(v, 32);
            p += 4;
        }
    if constexpr (item <= 2)
        if (bytes & 2) store(p, uint16_t(_mm_cvtsi128_si32(v)));
}
template <int item>
inline void store_first_bytes(char* p, __m256i v, int64_t bytes) {
    __m128i part = _mm256_castsi256_si128(v);
    if (bytes & 16) {
        store(p, part);
        part = _mm256_extracti128_si256(v, 1);
        p += 16;
    }
    store_first_bytes<item>(p, part, bytes & 15);
}
#endif

inline F load_first(const float* p, int64_t n) {
#if FB_AVX512
    return F(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p));
#elif FB_AVX2
    return F(_mm256_maskload_ps(p, first_lanes<int32_t>(n)));
#else
    F v{};
    __builtin_memcpy(&v, p, size_t(n) * sizeof *p);
    return v;
#endif
}
inline D load_first(const double* p, int64_t n) {
#if FB_AVX512
    return D(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p));
#elif FB_AVX2
    return D(_mm256_maskload_pd(p, first_lanes<int64_t>(n)));
#else
    D v{};
    __builtin_memcpy(&v, p, size_t(n) * sizeof *p);
    return v;
#endif
}
template <class T>
    requires(sizeof(T) == 2)
inline F load_first(const T* p, int64_t n) {
    T rest[kLanes<float>] = {};
#if FB_AVX512
    store(rest, _mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p));
#elif FB_AVX2
    store(rest, load_first_halves(p, n));
#else
    __builtin_memcpy(rest, p, size_t(n) * sizeof *p);
#endif
    return load_as(rest);
}
inline void store_first(float* p, F v, int64_t n) {
#if FB_AVX512
    _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), __m512(v));
#elif FB_AVX2
    store_first_bytes<4>(reinterpret_cast<char*>(p), __m256i(v), 4 * n);
#else
    __builtin_memcpy(p, &v, size_t(n) * sizeof *p);
#endif
}
inline void store_first(double* p, D v, int64_t n) {
#if FB_AVX512
    _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), __m512d(v));
#elif FB_AVX2
    store_first_bytes<8>(reinterpret_cast<char*>(p), __m256i(v), 8 * n);
#else
    __builtin_memcpy(p, &v, size_t(n) * sizeof *p);
#endif
}
template <class T>
    requires(sizeof(T) == 2)
inline void store_first(T* p, F v, int64_t n) {
    T all[kLanes<float>];
    store_as(all, v);
#if FB_AVX512
    _mm256_mask_storeu_epi16(p, __mmask16((1u << n) - 1), load<__m256i>(all));
#elif FB_AVX2
    store_first_bytes<2>(reinterpret_cast<char*>(p), load<__m128i>(all), 2 * n);
#else
    __builtin_memcpy(p, all, size_t(n) * sizeof *p);
#endif
}

}  // namespace fb::cpu::FB_ARCH
