// The inner loops of normalisations and softmax, for f32, f64, f16 and bf16; chosen for this CPU. Half types are
// computed in float.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

// "Run" kernels work on n neighbouring elements with one set of numbers. "Rows" kernels work on rows of `width`
// elements, neighbours belonging to different channels: every number is an array of `width`.
struct NormLoops {
    // out[0] += Σ(x - shift), out[1] += Σ(x - shift)²
    void (*sums)(const void* x, int64_t n, double shift, double* out);
    void (*sums_rows)(const void* x, int64_t rows, int64_t width, const double* shift, double* first, double* second);
    // out[0] += Σg, out[1] += Σ g·(x - mean)
    void (*dots)(const void* g, const void* x, int64_t n, double mean, double* out);
    void (*dots_rows)(const void* g, const void* x, int64_t rows, int64_t width, const double* mean, double* first,
                      double* second);
    // y = x·a + b
    void (*scale)(const void* x, void* y, int64_t n, double a, double b);
    void (*scale_rows)(const void* x, void* y, int64_t rows, int64_t width, const double* a, const double* b);
    // out = g·a + x·b + c
    void (*combine)(const void* g, const void* x, void* out, int64_t n, double a, double b, double c);
    void (*combine_rows)(const void* g, const void* x, void* out, int64_t rows, int64_t width, const double* a,
                         const double* b, const double* c);

    // One row of a layer norm: y = (x - mean)·rstd·w + b; w and b may be null.
    void (*normalize)(const void* x, void* y, int64_t n, double mean, double rstd, const void* w, const void* b);
    // With h = g·w and z = (x - mean)·rstd: out = Σh, Σh·z. Adds g·z to dw and g to db, where these are given (float or
    // double).
    void (*row_dots)(const void* g, const void* x, int64_t n, double mean, double rstd, const void* w, double* out,
                     void* dw, void* db);
    // out = (h - first - z·second)·rstd
    void (*row_gradient)(const void* g, const void* x, void* out, int64_t n, double mean, double rstd, const void* w,
                         double first, double second);

    // Softmax over n elements that are `inner` apart, for `inner` neighbours at a time; `outer` times.
    void (*softmax)(const void* x, void* y, int64_t outer, int64_t n, int64_t inner, bool log);
    void (*softmax_gradient)(const void* g, const void* y, void* out, int64_t outer, int64_t n, int64_t inner,
                             bool log);

    // out = e^y·times + plus over n elements that are `inner` apart; a factor and a summand for each of `inner`
    // neighbours; `outer` times.
    void (*exp_rows)(const void* y, void* out, const double* times, const double* plus, int64_t outer, int64_t n,
                     int64_t inner);

    double (*dot)(const void* a, const void* b, int64_t n);
    double (*row_max)(const void* x, int64_t n);
    double (*exp_row)(void* x, int64_t n, double shift);  // x = e^(x - shift); the sum of that
};

// Of a row, by sums of what is left when `shift`, one of its elements, is taken off.
struct Moments {
    double mean, rstd;
};
Moments moments(const NormLoops& loops, const void* row, int64_t n, double shift, double eps);

// Null for other types.
const NormLoops* norm_loops(DType t);
struct NormTable {
    NormLoops f32, f64, f16, bf16;
};

}  // namespace fb::cpu
