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
};
template <class T, class Wide>
struct Prod : Adds<Wide, Wide> {
    static constexpr bool kWidens = false;
    static Wide lane0() { return Wide(1); }
    static Wide step(Wide a, T v, const Param&) { return a * Wide(v); }
    static Wide start() { return Wide(1); }
    static Wide merge(Wide a, Wide b) { return a * b; }
    static Wide both(Wide a, Wide b) { return a * b; }
    static Wide run(const T* v, int64_t& i, int64_t n, const Param&)
        requires is_float_v<T>
    {
        constexpr int kTogether = 8, kStep = FB_ARCH::kLanes<double>;  // registers of double, read as they are
        D product[kTogether];
        for (D& p : product) p = splat<D>(1);
        for (; i + kTogether * kStep <= n; i += kTogether * kStep)
            for (int k = 0; k < kTogether; ++k) {
                if constexpr (sizeof(T) == 4)
                    product[k] *= __builtin_convertvector(load<HalfVec<float>>(v + i + k * kStep), D);
                else product[k] *= load<D>(v + i + k * kStep);
            }
        for (; i + kStep <= n; i += kStep) {
            if constexpr (sizeof(T) == 4) product[0] *= __builtin_convertvector(load<HalfVec<float>>(v + i), D);
            else product[0] *= load<D>(v + i);
        }
        for (int k = 1; k < kTogether; ++k) product[0] *= product[k];
        double lane[kStep], result = 1;
        store(lane, product[0]);
        for (double x : lane) result *= x;
        return result;
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
    put(Fold::sum, DType::c128, folding<ComplexSum<C128>, C128>);
    put(Fold::sum, DType::u8, folding<IntegerSum<uint8_t>, uint8_t>);
    put(Fold::sum, DType::i8, folding<IntegerSum<uint8_t>, uint8_t, 0x80>);
    put(Fold::sum, DType::i16, folding<IntegerSum<int16_t>, int16_t>);
    put(Fold::sum, DType::u16, folding<IntegerSum<int16_t>, int16_t, 0x8000>);
    put(Fold::sum, DType::i32, folding<IntegerSum<int32_t>, int32_t>);
    put(Fold::sum, DType::u32, folding<IntegerSum<int32_t>, int32_t, 0x80000000>);
    for (DType d : {DType::i64, DType::u64}) {  // they wrap alike
        put(Fold::sum, d, folding<IntegerSum<int64_t>, int64_t>);
        put(Fold::prod, d, folding<Prod<int64_t, int64_t>, int64_t>);
    }
    // Products, sums without NaN, norms and moments of other types are those of a wider one (cpu/reduce.cpp): fewer
    // loops to compile.
    put(Fold::prod, DType::f32, folding<Prod<float, double>, float>);
    put(Fold::prod, DType::f64, folding<Prod<double, double>, double>);
    put(Fold::prod, DType::c128, folding<Prod<C128, C128>, C128>);
    const auto floats = [&]<class T>(DType d, T) {
        put(Fold::nansum, d, folding<NanSum<T>, T>);
        put(Fold::abs_sum, d, folding<Norm<T, 0>, T>);
        put(Fold::square_sum, d, folding<Norm<T, 1>, T>);
        put(Fold::abs_pow_sum, d, folding<Norm<T, 2>, T>);
        put(Fold::moments, d, moments<T>);
    };
    floats(DType::f32, float());
    floats(DType::f64, double());
    return t;
}

}  // namespace

extern constexpr FoldTable sum_table = make_table();

}  // namespace fb::cpu::FB_ARCH
