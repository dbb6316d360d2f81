// Samplers that draw until they accept: Poisson, binomial, gamma, and multinomial by bisection, with
// PyTorch's CPU bits.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "cpu/random.h"

namespace fb::cpu {

// n elements each, all buffers contiguous and of type t; false if t is no floating type. Callers hold a
// GeneratorLock.
bool sample_poisson(void* out, const void* rate, DType t, int64_t n, Generator& g);
bool sample_binomial(void* out, const void* count, const void* prob, DType t, int64_t n, Generator& g);
bool sample_gamma(void* out, const void* alpha, DType t, int64_t n, Generator& g);
// Rows of `width` numbers that sum to one.
bool sample_dirichlet(void* out, const void* alpha, DType t, int64_t rows, int64_t width, Generator& g);

enum class MultinomialError { none, bad_probability, zero_sum };
// out: rows x samples indices into rows of `width` weights, drawn with replacement.
bool sample_multinomial(int64_t* out, const void* weights, DType t, int64_t rows, int64_t width, int64_t samples,
                        Generator& g, MultinomialError& error);

}  // namespace fb::cpu
