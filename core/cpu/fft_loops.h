// The passes of a Fourier transform over several lines at once, one line in each lane of a register. Plain types only.
#pragma once
#include <cstdint>

namespace fb::cpu {

// One pass of Stockham's algorithm (decimation in frequency, no bit reversal): m·s butterflies of p values each.
template <class T>
struct FftStage {
    int64_t p, m, s;
    const T* turns;  // exp(-2πi q j / (p m)) for q < m, 1 <= j < p, real and imaginary part in turn
    const T* roots;  // exp(-2πi k / p) for k < p, for the primes that have no code of their own
};

// Lines lie in a buffer as [n][2][lanes]: real and imaginary parts apart. Complex numbers elsewhere are pairs of T.
template <class T>
struct FftLoops {
    int64_t lanes;
    T* (*transform)(const FftStage<T>* stages, int64_t count, T* a, T* b);  // from a; returns where the result is
    // Element i of lane l is at from[l] + 2 i step; with `swap` real and imaginary parts change places (which turns a
    // forward transform into a backward one). Lanes that are not used are copies of the first.
    void (*load)(const T* const* from, int64_t step, int64_t used, int64_t n, bool swap, T* to);
    // to[l] + 2 i step = scale · element · turn[i·turn_step + l], without `turn` just scaled
    void (*store)(const T* from, int64_t n, T* const* to, int64_t step, int64_t used, bool swap, T scale, const T* turn,
                  int64_t turn_step);
    // to[i] = from[i] · by[i], each before and after the product conjugated where asked
    void (*multiply)(const T* from, const T* by, int64_t n, T* to, bool conj_from, bool conj_to);
    // The transform of 2 h real values from that of h complex ones that hold them in pairs, and back; roots of 2 h.
    void (*to_half)(const T* z, const T* roots, int64_t h, T* to);    // h values to h + 1
    void (*from_half)(const T* x, const T* roots, int64_t h, T* to);  // h + 1 values to h
};

template <class T>
const FftLoops<T>& fft_loops();  // for this CPU

}  // namespace fb::cpu
