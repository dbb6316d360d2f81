// Discrete Fourier transforms of any length, in the precision of the data.
#pragma once
#include <memory>
#include <vector>
#include "base/dtype.h"

namespace fb::cpu {

// A transform of length n: mixed radix for small prime factors, Bluestein's chirp convolution for large ones
// (L. Bluestein, "A linear filtering approach to the computation of discrete Fourier transform", 1970).
template <class T>
class Fft {
public:
    explicit Fft(int64_t n);
    // out[k] = sum_j in[j] exp(∓2πi jk / n), minus sign for forward; out and in must not overlap. Not scaled.
    void run(const Complex<T>* in, Complex<T>* out, bool forward) const;
    static std::shared_ptr<const Fft> get(int64_t n);  // from a small cache

private:
    void pass(const Complex<T>* in, Complex<T>* out, int64_t n, int64_t stride, size_t factor, bool forward) const;
    void chirp(const Complex<T>* in, Complex<T>* out, bool forward) const;
    int64_t n_;
    std::vector<int64_t> factors_;
    std::vector<Complex<T>> roots_;     // exp(-2πi k / n)
    std::shared_ptr<const Fft> inner_;  // Bluestein: the power of two that carries the convolution
    std::vector<Complex<T>> chirp_, filter_;
};

}  // namespace fb::cpu
