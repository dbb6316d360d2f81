// The loops of a reduction, over results and over what each folds; the files that include this say what is folded.
//
// A fold F of elements T has an accumulator A, a type L in which values join one by one, and a type Out of its results:
// `step` takes a value, `join` two lanes, `merge` a lane into an accumulator, `finish` makes the result. One loop
// serves several operations and types: `Param` turns the least into the greatest and unsigned numbers into signed ones.
// No library code with external linkage in here (see CMakeLists.txt).
#pragma once
#include <initializer_list>
#include <type_traits>
#include "cpu/reduce.h"
#include "cpu/simd/strip.h"

namespace fb::cpu::FB_ARCH {

struct Param {
    double power = 0;   // of abs_pow_sum
    uint64_t flip = 0;  // integers: bits to turn round; counts: the bits that matter
    double sign = 1;    // floating point numbers: -1 for the least
    int64_t length = 0;
};

template <class T>
constexpr bool is_complex_v = false;
template <>
inline constexpr bool is_complex_v<C64> = true;
template <>
inline constexpr bool is_complex_v<C128> = true;
template <class T>
constexpr bool is_half_v = false;
template <>
inline constexpr bool is_half_v<F16> = true;
template <>
inline constexpr bool is_half_v<BF16> = true;
template <class T>
constexpr bool is_float_v = is_half_v<T>;
template <>
inline constexpr bool is_float_v<float> = true;
template <>
inline constexpr bool is_float_v<double> = true;

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
constexpr int kLanesTogether = sizeof(L) >= 4 ? 32 : 128 / int(sizeof(L));

// Folds that add contiguous floating point values up in registers.
template <class F, class T>
concept SumsRegisters = is_float_v<T> && requires(Registers<T>& sum, const T* v) { F::run(sum, v, int64_t()); };

template <class T>
inline const T* typed(const char* p) {
    return reinterpret_cast<const T*>(p);
}

// Folds that have a register of lanes for each of several rows; `known` becomes false where that has not the answer.
template <class F, class T>
concept FoldsRows = requires(const T* v, const Param& s, bool& known) { F::row(v, int64_t(), s, known); };

// Read from number n on: no bits of all lanes but the last n.
template <class T, int lanes>
struct LastLanes {
    T mask[2 * lanes] = {};
    constexpr LastLanes() {
        for (int k = lanes; k < 2 * lanes; ++k) mask[k] = ~T(0);
    }
};

#if FB_AVX512 || FB_AVX2
// Lanes that add up to the sum of value(x) over n >= 16 bytes.
template <class Value>
inline Vec<int64_t> sum_of_bytes(const uint8_t* v, int64_t n, Value value) {
    static constexpr LastLanes<uint8_t, 16> last;
    Vec<int64_t> sum{};
    __m128i rest = _mm_setzero_si128();
    int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
        const auto x = value(load<Vec<uint8_t>>(v + i));
#if FB_AVX512
        sum += Vec<int64_t>(_mm512_sad_epu8(__m512i(x), _mm512_setzero_si512()));
#else
        sum += Vec<int64_t>(_mm256_sad_epu8(__m256i(x), _mm256_setzero_si256()));
#endif
    }
    const auto piece = [&](int64_t at, auto kept) {
        const auto x = value(load<VecOf<uint8_t, 16>::type>(v + at));
        rest = _mm_add_epi64(rest, _mm_sad_epu8(_mm_and_si128(__m128i(x), kept), _mm_setzero_si128()));
    };
    for (; i + 16 <= n; i += 16) piece(i, _mm_set1_epi8(-1));
    if (i < n) piece(n - 16, load<__m128i>(last.mask + (n - i)));
#if FB_AVX512
    return sum + Vec<int64_t>(_mm512_zextsi128_si512(rest));
#else
    return sum + Vec<int64_t>(_mm256_zextsi128_si256(rest));
#endif
}
#endif

// One run of values; contiguous ones in independent lanes that the compiler turns into vectors.
template <class F, class T>
inline void strip(typename F::A& acc, const char* p, int64_t stride, int64_t n, const Param& s) {
    using L = typename F::L;
    constexpr int kTogether = is_complex_v<T> && requires { F::kOneByOne; } ? 4 : kLanesTogether<L>;
    const T* v = typed<T>(p);
    constexpr bool runs = SumsRegisters<F, T> || requires(int64_t i) { F::run(v, i, n, s); };
    if (stride == int64_t(sizeof(T)) && n >= (runs ? 16 : kTogether)) {
        if constexpr (SumsRegisters<F, T>) {
            Registers<T> sum;
            F::run(sum, v, n);
            acc += sum.leave();
        } else {
            int64_t i = 0;
            if constexpr (requires { F::run(v, i, n, s); }) acc = F::merge(acc, F::run(v, i, n, s));
            L lane[kTogether];
            while (i + kTogether <= n) {
                for (int k = 0; k < kTogether; ++k) lane[k] = F::lane0();
                int64_t end = F::kWidens ? i + 128 * kTogether : n;
                if (end > n) end = n;
                for (; i + kTogether <= end; i += kTogether)
                    for (int k = 0; k < kTogether; ++k) lane[k] = F::step(lane[k], v[i + k], s);
                if constexpr (std::is_same_v<typename F::A, L> &&
                              !F::kWidens) {  // two and two, not one after the other
                    for (int half = kTogether / 2; half; half /= 2)
                        for (int k = 0; k < half; ++k) lane[k] = F::merge(lane[k], lane[k + half]);
                    acc = F::merge(acc, lane[0]);
                } else {
                    for (int k = 0; k < kTogether; ++k) acc = F::merge(acc, lane[k]);
                }
            }
            L last = F::lane0();
            for (; i < n; ++i) last = F::step(last, v[i], s);
            acc = F::merge(acc, last);
        }
        return;
    }
    while (n > 0) {
        constexpr int kApart = 8;  // they do not wait for each other
        const int64_t m = F::kWidens && n > 64 * kApart ? 64 * kApart : n;
        L lane[kApart];
        for (L& l : lane) l = F::lane0();
        int64_t i = 0;
        for (; i + kApart <= m; i += kApart, p += kApart * stride)
            for (int k = 0; k < kApart; ++k) lane[k] = F::step(lane[k], *typed<T>(p + k * stride), s);
        for (; i < m; ++i, p += stride) lane[0] = F::step(lane[0], *typed<T>(p), s);
        for (const L& l : lane) acc = F::merge(acc, l);
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

// Many results side by side: the values of a row join the lanes, one each; now and then those move into accumulators.
template <class F, class T>
struct Columns {
    using A = typename F::A;
    using L = typename F::L;
    static constexpr int kMost = 1024;
    static constexpr int64_t kRows = is_half_v<T> ? 512 : 64;  // whose sums a lane holds as exactly as its values are
    L lane[kMost];
    A acc[kMost];
    int64_t n, since = 0;
    bool wide = false;  // the accumulators hold something
    const Param& s;

    Columns(int64_t columns, const Param& param) : n(columns), s(param) {
        for (int64_t k = 0; k < n; ++k) lane[k] = F::lane0();
    }
    void flush() {
        if (wide)
            for (int64_t k = 0; k < n; ++k) acc[k] = F::merge(acc[k], lane[k]);
        else
            for (int64_t k = 0; k < n; ++k) acc[k] = F::merge(F::start(), lane[k]);
        for (int64_t k = 0; k < n; ++k) lane[k] = F::lane0();
        wide = true;
        since = 0;
    }
    void rows(const char* p, int64_t stride, int64_t m) {
        int64_t i = 0;
        if constexpr (is_float_v<T> && requires { F::kPlainSum; }) {
            constexpr int w = kRegister<T>;
            for (; i + 8 <= m; i += 8, p += 8 * stride) {  // eight rows for one reading and writing of the lanes
                const auto row = [&](int r, int64_t k) { return load_register(typed<T>(p + r * stride) + k); };
                int64_t k = 0;
                for (; k + w <= n; k += w)
                    store(lane + k, load<Register<T>>(lane + k) + ((row(0, k) + row(1, k)) + (row(2, k) + row(3, k))) +
                                        ((row(4, k) + row(5, k)) + (row(6, k) + row(7, k))));
                for (; k < n; ++k)
                    for (int r = 0; r < 8; ++r) lane[k] = F::step(lane[k], typed<T>(p + r * stride)[k], s);
                if (F::kWidens && (since += 8) >= kRows) flush();
            }
            if (i < m) {
                const auto few = [&]<int first, int count>() {
                    for (int64_t k = 0; k + w <= n; k += w) {
                        auto sum = load<Register<T>>(lane + k);
                        for (int r = first; r < first + count; ++r) sum += load_register(typed<T>(p + r * stride) + k);
                        store(lane + k, sum);
                    }
                };
                switch (m - i) {
                    case 1: few.template operator()<0, 1>(); break;
                    case 2: few.template operator()<0, 2>(); break;
                    case 3: few.template operator()<0, 3>(); break;
                    default: few.template operator()<0, 4>();
                }
                switch (m - i) {
                    case 5: few.template operator()<4, 1>(); break;
                    case 6: few.template operator()<4, 2>(); break;
                    case 7: few.template operator()<4, 3>(); break;
                }
                for (int64_t k = n / w * w; k < n; ++k)
                    for (int64_t r = 0; r < m - i; ++r) lane[k] = F::step(lane[k], typed<T>(p + r * stride)[k], s);
                if (F::kWidens && (since += m - i) >= kRows) flush();
            }
            return;
        } else {
            for (; i + 4 <= m; i += 4, p += 4 * stride) {
                const T *v0 = typed<T>(p), *v1 = typed<T>(p + stride), *v2 = typed<T>(p + 2 * stride),
                        *v3 = typed<T>(p + 3 * stride);
                if constexpr (requires { F::four(lane[0], *v0, *v1, *v2, *v3); }) {
                    for (int64_t k = 0; k < n; ++k) lane[k] = F::four(lane[k], v0[k], v1[k], v2[k], v3[k]);
                    continue;
                }
                for (int64_t k = 0; k < n; ++k) {
                    const L two = F::step(F::step(lane[k], v0[k], s), v1[k], s);
                    lane[k] = F::step(F::step(two, v2[k], s), v3[k], s);
                }
                if (F::kWidens && (since += 4) >= kRows) flush();
            }
        }
        for (; i < m; ++i, p += stride) {
            const T* v = typed<T>(p);
            for (int64_t k = 0; k < n; ++k) lane[k] = F::step(lane[k], v[k], s);
            if (F::kWidens && ++since >= kRows) flush();
        }
    }
};

template <class F, class T>
void fold(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end, Param s) {
    using A = typename F::A;
    using L = typename F::L;
    using Out = typename F::Out;
    s.power = plan.param;
    s.length = plan.length;
    Out* o = reinterpret_cast<Out*>(out);
    int64_t at[kMaxDims];
    // Folding slow dimensions while the fastest kept one is contiguous; of short windows of `unfold`, both are.
    const bool columns =
        plan.kept > 0 && plan.kept_stride[0] == int64_t(sizeof(T)) && plan.kept_size[0] >= 4 &&
        (plan.folded == 0 || plan.fold_stride[0] != int64_t(sizeof(T)) || (plan.folded == 1 && plan.length <= 32));
    const int64_t narrow = plan.kept ? plan.kept_size[0] : 0, apart = plan.kept ? plan.kept_stride[0] : 0;
    if (columns && plan.kept == 1 && plan.folded == 1 && begin == 0 && end == narrow && end <= 32 &&
        plan.fold_stride[0] == end * int64_t(sizeof(T)) && plan.fold_size[0] >= 64) {
        // Narrow rows, one behind the other: thirty-two of them are folded as one row.
        constexpr int kRows = 32;
        const int64_t whole = plan.fold_size[0] / kRows, wide = kRows * narrow;
        Columns<F, T> c(wide, s);
        c.rows(in, wide * int64_t(sizeof(T)), whole);
        c.flush();
        for (int64_t k = 0; k < narrow; ++k) {
            A acc = c.acc[k];
            for (int r = 1; r < kRows; ++r) acc = F::both(acc, c.acc[r * narrow + k]);
            L last = F::lane0();
            for (int64_t i = whole * kRows; i < plan.fold_size[0]; ++i)
                last = F::step(last, typed<T>(in + i * plan.fold_stride[0])[k], s);
            o[k] = F::finish(F::merge(acc, last), s);
        }
        return;
    }
    if (columns) {
        while (begin < end) {
            const char* p = kept_start(plan, in, begin, at);
            int64_t n = plan.kept_size[0] - at[0];
            if (n > end - begin) n = end - begin;
            if (n > Columns<F, T>::kMost) n = Columns<F, T>::kMost;
            Columns<F, T> c(n, s);
            each_strip(plan, p, [&](const char* q, int64_t stride, int64_t m) { c.rows(q, stride, m); });
            if (c.wide)
                for (int64_t k = 0; k < n; ++k) o[begin + k] = F::finish(F::merge(c.acc[k], c.lane[k]), s);
            else
                for (int64_t k = 0; k < n; ++k) o[begin + k] = F::finish(F::merge(F::start(), c.lane[k]), s);
            begin += n;
        }
        return;
    }
    const char* p = kept_start(plan, in, begin, at);
    const bool lines = plan.folded == 1 && plan.kept <= 1 && plan.fold_stride[0] == int64_t(sizeof(T));
    const int64_t length = plan.folded ? plan.fold_size[0] : 0;
    if constexpr (SumsRegisters<F, T>) {
        // Several rows at once: what their registers hold is added up together.
        constexpr int kRows = kLanes<double>;
        if (lines && length < 4096)  // beyond, sums leave the registers
            for (; begin + kRows <= end; begin += kRows) {
                D part[kRows];
                for (int r = 0; r < kRows; ++r, p += apart) {
                    Registers<T> sum;
                    F::run(sum, typed<T>(p), length);
                    part[r] = sum.together();
                }
                const D sums = join_rows(part, [](D a, D b) { return a + b; });
                for (int r = 0; r < kRows; ++r) o[begin + r] = sums[r];
            }
        if (begin == end) return;
        p = kept_start(plan, in, begin, at);
    }
    if constexpr (FoldsRows<F, T>) {
        // Each row in a register, then as many rows as that has lanes joined at once.
        using V = typename F::RowLanes;
        constexpr int kRows = int(sizeof(V) / sizeof(A)), kShort = sizeof(T) == 1 ? 16 : int(kWidth / sizeof(T));
        if (lines && length >= kShort && length < 1024)
            for (; begin + kRows <= end; begin += kRows) {
                V part[kRows];
                A result[kRows];
                bool known = true;
                for (int r = 0; r < kRows; ++r) part[r] = F::row(typed<T>(p + r * apart), length, s, known);
                store(result, join_rows<int(sizeof(A) / sizeof(part[0][0]))>(part, F::join_lanes));
                for (int r = 0; r < kRows; ++r, p += apart) {
                    if (!known) strip<F, T>(result[r] = F::start(), p, sizeof(T), length, s);
                    o[begin + r] = F::finish(result[r], s);
                }
            }
        if (begin == end) return;
        p = kept_start(plan, in, begin, at);
    }
    if (lines && length <= (requires { F::kOneByOne; } ? 64 : 32)) {  // short rows
        for (; begin < end; ++begin, p += apart) {
            const T* v = typed<T>(p);
            L lane = F::lane0();
            for (int64_t i = 0; i < length; ++i) lane = F::step(lane, v[i], s);
            o[begin] = F::finish(F::merge(F::start(), lane), s);
        }
        return;
    }
    for (; begin < end; ++begin) {
        A acc = F::start();
        if constexpr (SumsRegisters<F, T>) {
            Registers<T> sum;
            each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) {
                if (stride == int64_t(sizeof(T))) F::run(sum, typed<T>(q), n);
                else strip<F, T>(acc, q, stride, n, s);
            });
            acc += sum.leave();
        } else {
            each_strip(plan, p, [&](const char* q, int64_t stride, int64_t n) { strip<F, T>(acc, q, stride, n, s); });
        }
        o[begin] = F::finish(acc, s);
        kept_next(plan, p, at);
    }
}

// Entries of the table: a loop with its parameter.
template <class F, class T, uint64_t flip = 0, int sign = 1>
void folding(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end) {
    fold<F, T>(plan, in, out, begin, end, {0, flip, sign, 0});
}

}  // namespace fb::cpu::FB_ARCH
