// What the factorizations and solvers share: checks, batches of column-major matrices, matrix formulas.
#pragma once
#include "autograd/back.h"
#include "cpu/matrices.h"

namespace fb::linear {
using namespace cpu;
using Int = int64_t;

inline void need_matrix(const Tensor& a, const char* name) {
    check(a.dim() >= 2, name, ": The input tensor A must have at least 2 dimensions.");
}
inline void need_floating(const Tensor& a, const char* name) {
    check(is_floating(a.dtype()) || is_complex(a.dtype()), name,
          ": Expected a floating point or complex tensor as input. Got ", a.dtype());
}
inline void need_square(const Tensor& a, const char* name) {
    need_matrix(a, name);
    check(a.size(-1) == a.size(-2), name, ": A must be batches of square matrices, but they are ", a.size(-2), " by ",
          a.size(-1), " matrices");
}
inline Dims batch_of(const Tensor& a, int inner = 2) { return Dims(IntSpan(a.sizes()).first(size_t(a.dim() - inner))); }
inline Dims with(Dims batch, std::initializer_list<int64_t> more) {
    for (int64_t m : more) batch.push_back(m);
    return batch;
}
inline Tensor matrices(const Dims& batch, int64_t m, int64_t n, DType t,
                       Device d) {  // column-major, as LAPACK's results are in PyTorch
    Tensor r = empty(with(batch, {n, m}), t, d);
    Dims sizes = with(batch, {m, n}), strides = r.strides();
    std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
    r->set_shape(sizes, strides);
    return r;
}
inline void parallel_matrices(int64_t count, int64_t cost, const std::function<void(int64_t)>& f) {
    parallel_for(count, std::max<int64_t>(1, 100000 / std::max<int64_t>(1, cost)), [&](int64_t b, int64_t e) {
        for (; b < e; ++b) f(b);
    });
}
// f(begin, end) of those that one thread does: they can share room
inline void parallel_runs(int64_t count, int64_t cost, const std::function<void(int64_t, int64_t)>& f) {
    parallel_for(count, std::max<int64_t>(1, 100000 / std::max<int64_t>(1, cost)),
                 [&](int64_t b, int64_t e) { f(b, e); });
}
inline void check_info(const Tensor& info, bool wanted, const char* name) {
    if (!wanted || info.is_meta()) return;
    for (int64_t i = 0; i < info.numel(); ++i)
        if (const int v = info.data<int32_t>()[i])
            fail(ErrorKind::Linalg, name, ": (Batch element ", i, "): LAPACK reported info = ", v);
}

// ---------------------------------------------------------------- building blocks of formulas
inline Tensor mH(const Tensor& t) {
    const Tensor x = op<"transpose">(t, -2, -1);
    return is_complex(t.dtype()) ? op<"conj_physical">(x) : x;
}
inline Tensor mm(const Tensor& a, const Tensor& b) { return op<"matmul">(a, b); }
inline Tensor add(const Tensor& a, const Tensor& b) { return a.defined() ? b.defined() ? op<"add">(a, b) : a : b; }
inline Tensor sub(const Tensor& a, const Tensor& b) { return op<"sub">(a, b); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return op<"mul">(a, b); }
inline Tensor half(const Tensor& a) { return op<"mul">(a, Scalar(0.5)); }
inline Tensor neg(const Tensor& a) { return op<"neg">(a); }
inline Tensor diagonal(const Tensor& a) { return op<"diagonal">(a, 0, -2, -1); }
inline Tensor diag_embed(const Tensor& v) {
    const int64_t n = v.size(-1);
    return mul(op<"unsqueeze">(v, -1), op<"eye">(n, to_real(v.dtype()), nullptr, v.device()));
}
inline Tensor real(const Tensor& t) { return is_complex(t.dtype()) ? op<"real">(t) : t; }
inline Tensor row(const Tensor& v) { return op<"unsqueeze">(v, -2); }
inline Tensor column(const Tensor& v) { return op<"unsqueeze">(v, -1); }
inline Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left = true, bool unit = false) {
    return op<"linalg::solve_triangular">(a, b, upper, left, unit);
}
// 1 / (x_j - x_i) off the diagonal, 0 on it.
inline Tensor inverse_gaps(const Tensor& x) {
    const Tensor gap = sub(row(x), column(x));
    const Tensor eye = op<"eye">(x.size(-1), DType::b1, nullptr, x.device());
    return op<"masked_fill">(op<"reciprocal">(op<"masked_fill">(gap, eye, Scalar(1))), eye, Scalar(0));
}

}  // namespace fb::linear
