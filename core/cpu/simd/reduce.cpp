// Sums, products, norms and moments.
#include "cpu/simd/fold.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class L>
inline bool is_nan(L v) {
    return v != v;
}
template <class R>
inline R absolute(R v) {
    return v < 0 ? R(-v) : v;
}

// What all folds here share: accumulators and lanes that are added.
template <class Accumulator, class Together>
struct Adds {
    using A = Accumulator;
    using L = Together;
    using Out = A;
    static constexpr bool kWidens = true;
    static L lane0() { return L(0); }
    static A start() { return A(0); }
    static A merge(A a, L b) { return a + A(b); }
    static A both(A a, A b) { return a + b; }
    static Out finish(A a, const Param&) { return a; }
};

template <class T>
struct Sum : Adds<double, lane_t<T>> {
    static constexpr bool kPlainSum = true;
    using L = lane_t<T>;
    static L step(L a, T v, const Param&) { return a + L(v); }
    static void run(Registers<T>& r, const T* v, int64_t n) {
        r.add(v, n, [](auto sum, auto x) { return sum + x; });
    }
};
template <class T>
struct NanSum : Adds<double, T> {
    static T step(T a, T v, const Param&) { return is_nan(v) ? a : a + v; }
    static void run(Registers<T>& r, const T* v, int64_t n) {
        r.add(v, n, [](auto sum, auto x) { return x != x ? sum : sum + x; });
    }
};
template <class T>
struct ComplexSum : Adds<C128, T> {
    static T step(T a, T v, const Param&) { return a + v; }
    using RowLanes = D;
    static D join_lanes(D a, D b) { return a + b; }
    static D row(const T* v, int64_t n, const Param&, bool&) {
        using R = decltype(T::re);
        constexpr int kStep = FB_ARCH::kLanes<R>;
        const R* p = reinterpret_cast<const R*>(v);
        Register<R> sum[4] = {};  // few enough additions for float
        int64_t i = 0;
        for (; i + 4 * kStep <= 2 * n; i += 4 * kStep)
            for (int k = 0; k < 4; ++k) sum[k] += load_register(p + i + k * kStep);
        for (; i + kStep <= 2 * n; i += kStep) sum[0] += load_register(p + i);
        if (i < 2 * n) sum[1] += load_rest(p + i, 2 * n - i);
        return narrowed(Register<R>((sum[0] + sum[1]) + (sum[2] + sum[3])));
    }
};
// Integers in 64 bits. With the first bit turned round signed numbers are unsigned ones less 2^(bits-1), or the other
// way round.
template <class T>
struct IntegerSum : Adds<int64_t, int64_t> {
    static constexpr bool kWidens = false;
    static int64_t step(int64_t a, T v, const Param& s) { return a + int64_t(T(v ^ T(s.flip))); }
    static int64_t finish(int64_t a, const Param& s) {
        if (!s.flip) return a;
        const int64_t shift = int64_t(1) << (8 * sizeof(T) - 1);
        return a + (T(-1) < T(0) ? shift : -shift) * s.length;
    }
    using RowLanes = Vec<int64_t>;
    static RowLanes join_lanes(RowLanes a, RowLanes b) { return a + b; }
    static RowLanes row(const T* v, int64_t n, const Param&, bool&)
        requires(sizeof(T) == 8)
    {
        constexpr int kTogether = 4, kStep = FB_ARCH::kLanes<int64_t>;
        static constexpr LastLanes<int64_t, kStep> last;
        RowLanes sum[kTogether] = {};
        int64_t i = 0;
        for (; i + kTogether * kStep <= n; i += kTogether * kStep)
            for (int k = 0; k < kTogether; ++k) sum[k] += load<RowLanes>(v + i + k * kStep);
        for (; i + kStep <= n; i += kStep) sum[0] += load<RowLanes>(v + i);
        if (i < n) sum[1] += load<RowLanes>(v + n - kStep) & load<RowLanes>(last.mask + (n - i));
        return (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
#if FB_AVX512 || FB_AVX2
    static RowLanes row(const T* v, int64_t n, const Param& s, bool&)
        requires(sizeof(T) == 1)
    {
        return sum_of_bytes(v, n, [&s](auto x) { return x ^ uint8_t(s.flip); });
    }
#endif
};
// The rest of a line (zeros behind n values) with ones behind them.
template <class T>
struct Ones {
    static constexpr int kStep = kRegister<T>;
    T zero[kStep] = {}, one[kStep];
    constexpr Ones() {
        for (T& x : one) x = 1;
    }
    static Register<T> behind(Register<T> rest, int64_t n);
};
template <class T>
constexpr Ones<T> ones_behind_zeros;
template <class T>
Register<T> Ones<T>::behind(Register<T> rest, int64_t n) {
    using B = Bits<Register<T>>;
    const Register<T> ones = load_register(ones_behind_zeros<T>.zero + kStep - n);
    return bitcast<Register<T>>(B(bitcast<B>(rest) | bitcast<B>(ones)));
}
template <class T, class Wide>
struct Prod : Adds<Wide, Wide> {
    static constexpr bool kWidens = false;
    static constexpr bool kOneByOne = true;  // of lanes of 64-bit integers few instruction sets have products
    static Wide lane0() { return Wide(1); }
    static Wide step(Wide a, T v, const Param&) { return a * Wide(v); }
    static Wide start() { return Wide(1); }
    static Wide merge(Wide a, Wide b) { return a * b; }
    static Wide both(Wide a, Wide b) { return a * b; }
    // Four floats at a time as floats, which takes a rounding less than every one of them; the rest is double.
    static Wide four(Wide a, T v0, T v1, T v2, T v3)
        requires(std::is_same_v<T, float>)
    {
        return a * Wide((v0 * v1) * (v2 * v3));
    }
    static D lanes(const T* v, int64_t n)
        requires is_float_v<T>
    {
        constexpr int kTogether = 8, kStep = FB_ARCH::kLanes<T>;
        D product[kTogether];
        for (D& p : product) p = splat<D>(1);
        const auto read = [v](int64_t at) { return load_register(v + at); };
        int64_t i = 0;
        for (; i + kTogether * kStep <= n; i += kTogether * kStep) {
            if constexpr (sizeof(T) == 4) {
                for (int k = 0; k < 2; ++k) {
                    const T* at = v + i + 4 * k * kStep;
                    const D2 x = widen((load_register(at) * load_register(at + kStep)) *
                                       (load_register(at + 2 * kStep) * load_register(at + 3 * kStep)));
                    product[2 * k] *= x.lo;
                    product[2 * k + 1] *= x.hi;
                }
            } else {
                for (int k = 0; k < kTogether; ++k) product[k] *= read(i + k * kStep);
            }
        }
        for (; i < n; i += kStep) {
            const Register<T> x = i + kStep <= n ? read(i) : Ones<T>::behind(load_rest(v + i, n - i), n - i);
            if constexpr (sizeof(T) == 4) {
                const D2 d = widen(x);
                product[4] *= d.lo;
                product[5] *= d.hi;
            } else {
                product[0] *= x;
            }
        }
        const D a = (product[0] * product[4]) * (product[1] * product[5]);
        return a * ((product[2] * product[6]) * (product[3] * product[7]));
    }
    static Wide run(const T* v, int64_t& i, int64_t n, const Param&)
        requires is_float_v<T>
    {
        constexpr int kStep = FB_ARCH::kLanes<double>;
        double lane[kStep];
        store(lane, lanes(v + i, n - i));
        i = n;
        for (int half = kStep / 2; half; half /= 2)
            for (int k = 0; k < half; ++k) lane[k] *= lane[k + half];
        return lane[0];
    }
    using RowLanes = D;
    static D join_lanes(D a, D b) { return a * b; }
    static D row(const T* v, int64_t n, const Param&, bool&)
        requires is_float_v<T>
    {
        return lanes(v, n);
    }
};
template <class T, int Kind>
struct Norm : Adds<double, std::conditional_t<Kind == 2, double, T>> {  // 0 abs, 1 square, 2 power
    using L = std::conditional_t<Kind == 2, double, T>;
    static L step(L a, T v, const Param& s) {
        if constexpr (Kind == 0) return a + absolute(v);
        else if constexpr (Kind == 1) return a + v * v;
        else {
            const double x = double(absolute(v));
            return a + (s.power == 3 ? x * x * x : s.power == 4 ? (x * x) * (x * x) : __builtin_pow(x, s.power));
        }
    }
    static void run(Registers<T>& r, const T* v, int64_t n)
        requires(Kind < 2)
    {
        r.add(v, n, [](auto sum, auto x) { return Kind ? fma(x, x, sum) : sum + abs(x); });
    }
};

inline double squares_about(const double* v, int64_t& i, int64_t n, double mean) {
    constexpr int kTogether = 8, kStep = FB_ARCH::kLanes<double>;
    D sum[kTogether] = {};
    for (; i + kTogether * kStep <= n; i += kTogether * kStep)
        for (int k = 0; k < kTogether; ++k) {
            const D d = load_register(v + i + k * kStep) - splat<D>(mean);
            sum[k] = fma(d, d, sum[k]);
        }
    double result = 0;
    for (const D& s : sum) result += lanes_total<kWidth>(s);
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
    for (const auto& s : sum) result += lanes_total<kWidth>(s[0] + s[1]);
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
            double acc = 0;
            strip<Sum<T>, T>(acc, q, stride, n, Param{});
            total += acc;
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

constexpr FoldTable make_table() {
    FoldTable t{};
    const auto put = [&t](Fold f, DType d, FoldLoop loop) { t.loops[int(f)][int(d)] = loop; };
    put(Fold::sum, DType::f32, folding<Sum<float>, float>);
    put(Fold::sum, DType::f64, folding<Sum<double>, double>);
    put(Fold::sum, DType::f16, folding<Sum<F16>, F16>);
    put(Fold::sum, DType::bf16, folding<Sum<BF16>, BF16>);
    put(Fold::sum, DType::c64, folding<ComplexSum<C64>, C64>);
    put(Fold::sum, DType::u8, folding<IntegerSum<uint8_t>, uint8_t>);
    put(Fold::sum, DType::i8, folding<IntegerSum<uint8_t>, uint8_t, 0x80>);
    put(Fold::sum, DType::i32, folding<IntegerSum<int32_t>, int32_t>);
    put(Fold::sum, DType::u32, folding<IntegerSum<int32_t>, int32_t, 0x80000000>);
    for (DType d : {DType::i64, DType::u64}) put(Fold::sum, d, folding<IntegerSum<int64_t>, int64_t>);  // wrap alike
    // Products, sums without NaN, norms and moments of other types are those of a wider one (cpu/reduce.cpp): fewer
    // loops to compile.
    put(Fold::prod, DType::f32, folding<Prod<float, double>, float>);
    put(Fold::prod, DType::f64, folding<Prod<double, double>, double>);
#if !FB_AVX512  // those of AVX2 do as well (cpu/reduce.cpp)
    put(Fold::sum, DType::c128, folding<ComplexSum<C128>, C128>);
    put(Fold::sum, DType::i16, folding<IntegerSum<int16_t>, int16_t>);
    put(Fold::sum, DType::u16, folding<IntegerSum<int16_t>, int16_t, 0x8000>);
    put(Fold::prod, DType::c128, folding<Prod<C128, C128>, C128>);
    for (DType d : {DType::i64, DType::u64}) put(Fold::prod, d, folding<Prod<int64_t, int64_t>, int64_t>);
    put(Fold::abs_pow_sum, DType::f32, folding<Norm<float, 2>, float>);
    put(Fold::abs_pow_sum, DType::f64, folding<Norm<double, 2>, double>);
#endif
    const auto floats = [&]<class T>(DType d, T) {
        put(Fold::nansum, d, folding<NanSum<T>, T>);
        put(Fold::abs_sum, d, folding<Norm<T, 0>, T>);
        put(Fold::square_sum, d, folding<Norm<T, 1>, T>);
        put(Fold::moments, d, moments<T>);
    };
    floats(DType::f32, float());
    floats(DType::f64, double());
    return t;
}

}  // namespace

extern constexpr FoldTable sum_table = make_table();

}  // namespace fb::cpu::FB_ARCH
