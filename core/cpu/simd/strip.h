// Contiguous runs of floating point values folded in registers: eight of them side by side, so that no addition waits
// for the one before.
#pragma once
#include <type_traits>
#include "cpu/simd/vec.h"

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
// Lane r: the total of the lanes of x[r].
inline D totals(const D* x) {
#if FB_AVX512
    D two[4], four[2];
    for (int k = 0; k < 4; ++k)
        two[k] = __builtin_shufflevector(x[2 * k], x[2 * k + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                 __builtin_shufflevector(x[2 * k], x[2 * k + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int k = 0; k < 2; ++k)
        four[k] = __builtin_shufflevector(two[2 * k], two[2 * k + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                  __builtin_shufflevector(two[2 * k], two[2 * k + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(four[0], four[1], 4, 5, 6, 7, 12, 13, 14, 15);
#elif FB_AVX2
    D two[2];
    for (int k = 0; k < 2; ++k)
        two[k] = __builtin_shufflevector(x[2 * k], x[2 * k + 1], 0, 4, 2, 6) +
                 __builtin_shufflevector(x[2 * k], x[2 * k + 1], 1, 5, 3, 7);
    return __builtin_shufflevector(two[0], two[1], 0, 1, 4, 5) + __builtin_shufflevector(two[0], two[1], 2, 3, 6, 7);
#else
    return __builtin_shufflevector(x[0], x[1], 0, 2) + __builtin_shufflevector(x[0], x[1], 1, 3);
#endif
}

// A register of the n < kRegister<T> values at p, zeros behind them.
template <class T>
inline Register<T> load_rest(const T* p, int64_t n) {
#if FB_AVX512
    if constexpr (sizeof(T) == 4) {
        return F(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p));
    } else if constexpr (sizeof(T) == 8) {
        return D(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p));
    } else {
        T rest[kRegister<T>];
        store(rest, _mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p));
        return load_register(rest);
    }
#else
    T rest[kRegister<T>] = {};
    __builtin_memcpy(rest, p, size_t(n) * sizeof(T));
    return load_register(rest);
#endif
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
            const V x = value(load_register(v + i + k * kStep)), y = value(load_register(v + i + (k + 1) * kStep));
#if FB_AVX512
            if constexpr (sizeof(Scalar<V>) == 4) {
                if (_mm512_cmp_ps_mask(__m512(x), __m512(y), _CMP_UNORD_Q)) nan = true;
            } else if (_mm512_cmp_pd_mask(__m512d(x), __m512d(y), _CMP_UNORD_Q)) nan = true;
#else
            unordered |= (x != x) | (y != y);
#endif
            best[k] = better(best[k], x);
            best[k + 1] = better(best[k + 1], y);
        }
    for (; i + kStep <= n; i += kStep) {
        const V x = value(load_register(v + i));
        unordered |= x != x;
        best[0] = better(best[0], x);
    }
    best[0] = better(better(best[0], best[1]), better(best[2], best[3]));
    Scalar<V> lane[kStep];
    store(lane, best[0]);
    for (Scalar<V> x : lane) start = x > start ? x : start;
    nan = nan || any(unordered);
    return start;
}

}  // namespace fb::cpu::FB_ARCH
