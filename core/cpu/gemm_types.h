// Products of doubles, integers and complex numbers by the own kernels; `gemm.h` is the interface.
#pragma once
#include "cpu/gemm.h"

namespace fb::cpu {

constexpr int64_t kFewIntegers = 64;  // multiplications: batches of so small products of integers go by plain loops

// False for types that it does not know. k is not zero.
bool gemm_lanes(DType type, int64_t batch, int64_t m, int64_t n, int64_t k, const Scalar& alpha, Matrix a, Matrix b,
                const Scalar& beta, void* c, int64_t ldc, BatchStrides step);

// One product of complex numbers, Complex<T>; k is not zero.
template <class T>
void gemm_complex(int64_t m, int64_t n, int64_t k, Complex<T> alpha, Matrix a, Matrix b, Complex<T> beta, Complex<T>* c,
                  int64_t ldc);

}  // namespace fb::cpu
