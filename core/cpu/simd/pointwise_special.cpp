// Special functions, neighbours of floating point numbers, complex numbers in pairs of registers.
#include <utility>
#include "cpu/simd/loop.h"
#include "cpu/special.h"

namespace fb::cpu::FB_ARCH {
namespace {

// ---- error function, inverse ----
// M. Giles, Approximating the erfinv function, GPU Computing Gems Jade edition, 2012: good for single precision, where
// w < 16.
template <class V>
V erfinv_start(V x, V w) {
    const V a = w - splat<V>(2.5), b = sqrt(w) - splat<V>(3);
    const V small = poly(a, 1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06,
                         -3.5233877e-06, 3.43273939e-07, 2.81022636e-08);
    const V large = poly(b, 2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844,
                         0.00134934322, 0.000100950558, -0.000200214257);
    return x * (w < splat<V>(5) ? small : large);
}
inline F erfinv(F x) {
    const F one = splat<F>(1), r = erfinv_start(x, F(-log(F((one - x) * (one + x)))));
    return abs(x) == one ? with_sign(splat<F>(kInf<F>), x) : r;
}
// As double: erfinv(x) / x by the same w up to 5, by its root up to 4 and up to 6.1 (where 1 - |x| is the least there
// is), interpolated at Chebyshev's points.
inline D erfinv_start(D x, D w) {
    static constexpr double low[] = {
        1.501409351110792,      0.6166006918604175,      -0.02610823577739765,    -0.019573561059547377,
        0.008525400950939892,   -0.0004878983983252155,  -0.0008341356436926482,  0.0002921906851342163,
        2.0472417839420812e-05, -4.1432071450377935e-05, 8.652721877484876e-06,   2.851652817060834e-06,
        -1.853870554105327e-06, 1.3583392473566449e-07,  1.9953933232996815e-07,  -7.08985061397636e-08,
        -6.70810932648382e-09,  1.1040417909061025e-08,  -1.9880707100189075e-09, -9.760204713196851e-10,
        4.4650677608736676e-10, 3.867417238765463e-11,   -3.9169363297916484e-11};
    static constexpr double middle[] = {2.951328578343118,      0.8851584844828454,      0.005569334211999582,
                                        -0.0037101358031386444, 0.002349562460922254,    -0.0013730404174154343,
                                        0.0006008359605846276,  -0.0001342594361223904,  -3.595770812375781e-05,
                                        4.527303570574062e-05,  -1.679747168133423e-05,  3.0482263100837436e-07,
                                        2.652308728197019e-06,  -1.24486844718624e-06,   1.4104039174936842e-07,
                                        1.27407147721904e-07,   -7.617456900376063e-08,  1.1881054527372407e-08,
                                        5.913892899943746e-09,  -2.8323992480605833e-09, 2.544288552764405e-10};
    static constexpr double high[] = {4.90042105144364,        1.06079926847766,        -0.00018726854582615924,
                                      -0.00023188618669362003, 8.659304743598535e-05,   -2.3451082248504627e-05,
                                      5.6201776050329834e-06,  -1.2763576425122627e-06, 2.9781890431846496e-07,
                                      -8.522914099015434e-08,  3.5731438657974675e-08,  -1.9146605883283862e-08,
                                      1.011053871325394e-08,   -4.984996381194209e-09,  2.3885240700769705e-09,
                                      -7.906839996972997e-10,  2.0194198350168985e-12,  6.307826181745234e-11};
    D r = poly_split(D(w * 0.4 - 1.0), low);
    if (any(!(w < splat<D>(5)))) {
        const D s = sqrt(w);
        r = w < splat<D>(5) ? r : poly_split(D((s - 3.118033988749895) / 0.8819660112501051), middle);
        r = s < splat<D>(4) ? r : poly_split(D((s - 5.05) / 1.05), high);
    }
    return x * r;
}
inline D erfinv(D x) {  // beyond 1 the logarithm is no number
    const D a = abs(x), r = erfinv_start(x, D(-log(D((1.0 - a) * (1.0 + a)))));
    return a == splat<D>(1) ? with_sign(splat<D>(kInf<D>), x) : r;
}

// ---- gamma function ----
// The lanes of x that are not positive, by the function for one number.
template <class Fn>
D positive_or(D x, D r, Fn one) {
    if (any(!(x > D{})))
        for (int k = 0; k < kLanes<double>; k++)
            if (!(x[k] > 0)) r[k] = one(x[k]);
    return r;
}
// Below 8.5 a polynomial about 2 (interpolated on [3/2, 5/2]) and the factors between, about 1 one of its own; beyond
// Stirling's series. What is negative is reflected as long as no zero of the logarithm is near.
template <bool single>
D log_gamma_positive(D x) {
    static constexpr double about_two[] = {0.42278433509846713,     -0.05015865083717696,    0.008241250155288964,
                                           -0.0015480240241714193,  0.0003124150727934242,   -6.587908856091285e-05,
                                           1.4302764411720115e-05,  -3.1695890450663465e-06, 7.130962382291008e-07,
                                           -1.6229515753889597e-07, 3.7274331597910045e-08,  -8.62390124074862e-09,
                                           2.007321267746321e-09,   -4.695714230218149e-10,  1.1041516622894825e-10,
                                           -2.6122601192847898e-11, 6.123212243245349e-12,   -1.3909442178901942e-12,
                                           3.571541289885736e-13,   -1.1289793880353997e-13, 2.2009655871071206e-14};
    const D whole = round_even(x), t = x - whole;
    D factors = whole < splat<D>(2) ? (whole < splat<D>(1) ? x * (x + 1.0) : x) : splat<D>(1);
    if (any(whole >= splat<D>(3)))
#pragma GCC unroll 8
        for (int k = 3; k < 9; k++) factors = whole >= splat<D>(k) ? factors * (x - double(k - 2)) : factors;
    const auto near = whole < splat<D>(9);
    const D l = log(near ? factors : x);
    D r;
    if constexpr (single) {
        static constexpr double short_two[] = {
            0.42278433509846691,    -0.0501586508372069,     0.0082412501553196099,  -0.0015480240230587672,
            0.00031241507215299964, -6.5879100504106404e-05, 1.4302769501636959e-05, -3.1695326566507781e-06,
            7.1307642477170115e-07, -1.6243124944137379e-07, 3.7316023169425805e-08, -8.449469530286635e-09,
            1.9591652800041219e-09, -5.8106354870175983e-10, 1.3871527028900446e-10};
        r = t * (t + 1.0) * poly_split(D(t * 2.0), short_two);
    } else {
        r = t * (t + 1.0) * poly_split(D(t * 2.0), about_two);
    }
    r = whole < splat<D>(2) ? r - l : r + l;
    const auto by_one = (x >= splat<D>(0.75)) & (x < splat<D>(1.5));
    if (any(by_one)) {
        static constexpr double about_one[] = {
            0.5487833977237905,    -0.07918246284681588,    0.01681920118723516,   -0.004162156505756183,
            0.0011130018726275704, -0.00031142425559046126, 8.972310537905946e-05, -2.6380325002175716e-05,
            7.873271110366833e-06, -2.377046901989258e-06,  7.243021312702194e-07, -2.2239381941341656e-07,
            6.871268755487819e-08, -2.130267420346152e-08,  6.648109778148131e-09, -2.1380250909924213e-09,
            6.726740979916613e-10, -1.687896750199593e-10,  5.327907342497756e-11, -3.620707330528522e-11,
            1.1538632330735752e-11};
        static constexpr double short_one[] = {
            0.54878339772498652,    -0.079182462849698571,   0.016819201070929084,   -0.0041621563990194401,
            0.0011130037144158867,  -0.00031142539584031256, 8.9712212207004543e-05, -2.6374976785405373e-05,
            7.9037356208267044e-06, -2.3898302980066238e-06, 6.8117733019240689e-07, -2.0626455893287633e-07,
            9.7923813330918958e-08, -3.1303178251624011e-08};
        const D u = (x - 1.125) * (1 / 0.375);
        D near_one;
        if constexpr (single) near_one = poly_split(u, short_one);
        else near_one = poly_split(u, about_one);
        r = by_one ? (x - 1.0) * (x - 2.0) * near_one + 0.0 : r;  // + 0: of 1 it is not -0
    }
    if (!any(~near)) return r;
    const D over = 1.0 / x, square = over * over;
    const D series =
        over * poly(square, 0.08333333333333333, -0.002777777777777778, 0.0007936507936507937, -0.0005952380952380953,
                    0.0008417508417508417, -0.0019175269175269176, 0.00641025641025641);
    const D far = fma(D(x - 0.5), l, D(0.9189385332046728 - x + series));
    return x == splat<D>(kInf<D>) ? x : near ? r : far;
}
template <bool single>
D log_gamma(D x) {
    const auto positive = x > D{};
    if (!any(~positive)) return log_gamma_positive<single>(x);
    const D above = log_gamma_positive<single>(positive ? x : 1.0 - x);
    const D sine = abs(sin(D((x - round_even(x)) * 3.141592653589793)));
    const D r = positive ? above : log(D(3.141592653589793 / sine)) - above;
    // NaN too; what doubles lose near a zero, floats never see
    const auto far = ~(x > splat<D>(single ? -100 : -2));
    return any(far) ? per_lane(x, [](double v) { return __builtin_lgamma(v); }) : r;
}
inline D digamma(D x) {
    D z = x, above = {}, below = splat<D>(1);  // the sum of 1 / z as a fraction
    for (int k = 0; k < 10; k++) {
        const auto low = z < splat<D>(10);
        above = low ? fma(above, z, below) : above;
        below = low ? below * z : below;
        z = low ? z + 1.0 : z;
    }
    const D over = 1.0 / z, square = over * over;
    const D series = square * poly(square, 0.08333333333333333, -0.008333333333333333, 0.003968253968253968,
                                   -0.004166666666666667, 0.007575757575757576, -0.021092796092796094);
    return positive_or(x, D(log(z) - 0.5 * over - series - above / below),
                       [](double v) { return special::digamma(v); });
}

inline D trigamma(D x) {
    D z = x, above = {}, below = splat<D>(1);  // the sum of 1 / z² as a fraction
    for (int k = 0; k < 10; k++) {
        const auto low = z < splat<D>(10);
        const D square = z * z;
        above = low ? fma(above, square, below) : above;
        below = low ? below * square : below;
        z = low ? z + 1.0 : z;
    }
    const D over = 1.0 / z, square = over * over;
    const D tail = poly(square, 0.16666666666666666, -0.03333333333333333, 0.023809523809523808, -0.03333333333333333,
                        0.07575757575757576, -0.2531135531135531, 1.1666666666666667);
    return above / below + fma(D(square * over), tail, fma(square, splat<D>(0.5), over));
}
template <class V>
V trigamma_of(V x) {
    V r;
    if constexpr (is_float_vec<V>) r = via_double([](D d) { return trigamma(d); }, x);
    else r = trigamma(x);
    const auto positive = x > V{};
    if (!any(~positive)) return r;
    return positive ? r : per_lane(x, [](Scalar<V> v) { return Scalar<V>(special::trigamma(v)); });
}

// The quantile of the normal distribution. The logarithm is of p itself, so that a small one loses nothing; lanes where
// it is beyond the polynomials are computed one by one.
template <class V>
V ndtri(V p) {
    using S = Scalar<V>;
    const V w = -log(V(4 * p * (1 - p))), most = splat<V>(is_float_vec<V> ? 15 : 37);
    const V infinity = splat<V>(__builtin_inf()), nan = splat<V>(__builtin_nan(""));
    const auto inside = (p > V{}) & (p < splat<V>(1)), tail = inside & ~(w < most);
    V r = splat<V>(1.4142135623730951) * erfinv_start(V(p + p - 1), w);
    r = inside ? r : p == V{} ? -infinity : p == splat<V>(1) ? infinity : nan;
    if (any(tail))
        for (int k = 0; k < kLanes<S>; k++)
            if (tail[k]) r[k] = S(special::ndtri(p[k]));
    return r;
}

// ---- modified Bessel functions e^-|x| I0(x) and e^-|x| I1(x), good for single precision ----
// Up to 8 a polynomial in x / 4 - 1 (of I1 over x), beyond one in 16 / x - 1 over the root.
template <bool first>
D bessel_scaled(D x) {
    const D y = abs(x), t = y * 0.25 - 1.0;
    static constexpr double zero[] = {0.20700192121947647,    -0.11300432665150417,    0.094515629441911359,
                                      -0.089043459503759678,  0.087343387482818724,    -0.084962970728075377,
                                      0.079275562161819843,   -0.069545418807370613,   0.056775196233858363,
                                      -0.04296221783447942,   0.030182686469140373,    -0.019762193046108278,
                                      0.011956586214706228,   -0.0066269079992491821,  0.0036055924638875923,
                                      -0.0020263529869667318, 0.00088980146268075446,  -0.00021653845257773219,
                                      0.00012495499543826701, -0.00013372302901694743, 4.4572758365704022e-05};
    static constexpr double one[] = {0.044687709874581406,    -0.061124338019759701,   0.068057600136204099,
                                     -0.06848260717306498,    0.063767395678022185,    -0.055280013248062428,
                                     0.044674680231036136,    -0.033671661054464251,   0.023685305981387923,
                                     -0.015569399995741513,   0.0095865624597884277,   -0.005541548727692378,
                                     0.0030002930879537864,   -0.0015232481928262826,  0.00075087290981375166,
                                     -0.00036274587857041128, 0.00014526122092254145,  -4.3713994213755499e-05,
                                     2.3462414633255681e-05,  -1.6817878451527657e-05, 4.7618305036557798e-06};
    D r = first ? y * poly_split(t, one) : poly_split(t, zero);
    const auto near = y <= splat<D>(8);
    if (any(~near)) {
        const D s = 16.0 / y - 1.0;
        const D far =
            first
                ? poly(s, 0.38939845910226273, -0.0097495812069026931, -0.00021923778627946786, -1.5004641391860675e-05,
                       -1.8240766109724835e-06, -4.2048510573362504e-07, -1.2374768765571354e-07)
                : poly(s, 0.40217650939969057, 0.0033605555499494183, 0.00013621740590922553, 1.1112774481641415e-05,
                       1.4756273721511029e-06, 3.6215543605662185e-07, 1.0894087810588917e-07);
        r = near ? r : far / sqrt(y);
    }
    return first ? with_sign(r, x) : r;
}

constexpr auto functions() {
    Table<40> t;
    floats(t, Unary::erfinv, rare([](auto, auto x) { return erfinv(x); }));
    using LogGamma = decltype([](auto, F x) { return via_double([](D d) { return log_gamma<true>(d); }, x); });
    using Digamma = decltype([](auto, F x) { return via_double([](D d) { return digamma(d); }, x); });
    auto single = [&]<class Fn>(Unary op, Fn) {
        t.put(op, DType::f32, vec1<Rare<Fn>, float>);
        t.put(op, DType::f16, vec1<Rare<Fn>, Half>);
        t.put(op, DType::bf16, vec1<Rare<Fn>, BHalf>);
    };
    single(Unary::lgamma, LogGamma{});
    t.put(Unary::lgamma, DType::f64, vec1<decltype([](auto, D x) { return log_gamma<false>(x); }), double>);
    floats(t, Unary::trigamma, rare([](auto, auto x) { return trigamma_of(x); }));
    single(Unary::digamma, Digamma{});
    t.put(Unary::digamma, DType::f64, vec1<decltype([](auto, D x) { return digamma(x); }), double>);
    t.put(Unary::ndtri, DType::f32, vec1<decltype([](auto, F x) { return ndtri(x); }), float>);
    t.put(Unary::ndtri, DType::f64, vec1<decltype([](auto, D x) { return ndtri(x); }), double>);
    single(Unary::i0e,
           decltype([](auto, F x) { return via_double([](D d) { return bessel_scaled<false>(d); }, x); }){});
    single(Unary::i1e, decltype([](auto, F x) { return via_double([](D d) { return bessel_scaled<true>(d); }, x); }){});
    single(Unary::i0, decltype([](auto, F x) {
               return via_double([](D d) { return D(bessel_scaled<false>(d) * exp(abs(d))); }, x);
           }){});
    single(Unary::i1, decltype([](auto, F x) {
               return via_double([](D d) { return D(bessel_scaled<true>(d) * exp(abs(d))); }, x);
           }){});
    using Next = decltype([](auto, auto x, auto y) {
        using V = decltype(x);
        using B = Bits<V>;
        const B away = ~((y > x) ^ (x > V{}));  // all bits where the magnitude grows
        V r = bitcast<V>(B(bitcast<B>(x) - 2 * away - 1));
        const V least = bitcast<V>(B(B{} + 1));
        r = x == V{} ? with_sign(least, y) : r;
        r = x == y ? y : r;
        return (x != x) | (y != y) ? x + y : r;
    });
    t.put(Binary::nextafter, DType::f32, vec2<Next, float>);
    t.put(Binary::nextafter, DType::f64, vec2<Next, double>);
    return t;
}

// ---- complex numbers ----
template <class V, int... k>
V evens(V a, V b, std::integer_sequence<int, k...>) {
    return __builtin_shufflevector(a, b, (2 * k)...);
}
template <class V, int... k>
V odds(V a, V b, std::integer_sequence<int, k...>) {
    return __builtin_shufflevector(a, b, (2 * k + 1)...);
}
// Lanes of a and b in turn, from lane `first` on.
template <int first, class V, int... k>
V in_turn(V a, V b, std::integer_sequence<int, k...>) {
    constexpr int n = sizeof...(k);
    return __builtin_shufflevector(a, b, (first + k / 2 + (k % 2 ? n : 0))...);
}
template <class T>
using LaneNumbers = std::make_integer_sequence<int, kLanes<T>>;

template <class T>
void angle_inner(char* out, const char* const* in, int64_t n, const void*) {
    using V = Vec<T>;
    constexpr int step = kLanes<T>;
    T* o = reinterpret_cast<T*>(out);
    const T* a = reinterpret_cast<const T*>(in[0]);
    const auto angle = [](const T* p) {
        const V x = load<V>(p), y = load<V>(p + step);
        return V(atan2(odds(x, y, LaneNumbers<T>()), evens(x, y, LaneNumbers<T>())));
    };
    int64_t i = 0;
    for (; i + step <= n; i += step) store(o + i, angle(a + 2 * i));
    if (i < n) {
        T rest[2 * step] = {};
        __builtin_memcpy(rest, a + 2 * i, size_t(n - i) * 2 * sizeof(T));
        const V v = angle(rest);
        __builtin_memcpy(o + i, &v, size_t(n - i) * sizeof(T));
    }
}
template <class T>
void polar_inner(char* out, const char* const* in, int64_t n, const void*) {
    using V = Vec<T>;
    constexpr int step = kLanes<T>;
    T* o = reinterpret_cast<T*>(out);
    const T *r = reinterpret_cast<const T*>(in[0]), *angle = reinterpret_cast<const T*>(in[1]);
    const auto write = [](T* to, V length, V turn) {
        const V re = length * cos(turn), im = length * sin(turn);
        store(to, in_turn<0>(re, im, LaneNumbers<T>()));
        store(to + step, in_turn<step / 2>(re, im, LaneNumbers<T>()));
    };
    int64_t i = 0;
    for (; i + step <= n; i += step) write(o + 2 * i, load<V>(r + i), load<V>(angle + i));
    if (i < n) {
        T rest[4 * step] = {};
        __builtin_memcpy(rest, r + i, size_t(n - i) * sizeof(T));
        __builtin_memcpy(rest + step, angle + i, size_t(n - i) * sizeof(T));
        write(rest + 2 * step, load<V>(rest), load<V>(rest + step));
        __builtin_memcpy(o + 2 * i, rest + 2 * step, size_t(n - i) * 2 * sizeof(T));
    }
}
template <class T>
void conj_inner(char* out, const char* const* in, int64_t n, const void*) {
    using V = Vec<T>;
    T* o = reinterpret_cast<T*>(out);
    const T* a = reinterpret_cast<const T*>(in[0]);
    V sign = {};
    for (int k = 1; k < kLanes<T>; k += 2) sign[k] = T(-0.0);
    int64_t i = 0;
    for (; i + kLanes<T> <= 2 * n; i += kLanes<T>)
        store(o + i, bitcast<V>(bitcast<Bits<V>>(load<V>(a + i)) ^ bitcast<Bits<V>>(sign)));
    for (; i < 2 * n; i++) o[i] = i % 2 ? -a[i] : a[i];
}

constexpr auto complexes() {
    Table<6> t;
    t.put(Unary::angle, DType::c64, loop<angle_inner<float>, float, Cx<float>>);
    t.put(Unary::angle, DType::c128, loop<angle_inner<double>, double, Cx<double>>);
    t.put(Binary::polar, DType::f32, loop<polar_inner<float>, Cx<float>, float, float>);
    t.put(Binary::polar, DType::f64, loop<polar_inner<double>, Cx<double>, double, double>);
    t.put(Unary::conj, DType::c64, loop<conj_inner<float>, Cx<float>, Cx<float>>);
    t.put(Unary::conj, DType::c128, loop<conj_inner<double>, Cx<double>, Cx<double>>);
    return t;
}

constexpr auto a = functions();
constexpr auto b = complexes();
}  // namespace

extern const Entries special_functions, special_complex;
constexpr Entries special_functions{a.entry, a.count}, special_complex{b.entry, b.count};

}  // namespace fb::cpu::FB_ARCH
