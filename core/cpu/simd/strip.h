// Contiguous runs of floating point values folded in registers: eight of them side by side, so that no addition waits
// for the one before.
#pragma once
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

inline double total(D x) {
    double lane[kLanes<double>];
    store(lane, x);
    for (int w = kLanes<double> / 2; w >= 1; w /= 2)
        for (int k = 0; k < w; ++k) lane[k] += lane[k + w];
    return lane[0];
}
inline double total(F x) {
    const D2 wide = widen(x);
    return total(D(wide.lo + wide.hi));
}

// A register of the n < kRegister<T> values at p, zeros behind them.
template <class T>
inline Register<T> load_rest(const T* p, int64_t n) {
#if FB_AVX512
    if constexpr (sizeof(T) == 4) return F(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p));
    else if constexpr (sizeof(T) == 8) return D(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p));
#endif
    T rest[kRegister<T>] = {};
    __builtin_memcpy(rest, p, size_t(n) * sizeof(T));
    return load_register(rest);
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
            for (; i + kGroup <= now; i += kGroup)
                for (int k = 0; k < kTogether; ++k) sum[k] = value(sum[k], load_register(v + i + k * kStep));
            for (; i + kStep <= now; i += kStep)
                sum[i / kStep % kTogether] = value(sum[i / kStep % kTogether], load_register(v + i));
            if (i < now) sum[0] = value(sum[0], load_rest(v + i, now - i));
            v += now;
            n -= now;
            if ((room -= now) == 0) leave();
        }
    }
    void leave() {
        for (int w = kTogether / 2; w >= 1; w /= 2)
            for (int k = 0; k < w; ++k) sum[k] = sum[k] + sum[k + w];
        whole += total(sum[0]);
        for (V& s : sum) s = V{};
        room = 4096;
    }
};

// The largest (smallest) value(x) over whole registers, and whether there was a NaN; `i` moves on.
template <bool largest, class T, class Value>
inline Scalar<Register<T>> extreme_of_registers(const T* v, int64_t& i, int64_t n, Scalar<Register<T>> start, bool& nan,
                                                Value value) {
    using V = Register<T>;
    constexpr int kStep = kRegister<T>, kTogether = 4;
    const auto better = [](V best, V x) { return largest ? max(x, best) : min(x, best); };  // of NaN: the other
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
    for (Scalar<V> x : lane) start = (largest ? x > start : x < start) ? x : start;
    nan = nan || any(unordered);
    return start;
}

}  // namespace fb::cpu::FB_ARCH
