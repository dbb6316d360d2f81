// Conversion between element types, and copies. Float to integer follows what x86 does with numbers that do not fit.
#include "cpu/simd/loop.h"
#include "cpu/simd/shuffle.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class T>
inline constexpr bool is_complex_type = kType<T> == DType::c64 || kType<T> == DType::c128;
template <class T>
inline constexpr bool is_real_type = kType<T> == DType::f32 || kType<T> == DType::f64;  // after value()

template <class To, class From>
To convert(From v) {
    if constexpr (is_complex_type<From>) {
        if constexpr (kType<To> == DType::b1) return To{uint8_t((v.re != 0) | (v.im != 0))};
        else if constexpr (kType<To> == DType::c32) return element<To>(v);
        else if constexpr (is_complex_type<To>) return {decltype(To{}.re)(v.re), decltype(To{}.re)(v.im)};
        else return convert<To>(v.re);
    } else if constexpr (kType<To> == DType::c32) {
        return {from_float<Half>(float(v)), Half{0}};
    } else if constexpr (is_complex_type<To>) {
        return {decltype(To{}.re)(v), 0};
    } else if constexpr (kType<To> == DType::b1) {
        return To{uint8_t(v != 0)};
    } else if constexpr (is_real_type<From> &&
                         ((kType<To> == DType::u8 && sizeof(From) == 8) || kType<To> == DType::u32)) {
        return To(int64_t(v));  // the low byte of a float beyond 32 bits is zero either way
    } else if constexpr (is_real_type<From> && sizeof(To) <= 2 && kType<To> != DType::f16 && kType<To> != DType::bf16) {
        return To(int32_t(v));
    } else {
        return element<To>(v);
    }
}

[[gnu::noinline]] void zero_or_one(uint8_t* to, const uint8_t* from, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) to[i] = from[i] != 0;
}

template <class To, class From>
void convert_inner(char* out, const char* const* in, int64_t n, const void*) {
    To* o = reinterpret_cast<To*>(out);
    const From* a = reinterpret_cast<const From*>(in[0]);
    if constexpr ((kType<From> == DType::f16 || kType<From> == DType::bf16 || kType<From> == DType::f32) &&
                  (kType<To> == DType::f16 || kType<To> == DType::bf16 || kType<To> == DType::f32)) {
        int64_t i = 0;
#pragma GCC unroll 4
        for (; i + kStep<From> <= n; i += kStep<From>) store_as(o + i, load_as(a + i));
        if (i < n) store_part(o + i, load_part(a + i, n - i), n - i);
    } else if constexpr (kType<From> == DType::f64 && (kType<To> == DType::f16 || kType<To> == DType::bf16)) {
        int64_t i = 0;
        for (; i + kStep<To> <= n; i += kStep<To>)
            store_as(o + i, narrow(D2{load<D>(a + i), load<D>(a + i + kLanes<double>)}));
        for (; i < n; i++) o[i] = convert<To>(a[i]);
    } else if constexpr ((kType<From> == DType::f16 || kType<From> == DType::bf16) && kType<To> != DType::f64 &&
                         !is_complex_type<To> && kType<To> != DType::c32 && kType<To> != DType::b1) {  // to integers
        float t[kBlock];
        for (int64_t i = 0; i < n; i += kBlock) {
            const int64_t m = n - i < kBlock ? n - i : kBlock;
            int64_t k = 0;
            for (; k + kStep<From> <= m; k += kStep<From>) store(t + k, load_as(a + i + k));
            for (; k < m; k++) t[k] = value(a[i + k]);
#pragma GCC ivdep
            for (k = 0; k < m; k++) o[i + k] = convert<To>(t[k]);
        }
    } else if constexpr ((kType<To> == DType::f16 || kType<To> == DType::bf16) && !is_complex_type<From> &&
                         kType<From> != DType::c32) {  // by way of float
        float t[kBlock];
        uint8_t ones[kBlock];
        for (int64_t i = 0; i < n; i += kBlock) {
            const int64_t m = n - i < kBlock ? n - i : kBlock;
            if constexpr (kType<From> == DType::b1) {
                zero_or_one(ones, reinterpret_cast<const uint8_t*>(a) + i, m);
#pragma GCC ivdep
                for (int64_t k = 0; k < m; k++) t[k] = float(ones[k]);
            } else {
                (void)ones;
#pragma GCC ivdep
                for (int64_t k = 0; k < m; k++) t[k] = float(a[i + k]);
            }
            int64_t k = 0;
            for (; k + kStep<To> <= m; k += kStep<To>) store_as(o + i + k, load_as(t + k));
            if (k < m) store_part(o + i + k, load_part(t + k, m - k), m - k);
        }
    } else if constexpr (kType<From> == DType::b1) {
        const uint8_t* bytes = reinterpret_cast<const uint8_t*>(a);
        uint8_t ones[kBlock];
        for (int64_t i = 0; i < n; i += kBlock) {  // in two steps, each of which the compiler can do in vectors
            const int64_t m = n - i < kBlock ? n - i : kBlock;
            zero_or_one(ones, bytes + i, m);
#pragma GCC ivdep
            for (int64_t k = 0; k < m; k++) o[i + k] = convert<To>(ones[k]);
        }
    } else {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++) o[i] = convert<To>(value(a[i]));
    }
}

template <class T>
void copy_inner(char* out, const char* const* in, int64_t n, const void*) {
    if (out != in[0]) __builtin_memmove(out, in[0], n * sizeof(T));
}
// n elements, read from `from` downwards.
template <class T>
void reverse(char* to, const char* from, int64_t n) {
    constexpr int step = kLanes<T>;
    Vec<T> order = {};
    for (int k = 0; k < step; k++) order[k] = T(step - 1 - k);
    int64_t i = 0;
#pragma GCC unroll 4
    for (; i + step <= n; i += step)
        store(to + i * int64_t(sizeof(T)), shuffled(load<Vec<T>>(from - (i + step - 1) * int64_t(sizeof(T))), order));
    for (; i < n; i++) __builtin_memcpy(to + i * int64_t(sizeof(T)), from - i * int64_t(sizeof(T)), sizeof(T));
}
// Strided copies need no blocks in between.
template <class T>
void copy(char* const* p, const int64_t* strides, int64_t n, const void*) {
    if (strides[0] == sizeof(T) && strides[1] == sizeof(T)) return copy_inner<T>(p[0], p + 1, n, nullptr);
    if (strides[0] == sizeof(T) && strides[1] == 0) return fill<T>(p[0], p[1], n);
    if (strides[0] == sizeof(T) && strides[1] == -int64_t(sizeof(T)))
        if constexpr (sizeof(T) <= 8) return reverse<T>(p[0], p[1], n);
    copy_strided<T>(p[0], strides[0], p[1], strides[1], n);
}

template <class From, class Tab, class... To>
constexpr void from(Tab& t, Types<To...>) {
    // the number of the pair: the operation is the source type
    auto put = [&]<class T>(const T*) {
        if constexpr (kType<T> != kType<From>)
            t.put(Kind::convert, uint16_t(kType<From>), kType<T>, loop<convert_inner<T, From>, T, From>);
    };
    (put(static_cast<const To*>(nullptr)), ...);
}

#if FB_AVX512  // from and to others: as AVX2 does (cpu/pointwise.cpp)
using All = Types<uint8_t, int32_t, int64_t, Half, BHalf, float, double, Bool>;
#else
using All = Types<uint8_t, int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t, Half, BHalf, float, double,
                  Bool, HalfCx, Cx<float>, Cx<double>>;
#endif
template <class Tab, class... From>
constexpr void pairs(Tab& t, Types<From...>) {
    (from<From>(t, All{}), ...);
}

constexpr auto conversions() {
    Table<280> t;
    pairs(t, All{});
    const Loop by_size[] = {copy<uint8_t>, copy<uint16_t>, copy<uint32_t>, copy<uint64_t>, copy<Cx<double>>};
    for (DType d : {DType::u8, DType::i8, DType::b1, DType::i16, DType::u16, DType::f16, DType::bf16, DType::i32,
                    DType::u32, DType::f32, DType::c32, DType::i64, DType::u64, DType::f64, DType::c64, DType::c128}) {
        const Loop f = by_size[__builtin_ctz(unsigned(itemsize(d)))];
        t.put(Kind::convert, uint16_t(d), d, f);
    }
    return t;
}

constexpr auto a = conversions();
}  // namespace

extern const Entries conversion_loops;
constexpr Entries conversion_loops{a.entry, a.count};

}  // namespace fb::cpu::FB_ARCH
