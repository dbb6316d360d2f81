// Random numbers into contiguous memory, in the order and with the bits of PyTorch's CPU kernels. A tensor
// that is not contiguous is filled in the order of its memory: see core/ops/random.cpp. Callers hold a
// GeneratorLock.
#pragma once
#include <cstdint>

#include "base/dtype.h"
#include "cpu/random.h"

namespace fb::cpu {

// Each takes n elements of type t at out, and returns false if it has no kernel for t.
bool fill_uniform(void* out, DType t, int64_t n, double from, double to, Generator& g);
// `contiguous` is whether the tensor was: PyTorch draws differently (a block of 16 at a time) for contiguous
// tensors of 16 and more.
bool fill_normal(void* out, DType t, int64_t n, double mean, double std, bool contiguous, Generator& g);
bool fill_exponential(void* out, DType t, int64_t n, double lambda, Generator& g);
bool fill_cauchy(void* out, DType t, int64_t n, double median, double sigma, Generator& g);
bool fill_log_normal(void* out, DType t, int64_t n, double mean, double std, Generator& g);
bool fill_geometric(void* out, DType t, int64_t n, double p, Generator& g);
bool fill_bernoulli(void* out, DType t, int64_t n, double p, Generator& g);
bool fill_bernoulli(void* out, DType t, int64_t n, const void* p, DType pt, Generator& g);

bool fill_integers(void* out, DType t, int64_t n, uint64_t range, int64_t base,
                   Generator& g);                                       // [base, base + range)
bool fill_integers_64bit(void* out, DType t, int64_t n, Generator& g);  // all of int64
bool fill_integers(void* out, DType t, int64_t n,
                   Generator& g);  // every number of t, or every integer a float type counts exactly
bool fill_permutation(void* out, DType t, int64_t n, Generator& g);

// The noise of rrelu: where x <= 0 a slope from [lower, upper), elsewhere 1.
bool fill_slopes(void* out, const void* x, DType t, int64_t n, double lower, double upper, Generator& g);

}  // namespace fb::cpu
