// Arithmetic, comparison and logic of two tensors, and the operations of three.
#include <utility>
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

// The factor of add_scaled and its relatives is one value of the computing type.
template <class V>
V factor(const void* s) {
    return splat<V>(*static_cast<const Scalar<V>*>(s));
}

template <class V>
V remainder(V a, V b) {  // with the sign of b
    const V m = fmod(a, b);
    return (m != V{}) & ((b < V{}) != (m < V{})) ? m + b : m;
}
template <class V>
V floor_div(
    V a,
    V b) {  // Python's a // b: from the exact remainder, so that rounding cannot lift the quotient over a whole number
    const V q = a / b, mod = fmod(a, b);
    V d = (a - mod) / b;
    d = (mod != V{}) & ((b < V{}) != (mod < V{})) ? d - splat<V>(1) : d;
    const V f = floor(d), r = d - f > splat<V>(0.5) ? f + splat<V>(1) : f;
    return b == V{} ? q : d != V{} ? r : with_sign(V{}, q);
}
template <class V>
V logaddexp(V a, V b, double scale, double inverse) {  // log(e^a + e^b), to the base e^scale
    const V m = max(a, b), d = -abs(V(a - b)) * splat<V>(scale);
    const V r = m + log1p_unit(exp(d)) * splat<V>(inverse);
    const V both = (abs(a) == splat<V>(kInf<V>)) & (a == b) ? a : r;
    return a != a ? a : b != b ? b : both;
}

template <class V>
V lerp(V a, V b, V w) {
    const V d = b - a;
    return abs(w) < splat<V>(0.5) ? a + w * d : b - d * (splat<V>(1) - w);
}

// A strip of floats whose other operands are single values, held in registers: the commonest operations are so short
// that reading them again each time takes a fifth of the time.
template <class Apply>
void strip_of_one(char* out, const char* in, int64_t n, Apply f) {
    float* const o = reinterpret_cast<float*>(out);
    const float* const x = reinterpret_cast<const float*>(in);
    constexpr int step = kLanes<float>;
    int64_t i = 0, part = to_line(o, n);
    for (;;) {
        if (part) {
            store_part(o + i, F(f(load_part(x + i, part))), part);
            i += part;
        }
        i = each_whole<true, step>(i, n, [&](int64_t k) { store(o + k, F(f(load<F>(x + k)))); });
        if (i == n) return;
        part = n - i;
    }
}
inline F spread_value(const char* p) { return splat<F>(*reinterpret_cast<const float*>(p)); }
template <class Fn>
void float_loop(char* const* p, const int64_t* strides, int64_t n, const void* s) {
    constexpr int64_t item = sizeof(float);
    if (strides[0] == item && strides[1] == item && strides[2] == 0)
        return strip_of_one(p[0], p[1], n, [v = spread_value(p[2])](F x) { return Fn{}(nullptr, x, v); });
    if (strides[0] == item && strides[1] == 0 && strides[2] == item)
        return strip_of_one(p[0], p[2], n, [v = spread_value(p[1])](F x) { return Fn{}(nullptr, v, x); });
    vec_loop<Fn, float, float>(p, strides, n, s);
}
template <class Fn>
void float_clamp(char* const* p, const int64_t* strides, int64_t n, const void* s) {
    constexpr int64_t item = sizeof(float);
    if (strides[0] == item && strides[1] == item && strides[2] == 0 && strides[3] == 0) {
        const F low = spread_value(p[2]), high = spread_value(p[3]);
        if (!any((low != low) | (high != high)))  // NaN can only come from x
            return strip_of_one(p[0], p[1], n, [low, high](F x) { return min(high, max(low, x)); });
    }
    vec_loop<Fn, float, float, float>(p, strides, n, s);
}
template <class Tab, class Fn>
constexpr void common(Tab& t, Binary op, Fn fn) {
    floats(t, op, light(fn));
    t.put(op, DType::f32, float_loop<Fn>);
}

constexpr auto float_arithmetic() {
    Table<140> t;
    common(t, Binary::add, [](auto, auto a, auto b) { return a + b; });
    common(t, Binary::sub, [](auto, auto a, auto b) { return a - b; });
    common(t, Binary::mul, [](auto, auto a, auto b) { return a * b; });
    common(t, Binary::div, [](auto, auto a, auto b) { return a / b; });
    floats(t, Binary::add_scaled, [](auto s, auto a, auto b) { return fma(b, factor<decltype(a)>(s), a); });
    floats(t, Binary::sub_scaled,
           [](auto s, auto a, auto b) { return fma(decltype(a)(-b), factor<decltype(a)>(s), a); });
    floats(t, Binary::floor_div, rare([](auto, auto a, auto b) { return floor_div(a, b); }));
    floats(t, Binary::trunc_div, [](auto, auto a, auto b) { return trunc(decltype(a)(a / b)); });
    floats(t, Binary::remainder, rare([](auto, auto a, auto b) { return remainder(a, b); }));
    floats(t, Binary::fmod, rare([](auto, auto a, auto b) { return fmod(a, b); }));
    floats(t, Binary::pow, heavy([](auto, auto a, auto b) { return pow(a, b); }));
    floats(t, Binary::maximum, light([](auto, auto a, auto b) { return max_nan(a, b); }));
    floats(t, Binary::minimum, light([](auto, auto a, auto b) { return min_nan(a, b); }));
    floats(t, Binary::fmax, [](auto, auto a, auto b) { return b != b ? a : max(a, b); });
    floats(t, Binary::fmin, [](auto, auto a, auto b) { return b != b ? a : min(a, b); });
    floats(t, Binary::atan2, rare([](auto, auto a, auto b) { return atan2(a, b); }));
    floats(t, Binary::hypot, rare([](auto, auto a, auto b) { return hypot(a, b); }));
    floats(t, Binary::copysign, [](auto, auto a, auto b) { return with_sign(abs(a), b); });
    Table<1> h;  // half types: their sign bits
    each(h, Binary::copysign, Types<uint16_t>{}, [](auto, auto a, auto b) { return (a & 0x7fff) | (b & 0x8000); });
    for (DType d : {DType::f16, DType::bf16}) t.put(Binary::copysign, d, h.entry[0].loop);
    floats(t, Binary::heaviside, [](auto, auto a, auto b) {
        using V = decltype(a);
        return a == V{} ? b : a > V{} ? splat<V>(1) : V{};
    });
    floats(t, Binary::logaddexp, rare([](auto, auto a, auto b) { return logaddexp(a, b, 1, 1); }));
    floats(t, Binary::logaddexp2,
           rare([](auto, auto a, auto b) { return logaddexp(a, b, 0.6931471805599453, 1.4426950408889634); }));
    floats(t, Binary::xlogy, rare([](auto, auto a, auto b) {
               using V = decltype(a);
               return b != b ? b : a == V{} ? V{} : a * log(b);
           }));
    floats(t, Binary::xlog1py, rare([](auto, auto a, auto b) {
               using V = decltype(a);
               return b != b ? b : a == V{} ? V{} : a * log1p(b);
           }));
    floats(t, Binary::ldexp, rare([](auto, auto a, auto b) { return a * exp2(b); }));
    floats(t, Ternary::addcmul,
           [](auto s, auto a, auto b, auto c) { return fma(decltype(a)(factor<decltype(a)>(s) * b), c, a); });
    floats(t, Ternary::addcdiv, [](auto s, auto a, auto b, auto c) { return a + factor<decltype(a)>(s) * b / c; });
    wide(t, Ternary::lerp, [](auto, auto a, auto b, auto w) { return lerp(a, b, w); });
    halves(t, Ternary::lerp, [](auto s, auto a, auto b, auto w) {  // a number is not rounded to the type
        return lerp(a, b, s ? factor<decltype(a)>(s) : w);
    });
    constexpr auto clamp = [](auto, auto x, auto lo, auto hi) { return min_nan(max_nan(x, lo), hi); };
    floats(t, Ternary::clamp, clamp);
    t.put(Ternary::clamp, DType::f32, float_clamp<decltype(clamp)>);
    return t;
}

template <class C>
bool nonzero(C z) {
    return (z.re != 0) | (z.im != 0);
}

constexpr auto comparisons() {
    Table<200> t;
    constexpr auto eq = [](auto, auto a, auto b) { return a == b; };
    constexpr auto ne = [](auto, auto a, auto b) { return a != b; };
    constexpr auto lt = [](auto, auto a, auto b) { return a < b; };
    constexpr auto le = [](auto, auto a, auto b) { return a <= b; };
    constexpr auto gt = [](auto, auto a, auto b) { return a > b; };
    constexpr auto ge = [](auto, auto a, auto b) { return a >= b; };
    float_masks(t, Binary::eq, eq);
    float_masks(t, Binary::ne, ne);
    float_masks(t, Binary::lt, lt);
    float_masks(t, Binary::le, le);
    float_masks(t, Binary::gt, gt);
    float_masks(t, Binary::ge, ge);
    constexpr Types<uint8_t, int8_t, int16_t, int32_t, int64_t> whole;
    constexpr Seldom<Types<uint16_t, uint32_t, uint64_t, Bool>> others;
    wrapping_masks(t, Binary::eq, eq);
    wrapping_masks(t, Binary::ne, ne);
    each_to<Bool>(t, Binary::lt, whole, lt);
    each_to<Bool>(t, Binary::lt, others, lt);
    each_to<Bool>(t, Binary::le, whole, le);
    each_to<Bool>(t, Binary::le, others, le);
    each_to<Bool>(t, Binary::gt, whole, gt);
    each_to<Bool>(t, Binary::gt, others, gt);
    each_to<Bool>(t, Binary::ge, whole, ge);
    each_to<Bool>(t, Binary::ge, others, ge);
    constexpr auto both = [](auto, auto a, auto b) { return (a != decltype(a){}) & (b != decltype(b){}); };
    constexpr auto either = [](auto, auto a, auto b) { return (a != decltype(a){}) | (b != decltype(b){}); };
    constexpr auto one = [](auto, auto a, auto b) { return (a != decltype(a){}) ^ (b != decltype(b){}); };
    float_masks(t, Binary::logical_and, both);
    float_masks(t, Binary::logical_or, either);
    float_masks(t, Binary::logical_xor, one);
    wrapping_masks(t, Binary::logical_and, both);
    wrapping_masks(t, Binary::logical_or, either);
    wrapping_masks(t, Binary::logical_xor, one);
    constexpr Seldom<Complexes> cx;
    each_to<Bool>(t, Binary::eq, cx, [](auto, auto a, auto b) { return (a.re == b.re) & (a.im == b.im); });
    each_to<Bool>(t, Binary::logical_and, cx, [](auto, auto a, auto b) { return nonzero(a) & nonzero(b); });
    each_to<Bool>(t, Binary::logical_or, cx, [](auto, auto a, auto b) { return nonzero(a) | nonzero(b); });
    each_to<Bool>(t, Binary::logical_xor, cx, [](auto, auto a, auto b) { return nonzero(a) ^ nonzero(b); });
    each_to<Bool>(t, Binary::ne, cx, [](auto, auto a, auto b) { return (a.re != b.re) | (a.im != b.im); });
    return t;
}

template <class T>
T int_pow(T a, T b) {
    if (b < 0) return T(a == 1 ? 1 : T(a + 1) == 0 ? (b % 2 ? -1 : 1) : 0);
    T r = 1;
    for (; b; b = T(b >> 1), a = T(a * a))
        if (b & 1) r = T(r * a);
    return r;
}
template <class T>
T gcd(T a, T b) {
    a = T(a < 0 ? -a : a), b = T(b < 0 ? -b : b);
    while (a != 0) {
        const T r = T(b % a);
        b = a, a = r;
    }
    return b;
}

// a moved left by b bits, fewer than it has; bytes bit by bit of that distance, which GCC does in registers of bytes.
template <class U>
inline U moved_left(U a, U b) {
    if constexpr (sizeof(U) == 1) {
        a = b & 1 ? U(a << 1) : a;
        a = b & 2 ? U(a << 2) : a;
        return b & 4 ? U(a << 4) : a;
    }
    return U(a << (b & (sizeof(U) * 8 - 1)));
}
template <class T, class U>
inline T moved_right(T a, U b) {
    if constexpr (sizeof(T) == 1) {
        a = b & 1 ? T(a >> 1) : a;
        a = b & 2 ? T(a >> 2) : a;
        return b & 4 ? T(a >> 4) : a;
    }
    return T(a >> (b & (sizeof(U) * 8 - 1)));
}

// Products of bytes: there is no such instruction, so those of the lower and of the upper halves of words.
void byte_products(char* out, const char* const* in, int64_t n, const void*) {
    using V = Vec<uint16_t>;
    const char *a = in[0], *b = in[1];
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
        const V x = load<V>(a + i), y = load<V>(b + i);
        store(out + i, V(((x * y) & uint16_t(0xff)) | ((x >> 8) * (y & uint16_t(0xff00)))));
    }
    for (; i < n; i++) out[i] = char(uint8_t(a[i]) * uint8_t(b[i]));
}

constexpr auto integers() {
    Table<220> t;
    constexpr Ints ints;
    constexpr Seldom<Ints> one_by_one;
    constexpr Types<Bool> boolean;
    wrapping(t, Binary::add, [](auto, auto a, auto b) { return a + b; });
    wrapping(t, Binary::sub, [](auto, auto a, auto b) { return a - b; });
    wrapping(t, Binary::mul, [](auto, auto a, auto b) { return a * b; });
    for (DType d : {DType::u8, DType::i8}) t.put(Binary::mul, d, loop<byte_products, uint8_t, uint8_t, uint8_t>);
    wrapping(t, Binary::add_scaled, [](auto s, auto a, auto b) { return a + *static_cast<const decltype(a)*>(s) * b; });
    wrapping(t, Binary::sub_scaled, [](auto s, auto a, auto b) { return a - *static_cast<const decltype(a)*>(s) * b; });
    wrapping(t, Binary::bitwise_and, [](auto, auto a, auto b) { return a & b; });
    wrapping(t, Binary::bitwise_or, [](auto, auto a, auto b) { return a | b; });
    wrapping(t, Binary::bitwise_xor, [](auto, auto a, auto b) { return a ^ b; });
    each(t, Binary::pow, one_by_one, [](auto, auto a, auto b) { return int_pow(a, b); });
    for (Binary op : {Binary::maximum, Binary::fmax})
        each(t, op, ints, [](auto, auto a, auto b) { return a > b ? a : b; });
    for (Binary op : {Binary::minimum, Binary::fmin})
        each(t, op, ints, [](auto, auto a, auto b) { return a < b ? a : b; });
    wrapping(t, Binary::left_shift, [](auto, auto a, auto b) {
        using U = decltype(a);
        return b < sizeof(U) * 8 ? moved_left(a, b) : U(0);
    });
    each(t, Binary::right_shift, one_by_one, [](auto, auto a, auto b) {
        using T = decltype(a);
        using U = std::make_unsigned_t<T>;
        return U(b) < sizeof(T) * 8 ? moved_right(a, U(b)) : T(a < 0 ? -1 : 0);
    });
    each(t, Binary::gcd, one_by_one, [](auto, auto a, auto b) { return gcd(a, b); });
    each(t, Binary::lcm, one_by_one, [](auto, auto a, auto b) {
        using T = decltype(a);
        const T g = gcd(a, b);
        const auto r = g == 0 ? 0 : a / g * b;  // small types: in int, as C++ computes
        return T(r < 0 ? -r : r);
    });
    each(t, Binary::heaviside, one_by_one, [](auto, auto a, auto b) { return a == 0 ? b : decltype(a)(a > 0); });
    wrapping(t, Ternary::addcmul,
             [](auto s, auto a, auto b, auto c) { return a + *static_cast<const decltype(a)*>(s) * b * c; });
    each(t, Ternary::clamp, ints, [](auto, auto x, auto lo, auto hi) {
        const auto v = x < lo ? lo : x;
        return v > hi ? hi : v;
    });

    for (Binary op : {Binary::add, Binary::maximum, Binary::fmax, Binary::bitwise_or})
        each(t, op, boolean, [](auto, bool a, bool b) { return a | b; });
    for (Binary op : {Binary::mul, Binary::minimum, Binary::fmin, Binary::bitwise_and})
        each(t, op, boolean, [](auto, bool a, bool b) { return a & b; });
    each(t, Binary::bitwise_xor, boolean, [](auto, bool a, bool b) { return a ^ b; });
    each(t, Binary::add_scaled, boolean, [](auto s, bool a, bool b) { return a | (*static_cast<const bool*>(s) & b); });
    each(t, Binary::heaviside, boolean, [](auto, bool a, bool b) { return a | b; });
    each(t, Binary::pow, boolean, [](auto, bool a, bool b) { return a | !b; });
    each(t, Ternary::clamp, boolean, [](auto, bool x, bool lo, bool hi) { return (x | lo) & hi; });
    return t;
}

template <class C>
C times(C a, C b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
// Smith's quotient: divided by the larger part first, so that nothing overflows; of numbers or of vectors.
template <class V, class Choose>
void smith(V& re, V& im, V c, V d, V p, V q, Choose choose) {
    const auto wide = p >= q;
    const V big = choose(wide, c, d), small = choose(wide, d, c), r = choose(big == V{}, small, V(small / big));
    const V whole = big + small * r, x = choose(wide, re, im), y = choose(wide, im, re), cross = x * r;
    re = (x + y * r) / whole;
    im = choose(wide, V(y - cross), V(cross - y)) / whole;
}
template <class C>
C over(C a, C b) {
    const auto p = b.re < 0 ? -b.re : b.re, q = b.im < 0 ? -b.im : b.im;
    smith(a.re, a.im, b.re, b.im, p, q, [](bool c, auto yes, auto no) { return c ? yes : no; });
    return a;
}

// Whole registers of complex numbers, their parts taken apart; `f` gets a block of `n` at a time.
template <class T>
struct Parts {
    Vec<T> re, im;
};
template <class T>
inline Parts<T> load_parts(const char* p, int64_t n) {
    alignas(64) T pair[2 * kLanes<T>] = {};
    __builtin_memcpy(pair, p, size_t(n) * 2 * sizeof(T));
    const auto a = load<Vec<T>>(pair), b = load<Vec<T>>(pair + kLanes<T>);
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return Parts<T>{__builtin_shufflevector(a, b, 2 * k...), __builtin_shufflevector(a, b, 2 * k + 1 ...)};
    }(std::make_integer_sequence<int, kLanes<T>>{});
}
template <class T>
inline void store_parts(char* p, const Parts<T>& x, int64_t n) {
    alignas(64) T pair[2 * kLanes<T>];
    [&]<int... k>(std::integer_sequence<int, k...>) {
        constexpr int lanes = kLanes<T>, half = lanes / 2;  // k-th: of re where k is even, else of im
        store(pair, Vec<T>(__builtin_shufflevector(x.re, x.im, k / 2 + k % 2 * lanes...)));
        store(pair + lanes, Vec<T>(__builtin_shufflevector(x.re, x.im, half + k / 2 + k % 2 * lanes...)));
    }(std::make_integer_sequence<int, kLanes<T>>{});
    __builtin_memcpy(p, pair, size_t(n) * 2 * sizeof(T));
}
template <class T>
inline Parts<T> over(Parts<T> x, const Parts<T>& y) {
    using V = Vec<T>;
    smith(x.re, x.im, y.re, y.im, V(abs(y.re)), V(abs(y.im)),
          [](auto c, auto yes, auto no) { return V(c ? yes : no); });
    return x;
}
// A loop over whole registers and then the rest: f(parts...) of the inputs.
template <class T, int inputs, class Fn>
inline void by_parts(char* out, const char* const* in, int64_t n, Fn f) {
    constexpr int64_t step = kLanes<T>, item = 2 * sizeof(T);
    const auto some = [&](int64_t at, int64_t now) {
        const Parts<T> x = load_parts<T>(in[0] + at, now);
        if constexpr (inputs == 2) store_parts(out + at, f(x, load_parts<T>(in[1] + at, now)), now);
        else store_parts(out + at, f(x), now);
    };
    int64_t i = 0;
    for (; i + step <= n; i += step) some(i * item, step);
    if (i < n) some(i * item, n - i);
}
template <class T>
void complex_div(char* out, const char* const* in, int64_t n, const void*) {
    by_parts<T, 2>(out, in, n, [](const Parts<T>& x, const Parts<T>& y) { return over(x, y); });
}
template <class T>
void complex_reciprocal(char* out, const char* const* in, int64_t n, const void*) {
    by_parts<T, 1>(out, in, n, [](const Parts<T>& x) { return over(Parts<T>{splat<Vec<T>>(1), {}}, x); });
}
template <class T>
void complex_abs(char* out, const char* const* in, int64_t n, const void*) {
    constexpr int64_t step = kLanes<T>;
    const char* a = in[0];
    T* o = reinterpret_cast<T*>(out);
    for (int64_t i = 0; i < n; i += step) {
        const int64_t now = n - i < step ? n - i : step;
        const Parts<T> x = load_parts<T>(a + i * 2 * int64_t(sizeof(T)), now);
        const Vec<T> r = hypot(x.re, x.im);
        if (now == step) store(o + i, r);
        else __builtin_memcpy(o + i, &r, size_t(now) * sizeof(T));
    }
}

// e^z in whole registers; infinities, NaN and what overflows go through the C library.
void complex_exp(char* out, const char* const* in, int64_t n, const void*) {
    constexpr int64_t step = kLanes<double>, item = 2 * sizeof(double);
    const char* a = in[0];
    for (int64_t i = 0; i < n; i += step) {
        const int64_t now = n - i < step ? n - i : step;
        const Parts<double> x = load_parts<double>(a + i * item, now);
        alignas(64) double pair[2 * step];
        if (any((abs(x.re) < splat<D>(700)) & (abs(x.im) < splat<D>(1e300)) ? Bits<D>{} : Bits<D>{} - 1)) [[unlikely]] {
            for (int64_t k = 0; k < now; k++) {
                _Complex double z;
                __real__ z = x.re[k], __imag__ z = x.im[k];
                z = __builtin_cexp(z);
                pair[2 * k] = __real__ z, pair[2 * k + 1] = __imag__ z;
            }
        } else {
            const D size = exp(x.re), re = size * cos(x.im), im = size * sin(x.im);
            for (int k = 0; k < step; k++) pair[2 * k] = re[k], pair[2 * k + 1] = im[k];
        }
        __builtin_memcpy(out + i * item, pair, size_t(now * item));
    }
}

// 1 / (1 + e^-z); what complex_exp leaves to the C library is left to it here too.
template <class T>
void complex_sigmoid(char* out, const char* const* in, int64_t n, const void*) {
    using V = Vec<T>;
    constexpr T most = sizeof(T) == 4 ? T(80) : T(700), turns = sizeof(T) == 4 ? T(1e30) : T(1e300);
    by_parts<T, 1>(out, in, n, [](const Parts<T>& x) {
        Parts<T> r;
        if (any(~((abs(x.re) < splat<V>(most)) & (abs(x.im) < splat<V>(turns))))) [[unlikely]] {
            for (int k = 0; k < kLanes<T>; k++) {
                _Complex double z;
                __real__ z = -x.re[k], __imag__ z = -x.im[k];
                z = __builtin_cexp(z);
                const auto one = over(Cx<T>{1, 0}, Cx<T>{T(1 + __real__ z), T(__imag__ z)});
                r.re[k] = one.re, r.im[k] = one.im;
            }
            return r;
        }
        const V size = exp(V(-x.re));
        r.re = splat<V>(1) + size * cos(x.im);
        r.im = -size * sin(x.im);
        return over(Parts<T>{splat<V>(1), {}}, r);
    });
}

template <class C>
C plus(C a, C b) {
    return {a.re + b.re, a.im + b.im};
}

constexpr auto complex_arithmetic() {
    Table<60> t;
    constexpr Seldom<Complexes> cx;
    constexpr Types<HalfCx, Cx<float>, Cx<double>> all;
    each(t, Binary::add, all, [](auto, auto a, auto b) { return plus(a, b); });
    each(t, Binary::sub, all, [](auto, auto a, auto b) { return decltype(a){a.re - b.re, a.im - b.im}; });
    each(t, Binary::mul, all, [](auto, auto a, auto b) { return times(a, b); });
    each(t, Binary::div, Seldom<Types<HalfCx>>{}, [](auto, auto a, auto b) { return over(a, b); });
    t.put(Binary::div, DType::c64, loop<complex_div<float>, Cx<float>, Cx<float>, Cx<float>>);
    t.put(Binary::div, DType::c128, loop<complex_div<double>, Cx<double>, Cx<double>, Cx<double>>);
    t.put(Unary::abs, DType::c64, loop<complex_abs<float>, float, Cx<float>>);
    t.put(Unary::abs, DType::c128, loop<complex_abs<double>, double, Cx<double>>);
    t.put(Unary::exp, DType::c128, loop<complex_exp, Cx<double>, Cx<double>>);
    each(t, Binary::add_scaled, all,
         [](auto s, auto a, auto b) { return plus(a, times(*static_cast<const decltype(a)*>(s), b)); });
    each(t, Binary::sub_scaled, all, [](auto s, auto a, auto b) {
        const auto m = times(*static_cast<const decltype(a)*>(s), b);
        return decltype(a){a.re - m.re, a.im - m.im};
    });
    t.put(Unary::reciprocal, DType::c64, loop<complex_reciprocal<float>, Cx<float>, Cx<float>>);
    t.put(Unary::reciprocal, DType::c128, loop<complex_reciprocal<double>, Cx<double>, Cx<double>>);
    t.put(Unary::sigmoid, DType::c64, loop<complex_sigmoid<float>, Cx<float>, Cx<float>>);
    t.put(Unary::sigmoid, DType::c128, loop<complex_sigmoid<double>, Cx<double>, Cx<double>>);
    each(t, Ternary::addcmul, cx, [](auto s, auto a, auto b, auto c) {
        return plus(a, times(times(*static_cast<const decltype(a)*>(s), b), c));
    });
    each(t, Ternary::addcdiv, cx, [](auto s, auto a, auto b, auto c) {
        return plus(a, over(times(*static_cast<const decltype(a)*>(s), b), c));
    });
    each(t, Ternary::lerp, cx, [](auto, auto a, auto b, auto w) {
        using C = decltype(a);
        const C d{b.re - a.re, b.im - a.im};
        if (w.re * w.re + w.im * w.im < 0.25) return plus(a, times(w, d));
        const C m = times(d, C{1 - w.re, -w.im});
        return C{b.re - m.re, b.im - m.im};
    });
    constexpr auto make = [](auto, auto re, auto im) { return Cx<decltype(re)>{re, im}; };
    each_to<Cx<float>>(t, Binary::make_complex, Types<float>{}, make);
    each_to<Cx<double>>(t, Binary::make_complex, Types<double>{}, make);

    // where: only the size of an element matters
    auto choose = []<class T>(const T*) {
        return loop<element_inner<decltype([](auto, bool c, auto a, auto b) { return c ? a : b; }), T, Bool, T, T>, T,
                    Bool, T, T>;
    };
    const Loop by_size[] = {choose(static_cast<const uint8_t*>(nullptr)), choose(static_cast<const uint16_t*>(nullptr)),
                            choose(static_cast<const uint32_t*>(nullptr)),
                            choose(static_cast<const uint64_t*>(nullptr)),
                            choose(static_cast<const Cx<double>*>(nullptr))};
    for (DType d : {DType::u8, DType::i8, DType::b1, DType::i16, DType::u16, DType::f16, DType::bf16, DType::i32,
                    DType::u32, DType::f32, DType::c32, DType::i64, DType::u64, DType::f64, DType::c64, DType::c128})
        t.put(Ternary::where, d, by_size[__builtin_ctz(unsigned(itemsize(d)))]);
    return t;
}

constexpr auto a = float_arithmetic();
constexpr auto b = comparisons();
constexpr auto c = integers();
constexpr auto d = complex_arithmetic();
}  // namespace

extern const Entries binary_floats, binary_comparisons, binary_integers, binary_complex;
constexpr Entries binary_floats{a.entry, a.count}, binary_comparisons{b.entry, b.count},
    binary_integers{c.entry, c.count}, binary_complex{d.entry, d.count};

}  // namespace fb::cpu::FB_ARCH
