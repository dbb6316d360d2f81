// Discrete Fourier transforms of any length, in the precision of the data.
#pragma once
#include <memory>
#include <vector>
#include "base/dtype.h"
#include "cpu/fft_loops.h"

namespace fb::cpu {

// A transform of length n: mixed radix for small prime factors, Bluestein's chirp convolution for large ones
// (L. Bluestein, "A linear filtering approach to the computation of discrete Fourier transform", 1970). Lines of a
// multiple of 8 have vectors of neighbouring butterflies; of others, and of lines across memory, as many as a register
// has lanes run together. A long line is taken apart into rows and columns.
template <class T>
class Fft {
public:
    using C = Complex<T>;
    explicit Fft(int64_t n);
    static std::shared_ptr<const Fft> get(int64_t n);  // from a small cache
    static int64_t together() { return fft_loops<T>().lanes; }

    // out[l][k·out_step] = scale · sum_j in[l][j·in_step] exp(∓2πi jk / n) for `count` lines, at most together(); minus
    // sign for forward. A line may be transformed in place.
    void run(const C* const* in, int64_t in_step, C* const* out, int64_t out_step, int64_t count, bool forward,
             T scale) const;
    // Lines of 2 n real values, one behind the other, to and from the n + 1 values that say all about their transform.
    void run_real(const T* const* in, C* const* out, int64_t out_step, int64_t count, T scale) const;
    void run_to_real(const C* const* in, int64_t in_step, T* const* out, int64_t count, T scale) const;

private:
    class Work;
    Split<T> lanes(const Work& work) const;  // the transform of its first buffer; returns the one that has the result
    void convolve(const C* in, int64_t in_step, C* out, int64_t out_step, bool forward, T scale) const;
    void alone(const C* in, int64_t in_step, C* out, int64_t out_step, bool forward, T scale) const;

    int64_t n_;
    std::vector<FftStage<T>> stages_;
    FftLine<T> line_{};                   // of length 0 where lines have no passes of their own
    std::vector<std::vector<T>> tables_;  // what these point to
    std::vector<C> roots_;                // exp(-2πi k / 2n), k <= n, for real values
    std::shared_ptr<const Fft> inner_;    // Bluestein: the length that carries the convolution
    std::vector<C> chirp_, filter_;
    std::shared_ptr<const Fft> rows_, columns_;  // a long line as a matrix
    std::vector<C> turns_;                       // between the two
};

}  // namespace fb::cpu
