// From a function of values or vectors to a Loop over strips.
//
// Every kernel is written once, for contiguous data. `drive` brings other strides to it in blocks: it copies strided
// inputs into small buffers (an input of stride 0 once for the whole strip) and scatters the result.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "cpu/simd/math.h"
#include "cpu/simd/part.h"
#include "cpu/simd/table.h"

namespace fb::cpu::FB_ARCH {

// bool elements, read as any non-zero byte
struct Bool {
    uint8_t value;
};

template <class T>
inline constexpr DType kType = DType::none;
template <>
inline constexpr DType kType<float> = DType::f32;
template <>
inline constexpr DType kType<double> = DType::f64;
template <>
inline constexpr DType kType<Half> = DType::f16;
template <>
inline constexpr DType kType<BHalf> = DType::bf16;
template <>
inline constexpr DType kType<uint8_t> = DType::u8;
template <>
inline constexpr DType kType<int8_t> = DType::i8;
template <>
inline constexpr DType kType<int16_t> = DType::i16;
template <>
inline constexpr DType kType<int32_t> = DType::i32;
template <>
inline constexpr DType kType<int64_t> = DType::i64;
template <>
inline constexpr DType kType<uint16_t> = DType::u16;
template <>
inline constexpr DType kType<uint32_t> = DType::u32;
template <>
inline constexpr DType kType<uint64_t> = DType::u64;
template <>
inline constexpr DType kType<Bool> = DType::b1;
template <>
inline constexpr DType kType<HalfCx> = DType::c32;
template <>
inline constexpr DType kType<Cx<float>> = DType::c64;
template <>
inline constexpr DType kType<Cx<double>> = DType::c128;

// What a kernel's function receives for an element: float for half types, Cx<float> for their pairs, bool for Bool.
inline float value(Half x) { return to_float(x); }
inline float value(BHalf x) { return to_float(x); }
inline bool value(Bool x) { return x.value != 0; }
inline Cx<float> value(HalfCx x) { return {to_float(x.re), to_float(x.im)}; }
template <class T>
inline T value(T x) {
    return x;
}
template <class T, class R>
inline T element(R r) {
    if constexpr (kType<T> == DType::b1) return T{uint8_t(bool(r))};
    else if constexpr (kType<T> == DType::f16 || kType<T> == DType::bf16) return from_float<T>(float(r));
    else if constexpr (kType<T> == DType::c32) return T{from_float<Half>(float(r.re)), from_float<Half>(float(r.im))};
    else return T(r);
}

using Inner = void (*)(char* out, const char* const* in, int64_t n, const void* s);
inline constexpr int kBlock = 512;

template <class T>
inline void copy_strided(char* dst, int64_t to, const char* src, int64_t from, int64_t n) {
    if (from == 2 * int64_t(sizeof(T)) &&
        to == int64_t(sizeof(T))) {  // every second one: the compiler shuffles vectors
        for (int64_t i = 0; i < n; i++) __builtin_memcpy(dst + i * sizeof(T), src + 2 * i * sizeof(T), sizeof(T));
        return;
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < n; i++) __builtin_memcpy(dst + i * to, src + i * from, sizeof(T));
}
inline void copy_strided(char* dst, int64_t to, const char* src, int64_t from, int64_t n, int size) {
    switch (size) {
        case 1: return copy_strided<uint8_t>(dst, to, src, from, n);
        case 2: return copy_strided<uint16_t>(dst, to, src, from, n);
        case 4: return copy_strided<uint32_t>(dst, to, src, from, n);
        case 8: return copy_strided<uint64_t>(dst, to, src, from, n);
        default: return copy_strided<Cx<double>>(dst, to, src, from, n);
    }
}
// whole(i) for every whole register of `step` values between i and n; where the rest begins.
template <bool light, int step, class Whole>
inline int64_t each_whole(int64_t i, int64_t n, Whole whole) {
    if constexpr (light && kWidth > 16)  // the baseline is to be small
        for (; i + 4 * step <= n; i += 4 * step) whole(i), whole(i + step), whole(i + 2 * step), whole(i + 3 * step);
    for (; i + step <= n; i += step) whole(i);
    return i;
}
template <class T>
inline void fill(char* dst, const char* src, int64_t n) {
    T v;
    __builtin_memcpy(&v, src, sizeof v);
    if constexpr (sizeof(T) <= 8) {  // in whole registers: GCC would make slow string instructions of bytes
        const int64_t bytes = n * int64_t(sizeof(T));
        if (bytes >= kWidth) {
            const Vec<T> all = Vec<T>{} + v;
            each_whole<true, kWidth>(0, bytes, [&](int64_t i) { store(dst + i, all); });
            store(dst + bytes - kWidth, all);
            return;
        }
    }
    for (int64_t i = 0; i < n; i++) __builtin_memcpy(dst + i * sizeof(T), &v, sizeof v);
}
inline void fill(char* dst, const char* src, int64_t n, int size) {
    switch (size) {
        case 1: return fill<uint8_t>(dst, src, n);
        case 2: return fill<uint16_t>(dst, src, n);
        case 4: return fill<uint32_t>(dst, src, n);
        case 8: return fill<uint64_t>(dst, src, n);
        default: return fill<Cx<double>>(dst, src, n);
    }
}

// sizes[0] is the output's element size, sizes[1..inputs] the inputs'.
inline void drive(Inner f, const int* sizes, int inputs, char* const* p, const int64_t* strides, int64_t n,
                  const void* s) {
    alignas(64) char buffer[4][kBlock * sizeof(Cx<double>)];
    const char* in[3];
    bool once[3] = {}, direct[3] = {};
    int largest = 1;
    for (int k = 0; k <= inputs; k++)
        if (sizes[k] > largest) largest = sizes[k];
    const int64_t block = largest >= 4 ? kBlock : 4 / largest * kBlock;  // bytes are done before a call of few is
    for (int k = 0; k < inputs; k++) {
        direct[k] = strides[k + 1] == sizes[k + 1];
        once[k] = strides[k + 1] == 0;
        if (once[k]) fill(buffer[k], p[k + 1], n < block ? n : block, sizes[k + 1]);
        in[k] = buffer[k];
    }
    const bool direct_out = strides[0] == sizes[0];
    for (int64_t i = 0; i < n; i += block) {
        const int64_t m = n - i < block ? n - i : block;
        for (int k = 0; k < inputs; k++) {
            if (direct[k]) in[k] = p[k + 1] + i * sizes[k + 1];
            else if (!once[k])
                copy_strided(buffer[k], sizes[k + 1], p[k + 1] + i * strides[k + 1], strides[k + 1], m, sizes[k + 1]);
        }
        char* out = p[0] + i * strides[0];
        f(direct_out ? out : buffer[3], in, m, s);
        if (!direct_out) copy_strided(out, strides[0], buffer[3], sizes[0], m, sizes[0]);
    }
}

// Not in line: a kernel would be compiled twice, here and for `drive`.
[[gnu::noinline]] inline void run_inner(Inner f, const int* sizes, int inputs, char* const* p, const int64_t* strides,
                                        int64_t n, const void* s) {
    bool contiguous = true;
    for (int k = 0; k <= inputs; k++) contiguous &= strides[k] == sizes[k];
    if (contiguous || n == 1) return f(p[0], p + 1, n, s);
    drive(f, sizes, inputs, p, strides, n, s);
}
template <Inner f, class Out, class... In>
void loop(char* const* p, const int64_t* strides, int64_t n, const void* s) {
    static constexpr int sizes[] = {sizeof(Out), sizeof(In)...};
    run_inner(f, sizes, sizeof...(In), p, strides, n, s);
}

template <class T>
inline double param(const T* s, int i) {
    return static_cast<const double*>(s)[i];
}
// A function with n parameters. Stores of vectors may change anything behind a pointer: the loops read these once, into
// a place of their own, and they stay in registers.
template <int n, class Fn>
struct With {
    static constexpr int params = n;
    template <class... V>
    auto operator()(const void* s, V... v) const {
        return Fn{}(s, v...);
    }
};
template <int n, class Fn>
constexpr With<n, Fn> with(Fn) {
    return {};
}
// A function of an instruction or two: what a loop over it takes is the memory's time, and four registers at a time
// keep more of that under way.
template <class Fn>
struct Light : Fn {
    static constexpr bool light = true;
};
template <class Fn>
constexpr Light<Fn> light(Fn) {
    return {};
}
// A function of many instructions, which hide what it costs to bring it its values: it is written out once for a type.
template <class Fn>
struct Heavy : Fn {
    static constexpr bool heavy = true;
};
template <class Fn>
constexpr Heavy<Fn> heavy(Fn) {
    return {};
}
// One that is seldom asked for in half precision, too: that goes through floats a block at a time, which takes about
// a tenth longer and spares two more instances.
template <class Fn>
struct Rare : Heavy<Fn> {
    static constexpr bool rare = true;
};
template <class Fn>
constexpr Rare<Fn> rare(Fn) {
    return {};
}
template <class Fn>
struct Params {
    const void* s;
    explicit Params(const void* from) : s(from) {}
    const void* here() const { return s; }
};
template <class Fn>
    requires requires { Fn::params; }
struct Params<Fn> {
    double values[Fn::params];
    explicit Params(const void* from) {
        for (int i = 0; i < Fn::params; i++) values[i] = param(from, i);
    }
    const void* here() const { return values; }
};

// ---- kernels over vectors; Fn takes (s, vector...) ----
template <class T>
using VecFor = decltype(load_as(static_cast<const T*>(nullptr)));
template <class T>
inline constexpr int kStep = kLanes<Scalar<VecFor<T>>>;

template <class T>
inline VecFor<T> load_part(const T* p, int64_t n) {
    return load_first(p, n);
}
template <class T>
inline void store_part(T* p, VecFor<T> v, int64_t n) {
    if (n >= kStep<T>) store_as(p, v);
    else store_first(p, v, n);
}

// bfloat16, two registers at a time; move[k] is 1, or 0 for a single value, which `in` holds often enough.
template <class Fn, int inputs>
void bfloat16_run(char* out, const char* const* in, const int64_t* move, int64_t n, const void* given) {
    const Params<Fn> params(given);
    const void* const s = params.here();
    constexpr int64_t step = 2 * kLanes<float>, bytes = 2 * step;
    constexpr int last = inputs - 1;
    alignas(64) char rest[inputs + 1][bytes];
    const char *a = in[0], *b = in[last > 0 ? 1 : 0], *c = in[last];
    const int64_t to_a = move[0] * bytes, to_b = move[last > 0 ? 1 : 0] * bytes, to_c = move[last] * bytes;
    char* to = out;
    const auto load_last = [&](int k, const char*& p) {
        if (move[k]) p = static_cast<const char*>(__builtin_memcpy(rest[k], p, size_t(n) * 2));
    };
    for (; n > 0; n -= step) {
        const bool whole = n >= step;
        if (!whole) {
            load_last(0, a);
            if constexpr (last > 0) load_last(1, b);
            if constexpr (last > 1) load_last(2, c);
            to = rest[inputs];
        }
        const F2 x = load_pair(a), y = load_pair(b), z = load_pair(c);
        if constexpr (last == 0) store_pair(to, {F(Fn{}(s, x.even)), F(Fn{}(s, x.odd))});
        else if constexpr (last == 1) store_pair(to, {F(Fn{}(s, x.even, y.even)), F(Fn{}(s, x.odd, y.odd))});
        else store_pair(to, {F(Fn{}(s, x.even, y.even, z.even)), F(Fn{}(s, x.odd, y.odd, z.odd))});
        if (!whole) {
            __builtin_memcpy(out, to, size_t(n) * 2);
            return;
        }
        to = out += bytes, a += to_a, b += to_b, c += to_c;
    }
}

// The elements before the first whole register of the output: stores that straddle lines of the cache take twice as
// long.
template <class T>
inline int64_t to_line(const T* out, int64_t n) {
#if FB_AVX512
    if constexpr (sizeof(T) >= 4)
        if (const int64_t past = int64_t(reinterpret_cast<uintptr_t>(out) & 63); past && n >= 4 * kStep<T>)
            return (64 - past) / int64_t(sizeof(T));
#endif
    (void)out, (void)n;
    return 0;
}

// The values of a register that is not full go through one of their own, so that there is a single loop.
template <class Fn, class T, int inputs>
[[gnu::noinline]] void heavy_inner(char* out, const char* const* in, int64_t n, const void* given) {
    const Params<Fn> params(given);
    const void* const s = params.here();
    constexpr int step = kStep<T>, last = inputs - 1;
    alignas(64) T rest[inputs + 1][step];
    const T* from[inputs];
    for (int k = 0; k < inputs; k++) from[k] = reinterpret_cast<const T*>(in[k]);
    T* o = reinterpret_cast<T*>(out);
    int64_t part = to_line(o, n);
    if (!part && n < step) part = n;
    while (n > 0) {
        T* to = o;
        const T *a = from[0], *b = from[last > 0 ? 1 : 0], *c = from[last];
        int64_t now = n - n % step;
        if (part) {
            now = step;
            for (int k = 0; k < inputs; k++) store_as(rest[k], load_part(from[k], part));
            to = rest[inputs], a = rest[0], b = rest[last > 0 ? 1 : 0], c = rest[last];
        }
        for (int64_t i = 0; i < now; i += step) {
            if constexpr (inputs == 1) store_as(to + i, VecFor<T>(Fn{}(s, load_as(a + i))));
            else if constexpr (inputs == 2) store_as(to + i, VecFor<T>(Fn{}(s, load_as(a + i), load_as(b + i))));
            else store_as(to + i, VecFor<T>(Fn{}(s, load_as(a + i), load_as(b + i), load_as(c + i))));
        }
        if (part) {
            store_part(o, load_as(to), part);
            now = part;
        }
        for (int k = 0; k < inputs; k++) from[k] += now;
        o += now, n -= now;
        part = n < step ? n : 0;
    }
}
template <class T>
inline void widen_block(float* to, const T* from, int64_t n) {
    int64_t i = 0;
    for (; i + kLanes<float> <= n; i += kLanes<float>) store(to + i, load_as(from + i));
    if (i < n) store(to + i, load_part(from + i, n - i));
}
template <class T>
inline void narrow_block(T* to, const float* from, int64_t n) {
    int64_t i = 0;
    for (; i + kLanes<float> <= n; i += kLanes<float>) store_as(to + i, load<F>(from + i));
    if (i < n) store_part(to + i, load<F>(from + i), n - i);
}
template <Inner f, class T, int inputs>
[[gnu::noinline]] void halves_inner(char* out, const char* const* in, int64_t n, const void* s) {
    alignas(64) float wide[inputs][kBlock];
    const char* block[inputs];
    for (int k = 0; k < inputs; k++) block[k] = reinterpret_cast<const char*>(wide[k]);
    for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = n - i < kBlock ? n - i : kBlock;
        for (int k = 0; k < inputs; k++) widen_block(wide[k], reinterpret_cast<const T*>(in[k]) + i, m);
        f(reinterpret_cast<char*>(wide[0]), block, m, s);
        narrow_block(reinterpret_cast<T*>(out) + i, wide[0], m);
    }
}

template <class Fn, class T, class... Same>
[[gnu::noinline]] void vec_inner(char* out, const char* const* in, int64_t n, const void* given) {
    const Params<Fn> params(given);
    const void* const s = params.here();
    T* o = reinterpret_cast<T*>(out);
    constexpr int step = kStep<T>;
    // Vectors may alias anything: pointers left in `in` would be read again after each store.
    constexpr int last = int(sizeof...(Same));
    const char *a = in[0], *b = in[last > 0 ? 1 : 0], *c = in[last];
    auto apply = [=](int64_t i, auto load) {
        if constexpr (last == 0) return Fn{}(s, load(a, i));
        else if constexpr (last == 1) return Fn{}(s, load(a, i), load(b, i));
        else return Fn{}(s, load(a, i), load(b, i), load(c, i));
    };
    int64_t i = 0, part = to_line(o, n);
    for (;;) {
        if (part) {
            store_part(
                o + i,
                VecFor<T>(apply(i, [part](const char* p,
                                          int64_t k) { return load_part(reinterpret_cast<const T*>(p) + k, part); })),
                part);
            i += part;
        }
        i = each_whole<requires { Fn::light; }, step>(i, n, [&](int64_t k) {
            store_as(o + k, VecFor<T>(apply(k, [](const char* p, int64_t j) {
                         return load_as(reinterpret_cast<const T*>(p) + j);
                     })));
        });
        if (i == n) return;
        part = n - i;
    }
}
template <class Fn, int inputs>
[[gnu::noinline]] void bfloat16_inner(char* out, const char* const* in, int64_t n, const void* s) {
    static constexpr int64_t all[3] = {1, 1, 1};
    bfloat16_run<Fn, inputs>(out, in, all, n, s);
}
template <class Fn, class T, class... Same>
consteval Inner inner_for() {
    constexpr int inputs = 1 + int(sizeof...(Same));
    if constexpr (requires { Fn::rare; } && sizeof(T) == 2)
        return halves_inner<heavy_inner<Fn, float, inputs>, T, inputs>;
    else if constexpr (kType<T> == DType::bf16) return bfloat16_inner<Fn, inputs>;
    else if constexpr (requires { Fn::heavy; }) return heavy_inner<Fn, T, inputs>;
    else return vec_inner<Fn, T, Same...>;
}
// Writes a value `count` times, in one store: a load of the whole then need not wait for memory.
template <class T, int count>
inline void spread(T* to, const char* from) {
    using Word = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    Word w;
    __builtin_memcpy(&w, from, sizeof w);
    store(to, typename VecOf<Word, count* int(sizeof(T))>::type{} + w);
}
// A strip of contiguous operands and of single values, which stay in one register each.
template <class Fn, class T, class... Same>
[[gnu::noinline]] void vec_strip(char* const* p, const int64_t* strides, int64_t n, const void* given) {
    constexpr bool pairs = kType<T> == DType::bf16;
    constexpr int inputs = 1 + int(sizeof...(Same)), step = kStep<T> * (pairs ? 2 : 1), last = inputs - 1;
    using V = VecFor<T>;
    alignas(64) T value[inputs][step];
    const char* in[inputs];
    int64_t move[inputs];
    for (int k = 0; k < inputs; k++) {
        move[k] = strides[k + 1] != 0;
        in[k] = move[k] ? p[k + 1] : reinterpret_cast<const char*>(value[k]);
        if (!move[k]) spread<T, step>(value[k], p[k + 1]);
    }
    if constexpr (pairs) return bfloat16_run<Fn, inputs>(p[0], in, move, n, given);
    const Params<Fn> params(given);
    const void* const s = params.here();
    T* o = reinterpret_cast<T*>(p[0]);
    const char *a = in[0], *b = in[last > 0 ? 1 : 0], *c = in[last];
    const int64_t item = sizeof(T), to_a = move[0] * item, to_b = move[last > 0 ? 1 : 0] * item,
                  to_c = move[last] * item;
    auto apply = [&](auto load) {
        if constexpr (last == 0) return V(Fn{}(s, load(a)));
        else if constexpr (last == 1) return V(Fn{}(s, load(a), load(b)));
        else return V(Fn{}(s, load(a), load(b), load(c)));
    };
    int64_t part = to_line(o, n);
    for (;;) {
        if (part) {
            store_part(o, apply([part](const char* q) { return load_part(reinterpret_cast<const T*>(q), part); }),
                       part);
            o += part, a += to_a * part, b += to_b * part, c += to_c * part, n -= part;
        }
        n -= each_whole<requires { Fn::light; }, step>(0, n, [&](int64_t) {
            store_as(o, apply([](const char* q) { return load_as(reinterpret_cast<const T*>(q)); }));
            o += step, a += to_a * step, b += to_b * step, c += to_c * step;
        });
        if (!n) return;
        part = n;
    }
}
template <class Fn, class T, class... Same>
void vec_loop(char* const* p, const int64_t* strides, int64_t n, const void* s) {
    constexpr int inputs = 1 + int(sizeof...(Same));
    static constexpr int sizes[] = {sizeof(T), sizeof(T), sizeof(T), sizeof(T)};
    bool moving = strides[0] == sizeof(T), steady = moving;
    for (int k = 1; k <= inputs; k++) {
        moving &= strides[k] == sizeof(T);
        steady &= strides[k] == sizeof(T) || strides[k] == 0;
    }
    constexpr Inner inner = inner_for<Fn, T, Same...>();
    if (moving || n == 1) return inner(p[0], p + 1, n, s);
    if constexpr (!requires { Fn::heavy; })
        if (steady) return vec_strip<Fn, T, Same...>(p, strides, n, s);
    drive(inner, sizes, inputs, p, strides, n, s);
}
#if FB_AVX2
// Masks of as many elements as a register has bytes, one behind the other, as bytes of 0 and 1.
inline __m256i mask_bytes(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm256_and_si256(_mm256_permutevar8x32_epi32(bytes, order), _mm256_set1_epi8(1));
}
inline __m256i mask_words(__m256i a, __m256i b) {  // of doubles, as of floats
    const __m256 halves = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(halves), 0xd8);
}
#endif
// The same with a mask as the result, written as bool.
template <class Fn, class T, class... Same>
[[gnu::noinline]] void mask_inner(char* out, const char* const* in, int64_t n, const void* s) {
    constexpr int step = kStep<T>;
    using Bytes = typename VecOf<int8_t, step>::type;
    const char *a = in[0], *b = in[sizeof...(Same) ? 1 : 0];
    auto apply = [=](int64_t i, auto load) {
        if constexpr (sizeof...(Same) == 0) return __builtin_convertvector(Fn{}(s, load(a, i)), Bytes) & int8_t(1);
        else return __builtin_convertvector(Fn{}(s, load(a, i), load(b, i)), Bytes) & int8_t(1);
    };
    int64_t i = 0;
    const auto load_all = [](const char* p, int64_t k) { return load_as(reinterpret_cast<const T*>(p) + k); };
#if FB_AVX2
    const auto words = [&](int64_t k) {
        const auto mask = [&](int64_t j) {
            if constexpr (sizeof...(Same) == 0) return __m256i(Fn{}(s, load_all(a, j)));
            else return __m256i(Fn{}(s, load_all(a, j), load_all(b, j)));
        };
        if constexpr (step == 4) return mask_words(mask(k), mask(k + 4));
        else return mask(k);
    };
    for (; i + 32 <= n; i += 32) store(out + i, mask_bytes(words(i), words(i + 8), words(i + 16), words(i + 24)));
#endif
    for (; i + step <= n; i += step) store(out + i, apply(i, load_all));
    if (i < n) {
        const int64_t rest = n - i;
        const Bytes b =
            apply(i, [rest](const char* p, int64_t k) { return load_part(reinterpret_cast<const T*>(p) + k, rest); });
        __builtin_memcpy(out + i, &b, rest);
    }
}

// ---- kernels over elements; Fn takes (s, element...); the compiler vectorises what it can ----
template <class Fn, class Out, class A, class... More>
[[gnu::noinline]] void element_inner(char* out, const char* const* in, int64_t n, const void* s) {
    Out* o = reinterpret_cast<Out*>(out);
    const A* a = reinterpret_cast<const A*>(in[0]);
    if constexpr (sizeof...(More) == 0) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++) o[i] = element<Out>(Fn{}(s, value(a[i])));
    } else {
        [&]<class B, class... C>(B*, C*...) {
            const B* b = reinterpret_cast<const B*>(in[1]);
            if constexpr (sizeof...(C) == 0) {
#pragma GCC ivdep
                for (int64_t i = 0; i < n; i++) o[i] = element<Out>(Fn{}(s, value(a[i]), value(b[i])));
            } else {
                [&]<class E>(E*) {
                    const E* c = reinterpret_cast<const E*>(in[2]);
#pragma GCC ivdep
                    for (int64_t i = 0; i < n; i++) o[i] = element<Out>(Fn{}(s, value(a[i]), value(b[i]), value(c[i])));
                }(static_cast<C*>(nullptr)...);
            }
        }(static_cast<More*>(nullptr)...);
    }
}

// ---- filling tables ----
template <class Fn, class T>
constexpr Loop vec1 = loop<inner_for<Fn, T>(), T, T>;
template <class Fn, class T>
constexpr Loop vec2 = vec_loop<Fn, T, T>;
template <class Fn, class T>
constexpr Loop vec3 = vec_loop<Fn, T, T, T>;

// One vector function for the four floating types; the arity follows from the operation.
template <class Tab, class Fn>
constexpr void halves(Tab& t, Unary op, Fn) {
    t.put(op, DType::f16, vec1<Fn, Half>);
    t.put(op, DType::bf16, vec1<Fn, BHalf>);
}
template <class Tab, class Fn>
constexpr void floats(Tab& t, Unary op, Fn fn) {
    t.put(op, DType::f32, vec1<Fn, float>);
    t.put(op, DType::f64, vec1<Fn, double>);
    halves(t, op, fn);
}
template <class Tab, class Fn>
constexpr void floats(Tab& t, Binary op, Fn) {
    t.put(op, DType::f32, vec2<Fn, float>);
    t.put(op, DType::f64, vec2<Fn, double>);
    t.put(op, DType::f16, vec2<Fn, Half>);
    t.put(op, DType::bf16, vec2<Fn, BHalf>);
}
template <class Tab, class Fn>
constexpr void wide(Tab& t, Ternary op, Fn) {
    t.put(op, DType::f32, vec3<Fn, float>);
    t.put(op, DType::f64, vec3<Fn, double>);
}
template <class Tab, class Fn>
constexpr void halves(Tab& t, Ternary op, Fn) {
    t.put(op, DType::f16, vec3<Fn, Half>);
    t.put(op, DType::bf16, vec3<Fn, BHalf>);
}
template <class Tab, class Fn>
constexpr void floats(Tab& t, Ternary op, Fn fn) {
    wide(t, op, fn);
    halves(t, op, fn);
}
template <class Tab, class Fn, class... T>
constexpr void masks1(Tab& t, Unary op) {
    (t.put(op, kType<T>, loop<mask_inner<Fn, T>, Bool, T>), ...);
}
template <class Tab, class Fn>
constexpr void float_masks(Tab& t, Unary op, Fn) {
    masks1<Tab, Fn, float, double, Half, BHalf>(t, op);
}
template <class Tab, class Fn, class... T>
constexpr void masks2(Tab& t, Binary op) {
    (t.put(op, kType<T>, loop<mask_inner<Fn, T, T>, Bool, T, T>), ...);
}
template <class Tab, class Fn>
constexpr void float_masks(Tab& t, Binary op, Fn) {
    masks2<Tab, Fn, float, double, Half, BHalf>(t, op);
}

template <class... T>
struct Types {};
using Floats = Types<float, double, Half, BHalf>;
using Ints = Types<uint8_t, int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t>;
using Complexes = Types<Cx<float>, Cx<double>>;

// Types whose loops go one number after the other, wait for memory or run seldom: AVX-512 takes those of AVX2
// (cpu/pointwise.cpp), and there is less to compile.
template <class Types>
struct SeldomOf {
    using type = Types;
};
#if FB_AVX512
template <class... T>
struct SeldomOf<Types<T...>> {
    using type = Types<>;
};
#endif
template <class Types>
using Seldom = typename SeldomOf<Types>::type;

// Element functions: result of the same type, or of type Out.
template <class Tab, class Fn, class... T>
constexpr void each([[maybe_unused]] Tab& t, [[maybe_unused]] Unary op, Types<T...>, Fn) {
    (t.put(op, kType<T>, loop<element_inner<Fn, T, T>, T, T>), ...);
}
template <class Tab, class Fn, class... T>
constexpr void each([[maybe_unused]] Tab& t, [[maybe_unused]] Binary op, Types<T...>, Fn) {
    (t.put(op, kType<T>, loop<element_inner<Fn, T, T, T>, T, T, T>), ...);
}
template <class Tab, class Fn, class... T>
constexpr void each([[maybe_unused]] Tab& t, [[maybe_unused]] Ternary op, Types<T...>, Fn) {
    (t.put(op, kType<T>, loop<element_inner<Fn, T, T, T, T>, T, T, T, T>), ...);
}
template <class Out, class Tab, class Fn, class... T>
constexpr void each_to([[maybe_unused]] Tab& t, [[maybe_unused]] Unary op, Types<T...>, Fn) {
    (t.put(op, kType<T>, loop<element_inner<Fn, Out, T>, Out, T>), ...);
}
template <class Out, class Tab, class Fn, class... T>
constexpr void each_to([[maybe_unused]] Tab& t, [[maybe_unused]] Binary op, Types<T...>, Fn) {
    (t.put(op, kType<T>, loop<element_inner<Fn, Out, T, T>, Out, T, T>), ...);
}
// Where signedness does not matter one loop serves two types: arithmetic on the unsigned type, which wraps.
using Unsigned = Types<uint8_t, uint16_t, uint32_t, uint64_t>;
template <class Tab, class Op>
constexpr void with_twins(Tab& t, Op op, const Table<4>& u) {
    const DType twin[] = {DType::i8, DType::i16, DType::i32, DType::i64};
    for (int i = 0; i < 4; i++) {
        t.put(op, u.entry[i].type, u.entry[i].loop);
        t.put(op, twin[i], u.entry[i].loop);
    }
}
template <class Tab, class Op, class Fn>
constexpr void wrapping(Tab& t, Op op, Fn fn) {
    Table<4> u;
    each(u, op, Unsigned{}, fn);
    with_twins(t, op, u);
}
template <class Tab, class Fn>
constexpr void wrapping_masks(Tab& t, Binary op, Fn fn) {
    Table<4> u;
    each_to<Bool>(u, op, Unsigned{}, fn);
    with_twins(t, op, u);
    each_to<Bool>(t, op, Types<Bool>{}, fn);
}

}  // namespace fb::cpu::FB_ARCH
