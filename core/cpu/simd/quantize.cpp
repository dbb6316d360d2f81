// Numbers as bytes that stand for them and back, compiled once for each instruction set.
#include "cpu/quantize.h"
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int w = kLanes<float>;

// a·b + c rounded once; the product of two floats is exact in double.
inline F once(F a, F b, F c) {
    if constexpr (kHasFma) return fma(a, b, c);
    const D2 x = widen(a), y = widen(b), z = widen(c);
    return narrow({x.lo * y.lo + z.lo, x.hi * y.hi + z.hi});
}
struct Steps {
    F factor, zero, low, high;
    explicit Steps(const void* s, int at)
        : factor(splat<F>(param(s, at))),
          zero(splat<F>(param(s, at + 1))),
          low(splat<F>(param(s, at + 2))),
          high(splat<F>(param(s, at + 3))) {}
    F together(F x) const { return max(min(round_even(once(x, factor, zero)), high), low); }
    F apart(F x) const { return min(max(F(round_even(F(x * factor)) + zero), low), high); }
};

// A register from memory of floats or bytes and back; whole numbers that fit into a byte.
inline F read(const float* p) { return load<F>(p); }
template <class T>
inline F read(const T* p) {
    [[maybe_unused]] constexpr bool sign = T(-1) < 0;
#if FB_AVX512
    const __m128i v = load<__m128i>(p);
    return F(_mm512_cvtepi32_ps(sign ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v)));
#elif FB_AVX2
    const __m128i v = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return F(_mm256_cvtepi32_ps(sign ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v)));
#else
    F v;
    for (int k = 0; k < w; ++k) v[k] = float(p[k]);
    return v;
#endif
}
inline void write(float* p, F v) { store(p, v); }
template <class T>
inline void write(T* p, F v) {
#if FB_AVX512
    store(p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(__m512(v))));
#elif FB_AVX2
    [[maybe_unused]] constexpr bool sign = T(-1) < 0;
    const __m256i i = _mm256_cvtps_epi32(__m256(v));
    const __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    store(p, _mm_cvtsi128_si64(sign ? _mm_packs_epi16(half, half) : _mm_packus_epi16(half, half)));
#else
    for (int k = 0; k < w; ++k) p[k] = T(int32_t(v[k]));
#endif
}

// out[i] = f(in[i]...), registers of floats; the rest of a strip goes through one of its own.
template <class Out, class... In, class Fn>
inline void each(Out* out, int64_t n, Fn f, const In*... in) {
    int64_t i = 0;
    for (; i + 4 * w <= n; i += 4 * w) {
#pragma GCC unroll 4
        for (int k = 0; k < 4 * w; k += w) write(out + i + k, F(f(read(in + i + k)...)));
    }
    for (; i + w <= n; i += w) write(out + i, F(f(read(in + i)...)));
    if (i == n) return;
    const auto part = [&]<class T>(const T* from) {
        T rest[w] = {};
        __builtin_memcpy(rest, from + i, size_t(n - i) * sizeof(T));
        return read(rest);
    };
    Out rest[w];
    write(rest, F(f(part(in)...)));
    __builtin_memcpy(out + i, rest, size_t(n - i) * sizeof(Out));
}
template <class T>
inline const T* as(const char* p) {
    return reinterpret_cast<const T*>(p);
}

template <class T, bool apart>
void levels(char* out, const char* const* in, int64_t n, const void* s) {
    const Steps steps(s, 0);
    each(
        reinterpret_cast<T*>(out), n, [=](F x) { return apart ? steps.apart(x) : steps.together(x); },
        as<float>(in[0]));
}
template <class T, bool rounded_once>
void numbers(char* out, const char* const* in, int64_t n, const void* s) {
    const F factor = splat<F>(param(s, 0)), shift = splat<F>(param(s, 1));
    each(
        reinterpret_cast<float*>(out), n,
        [=](F x) { return rounded_once ? once(x, factor, shift) : F((x - shift) * factor); }, as<T>(in[0]));
}
template <class T, bool product>
void pair(char* out, const char* const* in, int64_t n, const void* s) {
    const F factor_a = splat<F>(param(s, 0)), shift_a = splat<F>(param(s, 1)), factor_b = splat<F>(param(s, 2)),
            shift_b = splat<F>(param(s, 3));
    const Steps steps(s, 4);
    const auto f = [=](F a, F b) {
        if constexpr (product) return steps.apart(F((a - shift_a) * (b - shift_b)));
        else return steps.apart(F(once(a, factor_a, shift_a) + once(b, factor_b, shift_b)));
    };
    each(reinterpret_cast<T*>(out), n, f, as<T>(in[0]), as<T>(in[1]));
}
void of_sums(char* out, const char* const* in, int64_t n, const void* s) {
    const F zero = splat<F>(param(s, 0)), low = splat<F>(param(s, 1)), high = splat<F>(255);
    const auto f = [=](F x, F b, F factor) { return min(max(F(round_even(F((x + b) * factor)) + zero), low), high); };
    each(reinterpret_cast<uint8_t*>(out), n, f, as<float>(in[0]), as<float>(in[1]), as<float>(in[2]));
}

using U = uint8_t;
using I = int8_t;

}  // namespace

extern constexpr QuantizeLoops quantize_loops = {{loop<levels<U, false>, U, float>, loop<levels<I, false>, I, float>},
                                                 {loop<levels<U, true>, U, float>, loop<levels<I, true>, I, float>},
                                                 {loop<numbers<U, false>, float, U>, loop<numbers<I, false>, float, I>},
                                                 {loop<numbers<U, true>, float, U>, loop<numbers<I, true>, float, I>},
                                                 {loop<pair<U, false>, U, U, U>, loop<pair<I, false>, I, I, I>},
                                                 {loop<pair<U, true>, U, U, U>, loop<pair<I, true>, I, I, I>},
                                                 loop<of_sums, U, float, float, float>};

}  // namespace fb::cpu::FB_ARCH
