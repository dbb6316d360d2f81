// Unary arithmetic, rounding, tests and elementary functions.
#include "cpu/simd/loop.h"
#include "cpu/simd/turn.h"

namespace fb::cpu::FB_ARCH {
namespace {

// v^e for a whole e >= 0, by squaring; wraps.
template <class T>
T int_power(T v, int64_t e) {
    T r = 1;
    for (; e > 0; e >>= 1, v = T(v * v))
        if (e & 1) r = T(r * v);
    return r;
}

template <class V>
V pow_scalar(V x, double e) {
    const V one = splat<V>(1);
    if (e == 0.5) return sqrt(x);
    if (e == -1) return one / x;
    if (e == -2) return one / (x * x);
    if (e == -0.5) return one / sqrt(x);
    if (e == 1) return x;
    if (e == 0) return one;
    return pow(x, splat<V>(Scalar<V>(e)));
}

#if FB_AVX2
// Taylor series of erf around the multiples of an eighth up to 6, from where on it is 1: their coefficients are a row
// for each, and rows of four lanes are turned in registers. A third of the time of two polynomials and an exponential.
struct ErfSeries {
    static constexpr int kRows = 49, kTerms = 12;
    alignas(32) double c[kRows][kTerms];
    constexpr ErfSeries() : c{} {
        using Wide = long double;
        Wide step = 1, term = 1;  // e^(-1/64)
        for (int i = 1; i < 20; ++i) step += term *= Wide(-1) / 64 / i;
        Wide slope = 1.12837916709551257389615890312154517L, ratio = step;  // 2/√π e^(-x²), and the next one's share
        for (int k = 0; k < kRows; ++k) {
            const Wide x = Wide(k) / 8;
            Wide sum = 0, power = slope * x;
            for (int n = 1; n < 400 && power > sum * Wide(1e-22); n += 2) {
                sum += power;
                power *= 2 * x * x / (n + 2);
            }
            c[k][0] = double(sum);
            Wide before = 0, now = slope;  // the slope's series: g' = -2 (x + t) g
            for (int n = 0; n + 1 < kTerms; ++n) {
                c[k][n + 1] = double(now / (n + 1));
                const Wide next = -2 * (x * now + before) / (n + 1);
                before = now, now = next;
            }
            slope *= ratio, ratio *= step * step;
        }
    }
};
constexpr ErfSeries kErf;
inline D erf(D x) {
    const D y = min(splat<D>(6), abs(x));
    const __m128i row = _mm_and_si128(_mm256_cvtpd_epi32(__m256d(y * 8.0)), _mm_set1_epi32(63));  // NaN goes anywhere
    const D t = fma(D(_mm256_cvtepi32_pd(row)), splat<D>(-0.125), y);
    const double* const c[4] = {kErf.c[_mm_extract_epi32(row, 0)], kErf.c[_mm_extract_epi32(row, 1)],
                                kErf.c[_mm_extract_epi32(row, 2)], kErf.c[_mm_extract_epi32(row, 3)]};
    const D square = t * t;
    const auto four = [&](int first, auto sum) {
        D part[4] = {load<D>(c[0] + first), load<D>(c[1] + first), load<D>(c[2] + first), load<D>(c[3] + first)};
        transpose(part);
        return sum(part);
    };
    const auto in_pairs = [&](const D* k) { return fma(fma(k[3], t, k[2]), square, fma(k[1], t, k[0])); };
    const D rest = fma(four(8, in_pairs), D(square * square), four(4, in_pairs));
    const auto in_turn = [&](const D* k) { return fma(fma(fma(fma(rest, t, k[3]), t, k[2]), t, k[1]), t, k[0]); };
    return with_sign(four(0, in_turn), x);
}
inline F erf(F x) { return avx2::erf(x); }
#endif

template <class T>
void pow_loop(char* const* p, const int64_t* strides, int64_t n, const void* s) {  // the common ones on their own
    using Square = decltype([](auto, auto x) { return x * x; });
    using Cube = decltype([](auto, auto x) { return x * x * x; });
    using Other = Heavy<With<1, decltype([](auto e, auto x) { return pow_scalar(x, param(e, 0)); })>>;
    const double e = param(s, 0);
    (e == 2 ? vec1<Square, T> : e == 3 ? vec1<Cube, T> : vec1<Other, T>)(p, strides, n, s);
}

// x = m · 2^e with 1/2 <= |m| < 1, from the bits; zero and what is not finite are their own mantissa.
template <class R, class Bits, int mantissa_bits, int bias>
struct Parts {
    R mantissa;
    int32_t exponent;
    explicit Parts(R x) {
        constexpr Bits field = (Bits(1) << (8 * sizeof(R) - 1 - mantissa_bits)) - 1;
        constexpr R least = sizeof(R) == 4 ? R(1.1754943508222875e-38) : R(2.2250738585072014e-308);
        const R size = x < 0 ? -x : x;
        const bool tiny = size < least;  // as a larger number, which has its first bit where others have it
        const Bits b = bitcast<Bits>(tiny ? x * R(Bits(1) << mantissa_bits) : x);
        const Bits e = (b >> mantissa_bits) & field;
        const bool itself = (x == 0) | (e == field);
        mantissa = itself ? x : bitcast<R>((b & ~(field << mantissa_bits)) | (Bits(bias - 1) << mantissa_bits));
        exponent = itself ? 0 : int32_t(e) - (bias - 1) - (tiny ? mantissa_bits : 0);
    }
};
inline auto parts(float x) { return Parts<float, uint32_t, 23, 127>(x); }
inline auto parts(double x) { return Parts<double, uint64_t, 52, 1023>(x); }

// A result that does not depend on the value: integers are never NaN.
template <int answer>
struct Always {
    template <class T>
    bool operator()(const void*, T) const {
        return answer != 0;
    }
};

constexpr auto arithmetic() {
    Table<160> t;
    floats(t, Unary::neg, light([](auto, auto x) { return -x; }));
    floats(t, Unary::abs, light([](auto, auto x) { return abs(x); }));
    constexpr Types<uint16_t> bits;  // half types: their sign bit
    Table<2> h;
    each(h, Unary::neg, bits, [](auto, uint16_t x) { return x ^ 0x8000; });
    each(h, Unary::abs, bits, [](auto, uint16_t x) { return x & 0x7fff; });
    for (int i = 0; i < 2; i++)
        for (DType d : {DType::f16, DType::bf16}) t.put(Unary(h.entry[i].op), d, h.entry[i].loop);
    constexpr auto sign = [](auto, auto x) {
        using V = decltype(x);
        return x > V{} ? splat<V>(1) : x < V{} ? splat<V>(-1) : V{};
    };
    floats(t, Unary::sign, sign);
    floats(t, Unary::sgn, sign);
    floats(t, Unary::square, light([](auto, auto x) { return x * x; }));
    floats(t, Unary::reciprocal, light([](auto, auto x) { return splat<decltype(x)>(1) / x; }));
    floats(t, Unary::ceil, light([](auto, auto x) { return ceil(x); }));
    floats(t, Unary::floor, light([](auto, auto x) { return floor(x); }));
    floats(t, Unary::round, light([](auto, auto x) { return round_even(x); }));
    floats(t, Unary::trunc, light([](auto, auto x) { return trunc(x); }));
    floats(t, Unary::frac, [](auto, auto x) { return x - trunc(x); });
    floats(t, Unary::round_decimals, rare([](auto s, auto x) {
               using V = decltype(x);
               const double d = param(s, 0);
               double scale = 1;
               for (double k = d < 0 ? -d : d; k >= 1 && scale < 1e308; k--) scale *= 10;
               const V ten = splat<V>(Scalar<V>(scale));
               return d < 0 ? round_even(V(x / ten)) * ten : round_even(V(x * ten)) / ten;
           }));
    floats(t, Unary::nan_to_num, with<3>([](auto s, auto x) {
               using V = decltype(x);
               const V inf = splat<V>(kInf<V>);
               return x != x      ? splat<V>(Scalar<V>(param(s, 0)))
                      : x == inf  ? splat<V>(Scalar<V>(param(s, 1)))
                      : x == -inf ? splat<V>(Scalar<V>(param(s, 2)))
                                  : x;
           }));
    floats(t, Unary::angle, rare([](auto, auto x) {
               using V = decltype(x);
               return x < V{} ? splat<V>(3.141592653589793) : x != x ? x : V{};
           }));
    each(t, Unary::frexp_mantissa, Floats{}, [](auto, auto x) { return parts(x).mantissa; });
    each_to<int32_t>(t, Unary::frexp_exponent, Floats{}, [](auto, auto x) { return parts(x).exponent; });
    t.put(Unary::pow_scalar, DType::f32, pow_loop<float>);
    t.put(Unary::pow_scalar, DType::f64, pow_loop<double>);
    t.put(Unary::pow_scalar, DType::f16, pow_loop<Half>);
    t.put(Unary::pow_scalar, DType::bf16, pow_loop<BHalf>);
    halves(t, Unary::times_number, with<1>([](auto s, auto x) { return x * splat<decltype(x)>(float(param(s, 0))); }));
    halves(t, Unary::over_number, with<1>([](auto s, auto x) { return x / splat<decltype(x)>(float(param(s, 0))); }));
    floats(t, Unary::deg2rad, [](auto, auto x) { return x * splat<decltype(x)>(0.017453292519943295); });
    floats(t, Unary::rad2deg, [](auto, auto x) { return x * splat<decltype(x)>(57.29577951308232); });

    float_masks(t, Unary::isnan, [](auto, auto x) { return x != x; });
    float_masks(t, Unary::isinf, [](auto, auto x) { return abs(x) == splat<decltype(x)>(kInf<decltype(x)>); });
    float_masks(t, Unary::isfinite, [](auto, auto x) { return abs(x) < splat<decltype(x)>(kInf<decltype(x)>); });
    float_masks(t, Unary::isposinf, [](auto, auto x) { return x == splat<decltype(x)>(kInf<decltype(x)>); });
    float_masks(t, Unary::isneginf, [](auto, auto x) { return x == splat<decltype(x)>(-kInf<decltype(x)>); });
    float_masks(t, Unary::signbit, [](auto, auto x) { return bitcast<Bits<decltype(x)>>(x) < 0; });
    float_masks(t, Unary::logical_not, [](auto, auto x) { return x == decltype(x){}; });
    return t;
}

// Floats that three parts of pi/2 bring near zero, as those of a sine, need no doubles: within 2.6 units of the last
// place, three times as fast.
template <class V>
inline V tangent(V x) {
    if constexpr (is_float_vec<V> && kHasFma)
        if (!any(~(abs(x) < splat<F>(8192)))) [[likely]] {
            const F n = round_even(F(x * 0.636619772f));
            F r = fma(n, splat<F>(-1.57079637f), x);
            r = fma(n, splat<F>(4.37113883e-08f), r);
            r = fma(n, splat<F>(1.71512451e-15f), r);
            const F z = r * r, t = fma(F(r * z),
                                       poly(z, 0.333333492f, 0.13332659f, 0.0540604927f, 0.021279119f, 0.0108440053f,
                                            7.88596008e-05f, 0.0043816804f),
                                       r);
            return x == F{} ? x : (__builtin_convertvector(n, Vec<int32_t>) & 1) != 0 ? F(-1.f / t) : t;
        }
    return tan(x);
}

constexpr auto elementary() {
    Table<100> t;
    floats(t, Unary::sqrt, light([](auto, auto x) { return sqrt(x); }));
    floats(t, Unary::rsqrt, [](auto, auto x) { return splat<decltype(x)>(1) / sqrt(x); });
    floats(t, Unary::exp, heavy([](auto, auto x) { return exp(x); }));
    floats(t, Unary::exp2, rare([](auto, auto x) { return exp2(x); }));
    floats(t, Unary::expm1, rare([](auto, auto x) { return expm1(x); }));
    floats(t, Unary::log, heavy([](auto, auto x) { return log(x); }));
    floats(t, Unary::log2, rare([](auto, auto x) { return log2(x); }));
    floats(t, Unary::log10, rare([](auto, auto x) { return log10(x); }));
    floats(t, Unary::log1p, rare([](auto, auto x) { return log1p(x); }));
    floats(t, Unary::sin, heavy([](auto, auto x) { return sin(x); }));
    floats(t, Unary::cos, heavy([](auto, auto x) { return cos(x); }));
    floats(t, Unary::tan, rare([](auto, auto x) { return tangent(x); }));
    floats(t, Unary::asin, rare([](auto, auto x) { return asin(x); }));
    floats(t, Unary::acos, rare([](auto, auto x) { return acos(x); }));
    floats(t, Unary::atan, rare([](auto, auto x) { return atan(x); }));
    floats(t, Unary::sinh, rare([](auto, auto x) { return sinh(x); }));
    floats(t, Unary::cosh, rare([](auto, auto x) { return cosh(x); }));
    floats(t, Unary::tanh, heavy([](auto, auto x) { return tanh(x); }));
    floats(t, Unary::asinh, rare([](auto, auto x) { return asinh(x); }));
    floats(t, Unary::acosh, rare([](auto, auto x) { return acosh(x); }));
    floats(t, Unary::atanh, rare([](auto, auto x) { return atanh(x); }));
    floats(t, Unary::erf, heavy([](auto, auto x) { return erf(x); }));
    floats(t, Unary::erfc, rare([](auto, auto x) { return erfc(x); }));
    floats(t, Unary::erfcx, rare([](auto, auto x) { return erfcx(x); }));
    floats(t, Unary::sinc, rare([](auto, auto x) {
               using V = decltype(x);
               const V p = x * splat<V>(3.141592653589793);
               return x == V{} ? splat<V>(1) : sin(p) / p;
           }));
    return t;
}

constexpr auto integers() {
    Table<220> t;
    constexpr Ints ints;
    constexpr auto same = [](auto, auto x) { return x; };
    wrapping(t, Unary::neg, [](auto, auto x) { return -x; });
    wrapping(t, Unary::square, [](auto, auto x) { return x * x; });
    wrapping(t, Unary::bitwise_not, [](auto, auto x) { return ~x; });
    for (Unary op : {Unary::ceil, Unary::floor, Unary::round, Unary::trunc, Unary::round_decimals, Unary::nan_to_num})
        wrapping(t, op, same);
    wrapping(t, Unary::pow_scalar, [](auto s, auto x) { return int_power(x, *static_cast<const int64_t*>(s)); });
    each(t, Unary::abs, ints, [](auto, auto x) { return x < 0 ? -x : x; });
    for (Unary op : {Unary::sign, Unary::sgn})
        each(t, op, ints, [](auto, auto x) {
            using T = decltype(x);  // in as many bits, or registers would have to be narrowed and widened
            return T(T(x > 0) - T(x < 0));
        });
    each(t, Unary::relu, ints, [](auto, auto x) { return x < 0 ? 0 : x; });
    each(t, Unary::relu6, ints, [](auto, auto x) { return x < 0 ? 0 : x > 6 ? 6 : x; });
    each(t, Unary::hardtanh, ints, [](auto s, auto x) {
        using T = decltype(x);
        const T lo = T(param(s, 0)), hi = T(param(s, 1));
        return x < lo ? lo : x > hi ? hi : x;
    });
    each(t, Unary::threshold, ints, [](auto s, auto x) {
        using T = decltype(x);
        return x <= T(param(s, 0)) ? T(param(s, 1)) : x;
    });
    each_to<Bool>(t, Unary::logical_not, ints, [](auto, auto x) { return x == 0; });
    each_to<Bool>(t, Unary::signbit, ints, [](auto, auto x) { return x < 0; });
    for (Unary op : {Unary::isnan, Unary::isinf, Unary::isposinf, Unary::isneginf})
        each_to<Bool>(t, op, ints, Always<0>{});
    each_to<Bool>(t, Unary::isfinite, ints, Always<1>{});
    return t;
}

constexpr auto bools_and_complex() {
    Table<80> t;
    constexpr Types<Bool> boolean;
    for (Unary op : {Unary::abs, Unary::sign, Unary::sgn, Unary::square, Unary::ceil, Unary::floor, Unary::round,
                     Unary::trunc, Unary::relu, Unary::nan_to_num, Unary::pow_scalar})
        each(t, op, boolean, [](auto, bool x) { return x; });
    for (Unary op : {Unary::logical_not, Unary::bitwise_not}) each(t, op, boolean, [](auto, bool x) { return !x; });
    for (Unary op : {Unary::isnan, Unary::isinf, Unary::isposinf, Unary::isneginf, Unary::signbit})
        each(t, op, boolean, Always<0>{});
    each(t, Unary::isfinite, boolean, Always<1>{});

    constexpr Complexes cx;
    each(t, Unary::neg, Types<HalfCx, Cx<float>, Cx<double>>{}, [](auto, auto z) { return decltype(z){-z.re, -z.im}; });
    each(t, Unary::square, cx, [](auto, auto z) { return decltype(z){z.re * z.re - z.im * z.im, 2 * z.re * z.im}; });
    each_to<Bool>(t, Unary::logical_not, cx, [](auto, auto z) { return (z.re == 0) & (z.im == 0); });
    each_to<Bool>(t, Unary::isnan, cx, [](auto, auto z) { return (z.re != z.re) | (z.im != z.im); });
    constexpr auto infinite = [](auto, auto z) {
        return (__builtin_fabs(z.re) == __builtin_huge_val()) | (__builtin_fabs(z.im) == __builtin_huge_val());
    };
    each_to<Bool>(t, Unary::isinf, cx, infinite);
    constexpr auto finite = [](auto, auto z) {
        return (__builtin_fabs(z.re) < __builtin_huge_val()) & (__builtin_fabs(z.im) < __builtin_huge_val());
    };
    each_to<Bool>(t, Unary::isfinite, cx, finite);
    constexpr auto real = [](auto, auto z) { return z.re; };
    constexpr auto imag = [](auto, auto z) { return z.im; };
    each_to<float>(t, Unary::real, Types<Cx<float>>{}, real);
    each_to<double>(t, Unary::real, Types<Cx<double>>{}, real);
    each_to<float>(t, Unary::imag, Types<Cx<float>>{}, imag);
    each_to<double>(t, Unary::imag, Types<Cx<double>>{}, imag);
    return t;
}

constexpr auto a = arithmetic();
constexpr auto b = elementary();
#if FB_AVX512  // those of AVX2 do as well (cpu/pointwise.cpp)
constexpr Table<1> c, d;
#else
constexpr auto c = integers();
constexpr auto d = bools_and_complex();
#endif
}  // namespace

extern const Entries unary_arithmetic, unary_elementary, unary_integers, unary_others;
constexpr Entries unary_arithmetic{a.entry, a.count}, unary_elementary{b.entry, b.count},
    unary_integers{c.entry, c.count}, unary_others{d.entry, d.count};

}  // namespace fb::cpu::FB_ARCH
