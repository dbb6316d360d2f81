// Gradients that store only some rows. A sparse tensor is a Python object whose memory is that of its values, so the
// Python layer says what is one, and makes and adds them.
#pragma once
#include "tensor/tensor.h"

namespace fb {

struct SparseGradients {
    bool (*is_sparse)(const TensorImpl&) = nullptr;
    Tensor (*make)(const Tensor& indices, const Tensor& values,
                   IntSpan sizes) = nullptr;                    // COO: (dimensions, n) and (n, …)
    Tensor (*add)(const Tensor& a, const Tensor& b) = nullptr;  // one of them may be dense
    // A tensor of a sparse layout that stores nothing; `what` is the operator that asks.
    Tensor (*blank)(const char* what, IntSpan sizes, DType, Layout, Device) = nullptr;
};
extern SparseGradients sparse_gradients;

inline bool is_sparse_gradient(const Tensor& t) {
    return t->object && sparse_gradients.is_sparse && sparse_gradients.is_sparse(*t.get());
}
// The gradient of a table of `rows` from that of the rows chosen by `indices`: `g` has one for each.
Tensor sparse_rows(const Tensor& indices, const Tensor& g, int64_t rows);

}  // namespace fb
