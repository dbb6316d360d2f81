// Elementary functions of whole vectors, at most 1-2 ulp from the exact value. The polynomials come from tools/fit.py.
// Functions that are rarely hot exist in double only; their float form computes in double and rounds once.
#pragma once
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {

template <class V>
inline constexpr bool is_float_vec = sizeof(Scalar<V>) == 4;
template <class V>
inline constexpr Scalar<V> kInf = __builtin_huge_valf();
template <class V>
inline constexpr Scalar<V> kNan = __builtin_nanf("");

// c0 + c1 x + c2 x^2 + …
template <class V>
inline V poly(V, Scalar<V> c) {
    return splat<V>(c);
}
template <class V, class... C>
inline V poly(V x, Scalar<V> c, C... rest) {
    return fma(poly(x, Scalar<V>(rest)...), x, splat<V>(c));
}
// The same with even and odd powers apart: a shorter chain for long polynomials.
template <class V, int n>
inline V poly_split(V x, const double (&c)[n]) {
    const V y = x * x;
    V a = splat<V>(Scalar<V>(c[n - 1])), b = splat<V>(Scalar<V>(c[n - 2]));
#pragma GCC unroll 16
    for (int i = n - 3; i >= 1; i -= 2) {
        a = fma(a, y, splat<V>(Scalar<V>(c[i])));
        b = fma(b, y, splat<V>(Scalar<V>(c[i - 1])));
    }
    if constexpr (n % 2) return fma(fma(a, y, splat<V>(Scalar<V>(c[0]))), splat<V>(1), b * x);
    else return fma(a, x, b);
}

// Scalar fallback for the few values that need it, and for functions without a vector form.
template <class V, class Fn>
[[gnu::noinline]] V per_lane(V x, Fn f) {
    for (int i = 0; i < kLanes<Scalar<V>>; i++) x[i] = f(x[i]);
    return x;
}
template <class V, class Fn>
[[gnu::noinline]] V per_lane(V x, V y, Fn f) {
    for (int i = 0; i < kLanes<Scalar<V>>; i++) x[i] = f(x[i], y[i]);
    return x;
}
template <class Fn>
inline F via_double(Fn f, F x) {
    const D2 d = widen(x);
    return narrow({f(d.lo), f(d.hi)});
}
template <class Fn>
inline F via_double(Fn f, F x, F y) {
    const D2 a = widen(x), b = widen(y);
    return narrow({f(a.lo, b.lo), f(a.hi, b.hi)});
}

// ---- exponential ----
template <class V>
struct ExpParts {
    V n, r;  // x = n ln 2 + r, |r| <= ln 2 / 2
};
template <class V>
inline ExpParts<V> exp_reduce(V x) {
    const V n = round_even(V(x * splat<V>(1.4426950408889634)));
    // ln 2 in two parts, the first short enough for n times it to be exact
    const double hi = is_float_vec<V> ? 0.693359375 : 6.93147180369123816490e-01;
    const double lo = is_float_vec<V> ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;
    return {n, fma(n, splat<V>(Scalar<V>(-lo)), fma(n, splat<V>(Scalar<V>(-hi)), x))};
}
template <class V>
inline V exp_poly(V r) {  // e^r
    V p;
    if constexpr (is_float_vec<V>) {
        p = poly(r, 0.49999994f, 0.166665196f, 0.0416681804f, 0.00836879853f, 0.00138281216f);
    } else {
        static constexpr double c[] = {0.500000000000001,      0.16666666666665861,   0.041666666666530079,
                                       0.0083333333338861167,  0.0013888888944545335, 0.00019841268594286614,
                                       2.4801491524569939e-05, 2.755844704776256e-06, 2.7630966872817011e-07,
                                       2.4715782321262945e-08};
        p = poly_split(r, c);
    }
    return fma(fma(p, r, splat<V>(1)), r, splat<V>(1));
}
// e^x · 2^shift
template <int shift = 0, class V>
inline V exp_shifted(V x) {
    x = min(splat<V>(is_float_vec<V> ? 91 : 712), max(splat<V>(is_float_vec<V> ? -105 : -747), x));
    const auto [n, r] = exp_reduce(x);
    if constexpr (shift == 0) return ldexp(exp_poly(r), n);
    else return ldexp(exp_poly(r), V(n + splat<V>(shift)));
}
template <class V>
inline V exp(V x) {
    return exp_shifted(x);
}
template <class V>
inline V exp2(V x) {
    x = min(splat<V>(is_float_vec<V> ? 130 : 1030), max(splat<V>(is_float_vec<V> ? -152 : -1080), x));
    const V n = round_even(x);
    return ldexp(exp_poly(V((x - n) * splat<V>(0.6931471805599453))), n);
}
template <class V>
inline V expm1(V x) {
    const V c = min(splat<V>(is_float_vec<V> ? 90 : 711), max(splat<V>(is_float_vec<V> ? -25 : -50), x));
    const auto [n, r] = exp_reduce(c);
    V p;
    if constexpr (is_float_vec<V>) {
        p = poly(r, 0.5f, 0.166666672f, 0.041666355f, 0.00833327323f, 0.00139409699f, 0.000199141417f);
    } else {
        static constexpr double k[] = {0.5,
                                       0.16666666666666677,
                                       0.041666666666666699,
                                       0.0083333333333216481,
                                       0.00138888888888669,
                                       0.00019841269886085812,
                                       2.48015873604568e-05,
                                       2.755724424921401e-06,
                                       2.7557242832966135e-07,
                                       2.5109023045259115e-08,
                                       2.0924423202469807e-09};
        p = poly_split(r, k);
    }
    p = fma(V(r * r), p, r);
    const V one_less = splat<V>(1) - exp2i(V(-min(n, splat<V>(100))));  // 1 - 2^-n
    return x == V{} ? x : ldexp(V(p + one_less), n);
}

// ---- logarithm ----
template <class V>
struct LogParts {
    V e, f;  // x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)
};
template <class V>
inline LogParts<V> log_reduce(V x) {  // x positive and finite
    const auto tiny = x < splat<V>(is_float_vec<V> ? 1.1754943508222875e-38 : 2.2250738585072014e-308);
    const V scaled = tiny ? x * splat<V>(is_float_vec<V> ? 33554432.0 : 18014398509481984.0) : x;
    const V lift = tiny ? splat<V>(is_float_vec<V> ? -25 : -54) : V{};
    if constexpr (is_float_vec<V>) {
        const auto u = bitcast<Vec<uint32_t>>(scaled) + (0x3f800000u - 0x3f3504f3u);
        const V e = __builtin_convertvector(bitcast<Vec<int32_t>>(u >> 23) - 127, V);
        return {e + lift, bitcast<V>((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f};
    } else {
        const auto u = bitcast<Vec<uint64_t>>(scaled) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
        const V e = bitcast<V>((u >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
        return {e + lift, bitcast<V>((u & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1.0};
    }
}
// log(1 + f) + add
template <class V>
inline V log_poly(V f, V add) {
    const V y = f * f;
    if constexpr (is_float_vec<V>) {
        const V p = poly(f, 0.333333164f, -0.250007987f, 0.200023144f, -0.166249141f, 0.141806319f, -0.131250486f,
                         0.128849193f, -0.0787348971f);
        return f + fma(y, splat<V>(-0.5f), fma(V(y * f), p, add));
    } else {
        const V s = f / (f + 2.0), z = s * s, half = y * 0.5;
        const V R = z * poly(z, 0.66666666666666852, 0.39999999999704244, 0.2857142868373751, 0.2222220414720357,
                             0.1818329288484683, 0.15320614079366895, 0.14733470021872447);
        return f - (half - fma(s, V(half + R), add));
    }
}
template <class V>
inline V log_edges(V x, V r) {  // the answers for 0, negative, infinite and NaN
    return x > V{} ? (x < splat<V>(kInf<V>) ? r : x) : (x == V{} ? splat<V>(-kInf<V>) : splat<V>(kNan<V>));
}
template <class V>
inline V log(V x) {
    const auto [e, f] = log_reduce(x);
    const double hi = is_float_vec<V> ? 0.693359375 : 6.93147180369123816490e-01;
    const double lo = is_float_vec<V> ? -2.12194440054690583e-4 : 1.90821492927058770002e-10;
    return log_edges(x, fma(e, splat<V>(Scalar<V>(hi)), log_poly(f, V(e * splat<V>(Scalar<V>(lo))))));
}
template <class V>
inline V log2(V x) {
    const auto [e, f] = log_reduce(x);
    const V l = log_poly(f, V{});
    // 1/ln 2 in two parts
    const double hi = is_float_vec<V> ? 1.44269502162933349609375 : 1.4426950408889634;
    const double lo = is_float_vec<V> ? 1.9259629911266175e-8 : 2.0355273740931033e-17;
    return log_edges(x, V(e + fma(l, splat<V>(Scalar<V>(hi)), l * splat<V>(Scalar<V>(lo)))));
}
template <class V>
inline V log10(V x) {
    const auto [e, f] = log_reduce(x);
    const V l = log_poly(f, V{});
    // log10(2) in two parts, the first short enough for e times it to be exact; 1/ln 10 in two parts
    const double hi2 = is_float_vec<V> ? 0.30078125 : 0.30102999566406652,
                 lo2 = is_float_vec<V> ? 2.4874566398119523e-4 : -8.5323443170571066e-14;
    const double hi = is_float_vec<V> ? 0.4342944920063018798828125 : 0.4342944819032518;
    const double lo = is_float_vec<V> ? -1.0103050118726031e-8 : 1.0983196502167651e-17;
    const V small = fma(e, splat<V>(Scalar<V>(lo2)), fma(l, splat<V>(Scalar<V>(hi)), l * splat<V>(Scalar<V>(lo))));
    return log_edges(x, fma(e, splat<V>(Scalar<V>(hi2)), small));
}
template <class V>
inline V log1p(V x) {
    const V u = x + splat<V>(1), c = (x - (u - splat<V>(1))) / u;  // what the sum 1 + x lost
    const auto inner = (u > V{}) & (u < splat<V>(kInf<V>));
    return x == V{} ? x : V(log(u) + (inner ? c : V{}));
}

// ---- trigonometry ----
inline Vec<int64_t> low_bits(D n) { return bitcast<Vec<int64_t>>(n + 6755399441055744.0); }
struct Quadrant {
    D n, r;  // x = n pi/2 + r; for |x| < kTrigLimit
};
inline constexpr double kTrigLimit = 700000;
inline Quadrant quadrant(D x) {
    const D n = round_even(D(x * 0.6366197723675814));
    D r = fma(n, splat<D>(-1.57079632673412561417e+00), x);  // pi/2 in three parts: 33, 33 and 53 bits
    r = fma(n, splat<D>(-6.07710050630396597660e-11), r);
    return {n, fma(n, splat<D>(-2.02226624879595063154e-21), r)};
}
inline D sin_poly(D r) {
    const D z = r * r;
    return fma(D(r * z),
               poly(z, -0.16666666666666632, 0.0083333333333224634, -0.00019841269829823331, 2.7557313691588304e-06,
                    -2.5050757406924606e-08, 1.5896725209151672e-10),
               r);
}
inline D cos_poly(D r) {
    const D z = r * r;
    const D p = poly(z, 0.041666666666666616, -0.0013888888888876506, 2.4801587290780052e-05, -2.7557314687131251e-07,
                     2.0875764591775388e-09, -1.1361614640332297e-11);
    const D half = z * 0.5, w = 1.0 - half;
    return w + fma(D(z * z), p, D((1.0 - w) - half));
}
inline F sin_poly(F r) {
    const F z = r * r;
    return fma(F(r * z), poly(z, -0.166666552f, 0.00833219197f, -0.000195187851f), r);
}
inline F cos_poly(F r) {
    const F z = r * r;
    return fma(F(z * z), poly(z, 0.0416666456f, -0.0013887299f, 2.44302391e-05f), fma(z, splat<F>(-0.5f), splat<F>(1)));
}
template <class V, class B>
inline V sincos_pick(V r, B q, int shift) {
    const V v = (q & 1) != 0 ? cos_poly(r) : sin_poly(r);
    return bitcast<V>(bitcast<B>(v) ^ ((q & 2) << shift));
}
template <bool cosine>
[[gnu::noinline]] F sincos_far(F x) {
    if (any(~(abs(x) < splat<F>(kTrigLimit)))) [[unlikely]]
        return per_lane(x, [](float v) { return cosine ? __builtin_cosf(v) : __builtin_sinf(v); });
    const D2 d = widen(x);
    const Quadrant a = quadrant(d.lo), b = quadrant(d.hi);
    const auto q = __builtin_convertvector(narrow({a.n, b.n}), Vec<int32_t>) + int(cosine);
    return sincos_pick(narrow({a.r, b.r}), q, 30);
}
template <bool cosine>
inline F sincos(F x) {
    if constexpr (kHasFma)
        if (!any(~(abs(x) < splat<F>(8192)))) [[likely]] {  // floats will do: the first difference is exact
            const F n = round_even(F(x * 0.636619772f));
            F r = fma(n, splat<F>(-1.57079637f), x);  // pi/2 in three parts
            r = fma(n, splat<F>(4.37113883e-08f), r);
            r = fma(n, splat<F>(1.71512451e-15f), r);
            return sincos_pick(r, __builtin_convertvector(n, Vec<int32_t>) + int(cosine), 30);
        }
    return sincos_far<cosine>(x);
}
template <bool cosine>
inline D sincos(D x) {
    if (any(~(abs(x) < splat<D>(kTrigLimit)))) [[unlikely]]
        return per_lane(x, [](double v) { return cosine ? __builtin_cos(v) : __builtin_sin(v); });
    const Quadrant a = quadrant(x);
    return sincos_pick(a.r, low_bits(a.n) + int64_t(cosine), 62);
}
template <class V>
inline V sin(V x) {
    return x == V{} ? x : sincos<false>(x);
}
template <class V>
inline V cos(V x) {
    return sincos<true>(x);
}
inline D tan(D x) {
    if (any(~(abs(x) < splat<D>(kTrigLimit)))) [[unlikely]]
        return per_lane(x, [](double v) { return __builtin_tan(v); });
    const Quadrant a = quadrant(x);
    static constexpr double c[] = {0.33333333333333376,    0.13333333333325895,     0.053968253972707235,
                                   0.021869488402574969,   0.0088632378978792201,   0.0035921008746658454,
                                   0.0014560473270631129,  0.00058884744122628531,  0.00024384058483521603,
                                   8.3260198702375977e-05, 6.7886668298022384e-05,  -2.6618481971958395e-05,
                                   4.9569824670826025e-05, -2.4787503881133624e-05, 9.9236554249362107e-06};
    const D z = a.r * a.r, t = fma(D(a.r * z), poly_split(z, c), a.r);
    return x == D{} ? x : ((low_bits(a.n) & 1) != 0 ? -1.0 / t : t);
}
inline F tan(F x) {
    return via_double([](D d) { return tan(d); }, x);
}

template <class V>
inline V atan_poly(V t) {  // |t| <= tan(pi/8)
    const V z = t * t;
    if constexpr (is_float_vec<V>) {
        return fma(V(t * z), poly(z, -0.333333164f, 0.19998534f, -0.14244549f, 0.106004767f, -0.0609351993f), t);
    } else {
        static constexpr double c[] = {-0.33333333333333232,  0.19999999999961199,   -0.14285714280829456,
                                       0.11111110810600407,   -0.090908984438196269, 0.076920711289193575,
                                       -0.066632163911913539, 0.058486366083792603,  -0.050424062982137204,
                                       0.038137590799007547,  -0.017981702779278793};
        return fma(V(t * z), poly_split(z, c), t);
    }
}
// atan(num / den) for num, den >= 0 and not both zero or both infinite
template <class V>
inline V atan_ratio(V num, V den) {
    const auto big = num > den * splat<V>(2.414213562373095), mid = num > den * splat<V>(0.41421356237309503);
    const V t = (big ? -den : mid ? num - den : num) / (big ? num : mid ? num + den : den);
    const double rest = is_float_vec<V> ? -4.371139000186241e-8 : 6.123233995736766e-17;  // what the constants lack
    const V hi = big ? splat<V>(1.5707963267948966) : mid ? splat<V>(0.7853981633974483) : V{};
    const V lo = big ? splat<V>(Scalar<V>(rest)) : mid ? splat<V>(Scalar<V>(rest / 2)) : V{};
    return hi + (atan_poly(t) + lo);
}
template <class V>
inline V atan(V x) {
    const V y = abs(x);
    const auto infinite = y == splat<V>(kInf<V>);
    return with_sign(abs(atan_ratio(infinite ? splat<V>(1) : y, infinite ? V{} : splat<V>(1))), x);
}
template <class V>
inline V atan2(V y, V x) {
    const V inf = splat<V>(kInf<V>), one = splat<V>(1);
    V a = abs(y), b = abs(x);
    const auto both_infinite = (a == inf) & (b == inf), both_zero = (a == V{}) & (b == V{});
    a = both_infinite ? one : both_zero ? V{} : a;
    b = both_infinite | both_zero ? one : b;
    const V limit = splat<V>(is_float_vec<V> ? 1e36 : 1e300);
    // Mid-range products would overflow or vanish; beside an infinity the product with the limit is one itself.
    const auto far = (a > b * limit) | (b > a * limit) | (a == inf) | (b == inf);
    if (any(far)) [[unlikely]] {
        const V p = far ? (a > b ? one : a / b) : a;
        b = far ? (a > b ? b / a : one) : b;
        a = p;
    }
    const V r = atan_ratio(a, b);
    const auto negative = bitcast<Bits<V>>(x) < 0;
    const double rest = is_float_vec<V> ? -8.742278000372481e-8 : 1.2246467991473532e-16;
    const V q = negative ? splat<V>(3.141592653589793) - (r - splat<V>(Scalar<V>(rest))) : r;
    return with_sign(abs(x != x ? x : q), y);
}

inline D asin_poly(D x, D z) {  // asin(x), z = x^2 <= 1/4
    static constexpr double c[] = {
        0.16666666666666738,  0.074999999999754124,  0.044642857171045984, 0.030381942852661922, 0.02237221143060384,
        0.017351668828580562, 0.013980205710516284,  0.011403507378236973, 0.010756501561279622, 0.0037897953279406897,
        0.021517615556443312, -0.020746285005136405, 0.032479154413273308};
    return fma(D(x * z), poly_split(z, c), x);
}
inline F asin_poly(F x, F z) {
    return fma(F(x * z),
               poly(z, 0.166666597f, 0.0750052854f, 0.044511281f, 0.0318614393f, 0.0142159322f, 0.0378523767f), x);
}
template <class V>
inline constexpr double kHalfPiRest = is_float_vec<V> ? -4.371139000186241e-8 : 6.123233995736766e-17;
template <class V>
inline V asin(V x) {
    const V y = abs(x), two = splat<V>(2);
    const auto small = y <= splat<V>(0.5);
    const V z = small ? x * x : (splat<V>(1) - y) * splat<V>(0.5);
    const V r = asin_poly(V(small ? y : sqrt(z)), z);
    const V edge = splat<V>(1.5707963267948966) - (two * r - splat<V>(Scalar<V>(kHalfPiRest<V>)));
    return with_sign(V(small ? r : edge), x);
}
template <class V>
inline V acos(V x) {
    const V y = abs(x), two = splat<V>(2);
    const auto small = y <= splat<V>(0.5);
    const V z = small ? x * x : (splat<V>(1) - y) * splat<V>(0.5);
    const V r = asin_poly(V(small ? x : sqrt(z)), z), rest = splat<V>(Scalar<V>(kHalfPiRest<V>));
    const V half = splat<V>(1.5707963267948966) - (r - rest);
    const V edge = x < V{} ? splat<V>(3.141592653589793) - two * (r - rest) : two * r;
    return small ? half : edge;
}

// ---- hyperbolic ----
template <class V>
inline V cosh(V x) {
    const V h = exp_shifted<-1>(abs(x));
    return h + splat<V>(0.25) / h;
}
template <class V>
inline V sinh(V x) {
    const V y = abs(x), h = exp_shifted<-1>(y), t = expm1(y);
    const V small = splat<V>(0.5) * (t + t / (t + splat<V>(1)));
    return with_sign(abs(y < splat<V>(1) ? small : h - splat<V>(0.25) / h), x);
}
template <class V>
inline V tanh(V x) {
    if constexpr (is_float_vec<V>) {
        const V y = abs(x), z = x * x;
        const V small =
            fma(V(y * z), poly(z, -0.333333015f, 0.133320078f, -0.0537903048f, 0.0208162386f, -0.00591734657f), y);
        const V e = exp(V(min(splat<V>(10), y) * 2.0f));
        return with_sign(V(y < splat<V>(0.6f) ? small : 1.0f - 2.0f / (e + 1.0f)), x);
    } else {
        const V t = expm1(V(min(splat<V>(20), abs(x)) * 2.0));
        return with_sign(V(t / (t + 2.0)), x);
    }
}
inline D asinh(D x) {
    const D y = abs(x);
    const auto big = y > splat<D>(268435456.0);
    const D z = y * y, small = log1p(D(y + z / (1.0 + sqrt(D(z + 1.0)))));
    return with_sign(abs(big ? log(y) + 0.6931471805599453 : small), x);
}
inline D acosh(D x) {
    const D t = x - 1.0;
    const D v = x > splat<D>(268435456.0) ? log(x) + 0.6931471805599453 : log1p(D(t + sqrt(D(t * (t + 2.0)))));
    return x >= splat<D>(1) ? v : splat<D>(kNan<D>);
}
inline D atanh(D x) {
    const D y = abs(x), v = log1p(D(2.0 * y / (1.0 - y))) * 0.5;
    return v != v ? v : with_sign(v, x);
}
inline F asinh(F x) {
    return via_double([](D d) { return asinh(d); }, x);
}
inline F acosh(F x) {
    return via_double([](D d) { return acosh(d); }, x);
}
inline F atanh(F x) {
    const F y = abs(x), z = y * y;
    const F small = fma(F(y * z), poly(z, 0.333333373f, 0.199994758f, 0.143075496f, 0.107226238f, 0.121199742f), y);
    const F v = y < splat<F>(0.33333333f) ? small : log1p(F(2.0f * y / (1.0f - y))) * 0.5f;
    return v != v ? v : with_sign(v, x);
}

// ---- error function ----
inline D erfcx_positive(D y) {  // e^(y²) erfc(y), y >= 0
    static constexpr double c[] = {
        1.2769783815525286,      -0.09276382658574589,    -0.16603039761528882,    0.16405128003342628,
        -0.054220000992072984,   -0.0080340150818206894,  0.0087226538765873707,   0.0012713389554208946,
        -0.001456813957764628,   -0.0004543407300174566,  0.00020636728706270279,  0.00015103858280340079,
        -1.5101852005905845e-06, -3.6421059955205625e-05, -1.3491758948521794e-05, 3.7047420558987414e-06,
        5.220636924456888e-06,   1.5147625799519193e-06,  -6.8743071153655545e-07, -8.480831459539441e-07,
        -2.7765688322269866e-07, 1.4809465144180366e-07,  1.8033321151962909e-07,  2.3855071876546342e-08,
        -4.5317865579900377e-08, -1.6399611061754303e-08, 4.7761774071417256e-09,  2.4620427828652853e-09};
    return poly_split(D(1.0 - 4.0 / (y + 2.0)), c) / fma(y, splat<D>(2), splat<D>(1));
}
inline D exp_square(D y, double sign) {  // e^(±y²): the square in two parts, so that large ones lose nothing
    const D h = bitcast<D>(bitcast<Vec<int64_t>>(y) & ~int64_t(0x7ffffff));
    const D rest = (y - h) * (y + h) * sign;
    return exp(D(h * h * sign)) * poly(rest, 1.0, 1.0, 0.5, 0.16666666666666666);
}
inline D erfc(D x) {
    const D y = min(splat<D>(28), abs(x)), v = exp_square(y, -1) * erfcx_positive(y);
    return x < D{} ? 2.0 - v : v;
}
inline D erfcx(D x) {
    const D y = abs(x), v = erfcx_positive(y);
    return x < D{} ? 2.0 * exp_square(min(splat<D>(27), y), 1) - v : v;
}
inline D erf(D x) {
    static constexpr double c[] = {0.12837916709551259,     -0.37612638903184109,    0.11283791670972056,
                                   -0.026866170648279213,   0.0052239776556664624,   -0.00085483287341791897,
                                   0.00012055394287982447,  -1.4927093778190582e-05, 1.648471195892237e-06,
                                   -1.6598135472845929e-07, 1.6302391472821889e-08,  -1.7627531564329866e-09,
                                   1.6377238975719994e-10};
    const D y = abs(x);
    return y < splat<D>(1) ? fma(x, poly_split(D(x * x), c), x) : with_sign(D(1.0 - erfc(y)), x);
}
inline F erf_near(F x) {  // |x| < 0.95
    return fma(x,
               poly(F(x * x), 0.128379166f, -0.376126289f, 0.112836249f, -0.0268556606f, 0.00519218901f,
                    -0.000804725685f, 7.98686524e-05f),
               x);
}
#if FB_AVX512
// Sixteen polynomials on [0, 4), picked by a permutation of registers.
inline F erf(F x) {
    alignas(64) static constexpr float c[6][16] = {
        {0, 0.276326388f, 0.520499885f, 0.711155653f, 0.842700779f, 0.92290014f, 0.966105163f, 0.986671686f,
         0.995322287f, 0.998537302f, 0.999593019f, 0.999899387f, 0.999977887f, 0.999995708f, 0.999999285f,
         0.999999881f},
        {1.12837911f, 1.06001282f, 0.878781319f, 0.642930686f, 0.415107995f, 0.23652187f, 0.118930787f, 0.0527751446f,
         0.0206669271f, 0.00714221271f, 0.00217820611f, 0.000586237176f, 0.000139236989f, 2.91837787e-05f,
         5.39799703e-06f, 8.81102949e-07f},
        {7.00044302e-06f, -0.264936417f, -0.439328432f, -0.482179612f, -0.415130109f, -0.295686424f, -0.178419217f,
         -0.092363596f, -0.0413314104f, -0.0160652567f, -0.00544201955f, -0.00161035277f, -0.000416989351f,
         -9.46115179e-05f, -1.8828785e-05f, -3.28936039e-06f},
        {-0.376332313f, -0.310371399f, -0.147584125f, 0.0264369901f, 0.13874118f, 0.168136343f, 0.139168128f,
         0.0902909338f, 0.0481826849f, 0.021639891f, 0.00828605238f, 0.0027269281f, 0.000775507477f, 0.00019131547f,
         4.10576031e-05f, 7.68158679e-06f},
        {0.00202441541f, 0.136494353f, 0.192107469f, 0.153767198f, 0.0665018857f, -0.0108075822f, -0.0479208753f,
         -0.0492304601f, -0.0341760814f, -0.0184316337f, -0.0081163561f, -0.00298964465f, -0.000934038952f,
         -0.000249706645f, -5.74687438e-05f, -1.14353943e-05f},
        {0.105946928f, 0.0462760851f, -0.0265809502f, -0.0665818974f, -0.0610670894f, -0.0306805763f, -0.00233663688f,
         0.0113077406f, 0.0124371229f, 0.00836111419f, 0.00423907302f, 0.00172977278f, 0.000585307251f, 0.000166982296f,
         4.05842475e-05f, 8.46233706e-06f}};
    const F y = min(splat<F>(3.9999998f), abs(x)), k = trunc(F(y * 4.0f)), t = fma(k, splat<F>(-0.25f), y);
    const __m512i index = _mm512_cvttps_epi32(__m512(k));
    F r = F(_mm512_permutexvar_ps(index, _mm512_load_ps(c[5])));
    for (int i = 4; i >= 0; i--) r = fma(r, t, F(_mm512_permutexvar_ps(index, _mm512_load_ps(c[i]))));
    return with_sign(r, x);
}
#elif FB_AVX2
// Eight polynomials on [0, 4), picked in the same way.
inline F erf(F x) {
    alignas(32) static constexpr float c[8][8] = {
        {0, 0.520499885f, 0.842700779f, 0.966105163f, 0.995322287f, 0.999593019f, 0.999977887f, 0.999999285f},
        {1.12837911f, 0.87878108f, 0.415110111f, 0.118927054f, 0.0206627175f, 0.00218380988f, 0.000143678262f,
         4.40468011e-06f},
        {7.74136333e-06f, -0.439342201f, -0.415189326f, -0.178292662f, -0.0411990844f, -0.00562089076f,
         -0.000558025204f, -7.91563798e-06f},
        {-0.376285344f, -0.14705269f, 0.139320686f, 0.137524486f, 0.0466212519f, 0.0104393074f, 0.00246152491f,
         -1.00785919e-05f},
        {0.00115080329f, 0.186339885f, 0.0640084073f, -0.0376070105f, -0.0253921635f, -0.0205015205f, -0.0105500221f,
         5.15266001e-05f},
        {0.109433293f, -0.00135846005f, -0.0552749485f, -0.035356082f, -0.0130849853f, 0.0408133008f, 0.028758632f,
         -4.75009874e-05f},
        {0.00321042608f, -0.0409217626f, -0.0119568082f, 0.0493542925f, 0.0375660993f, -0.0530900694f, -0.0408676378f,
         0},
        {-0.0253245309f, 0.00807745475f, 0.0185872801f, -0.0229991674f, -0.0229833629f, 0.0292840153f, 0.0231159069f,
         0}};
    const F y = min(splat<F>(3.9999998f), abs(x)), k = trunc(F(y + y)), t = fma(k, splat<F>(-0.5f), y);
    const __m256i index = _mm256_cvttps_epi32(__m256(k));
    const auto pick = [index](const float* p) { return F(_mm256_permutevar8x32_ps(_mm256_load_ps(p), index)); };
    F r = fma(pick(c[7]), t, pick(c[6]));
    r = fma(r, t, pick(c[5]));
    r = fma(r, t, pick(c[4]));
    r = fma(r, t, pick(c[3]));
    r = fma(r, t, pick(c[2]));
    r = fma(r, t, pick(c[1]));
    return with_sign(fma(r, t, pick(c[0])), x);
}
#else
inline F erf(F x) {  // a polynomial for small x, 1 - e^-polynomial beyond; 1 from 3.95 on
    const F y = abs(x), a = min(splat<F>(3.95f), y);
    const F tail = exp(F(-poly(a, -0.000182459436f, 1.12955213f, 0.633272052f, 0.108362198f, -0.0251723994f,
                               0.00419115415f, -0.000438608811f, 2.14540942e-05f)));
    return y < splat<F>(0.95f) ? erf_near(x) : with_sign(F(1.0f - tail), x);
}
#endif
inline F erfc(F x) {
    const F y = min(splat<F>(10.1f), abs(x));
    F h, factor;  // e^(-y²) = e^-h · factor: what rounding takes off the square counts
    if constexpr (kHasFma) {
        h = y * y;
        factor = 1.0f - fma(y, y, F(-h));
    } else {
        const F top = bitcast<F>(bitcast<Vec<int32_t>>(y) & ~0xfff);
        h = top * top;
        factor = poly(F((y - top) * (y + top)), 1.0f, -1.0f, 0.5f, -0.16666667f);
    }
    const F p =
        poly(F(1.0f - 4.0f / (y + 2.0f)), 1.27697839f, -0.0927638898f, -0.166031458f, 0.16405292f, -0.0542040665f,
             -0.00804222187f, 0.00863511223f, 0.00126477976f, -0.00125234044f, -0.000354520795f, 3.14369421e-05f);
    const F v = exp(F(-h)) * factor * p / fma(y, splat<F>(2), splat<F>(1));
    return y < splat<F>(0.5f) ? 1.0f - erf_near(x) : x < F{} ? 2.0f - v : v;
}
inline F erfcx(F x) {
    return via_double([](D d) { return erfcx(d); }, x);
}

// ---- powers ----
// a^y for a >= 0 (without edges: a positive, both finite) and float values: double polynomials just long enough
template <bool edges>
inline D pow_short(D a, D y) {
    const auto u =
        bitcast<Vec<uint64_t>>(a) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);  // floats are never subnormal here
    const D e = bitcast<D>((u >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
    const D f = bitcast<D>((u & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu) - 1.0;
    const D s = f / (f + 2.0), z = s * s;
    const D p = poly(z, 0.66666666012553788, 0.40000268464298272, 0.28540922031309457, 0.2352163979057639);
    const D l = fma(e, splat<D>(0.6931471805599453), fma(D(s * z), p, s + s));
    const D t = min(splat<D>(200), max(splat<D>(-200), D(y * (edges ? log_edges(a, l) : l))));
    const D n = round_even(D(t * 1.4426950408889634)), r = fma(n, splat<D>(-0.6931471805599453), t);
    const D q = poly(r, 0.50000000663749711, 0.16666663604644133, 0.041666289550688566, 0.0083340683701036491,
                     0.0013945341272470428, 0.00019459476441572909);
    return fma(fma(q, r, splat<D>(1)), r, splat<D>(1)) * exp2i(n);
}
// a^y for a >= 0: the logarithm in two doubles, so that multiplying by y loses nothing. Needs exact products.
inline D pow_long(D a, D y) {
    const auto [e, f] = log_reduce(a);
    const D d = f + 2.0, d_lo = f - (d - 2.0);
    const D s = f / d, s_lo = fma(D(-s), d_lo, fma(D(-s), d, f)) / d;  // s + s_lo = f / (2 + f)
    const D z = s * s, z_lo = fma(s, s, D(-z)) + 2.0 * s * s_lo;
    const D c = s * z, c_lo = fma(s, z, D(-c)) + s * z_lo + s_lo * z;
    const D third = splat<D>(0.66666666666666663);
    const D t = c * third, t_lo = fma(c, third, D(-t)) + c * 3.7007434154171883e-17 + c_lo * third;
    const D rest = c * z *
                   poly(z, 0.39999999999999991, 0.2857142857143794, 0.22222222219012991, 0.18181818713195888,
                        0.15384566337334629, 0.13335991219382443, 0.11680816533060595, 0.11943345712568761);
    const D big = e * 6.93147180369123816490e-01, two = s + s;  // e times the upper part of ln 2 is exact
    const D h = big + two, h2 = h + t;
    const D low = (two - (h - big)) + (t - (h2 - h)) + (2.0 * s_lo + e * 1.90821492927058770002e-10 + t_lo + rest);
    const D hi = log_edges(a, D(h2 + low)), lo = low - (hi - h2);
    const D p = y * hi, p_lo = fma(y, hi, D(-p)) + y * lo;
    const auto [n, r] = exp_reduce(min(splat<D>(712), max(splat<D>(-747), p)));
    return ldexp(exp_poly(D(abs(p) < splat<D>(750) ? r + p_lo : r)), n);
}
// The sign, and the answers where the logarithm of |x| says nothing.
template <class V>
inline V pow_edges(V x, V y, V r) {
    const V whole = trunc(y), half = y * splat<V>(0.5), inf = splat<V>(kInf<V>), one = splat<V>(1);
    const auto odd = (whole == y) & (trunc(half) != half) & (abs(y) < inf);
    const auto negative = bitcast<Bits<V>>(x) < 0;
    const V mag = (abs(x) == one) & (abs(y) == inf) ? one : r;
    const V v = negative & odd ? -mag : mag;
    const V w = (x < V{}) & (whole != y) & (abs(x) < inf) ? splat<V>(kNan<V>) : v;
    return (y == V{}) | (x == one) ? one : w;
}
inline F pow(F x, F y) {
    const F inf = splat<F>(kInf<F>);
    if (!any(~((x > F{}) & (x < inf) & (abs(y) < inf))))
        return via_double([](D a, D b) { return pow_short<false>(a, b); }, x, y);
    return pow_edges(x, y, via_double([](D a, D b) { return pow_short<true>(abs(a), b); }, x, y));
}
inline D pow(D x, D y) {
    if constexpr (kHasFma) return pow_edges(x, y, pow_long(abs(x), y));
    else return per_lane(x, y, [](double a, double b) { return __builtin_pow(a, b); });
}

template <class V>
inline V hypot(V x, V y) {
    const V a = abs(x), b = abs(y), inf = splat<V>(kInf<V>);
    V r;
    if constexpr (is_float_vec<V>) {
        r = via_double([](D p, D q) { return sqrt(D(fma(p, p, q * q))); }, a, b);
    } else {
        const V m = max(a, b), q = min(a, b) / m;
        r = m == V{} ? m : m * sqrt(fma(q, q, splat<V>(1)));
        r = a + b != a + b ? a + b : r;  // NaN
    }
    return (a == inf) | (b == inf) ? inf : r;
}

// ---- activations and others ----
template <class V>
inline V sigmoid(V x) {
    return splat<V>(1) / (splat<V>(1) + exp(V(-x)));
}
// log(1 + u) for u in [0, 1]: 2 atanh(s) with s = u / (2 + u), and 2s = u - us.
inline F log1p_unit(F u) {
    const F s = u / (u + splat<F>(2)), z = s * s;
    const F q = poly(z, 0.666663229f, 0.400245965f, 0.279651582f, 0.281577796f);
    return u - s * (u - z * q);
}
inline D log1p_unit(D u) { return log1p(u); }
template <class V>
inline V log_sigmoid(V x) {
    return (x < V{} ? x : (x != x ? x : V{})) - log1p_unit(exp(V(-abs(x))));
}
template <class V>
inline V softplus(V x) {  // log(1 + e^x)
    return -log_sigmoid(V(-x));
}
template <class V>
inline V tanh_softplus(V x) {  // n / (n + 2) with n = e^x (e^x + 2)
    const V e = exp(min(splat<V>(20), x)), n = e * (e + splat<V>(2));
    return n / (n + splat<V>(2));
}
inline F normal_cdf(F x) {  // 0.5 (1 + erf(x / sqrt 2))
    return fma(erf(F(x * 0.70710678f)), splat<F>(0.5f), splat<F>(0.5f));
}
inline D normal_cdf(D x) { return 0.5 * erfc(D(x * -0.7071067811865476)); }
template <class V>
inline V gelu_tanh_argument(V x) {  // twice: 0.5 (1 + tanh u) = sigmoid(2 u)
    return splat<V>(1.5957691216057308) * fma(V(x * x), V(x * splat<V>(0.044715)), x);
}

// Remainder with the sign of a, exact as C's fmod.
template <class V>
inline V fmod(V a, V b) {
    auto slow = [](V x, V y) {
        return per_lane(x, y, [](auto p, auto q) {
            if constexpr (sizeof p == 4) return __builtin_fmodf(p, q);
            else return __builtin_fmod(p, q);
        });
    };
    if constexpr (!kHasFma && !is_float_vec<V>) {
        return slow(a, b);
    } else {
        // a - q b is exact for the right whole q or a neighbour of it
        const V q0 = a / b;
        if (any(~((abs(q0) < splat<V>(is_float_vec<V> ? 4194304.0 : 1125899906842624.0)) &
                  (abs(b) < splat<V>(kInf<V>)))))
            return slow(a, b);
        V r;
        if constexpr (is_float_vec<V>) {
            r = via_double([](D x, D y) { return D(x - trunc(D(x / y)) * y); }, a, b);
        } else {
            r = fma(trunc(q0), V(-b), a);
        }
        const V m = abs(b);
        const V s = with_sign(splat<V>(1), a);
        r = r * s;  // now as if a were positive
        r = r < V{} ? r + m : r;
        r = r >= m ? r - m : r;
        return with_sign(abs(r), a);
    }
}

}  // namespace fb::cpu::FB_ARCH
