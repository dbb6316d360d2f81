// Contiguous runs of floating point values folded in registers: eight of them side by side, so that no addition waits
// for the one before.
#pragma once
#include <type_traits>
#include <utility>
#include "cpu/simd/part.h"

namespace fb::cpu::FB_ARCH {

// How the element types of tensors are read into registers.
template <class T>
struct Lanes;
template <>
struct Lanes<float> {
    using Memory = float;
};
template <>
struct Lanes<double> {
    using Memory = double;
};
template <>
struct Lanes<F16> {
    using Memory = Half;
};
template <>
struct Lanes<BF16> {
    using Memory = BHalf;
};
template <class T>
using Register = decltype(load_as(static_cast<const typename Lanes<T>::Memory*>(nullptr)));
template <class T>
inline constexpr int kRegister = kLanes<Scalar<Register<T>>>;
template <class T>
inline Register<T> load_register(const T* p) {
    return load_as(reinterpret_cast<const typename Lanes<T>::Memory*>(p));
}

template <int bytes>
inline double lanes_total(typename VecOf<double, bytes>::type x) {
    if constexpr (bytes == 16) {
        return x[0] + x[1];
    } else {
        typename VecOf<double, bytes / 2>::type half[2];
        __builtin_memcpy(half, &x, sizeof x);
        return lanes_total<bytes / 2>(half[0] + half[1]);
    }
}
inline D narrowed(D x) { return x; }
inline D narrowed(F x) {  // the lanes of a float register, two by two
    const D2 wide = widen(x);
    return wide.lo + wide.hi;
}
// Lanes of two registers, joined in pairs that are d apart: where a lane's number has the bit d from b, else from a.
template <int d, class V, class Join, int... lane>
inline V join_pairs(V a, V b, Join join, std::integer_sequence<int, lane...>) {
    constexpr int n = sizeof...(lane);
    return join(__builtin_shufflevector(a, b, (lane & d ? n + lane - d : lane)...),
                __builtin_shufflevector(a, b, (lane & d ? n + lane : lane + d)...));
}
// Lane r: the lanes of x[r] joined. With d = 2 two neighbours each stay apart.
template <int d = 1, class V, class Join>
inline V join_rows(V* x, Join join) {
    constexpr int n = sizeof(V) / sizeof(x[0][0]);
    if constexpr (d == n) {
        return x[0];
    } else {
        for (int k = 0; k < n / (2 * d); ++k)
            x[k] = join_pairs<d>(x[2 * k], x[2 * k + 1], join, std::make_integer_sequence<int, n>());
        return join_rows<2 * d>(x, join);
    }
}

// A register of the n < kRegister<T> values at p, zeros behind them.
template <class T>
inline Register<T> load_rest(const T* p, int64_t n) {
    return load_first(reinterpret_cast<const typename Lanes<T>::Memory*>(p), n);
}

// Sums over any number of runs. Float sums leave the registers for a double now and then.
template <class T>
struct Registers {
    using V = Register<T>;
    static constexpr int kTogether = 8;
    V sum[kTogether] = {};
    int64_t room = 4096;
    double whole = 0;

    template <class Value>
    void add(const T* v, int64_t n, Value value) {
        constexpr int kStep = kRegister<T>, kGroup = kStep * kTogether;
        while (n > 0) {
            const int64_t now = n < room ? n : room;
            int64_t i = 0;
            for (; i + kGroup <= now; i += kGroup) {
                if constexpr (std::is_same_v<T, BF16>) {
#pragma GCC unroll 4
                    for (int k = 0; k < kTogether; k += 2) {
                        const F2 x = load_pair(v + i + k * kStep);
                        sum[k] = value(sum[k], x.even);
                        sum[k + 1] = value(sum[k + 1], x.odd);
                    }
                } else {
#pragma GCC unroll 8
                    for (int k = 0; k < kTogether; ++k) sum[k] = value(sum[k], load_register(v + i + k * kStep));
                }
            }
            // A register known when this is compiled: an index would keep all of them in memory.
#pragma GCC unroll 7
            for (int k = 0; k < kTogether - 1; ++k) {
                if (i + kStep > now) break;
                sum[k] = value(sum[k], load_register(v + i));
                i += kStep;
            }
            if (i < now) sum[kTogether - 1] = value(sum[kTogether - 1], load_rest(v + i, now - i));
            v += now;
            n -= now;
            if ((room -= now) == 0) leave();
        }
    }
    D together() {  // what the registers hold, in lanes
        return narrowed(V(((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]))));
    }
    double leave() {
        whole += lanes_total<kWidth>(together());
#pragma GCC unroll 8
        for (int k = 0; k < kTogether; ++k) sum[k] = V{};
        room = 4096;
        return whole;
    }
};

// Whether x or y has a NaN.
template <class V>
inline bool has_nan(V x, V y) {
#if FB_AVX512
    if constexpr (sizeof(Scalar<V>) == 4) return _mm512_cmp_ps_mask(__m512(x), __m512(y), _CMP_UNORD_Q);
    else return _mm512_cmp_pd_mask(__m512d(x), __m512d(y), _CMP_UNORD_Q);
#else
    return any((x != x) | (y != y));
#endif
}

// The largest value(x) over whole registers, and whether there was a NaN; `i` moves on.
template <class T, class Value>
inline Scalar<Register<T>> extreme_of_registers(const T* v, int64_t& i, int64_t n, Scalar<Register<T>> start, bool& nan,
                                                Value value) {
    using V = Register<T>;
    constexpr int kStep = kRegister<T>, kTogether = 4;
    const auto better = [](V best, V x) { return max(x, best); };  // of NaN: the other
    V best[kTogether];
    for (V& b : best) b = splat<V>(start);
    Bits<V> unordered = {};
    for (; i + kTogether * kStep <= n; i += kTogether * kStep)
        for (int k = 0; k < kTogether; k += 2) {
            V x, y;
            if constexpr (std::is_same_v<T, BF16>) {
                const F2 pair = load_pair(v + i + k * kStep);
                x = value(pair.even);
                y = value(pair.odd);
            } else {
                x = value(load_register(v + i + k * kStep));
                y = value(load_register(v + i + (k + 1) * kStep));
            }
#if FB_AVX512
            if constexpr (sizeof(Scalar<V>) == 4) {
                if (_mm512_cmp_ps_mask(__m512(x), __m512(y), _CMP_UNORD_Q)) nan = true;
            } else if (_mm512_cmp_pd_mask(__m512d(x), __m512d(y), _CMP_UNORD_Q)) nan = true;
#elif FB_AVX2
            if constexpr (sizeof(Scalar<V>) == 4)
                unordered |= Bits<V>(_mm256_cmp_ps(__m256(x), __m256(y), _CMP_UNORD_Q));
            else unordered |= Bits<V>(_mm256_cmp_pd(__m256d(x), __m256d(y), _CMP_UNORD_Q));
#else
            unordered |= (x != x) | (y != y);
#endif
            best[k] = better(best[k], x);
            best[k + 1] = better(best[k + 1], y);
        }
    const auto one = [&](V& to, int64_t at) {
        const V x = value(load_register(v + at));
        unordered |= x != x;
        to = better(to, x);
    };
    for (; i + kStep <= n; i += kStep) one(best[0], i);
    if (i < n && n >= kStep) {  // some of them again
        one(best[1], n - kStep);
        i = n;
    }
    best[0] = better(better(best[0], best[1]), better(best[2], best[3]));
    Scalar<V> lane[kStep];
    store(lane, best[0]);
    for (int half = kStep / 2; half; half /= 2)
        for (int k = 0; k < half; ++k) lane[k] = lane[k + half] > lane[k] ? lane[k + half] : lane[k];
    start = lane[0] > start ? lane[0] : start;
    nan = nan || any(unordered);
    return start;
}

}  // namespace fb::cpu::FB_ARCH
