// log, sin and cos are the single precision routines of S. Moshier's Cephes library, as PyTorch uses them for
// randn. Compiled without contraction: fused operations are written as fma.
#include "cpu/random_vector.h"

#include <bit>
#include <cmath>

namespace fb::cpu {
namespace {

#define FB_INLINE inline __attribute__((always_inline))

FB_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

FB_INLINE float log_cephes(float x) {
    constexpr float kSmallest = 0x1p-126f, kSqrtHalf = 0.707106781186547524f;
    x = x < kSmallest ? kSmallest : x;
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    float e = float(int32_t(bits >> 23) - 126);
    x = std::bit_cast<float>((bits & 0x007fffffu) | 0x3f000000u);  // mantissa in [0.5, 1)
    const bool low = x < kSqrtHalf;
    e -= low ? 1.0f : 0.0f;
    x = (x - 1.0f) + (low ? x : 0.0f);
    const float z = x * x;
    float y = 7.0376836292e-2f;
    y = fma(y, x, -1.1514610310e-1f);
    y = fma(y, x, 1.1676998740e-1f);
    y = fma(y, x, -1.2420140846e-1f);
    y = fma(y, x, 1.4249322787e-1f);
    y = fma(y, x, -1.6668057665e-1f);
    y = fma(y, x, 2.0000714765e-1f);
    y = fma(y, x, -2.4999993993e-1f);
    y = fma(y, x, 3.3333331174e-1f);
    y = y * x;
    y = fma(y, z, e * -2.12194440e-4f);
    y = fma(-0.5f, z, y);
    x = x + y;
    return fma(e, 0.693359375f, x);
}

FB_INLINE void sincos_cephes(float x, float& sine, float& cosine) {  // x >= 0
    const int32_t j = (int32_t(x * 1.27323954473516f) + 1) & ~1;     // octant, rounded to even
    const float k = float(j);
    x = fma(k, -0.78515625f, x);
    x = fma(k, -2.4187564849853515625e-4f, x);
    x = fma(k, -3.77489497744594108e-8f, x);
    const float z = x * x;
    float c = fma(2.443315711809948e-5f, z, -1.388731625493765e-3f);
    c = fma(c, z, 4.166664568298827e-2f);
    c = c * z;
    c = fma(c, z, -(z * 0.5f));
    c = c + 1.0f;
    float s = fma(-1.9515295891e-4f, z, 8.3321608736e-3f);
    s = fma(s, z, -1.6666654611e-1f);
    s = s * z;
    s = fma(s, x, x);
    const bool swap = (j & 2) != 0;
    const uint32_t sine_sign = uint32_t(j & 4) << 29, cosine_sign = uint32_t(~(j - 2) & 4) << 29;
    sine = std::bit_cast<float>(std::bit_cast<uint32_t>(swap ? c : s) ^ sine_sign);
    cosine = std::bit_cast<float>(std::bit_cast<uint32_t>(swap ? s : c) ^ cosine_sign);
}

FB_INLINE void box_muller_body(float* x, int64_t count, float mean, float std) {
    for (int64_t b = 0; b < count; ++b, x += 16) {
        for (int i = 0; i < 8; ++i) {
            const float radius = __builtin_sqrtf(-2.0f * log_cephes(1.0f - x[i]));
            float sine, cosine;
            sincos_cephes(float(2 * M_PI) * x[i + 8], sine, cosine);
            x[i] = fma(radius * cosine, std, mean);
            x[i + 8] = fma(radius * sine, std, mean);
        }
    }
}

FB_INLINE void stretch_body(float* x, int64_t n, float from, float to) {
    const float width = to - from;
    for (int64_t i = 0; i < n; ++i) {
        const float r = fma(x[i], width, from);
        x[i] = r == to ? from : r;
    }
}
FB_INLINE void stretch_body(double* x, int64_t n, double from, double to) {
    const double width = to - from;
    for (int64_t i = 0; i < n; ++i) {
        const double r = __builtin_fma(x[i], width, from);
        x[i] = r == to ? from : r;
    }
}

// The same source for AVX2 and for the base instruction set, where fma is a (correctly rounding) library
// call.
#if defined(__x86_64__)
#define FB_AVX2 __attribute__((target("avx2,fma")))
FB_AVX2 void box_muller_avx2(float* x, int64_t count, float mean, float std) {
    box_muller_body(x, count, mean, std);
}
template <class T>
FB_AVX2 void stretch_avx2(T* x, int64_t n, T from, T to) {
    stretch_body(x, n, from, to);
}
bool has_avx2() {
    static const bool yes = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return yes;
}
#else
constexpr auto box_muller_avx2 = box_muller_body;
template <class T>
void stretch_avx2(T* x, int64_t n, T from, T to) {
    stretch_body(x, n, from, to);
}
bool has_avx2() { return false; }
#endif

}  // namespace

void box_muller(float* x, int64_t count, float mean, float std) {
    if (has_avx2()) box_muller_avx2(x, count, mean, std);
    else box_muller_body(x, count, mean, std);
}

void box_muller(double* x, int64_t count, double mean, double std) {
    for (; count > 0; --count, x += 16) {
        for (int i = 0; i < 8; ++i) {
            const double radius = std::sqrt(-2 * std::log(1 - x[i])), angle = 2 * M_PI * x[i + 8];
            x[i] = std::fma(radius * std::cos(angle), std, mean);
            x[i + 8] = std::fma(radius * std::sin(angle), std, mean);
        }
    }
}

void stretch(float* x, int64_t n, float from, float to) {
    if (has_avx2()) stretch_avx2(x, n, from, to);
    else stretch_body(x, n, from, to);
}
void stretch(double* x, int64_t n, double from, double to) {
    if (has_avx2()) stretch_avx2(x, n, from, to);
    else stretch_body(x, n, from, to);
}

}  // namespace fb::cpu
