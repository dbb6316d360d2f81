// The passes of a Fourier transform, over several lines at once (one in each lane of a register) or along one line.
// Plain types only.
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

// Working memory has real and imaginary parts apart; complex numbers elsewhere are pairs of T.
template <class T>
struct Split {
    T *re, *im;
};

// What a transform along one line needs, whose vectors hold neighbouring butterflies: the first pass is of radix 8 and
// turns squares of values in registers, all others find at least 8 neighbours.
template <class T>
struct FftLine {
    int64_t n;
    const FftStage<T>* stages;
    int64_t count;
    const T* first;  // turns of the first pass: for 1 <= j < 8 the real parts of all q, then the imaginary parts
};

template <class T>
struct FftLoops {
    // Lines side by side: element i of lane l lies at i·lanes + l.
    int64_t lanes;
    Split<T> (*transform)(const FftStage<T>* stages, int64_t count, Split<T> a, Split<T> b);  // from a, to what it says
    // Element i of lane l is at from[l] + 2 i step; with `swap` real and imaginary parts change places (which turns a
    // forward transform into a backward one). Lanes that are not used are copies of the first.
    void (*load)(const T* const* from, int64_t step, int64_t used, int64_t n, bool swap, Split<T> to);
    // to[l] + 2 i step = scale · element · turn[i·turn_step + l], without `turn` just scaled
    void (*store)(Split<T> from, int64_t n, T* const* to, int64_t step, int64_t used, bool swap, T scale, const T* turn,
                  int64_t turn_step);
    // The transform of 2 h real values from that of h complex ones that hold them in pairs, and back; roots of 2 h.
    void (*to_half)(Split<T> z, const T* roots, int64_t h, Split<T> to);    // h values to h + 1
    void (*from_half)(Split<T> x, const T* roots, int64_t h, Split<T> to);  // h + 1 values to h

    // One line, with two buffers of n to work in.
    void (*line)(const FftLine<T>& plan, const T* in, T* out, bool swap, T scale, Split<T> a, Split<T> b);
    Split<T> (*line_split)(const FftLine<T>& plan, Split<T> a, Split<T> b);  // from a, to what it says
    void (*line_real)(const FftLine<T>& plan, const T* in, const T* roots, T* out, T scale, Split<T> a, Split<T> b);
    void (*line_to_real)(const FftLine<T>& plan, const T* in, const T* roots, T* out, T scale, Split<T> a, Split<T> b);
    void (*multiply)(Split<T> x, const T* by, int64_t n);  // a line by pairs, in place
};

template <class T>
const FftLoops<T>& fft_loops();  // for this CPU

}  // namespace fb::cpu
