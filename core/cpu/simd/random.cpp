// Plain loops that the compiler turns into vectors; compiled once for each instruction set, without
// contraction: operations are fused where fma is written. log, sin and cos are the single precision routines
// of S. Moshier's Cephes library, as PyTorch uses them for randn.
#include "cpu/random_steps.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int kWords = 624, kShift = 397;  // length of the state and distance of the recurrence

uint32_t twist(uint32_t a, uint32_t b) {
    return (((a & 0x80000000u) | (b & 0x7fffffffu)) >> 1) ^ (uint32_t(-int32_t(b & 1)) & 0x9908b0dfu);
}
void refill(uint32_t* s) {
    for (int i = 0; i < kWords - kShift; ++i) s[i] = s[i + kShift] ^ twist(s[i], s[i + 1]);
    for (int i = kWords - kShift; i < kWords - 1; ++i) s[i] = s[i + kShift - kWords] ^ twist(s[i], s[i + 1]);
    s[kWords - 1] = s[kShift - 1] ^ twist(s[kWords - 1], s[0]);
}
void temper(const uint32_t* state, uint32_t* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        uint32_t y = state[i];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        out[i] = y ^ (y >> 18);
    }
}

void unit_float(const uint32_t* words, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] = float(int32_t(words[i] & 0xffffff)) * 0x1p-24f;
}
// Every step is exact; the halves are converted one by one because few CPUs have a vector conversion of 64
// bits.
void unit_double(const uint32_t* words, double* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        const double high = int32_t(words[2 * i] & 0x1fffff), low = int32_t(words[2 * i + 1] ^ 0x80000000u);
        out[i] = (high * 0x1p32 + (low + 0x1p31)) * 0x1p-53;
    }
}

float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

void stretch_float(float* x, int64_t n, float from, float to) {
    const float width = to - from;
    for (int64_t i = 0; i < n; ++i) {
        const float r = fma(x[i], width, from);
        x[i] = r == to ? from : r;
    }
}
void stretch_double(double* x, int64_t n, double from, double to) {
    const double width = to - from;
    for (int64_t i = 0; i < n; ++i) {
        const double r = __builtin_fma(x[i], width, from);
        x[i] = r == to ? from : r;
    }
}

float log_cephes(float x) {
    constexpr float kSmallest = 0x1p-126f, kSqrtHalf = 0.707106781186547524f;
    x = x < kSmallest ? kSmallest : x;
    const uint32_t bits = __builtin_bit_cast(uint32_t, x);
    float e = float(int32_t(bits >> 23) - 126);
    x = __builtin_bit_cast(float, (bits & 0x007fffffu) | 0x3f000000u);  // mantissa in [0.5, 1)
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

void sincos_cephes(float x, float& sine, float& cosine) {         // x >= 0
    const int32_t j = (int32_t(x * 1.27323954473516f) + 1) & ~1;  // octant, rounded to even
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
    sine = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, swap ? c : s) ^ sine_sign);
    cosine = __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, swap ? s : c) ^ cosine_sign);
}

void box_muller(float* x, int64_t count, float mean, float std) {
    constexpr float kTwoPi = 6.283185307179586f;
    for (int64_t b = 0; b < count; ++b, x += 16) {
        for (int i = 0; i < 8; ++i) {
            const float radius = __builtin_sqrtf(-2.0f * log_cephes(1.0f - x[i]));
            float sine, cosine;
            sincos_cephes(kTwoPi * x[i + 8], sine, cosine);
            x[i] = fma(radius * cosine, std, mean);
            x[i + 8] = fma(radius * sine, std, mean);
        }
    }
}

}  // namespace

extern const RandomSteps steps;
constinit const RandomSteps steps = {refill,        temper,         unit_float, unit_double,
                                     stretch_float, stretch_double, box_muller};

}  // namespace fb::cpu::FB_ARCH
