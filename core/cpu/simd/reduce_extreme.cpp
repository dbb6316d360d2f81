// The largest and smallest values, their places, and how many values count as true.
#include "cpu/simd/fold.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class L>
inline bool is_nan(L v) {
    return v != v;
}

// The largest; of values that are turned round the smallest. Integers are turned by their bits (which also makes
// unsigned ones signed), floating point numbers by their sign.
template <class T>
struct Max {
    using A = lane_t<T>;
    using L = A;
    using Out = T;
    static constexpr bool kWidens = false;
    static L turned(L x, const Param& s) {
        if constexpr (is_float_v<T>) return x * L(s.sign);
        else return L(x ^ L(s.flip));
    }
    static L lane0() {
        if constexpr (is_float_v<T>) return L(-__builtin_inf());
        else return L(L(1) << (sizeof(L) * 8 - 1));
    }
    static L step(L a, T v, const Param& s) { return join(a, turned(L(v), s)); }
    static L join(L a, L b) { return b > a || is_nan(b) ? b : a; }
    static A start() { return lane0(); }
    static A merge(A a, L b) { return join(a, b); }
    static A both(A a, A b) { return join(a, b); }
    static Out finish(A a, const Param& s) { return Out(turned(a, s)); }
    static A run(const T* v, int64_t& i, int64_t n, const Param& s)
        requires is_float_v<T>
    {
        bool nan = false;
        const auto sign = splat<Register<T>>(A(s.sign));
        const A best = extreme_of_registers(v, i, n, lane0(), nan, [sign](auto x) { return x * sign; });
        return nan ? A(__builtin_nan("")) : best;
    }
    // One row in lanes.
    static constexpr bool kRows = sizeof(T) >= 4 && !is_half_v<T>;
    using RowLanes = Vec<std::conditional_t<kRows, T, int32_t>>;
    static RowLanes join_lanes(RowLanes a, RowLanes b) { return b > a ? b : a; }
    static RowLanes row(const T* v, int64_t n, const Param& s, bool& known)
        requires kRows
    {
        using V = RowLanes;
        constexpr int kStep = kLanes<T>;
        const V turn = V{} + T(is_float_v<T> ? T(s.sign) : T(s.flip));
        const auto read = [&](int64_t i) {
            if constexpr (is_float_v<T>) return load<V>(v + i) * turn;
            else return load<V>(v + i) ^ turn;
        };
        V best[2] = {read(0), read(n - kStep)};  // values count again where they overlap
        const auto both = [&](V x, V y) {
            if constexpr (is_float_v<T>)
                if (has_nan(x, y)) known = false;
            best[0] = join_lanes(best[0], x);
            best[1] = join_lanes(best[1], y);
        };
        both(best[0], best[1]);
        for (int64_t i = kStep; i + kStep < n; i += 2 * kStep)
            both(read(i), read(i + 2 * kStep <= n ? i + kStep : n - kStep));
        return join_lanes(best[0], best[1]);
    }
    static A run(const T* v, int64_t& i, int64_t n, const Param& s)
        requires(!is_float_v<T>)
    {
        using V = Vec<T>;
        constexpr int kStep = kLanes<T>;
        if (n - i < kStep) return lane0();
        const V turn = V{} + T(s.flip);
        const auto read = [&](int64_t at) { return load<V>(v + at) ^ turn; };
        const auto better = [](V x, V y) { return y > x ? y : x; };
        V a = read(i), b = a, c = a, d = read(n - kStep);  // some values count again
        i += kStep;
        for (; i + 4 * kStep <= n; i += 4 * kStep) {
            a = better(a, read(i));
            b = better(b, read(i + kStep));
            c = better(c, read(i + 2 * kStep));
            d = better(d, read(i + 3 * kStep));
        }
        for (; i + kStep <= n; i += kStep) a = better(a, read(i));
        i = n;
        T lane[kStep];
        store(lane, better(better(a, b), better(c, d)));
        for (int half = kStep / 2; half; half /= 2)
            for (int k = 0; k < half; ++k) lane[k] = lane[k + half] > lane[k] ? lane[k + half] : lane[k];
        return lane[0];
    }
};
// The largest magnitude, or the smallest.
template <class T>
struct NormLimit : Max<T> {
    using Out = double;
    void row() const = delete;
    static T magnitude(T v) { return v < 0 ? -v : v; }
    static T step(T a, T v, const Param& s) { return Max<T>::join(a, magnitude(v) * T(s.sign)); }
    static Out finish(T a, const Param& s) {
        return s.sign > 0 && a < 0 ? 0 : a * s.sign;  // of no values: zero, or infinity
    }
    static T run(const T* v, int64_t& i, int64_t n, const Param& s) {
        bool nan = false;
        const auto sign = splat<Register<T>>(T(s.sign));
        const T best = extreme_of_registers(v, i, n, Max<T>::lane0(), nan, [sign](auto x) { return abs(x) * sign; });
        return nan ? T(__builtin_nan("")) : best;
    }
};

// How many values have one of the bits `flip` set. The lanes are as wide as the values, and never overflow.
template <class T>
struct Count {
    using A = int64_t;
    using L = T;
    using Out = int64_t;
    static constexpr bool kWidens = true;
    static L lane0() { return 0; }
    static L step(L a, T v, const Param& s) { return L(a + L((v & T(s.flip)) != 0)); }
    static A start() { return 0; }
    static A merge(A a, L b) { return a + A(b); }
    static A both(A a, A b) { return a + b; }
    static Out finish(A a, const Param&) { return a; }
#if FB_AVX512 || FB_AVX2
    using RowLanes = Vec<int64_t>;
    static RowLanes join_lanes(RowLanes a, RowLanes b) { return a + b; }
    static RowLanes row(const T* v, int64_t n, const Param& s, bool&)
        requires(sizeof(T) == 1)
    {
        return sum_of_bytes(v, n, [&s](auto x) { return ((x & uint8_t(s.flip)) != 0) & uint8_t(1); });
    }
#endif
};
// Whether any of them has; with a negative sign, whether all have: whether not any has none.
template <class T>
struct Test {
    using A = T;
    using L = T;
    using Out = uint8_t;
    static constexpr bool kWidens = false;
    static L lane0() { return 0; }
    static L step(L a, T v, const Param& s) {
        const T hit = (v & T(s.flip)) != 0 ? T(-1) : T(0);
        return T(a | (s.sign < 0 ? T(~hit) : hit));
    }
    static A start() { return 0; }
    static A merge(A a, L b) { return T(a | b); }
    static A both(A a, A b) { return T(a | b); }
    static Out finish(A a, const Param& s) { return (a != 0) ^ (s.sign < 0); }
    static A run(const T* v, int64_t& i, int64_t n, const Param& s) {
        using V = Vec<T>;
        constexpr int kStep = kLanes<T>, kTogether = 4 * kStep;
        constexpr int64_t kBetween = 64 * kTogether;  // then it looks whether the answer is known
        const V bits = V{} + T(s.flip);
        const auto all = [&](auto one) {
            V a = {}, b = {};
            while (i + kTogether <= n) {
                const int64_t end = n - i > kBetween ? i + kBetween : n;
                for (; i + kTogether <= end; i += kTogether) {
                    a |= one(i) | one(i + kStep);
                    b |= one(i + 2 * kStep) | one(i + 3 * kStep);
                }
                if (any(Vec<int64_t>(bitcast<Vec<int64_t>>(V(a | b)) != 0))) break;
            }
            for (; i + kStep <= n; i += kStep) a |= one(i);
            return any(Vec<int64_t>(bitcast<Vec<int64_t>>(V(a | b)) != 0));
        };
        const bool hit = s.sign < 0 ? all([&](int64_t at) { return V((load<V>(v + at) & bits) == 0); })
                                    : all([&](int64_t at) { return load<V>(v + at) & bits; });
        if (hit) i = n;
        return hit ? T(-1) : T(0);
    }
};

// Where the first value that equals `wanted` is, which one of them does.
template <class T, class L>
inline int64_t first_equal(const T* v, int64_t n, L wanted) {
    int64_t i = 0;
#if FB_AVX512 || FB_AVX2
    if constexpr (std::is_same_v<T, L> && sizeof(T) >= 4) {
        const Vec<T> w = Vec<T>{} + wanted;
        for (; i + kLanes<T> <= n; i += kLanes<T>) {
            const auto equal = load<Vec<T>>(v + i) == w;
#if FB_AVX512
            const unsigned hits = sizeof(T) == 4 ? unsigned(_mm512_movepi32_mask(__m512i(equal)))
                                                 : unsigned(_mm512_movepi64_mask(__m512i(equal)));
#else
            const unsigned hits = sizeof(T) == 4 ? unsigned(_mm256_movemask_ps(__m256(equal)))
                                                 : unsigned(_mm256_movemask_pd(__m256d(equal)));
#endif
            if (hits) return i + __builtin_ctz(hits);
        }
    }
#endif
    constexpr int kBlock = 32;
    for (; i + kBlock < n; i += kBlock) {
        int found = 0;
        for (int k = 0; k < kBlock; ++k) found |= L(v[i + k]) == wanted;
        if (found) break;
    }
    while (i < n - 1 && L(v[i]) != wanted) ++i;
    return i;
}
// Where the first NaN is; the last place if there is none.
template <class T>
inline int64_t first_nan(const T* v, int64_t n) {
    int64_t i = 0;
    while (i < n - 1 && !is_nan(lane_t<T>(v[i]))) ++i;
    return i;
}

// Position of the first largest value (as Max turns it); NaN counts as beyond everything. Positions count row-major
// over the folded dimensions.
template <class T>
void place(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end, const Param& s) {
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
                value[k] = Max<T>::turned(L(typed<T>(p)[k]), s);
                best[k] = 0;
            }
            for (int64_t i = 1; i < plan.fold_size[0]; ++i) {
                p += plan.fold_stride[0];
                const T* v = typed<T>(p);
                for (int64_t k = 0; k < n; ++k) {
                    const L x = Max<T>::turned(L(v[k]), s), old = value[k];
                    const bool beats = (x > old) | (is_nan(x) & !is_nan(old));
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
    // Short rows: no branch to guess. Those that fill registers have their largest value found in these.
    constexpr int64_t kShort = 24;
    if (plan.folded == 1 && plan.kept == 1 &&
        plan.fold_size[0] <= (plan.fold_stride[0] == int64_t(sizeof(T)) ? kShort : 64)) {
        for (; begin < end; ++begin, p += plan.kept_stride[0]) {
            L value = Max<T>::turned(L(*typed<T>(p)), s);
            int64_t best = 0;
            for (int64_t i = 1; i < plan.fold_size[0]; ++i) {
                const L x = Max<T>::turned(L(*typed<T>(p + i * plan.fold_stride[0])), s);
                const bool beats = (x > value) | (is_nan(x) & !is_nan(value));
                best = beats ? i : best;
                value = beats ? x : value;
            }
            o[begin] = best;
        }
        return;
    }
    for (; begin < end; ++begin) {
        int64_t best = 0, position = 0;
        bool none = true;
        L value{};
        auto beats = [&](L x) { return none || (!is_nan(value) && (is_nan(x) || x > value)); };
        each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
            if (stride == int64_t(sizeof(T)) &&
                n > kShort) {  // first the extreme value, in vectors; then, if it counts, its place
                L extreme = Max<T>::start();
                strip<Max<T>, T>(extreme, q, stride, n, s);
                if (beats(extreme)) {
                    const T* v = typed<T>(q);
                    const L wanted = Max<T>::turned(extreme, s);
                    int64_t i = is_nan(wanted) ? first_nan(v, n) : first_equal(v, n, wanted);
                    value = extreme;
                    best = position + i;
                }
                none = false;
            } else {
                for (int64_t i = 0; i < n; ++i, q += stride) {
                    const L x = Max<T>::turned(L(*typed<T>(q)), s);
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

template <class T, uint64_t flip = 0, int sign = 1>
void placing(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end) {
    place<T>(plan, in, out, begin, end, {0, flip, sign, 0});
}

template <class T, uint64_t most, uint64_t least, int sign>
constexpr void extremes(FoldTable& t, DType d) {
    t.loops[int(Fold::max)][int(d)] = folding<Max<T>, T, most>;
    t.loops[int(Fold::min)][int(d)] = folding<Max<T>, T, least, sign>;
    t.loops[int(Fold::argmax)][int(d)] = placing<T, most>;
    t.loops[int(Fold::argmin)][int(d)] = placing<T, least, sign>;
}
template <class T>
constexpr void integers(FoldTable& t, DType with_sign, DType without) {
    constexpr uint64_t first = uint64_t(1) << (8 * sizeof(T) - 1), all = first | (first - 1);
    extremes<T, 0, all, 1>(t, with_sign);
    extremes<T, first, all ^ first, 1>(t, without);
}
template <class T, uint64_t bits>
constexpr void tests(FoldTable& t, DType d) {
    t.loops[int(Fold::count_nonzero)][int(d)] = folding<Count<T>, T, bits>;
    t.loops[int(Fold::all)][int(d)] = folding<Test<T>, T, bits, -1>;
    t.loops[int(Fold::any)][int(d)] = folding<Test<T>, T, bits>;
}

constexpr FoldTable make_table() {
    FoldTable t{};
    for (DType d : {DType::u8, DType::b1}) integers<int8_t>(t, DType::i8, d);
    integers<int32_t>(t, DType::i32, DType::u32);
    integers<int64_t>(t, DType::i64, DType::u64);
    extremes<F16, 0, 0, -1>(t, DType::f16);
    extremes<BF16, 0, 0, -1>(t, DType::bf16);
    extremes<float, 0, 0, -1>(t, DType::f32);
    extremes<double, 0, 0, -1>(t, DType::f64);
#if !FB_AVX512  // those of AVX2 do as well (cpu/reduce.cpp)
    t.loops[int(Fold::abs_max)][int(DType::f32)] = folding<NormLimit<float>, float>;
    t.loops[int(Fold::abs_min)][int(DType::f32)] = folding<NormLimit<float>, float, 0, -1>;
    t.loops[int(Fold::abs_max)][int(DType::f64)] = folding<NormLimit<double>, double>;
    t.loops[int(Fold::abs_min)][int(DType::f64)] = folding<NormLimit<double>, double, 0, -1>;
    for (DType d : {DType::u16, DType::i16}) tests<uint16_t, 0xffff>(t, d);
    for (DType d : {DType::u64, DType::i64}) tests<uint64_t, ~uint64_t(0)>(t, d);
    for (DType d : {DType::f16, DType::bf16}) tests<uint16_t, 0x7fff>(t, d);  // zero has a sign
    tests<uint64_t, 0x7fffffffffffffff>(t, DType::f64);
    integers<int16_t>(t, DType::i16, DType::u16);
#endif
    for (DType d : {DType::u8, DType::i8, DType::b1}) tests<uint8_t, 0xff>(t, d);
    for (DType d : {DType::u32, DType::i32}) tests<uint32_t, 0xffffffff>(t, d);
    tests<uint32_t, 0x7fffffff>(t, DType::f32);
    t.loops[int(Fold::sum)][int(DType::b1)] = folding<Count<uint8_t>, uint8_t, 0xff>;
    return t;
}

}  // namespace

extern constexpr FoldTable extreme_table = make_table();

}  // namespace fb::cpu::FB_ARCH
