// Folding loops, compiled once for each instruction set. No library code with external linkage in here (see
// CMakeLists.txt).
#include <type_traits>
#include "cpu/reduce.h"
#include "cpu/simd/strip.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class T>
struct Wide {
    using type = T;
};  // what sums are kept in
template <>
struct Wide<float> {
    using type = double;
};
template <>
struct Wide<F16> {
    using type = double;
};
template <>
struct Wide<BF16> {
    using type = double;
};
template <>
struct Wide<C64> {
    using type = C128;
};
template <>
struct Wide<bool> {
    using type = int64_t;
};
template <>
struct Wide<uint8_t> {
    using type = int64_t;
};
template <>
struct Wide<int8_t> {
    using type = int64_t;
};
template <>
struct Wide<int16_t> {
    using type = int64_t;
};
template <>
struct Wide<int32_t> {
    using type = int64_t;
};
template <>
struct Wide<uint16_t> {
    using type = int64_t;
};
template <>
struct Wide<uint32_t> {
    using type = int64_t;
};

template <class T>
constexpr bool is_complex_v = false;
template <>
constexpr bool is_complex_v<C64> = true;
template <>
constexpr bool is_complex_v<C128> = true;
template <class T>
constexpr bool is_half_v = false;
template <>
constexpr bool is_half_v<F16> = true;
template <>
constexpr bool is_half_v<BF16> = true;
template <class T>
constexpr bool is_float_v = is_half_v<T>;
template <>
constexpr bool is_float_v<float> = true;
template <>
constexpr bool is_float_v<double> = true;

// The type values are folded in one by one (short runs); sums of float leave it for the wide type now and then.
template <class T>
struct Lane {
    using type = T;
};
template <>
struct Lane<F16> {
    using type = float;
};
template <>
struct Lane<BF16> {
    using type = float;
};
template <class T>
using lane_t = typename Lane<T>::type;

template <class L>
inline bool is_nan(L v) {
    if constexpr (is_complex_v<L>) return v.re != v.re || v.im != v.im;
    else return v != v;
}
template <class R>
inline R absolute(R v) {
    return v < 0 ? R(-v) : v;
}
template <>
inline bool absolute(bool v) {
    return v;
}
inline float root(float v) { return __builtin_sqrtf(v); }
inline double root(double v) { return __builtin_sqrt(v); }
template <class R>
inline R modulus(Complex<R> v) {
    const R a = absolute(v.re), b = absolute(v.im), big = a > b ? a : b, small = a > b ? b : a;
    if (big == 0 || big - big != 0) return big + small;  // zero, infinite or NaN
    const R q = small / big;
    return big * root(1 + q * q);
}
template <class L>
inline auto magnitude(L v) {
    if constexpr (is_complex_v<L>) return modulus(v);
    else return absolute(v);
}

// --- folds: value type T (in memory), accumulator A; `lane` values join one by one, `merge` joins accumulators
template <class T>
struct Sum {
    using A = typename Wide<T>::type;
    using L = std::conditional_t<is_float_v<T> || is_complex_v<T>, lane_t<T>, A>;
    using Out = A;
    static constexpr bool widen = true;
    static L lane0() { return L(0); }
    static L step(L a, T v, double) { return a + L(v); }
    static L join(L a, L b) { return a + b; }
    static A start() { return A(0); }
    static A merge(A a, L b) { return a + A(b); }
    static void run(Registers<T>& r, const T* v, int64_t n) {
        r.add(v, n, [](auto sum, auto x) { return sum + x; });
    }
};
template <class T>
struct NanSum : Sum<T> {
    using typename Sum<T>::L;
    static void run(Registers<T>& r, const T* v, int64_t n) {
        r.add(v, n, [](auto sum, auto x) { return x != x ? sum : sum + x; });
    }
    static L step(L a, T v, double) {
        const L x = L(v);
        return is_nan(x) ? a : a + x;
    }
};
template <class T>
struct Prod {
    using A = typename Wide<T>::type;
    using L = A;
    using Out = A;
    static constexpr bool widen = false;
    static L lane0() { return L(1); }
    static L step(L a, T v, double) {
        if constexpr (is_half_v<T>) return a * L(float(v));
        else return a * L(v);
    }
    static L join(L a, L b) { return a * b; }
    static A start() { return A(1); }
    static A merge(A a, L b) { return a * b; }
};
template <class L>
struct Limits {
    static L low() {
        if constexpr (std::is_same_v<L, bool>) return false;
        else if constexpr (is_float_v<L>) return L(-__builtin_inf());
        else if constexpr (L(-1) < L(0)) return L(L(1) << (sizeof(L) * 8 - 1));
        else return L(0);
    }
    static L high() {
        if constexpr (std::is_same_v<L, bool>) return true;
        else if constexpr (is_float_v<L>) return L(__builtin_inf());
        else if constexpr (L(-1) < L(0)) return L(~(L(1) << (sizeof(L) * 8 - 1)));
        else return L(~L(0));
    }
};
template <class T>
struct Max {
    using A = lane_t<T>;
    using L = A;
    using Out = T;
    static constexpr bool widen = false;
    static L lane0() { return Limits<L>::low(); }
    static L step(L a, T v, double) {
        const L x = L(v);
        return x > a || is_nan(x) ? x : a;
    }
    static L join(L a, L b) { return b > a || is_nan(b) ? b : a; }
    static A start() { return lane0(); }
    static A merge(A a, L b) { return join(a, b); }
    static A run(const T* v, int64_t& i, int64_t n)
        requires is_float_v<T>
    {
        bool nan = false;
        const A best = extreme_of_registers<true>(v, i, n, A(lane0()), nan, [](auto x) { return x; });
        return nan ? A(__builtin_nan("")) : best;
    }
};
template <class T>
struct Min {
    using A = lane_t<T>;
    using L = A;
    using Out = T;
    static constexpr bool widen = false;
    static L lane0() { return Limits<L>::high(); }
    static L step(L a, T v, double) {
        const L x = L(v);
        return x < a || is_nan(x) ? x : a;
    }
    static L join(L a, L b) { return b < a || is_nan(b) ? b : a; }
    static A start() { return lane0(); }
    static A merge(A a, L b) { return join(a, b); }
    static A run(const T* v, int64_t& i, int64_t n)
        requires is_float_v<T>
    {
        bool nan = false;
        const A best = extreme_of_registers<false>(v, i, n, A(lane0()), nan, [](auto x) { return x; });
        return nan ? A(__builtin_nan("")) : best;
    }
};
template <class T>
inline bool truth(T v) {
    if constexpr (is_complex_v<T>) return v.re != 0 || v.im != 0;
    else if constexpr (is_half_v<T>) return float(v) != 0;
    else return v != T(0);
}
template <class T>
struct All {
    using A = uint8_t;
    using L = uint8_t;
    using Out = bool;
    static constexpr bool widen = false;
    static L lane0() { return 1; }
    static L step(L a, T v, double) { return a & uint8_t(truth(v)); }
    static L join(L a, L b) { return a & b; }
    static A start() { return 1; }
    static A merge(A a, L b) { return a & b; }
};
template <class T>
struct Any {
    using A = uint8_t;
    using L = uint8_t;
    using Out = bool;
    static constexpr bool widen = false;
    static L lane0() { return 0; }
    static L step(L a, T v, double) { return a | uint8_t(truth(v)); }
    static L join(L a, L b) { return a | b; }
    static A start() { return 0; }
    static A merge(A a, L b) { return a | b; }
};
template <class T>
struct CountNonzero {
    using A = int64_t;
    using L = std::conditional_t<sizeof(T) <= 4, int32_t, int64_t>;  // as wide as what is compared
    using Out = int64_t;
    static constexpr bool widen = true;
    static L lane0() { return 0; }
    static L step(L a, T v, double) { return L(a + truth(v)); }
    static L join(L a, L b) { return a + b; }
    static A start() { return 0; }
    static A merge(A a, L b) { return a + b; }
};
// Norms are of floating point or complex values; the result is real.
template <class T>
using real_t = decltype(magnitude(lane_t<T>{}));
template <class T, int Kind>
struct Norm {  // 0 abs, 1 square, 2 power
    using R = real_t<T>;
    using A = double;
    using L = std::conditional_t<Kind == 2, double, R>;
    using Out = double;
    static constexpr bool widen = true;
    static L lane0() { return 0; }
    static L step(L a, T v, double p) {
        if constexpr (Kind == 1 && is_complex_v<T>) return a + (v.re * v.re + v.im * v.im);
        else if constexpr (Kind == 1) {
            const L x = L(lane_t<T>(v));
            return a + x * x;
        } else if constexpr (Kind == 0) return a + L(magnitude(lane_t<T>(v)));
        else return a + __builtin_pow(double(magnitude(lane_t<T>(v))), p);
    }
    static L join(L a, L b) { return a + b; }
    static A start() { return 0; }
    static A merge(A a, L b) { return a + A(b); }
    static void run(Registers<T>& r, const T* v, int64_t n)
        requires(Kind < 2)
    {
        r.add(v, n, [](auto sum, auto x) { return Kind ? fma(x, x, sum) : sum + abs(x); });
    }
};
template <class T, bool Largest>
struct NormLimit {
    using R = real_t<T>;
    using A = R;
    using L = R;
    using Out = double;
    static constexpr bool widen = false;
    static L lane0() { return Largest ? R(0) : R(__builtin_inf()); }
    static L step(L a, T v, double) { return join(a, magnitude(lane_t<T>(v))); }
    static L join(L a, L b) { return (Largest ? b > a : b < a) || b != b ? b : a; }
    static A start() { return lane0(); }
    static A merge(A a, L b) { return join(a, b); }
    static A run(const T* v, int64_t& i, int64_t n)
        requires is_float_v<T>
    {
        bool nan = false;
        const A best = extreme_of_registers<Largest>(v, i, n, A(lane0()), nan, [](auto x) { return abs(x); });
        return nan ? A(__builtin_nan("")) : best;
    }
};

// --- the loops
constexpr int kLanesTogether = 32, kBlock = 4096;

template <class F, class T>
concept SumsRegisters = is_float_v<T> && requires(Registers<T>& sum, const T* v) { F::run(sum, v, int64_t()); };

// One run of values; contiguous ones in independent lanes that the compiler turns into vectors.
template <class F, class T>
inline void strip(typename F::A& acc, const char* p, int64_t stride, int64_t n, double param) {
    using L = typename F::L;
    if (stride == int64_t(sizeof(T)) && n >= 2 * kLanesTogether) {
        const T* v = reinterpret_cast<const T*>(p);
        if constexpr (SumsRegisters<F, T>) {
            Registers<T> sum;
            F::run(sum, v, n);
            sum.leave();
            acc += sum.whole;
            return;
        }
        int64_t i = 0;
        if constexpr (is_float_v<T> && requires { F::run(v, i, n); }) acc = F::merge(acc, F::run(v, i, n));
        if constexpr (std::is_same_v<T, bool> && F::widen) {  // flags are counted in bytes, up to 255 of them
            constexpr int kFlags = 64;
            const uint8_t* flags = reinterpret_cast<const uint8_t*>(p);
            while (i + kFlags <= n) {
                uint8_t part[kFlags] = {};
                const int64_t end = n - i < 255 * kFlags ? n : i + 255 * kFlags;
                for (; i + kFlags <= end; i += kFlags)
                    for (int k = 0; k < kFlags; ++k) part[k] = uint8_t(part[k] + (flags[i + k] != 0));
                for (int k = 0; k < kFlags; ++k) acc += part[k];
            }
        }
        L lane[kLanesTogether];
        while (i + kLanesTogether <= n) {
            for (int k = 0; k < kLanesTogether; ++k) lane[k] = F::lane0();
            int64_t end = F::widen ? i + kBlock : n;
            if (end > n) end = n;
            for (; i + kLanesTogether <= end; i += kLanesTogether)
                for (int k = 0; k < kLanesTogether; ++k) lane[k] = F::step(lane[k], v[i + k], param);
            for (int w = kLanesTogether / 2; w >= 1; w /= 2)
                for (int k = 0; k < w; ++k) lane[k] = F::join(lane[k], lane[k + w]);
            acc = F::merge(acc, lane[0]);
        }
        L last = F::lane0();
        for (; i < n; ++i) last = F::step(last, v[i], param);
        acc = F::merge(acc, last);
        return;
    }
    while (n > 0) {
        const int64_t m = F::widen && n > 64 ? 64 : n;
        L lane = F::lane0();
        for (int64_t i = 0; i < m; ++i, p += stride) lane = F::step(lane, *reinterpret_cast<const T*>(p), param);
        acc = F::merge(acc, lane);
        n -= m;
    }
}

inline const char* kept_start(const ReducePlan& plan, const char* in, int64_t index, int64_t* at) {
    for (int d = 0; d < plan.kept; ++d) {
        at[d] = index % plan.kept_size[d];
        index /= plan.kept_size[d];
        in += at[d] * plan.kept_stride[d];
    }
    return in;
}
inline void kept_next(const ReducePlan& plan, const char*& p, int64_t* at) {
    for (int d = 0; d < plan.kept; ++d) {
        p += plan.kept_stride[d];
        if (++at[d] < plan.kept_size[d]) return;
        p -= plan.kept_stride[d] * plan.kept_size[d];
        at[d] = 0;
    }
}

template <class Visit>
inline void each_strip(const ReducePlan& plan, const char* p, Visit&& visit) {
    if (plan.folded == 0) {
        visit(p, int64_t(0), int64_t(1));
        return;
    }
    int64_t at[kMaxDims] = {};
    const int64_t outer = plan.fold_size[0] ? plan.length / plan.fold_size[0] : 0;
    for (int64_t o = 0; o < outer; ++o) {
        visit(p, plan.fold_stride[0], plan.fold_size[0]);
        for (int d = 1; d < plan.folded; ++d) {
            p += plan.fold_stride[d];
            if (++at[d] < plan.fold_size[d]) break;
            p -= plan.fold_stride[d] * plan.fold_size[d];
            at[d] = 0;
        }
    }
}

template <class F>
inline typename F::Out finish(typename F::A a) {
    return typename F::Out(a);
}

template <class F>
inline typename F::A join_wide(typename F::A a, typename F::A b) {
    if constexpr (std::is_same_v<typename F::A, typename F::L>) return F::merge(a, b);
    else return a + b;  // sums
}

template <class F, class T>
void fold(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end) {
    using A = typename F::A;
    using L = typename F::L;
    using Out = typename F::Out;
    Out* o = reinterpret_cast<Out*>(out);
    int64_t at[kMaxDims];
    // Folding slow dimensions while the fastest kept one is contiguous: many results side by side.
    const bool columns = plan.kept > 0 && plan.kept_stride[0] == int64_t(sizeof(T)) && plan.kept_size[0] >= 4 &&
                         (plan.folded == 0 || plan.fold_stride[0] != int64_t(sizeof(T)));
    if (columns && plan.kept == 1 && plan.folded == 1 && begin == 0 && end == plan.kept_size[0] && end <= 32 &&
        plan.fold_stride[0] == end * int64_t(sizeof(T)) && plan.fold_size[0] >= 64) {
        // Narrow rows, one behind the other: sixteen of them are folded as one row.
        constexpr int kRows = 16;
        A wide[kRows * 32];
        ReducePlan rows = plan;
        rows.kept_size[0] = kRows * end;
        rows.fold_size[0] = rows.length = plan.fold_size[0] / kRows;
        rows.fold_stride[0] = kRows * plan.fold_stride[0];
        if constexpr (std::is_same_v<A, Out>) {
            fold<F, T>(rows, in, reinterpret_cast<char*>(wide), 0, kRows * end);
            for (int64_t k = 0; k < end; ++k) {
                A acc = wide[k];
                for (int r = 1; r < kRows; ++r) acc = join_wide<F>(acc, wide[r * end + k]);
                L last = F::lane0();
                for (int64_t i = plan.fold_size[0] / kRows * kRows; i < plan.fold_size[0]; ++i)
                    last = F::step(last, reinterpret_cast<const T*>(in + i * plan.fold_stride[0])[k], plan.param);
                o[k] = finish<F>(F::merge(acc, last));
            }
            return;
        }
    }
    if (columns) {
        constexpr int kColumns = 1024;
        L lane[kColumns];
        A acc[kColumns];
        while (begin < end) {
            const char* p = kept_start(plan, in, begin, at);
            int64_t n = plan.kept_size[0] - at[0];
            if (n > end - begin) n = end - begin;
            if (n > kColumns) n = kColumns;
            for (int64_t k = 0; k < n; ++k) lane[k] = F::lane0();
            int64_t since = 0;
            bool wide = false;
            const auto widen = [&](int rows) {  // now and then the sums move into the wide type
                if (!F::widen || (since += rows) < 64) return;
                for (int64_t k = 0; k < n; ++k) {
                    acc[k] = F::merge(wide ? acc[k] : F::start(), lane[k]);
                    lane[k] = F::lane0();
                }
                wide = true;
                since = 0;
            };
            each_strip(plan, p, [&](const char* q, int64_t stride, int64_t m) {
                int64_t i = 0;
                for (; i + 4 <= m; i += 4, q += 4 * stride) {  // four rows for one reading and writing of the lanes
                    const T *v0 = reinterpret_cast<const T*>(q), *v1 = reinterpret_cast<const T*>(q + stride);
                    const T *v2 = reinterpret_cast<const T*>(q + 2 * stride),
                            *v3 = reinterpret_cast<const T*>(q + 3 * stride);
                    int64_t k = 0;
                    if constexpr (is_half_v<T> && std::is_same_v<F, Sum<T>>)
                        for (constexpr int w = kRegister<T>; k + w <= n; k += w)
                            store(lane + k, load<Register<T>>(lane + k) +
                                                (load_register(v0 + k) + load_register(v1 + k)) +
                                                (load_register(v2 + k) + load_register(v3 + k)));
                    for (; k < n; ++k) {
                        const L two = F::step(F::step(lane[k], v0[k], plan.param), v1[k], plan.param);
                        lane[k] = F::step(F::step(two, v2[k], plan.param), v3[k], plan.param);
                    }
                    widen(4);
                }
                for (; i < m; ++i, q += stride) {
                    const T* v = reinterpret_cast<const T*>(q);
                    for (int64_t k = 0; k < n; ++k) lane[k] = F::step(lane[k], v[k], plan.param);
                    widen(1);
                }
            });
            if (wide)
                for (int64_t k = 0; k < n; ++k) o[begin + k] = finish<F>(F::merge(acc[k], lane[k]));
            else
                for (int64_t k = 0; k < n; ++k) o[begin + k] = finish<F>(F::merge(F::start(), lane[k]));
            begin += n;
        }
        return;
    }
    const char* p = kept_start(plan, in, begin, at);
    if (plan.folded == 1 && plan.kept == 1 && plan.fold_stride[0] == int64_t(sizeof(T)) &&
        plan.fold_size[0] <= kLanesTogether) {  // short rows
        const int64_t n = plan.fold_size[0];
        for (; begin < end; ++begin, p += plan.kept_stride[0]) {
            const T* v = reinterpret_cast<const T*>(p);
            L lane = F::lane0();
            for (int64_t i = 0; i < n; ++i) lane = F::step(lane, v[i], plan.param);
            o[begin] = finish<F>(F::merge(F::start(), lane));
        }
        return;
    }
    for (; begin < end; ++begin) {
        A acc = F::start();
        if constexpr (SumsRegisters<F, T>) {
            Registers<T> sum;
            each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
                if (stride == int64_t(sizeof(T))) F::run(sum, reinterpret_cast<const T*>(q), n);
                else strip<F, T>(acc, q, stride, n, plan.param);
            });
            sum.leave();
            acc += sum.whole;
        } else {
            each_strip(plan, p,
                       [&](const char* q, int64_t stride, int64_t n) { strip<F, T>(acc, q, stride, n, plan.param); });
        }
        o[begin] = finish<F>(acc);
        kept_next(plan, p, at);
    }
}

// Position of the first largest (smallest) value; NaN counts as beyond everything. Positions count row-major over the
// folded dimensions.
template <class T, bool Largest>
void arg_fold(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end) {
    using L = lane_t<T>;
    int64_t* o = reinterpret_cast<int64_t*>(out);
    int64_t at[kMaxDims];
    if (plan.kept > 0 && plan.kept_stride[0] == int64_t(sizeof(T)) && plan.kept_size[0] >= 16 && plan.folded == 1 &&
        plan.fold_size[0] < INT32_MAX) {  // many results side by side
        constexpr int kColumns = 256;
        using Place = std::conditional_t<sizeof(L) <= 4, int32_t, int64_t>;
        L value[kColumns];
        Place best[kColumns];
        while (begin < end) {
            const char* p = kept_start(plan, in, begin, at);
            int64_t n = plan.kept_size[0] - at[0];
            if (n > end - begin) n = end - begin;
            if (n > kColumns) n = kColumns;
            for (int64_t k = 0; k < n; ++k) {
                value[k] = L(reinterpret_cast<const T*>(p)[k]);
                best[k] = 0;
            }
            for (int64_t i = 1; i < plan.fold_size[0]; ++i) {
                p += plan.fold_stride[0];
                const T* v = reinterpret_cast<const T*>(p);
                for (int64_t k = 0; k < n; ++k) {
                    const L x = L(v[k]), old = value[k];
                    const bool beats = (Largest ? x > old : x < old) | (is_nan(x) & !is_nan(old));
                    value[k] = beats ? x : old;
                    best[k] = beats ? Place(i) : best[k];
                }
            }
            for (int64_t k = 0; k < n; ++k) o[begin + k] = best[k];
            begin += n;
        }
        return;
    }
    const char* p = kept_start(plan, in, begin, at);
    for (; begin < end; ++begin) {
        int64_t best = 0, position = 0;
        bool none = true;
        L value{};
        auto beats = [&](L x) { return none || (!is_nan(value) && (is_nan(x) || (Largest ? x > value : x < value))); };
        each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
            if (stride == int64_t(sizeof(T)) &&
                n >= 64) {  // first the extreme value, in vectors; then, if it counts, its place
                using F = std::conditional_t<Largest, Max<T>, Min<T>>;
                typename F::A extreme = F::start();
                strip<F, T>(extreme, q, stride, n, 0);
                if (beats(extreme)) {
                    const T* v = reinterpret_cast<const T*>(q);
                    int64_t i = 0;
                    while (i < n - 1 && !(L(v[i]) == extreme || (is_nan(extreme) && is_nan(L(v[i]))))) ++i;
                    value = extreme;
                    best = position + i;
                }
                none = false;
            } else {
                for (int64_t i = 0; i < n; ++i, q += stride) {
                    const L x = L(*reinterpret_cast<const T*>(q));
                    if (beats(x)) {
                        value = x;
                        best = position + i;
                    }
                    none = false;
                }
            }
            position += n;
        });
        o[begin] = best;
        kept_next(plan, p, at);
    }
}

inline double squares_about(const double* v, int64_t& i, int64_t n, double mean) {
    constexpr int kTogether = 8, kStep = FB_ARCH::kLanes<double>;
    D sum[kTogether] = {};
    for (; i + kTogether * kStep <= n; i += kTogether * kStep)
        for (int k = 0; k < kTogether; ++k) {
            const D d = load_register(v + i + k * kStep) - splat<D>(mean);
            sum[k] = fma(d, d, sum[k]);
        }
    double result = 0;
    for (const D& s : sum) result += total(s);
    return result;
}
inline double squares_about(const float* v, int64_t& i, int64_t n, double mean) {
    constexpr int kTogether = 4, kStep = FB_ARCH::kLanes<float>;
    D sum[kTogether][2] = {};
    const D m = splat<D>(mean);
    for (; i + kTogether * kStep <= n; i += kTogether * kStep)
        for (int k = 0; k < kTogether; ++k) {
            const D2 x = widen(load_register(v + i + k * kStep));
            const D lo = x.lo - m, hi = x.hi - m;
            sum[k][0] = fma(lo, lo, sum[k][0]);
            sum[k][1] = fma(hi, hi, sum[k][1]);
        }
    double result = 0;
    for (const auto& s : sum) result += total(D(s[0] + s[1]));
    return result;
}

// Mean and sum of squared deviations in two passes over each result's values.
template <class T>
void moments(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end) {
    double* o = reinterpret_cast<double*>(out);
    int64_t at[kMaxDims];
    const char* p = kept_start(plan, in, begin, at);
    for (; begin < end; ++begin) {
        double total = 0;
        each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
            typename Sum<T>::A acc = Sum<T>::start();
            strip<Sum<T>, T>(acc, q, stride, n, 0);
            total += double(acc);
        });
        const double mean = total / double(plan.length);
        double squares = 0;
        each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
            constexpr int kW = 8;
            double lane[kW] = {};
            int64_t i = 0;
            if (stride == int64_t(sizeof(T))) squares += squares_about(reinterpret_cast<const T*>(q), i, n, mean);
            for (; i + kW <= n; i += kW)
                for (int k = 0; k < kW; ++k) {
                    const double d = double(lane_t<T>(*reinterpret_cast<const T*>(q + (i + k) * stride))) - mean;
                    lane[k] += d * d;
                }
            for (; i < n; ++i) {
                const double d = double(lane_t<T>(*reinterpret_cast<const T*>(q + i * stride))) - mean;
                lane[0] += d * d;
            }
            for (int k = 0; k < kW; ++k) squares += lane[k];
        });
        o[2 * begin] = mean;
        o[2 * begin + 1] = squares;
        kept_next(plan, p, at);
    }
}

template <class T>
constexpr void add_type(FoldTable& t) {
    const int d = int(dtype_of<T>::value);
    auto at = [&](Fold f) -> FoldLoop& { return t.loops[int(f)][d]; };
    at(Fold::sum) = fold<Sum<T>, T>;
    at(Fold::prod) = fold<Prod<T>, T>;
    at(Fold::all) = fold<All<T>, T>;
    at(Fold::any) = fold<Any<T>, T>;
    at(Fold::count_nonzero) = fold<CountNonzero<T>, T>;
    if constexpr (is_float_v<T>) at(Fold::nansum) = fold<NanSum<T>, T>;
    if constexpr (!is_complex_v<T>) {
        at(Fold::max) = fold<Max<T>, T>;
        at(Fold::min) = fold<Min<T>, T>;
        at(Fold::argmax) = arg_fold<T, true>;
        at(Fold::argmin) = arg_fold<T, false>;
    }
    // Norms and moments of the half types are those of their float32 copy (cpu/reduce.cpp): fewer loops to compile.
    if constexpr ((is_float_v<T> && !is_half_v<T>) || is_complex_v<T>) {
        at(Fold::abs_sum) = fold<Norm<T, 0>, T>;
        at(Fold::square_sum) = fold<Norm<T, 1>, T>;
        at(Fold::abs_pow_sum) = fold<Norm<T, 2>, T>;
        at(Fold::abs_max) = fold<NormLimit<T, true>, T>;
        at(Fold::abs_min) = fold<NormLimit<T, false>, T>;
    }
    if constexpr (is_float_v<T> && !is_half_v<T>) at(Fold::moments) = moments<T>;
}

constexpr FoldTable make_table() {
    FoldTable t{};
    add_type<uint8_t>(t);
    add_type<int8_t>(t);
    add_type<int16_t>(t);
    add_type<int32_t>(t);
    add_type<int64_t>(t);
    add_type<uint16_t>(t);
    add_type<uint32_t>(t);
    add_type<uint64_t>(t);
    add_type<bool>(t);
    add_type<F16>(t);
    add_type<BF16>(t);
    add_type<float>(t);
    add_type<double>(t);
    add_type<C64>(t);
    add_type<C128>(t);
    return t;
}

}  // namespace

extern constexpr FoldTable fold_table = make_table();

}  // namespace fb::cpu::FB_ARCH
