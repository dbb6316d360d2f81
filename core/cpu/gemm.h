// Matrix products on pointers: C = alpha·A·B + beta·C for every element type.
#pragma once
#include "base/dtype.h"
#include "base/scalar.h"
#include "tensor/tensor.h"

namespace fb::cpu {

// A matrix anywhere in memory; strides in elements. Either stride may be one without a copy, others are packed first.
struct Matrix {
    const void* data;
    int64_t row, col;
    Matrix transposed() const { return {data, col, row}; }
};

// A is m×k, B is k×n, C is m×n with unit column stride and `ldc` between rows. With beta zero C is not read. A bias, n
// numbers, is added to every row in place of beta·C.
void gemm(DType type, int64_t m, int64_t n, int64_t k, Scalar alpha, Matrix a, Matrix b, Scalar beta, void* c,
          int64_t ldc, const void* bias = nullptr);

// x · Wᵀ + bias for answering again and again: W (n×k, float or bfloat16) stays packed. False where that gains nothing.
bool linear_packed(int64_t m, const void* x, const Tensor& w, const void* bias, void* c);

// The same for a caller who divides the rows himself: on this thread, x · Wᵀ + bias (+ c).
struct LinearRows {
    const float* panels;  // `packed_panels` of W
    const float* bias;
    int64_t in, out;
};
void linear_rows(int64_t m, const float* x, int64_t ldx, const LinearRows& w, bool add, float* c, int64_t ldc);
int64_t panel_floats(int64_t in, int64_t out);
void pack_rows(const float* w, int64_t ldw, int64_t in, int64_t out, float* panels);  // for that, W anywhere

// `batch` products; the strides between consecutive matrices are in elements and may be zero for A and B.
struct BatchStrides {
    int64_t a, b, c;
};
void batched_gemm(DType type, int64_t batch, int64_t m, int64_t n, int64_t k, Scalar alpha, Matrix a, Matrix b,
                  Scalar beta, void* c, int64_t ldc, BatchStrides step);

// The sum of products of two vectors; half types are added up in float.
void dot(DType type, int64_t n, const void* a, int64_t step_a, const void* b, int64_t step_b, void* result);

}  // namespace fb::cpu
