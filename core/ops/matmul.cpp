// Products of matrices and vectors.
#include "autograd/back.h"
#include "base/names.h"
#include "ops/fits.h"
#include "ops/formula.h"
#include "cpu/gemm.h"
#include "cpu/iter.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

// ---------------------------------------------------------------- helpers
using formula::conj;
Tensor adjoint(const Tensor& t) { return conj(op<"transpose">(t, -2, -1)); }
Tensor scaled(const Tensor& t, const Scalar& s) {
    return s.equals(1) ? t : op<"mul">(t, is_complex(t.dtype()) ? conj(s) : Scalar(s.real()));
}
bool column_major(const Tensor& t) {
    const int64_t d = t.dim();
    return t.strides()[size_t(d - 2)] == 1 &&
           t.strides()[size_t(d - 1)] >= std::max<int64_t>(1, t.sizes()[size_t(d - 2)]) && !t->contiguous;
}

// What `s` is for elements of the type.
Scalar factor(const Scalar& s, DType t) {
    check_fits(s, t);
    return s.is_complex() && !is_complex(t) ? Scalar(s.real()) : s;
}
// Products of matrices take both in the type they are computed in.
void check_factors(Scalar& beta, Scalar& alpha, DType t) {
    const DType computed = is_low_precision(t) ? DType::f32 : t;
    beta = factor(beta, computed);
    alpha = factor(alpha, computed);
}
void no_bool(DType t, const char* kernel) {
    if (t == DType::b1) fail(ErrorKind::NotImplemented, "\"", kernel, "\" not implemented for 'Bool'");
}

Matrix matrix(const Tensor& t) {
    return {t.data(), t.strides()[size_t(t.dim() - 2)], t.strides()[size_t(t.dim() - 1)]};
}

// Where the product is written: the given tensor if it is contiguous and no operand, else a fresh one (copied over
// afterwards).
Tensor target(const Out& out, IntSpan sizes, const Tensor& like, std::initializer_list<const Tensor*> operands) {
    if (out.inplace())
        check(same((*out.given()).sizes(), sizes), "Bad in-place call: input tensor size ", (*out.given()).sizes(),
              " and output tensor size ", sizes, " should match");
    const Tensor r = out.result(sizes, like.dtype(), like.device());
    bool direct = r.is_contiguous();
    for (const Tensor* t : operands) direct = direct && r->storage != (*t)->storage;
    return direct ? r : empty(sizes, like.dtype(), like.device());
}

// r = the addend, broadcast, so that a product can be added to it. Nothing to do when it is that tensor already.
void start_with(const Tensor& r, const Tensor& self, const Scalar& beta) {
    if (beta.is_zero() || r.get() == self.get()) return;
    copy_data(r, self);
}
void check_expand(const Tensor& self, IntSpan sizes) {
    if (!same(self.sizes(), sizes)) op<"expand">(self, sizes);
}

// ---------------------------------------------------------------- matrix and matrix
Tensor mm(const Tensor& a, const Tensor& b, Out out) {
    check(a.dim() == 2, "self must be a matrix");
    check(b.dim() == 2, "mat2 must be a matrix");
    const int64_t m = a.sizes()[0], k = a.sizes()[1], n = b.sizes()[1];
    check(k == b.sizes()[0], "mat1 and mat2 shapes cannot be multiplied (", m, "x", k, " and ", b.sizes()[0], "x", n,
          ")");
    check(a.dtype() == b.dtype(), "expected m1 and m2 to have the same dtype, but got: ", cpp_name(a.dtype()),
          " != ", cpp_name(b.dtype()));
    const int64_t sizes[] = {m, n};
    const Tensor r = target(out, sizes, a, {&a, &b});
    if (r.is_meta()) return r;
    if (m * n * k == 0) {  // nothing to multiply: any type will do
        fill(r, 0);
        return r;
    }
    no_bool(a.dtype(), "addmm_impl_cpu_");
    gemm(a.dtype(), m, n, k, 1, matrix(a), matrix(b), 0, r.data(), n);
    return r;
}

Tensor addmm(const Tensor& self, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, Out out) {
    check(a.dim() == 2, "mat1 must be a matrix, got ", a.dim(), "-D tensor");
    check(b.dim() == 2, "mat2 must be a matrix, got ", b.dim(), "-D tensor");
    const int64_t m = a.sizes()[0], k = a.sizes()[1], n = b.sizes()[1];
    check(k == b.sizes()[0], "mat1 and mat2 shapes cannot be multiplied (", m, "x", k, " and ", b.sizes()[0], "x", n,
          ")");
    const int64_t sizes[] = {m, n};
    check_expand(self, sizes);
    check(self.dtype() == b.dtype(), "self and mat2 must have the same dtype, but got ", self.dtype(), " and ",
          b.dtype());
    check(a.dtype() == b.dtype(), "mat1 and mat2 must have the same dtype, but got ", a.dtype(), " and ", b.dtype());
    check_factors(beta, alpha, a.dtype());
    const Tensor r = target(out, sizes, a, {&a, &b});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "addmm_impl_cpu_");
    if (beta.equals(1) && self.numel() == n && self.dim() > 0 && self.sizes().back() == n &&
        self.is_contiguous()) {  // a bias: one row for all
        gemm(a.dtype(), m, n, k, alpha, matrix(a), matrix(b), 0, r.data(), n, self.data());
        return r;
    }
    start_with(r, self, beta);
    gemm(a.dtype(), m, n, k, alpha, matrix(a), matrix(b), beta, r.data(), n);
    return r;
}

// The gradient of a factor has the memory order of that factor, so that it can be added to `.grad` without a copy.
Tensor grad_left(const Tensor& g, const Tensor& a, const Tensor& b, const Scalar& alpha) {
    if (column_major(a)) return scaled(op<"t">(op<"mm">(conj(b), op<"t">(g))), alpha);
    return scaled(op<"mm">(g, adjoint(b)), alpha);
}
Tensor grad_right(const Tensor& g, const Tensor& a, const Tensor& b, const Scalar& alpha) {
    if (column_major(b)) return scaled(op<"t">(op<"mm">(op<"t">(g), conj(a))), alpha);
    return scaled(op<"mm">(adjoint(a), g), alpha);
}

// ---------------------------------------------------------------- batches
void check_batches(const Tensor& a, const Tensor& b) {
    check(a.dim() == 3, "batch1 must be a 3D tensor");
    check(b.dim() == 3, "batch2 must be a 3D tensor");
    const auto &x = a.sizes(), &y = b.sizes();
    check(x[0] == y[0] && x[2] == y[1], "Expected size for first two dimensions of batch2 tensor to be: [", x[0], ", ",
          x[2], "] but got: [", y[0], ", ", y[1], "].");
    check(a.dtype() == b.dtype(), "expected scalar type ", a.dtype(), " but found ", b.dtype());
}
void run_batches(const Tensor& r, const Tensor& a, const Tensor& b, const Scalar& beta, const Scalar& alpha) {
    const auto &x = a.sizes(), &y = b.sizes();
    batched_gemm(a.dtype(), x[0], x[1], y[2], x[2], alpha, matrix(a), matrix(b), beta, r.data(), y[2],
                 {a.strides()[0], b.strides()[0], x[1] * y[2]});
}
Tensor bmm(const Tensor& a, const Tensor& b, Out out) {
    check_batches(a, b);
    const int64_t sizes[] = {a.sizes()[0], a.sizes()[1], b.sizes()[2]};
    const Tensor r = target(out, sizes, a, {&a, &b});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "bmm");
    run_batches(r, a, b, 0, 1);
    return r;
}
Tensor baddbmm(const Tensor& self, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, Out out) {
    const int64_t seen[] = {a.size(0), a.size(1), b.size(2)};  // PyTorch asks for these before the ranks
    (void)seen;
    check_batches(a, b);
    const int64_t sizes[] = {a.sizes()[0], a.sizes()[1], b.sizes()[2]};
    check_expand(self, sizes);
    check(self.dtype() == a.dtype(), "Input dtypes must be the same, got: input ", cpp_name(self.dtype()),
          ", batch1: ", cpp_name(a.dtype()), ", batch2: ", cpp_name(b.dtype()));
    check_factors(beta, alpha, a.dtype());
    const Tensor r = target(out, sizes, a, {&a, &b});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "baddbmm");
    start_with(r, self, beta);
    run_batches(r, a, b, beta, alpha);
    return r;
}
Tensor addbmm(const Tensor& self, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, Out out) {
    const int64_t seen[] = {a.size(1), b.size(2)};
    (void)seen;
    check(a.dim() == 3, "batch1 must be a 3D tensor");
    check(b.dim() == 3, "batch2 must be a 3D tensor");
    const auto &x = a.sizes(), &y = b.sizes();
    check(x[0] == y[0], "batch1 and batch2 must have same number of batches, got ", x[0], " and ", y[0]);
    check(x[2] == y[1], "Incompatible matrix sizes for bmm (", x[1], "x", x[2], " and ", y[1], "x", y[2], ")");
    check(self.dtype() == b.dtype(), "self and mat2 must have the same dtype, but got ", self.dtype(), " and ",
          b.dtype());
    check(a.dtype() == b.dtype(), "mat1 and mat2 must have the same dtype, but got ", a.dtype(), " and ", b.dtype());
    check_factors(beta, alpha, a.dtype());
    const int64_t m = x[1], n = y[2], k = x[2], sizes[] = {m, n};
    check_expand(self, sizes);
    const bool grows = out.inplace() && !same(self.sizes(), sizes);  // the one in-place form that may take a new shape
    const Tensor r = target(grows ? Out() : out, sizes, a, {&a, &b});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "addmm_impl_cpu_");
    start_with(r, self, beta);
    if (x[0] == 0) gemm(a.dtype(), m, n, 0, alpha, matrix(a), matrix(b), beta, r.data(), n);
    const int64_t size = int64_t(itemsize(a.dtype()));
    for (int64_t i = 0; i < x[0]; ++i) {
        const Matrix ma = matrix(a), mb = matrix(b);
        gemm(a.dtype(), m, n, k, alpha, {static_cast<const char*>(ma.data) + i * a.strides()[0] * size, ma.row, ma.col},
             {static_cast<const char*>(mb.data) + i * b.strides()[0] * size, mb.row, mb.col}, i == 0 ? beta : Scalar(1),
             r.data(), n);
    }
    if (!grows) return r;
    const Tensor& to = *out.given();
    const size_t bytes = size_t(storage_size(sizes, contiguous_strides(sizes), to->offset)) * itemsize(r.dtype());
    if (bytes > to->storage->nbytes()) to->storage->resize(bytes);
    to->set_contiguous(sizes);
    copy_data(to, r);
    return to;
}

// ---------------------------------------------------------------- vectors
void run_mv(const Tensor& r, const Tensor& a, const Tensor& v, const Scalar& beta, const Scalar& alpha) {
    gemm(a.dtype(), a.sizes()[0], 1, a.sizes()[1], alpha, matrix(a), {v.data(), v.strides()[0], 1}, beta, r.data(), 1);
}
void check_mv(const Tensor& self, const Tensor& a, const Tensor& v, int64_t self_dim, int64_t self_size) {
    check(a.dim() == 2 && v.dim() == 1 && self_dim <= 1, "vector + matrix @ vector expected, got ", self_dim, ", ",
          a.dim(), ", ", v.dim());
    const int64_t m = a.sizes()[0], k = a.sizes()[1];
    check(k == v.sizes()[0] && (self_size == m || self_size == 1), "size mismatch, got input (", self_size, "), mat (",
          m, "x", k, "), vec (", v.sizes()[0], ")");
    check(a.dtype() == v.dtype() && self.dtype() == v.dtype(), "addmv input tensors must have the same dtype, but got ",
          self.dtype(), ", ", a.dtype(), ", and ", v.dtype());
}
Tensor mv(const Tensor& a, const Tensor& v, Out out) {
    check_mv(v, a, v, 1, a.dim() > 0 ? a.sizes()[0] : 1);
    const int64_t sizes[] = {a.sizes()[0]};
    const Tensor r = target(out, sizes, a, {&a, &v});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "addmv_impl_cpu");
    run_mv(r, a, v, 0, 1);
    return r;
}
Tensor addmv(const Tensor& self, const Tensor& a, const Tensor& v, Scalar beta, Scalar alpha, Out out) {
    check_mv(self, a, v, self.dim(), self.numel());
    beta = factor(beta, a.dtype());
    alpha = factor(alpha, a.dtype());
    const int64_t sizes[] = {a.sizes()[0]};
    const Tensor r = target(out, sizes, a, {&a, &v});
    if (r.is_meta()) return r;
    no_bool(a.dtype(), "addmv_impl_cpu");
    start_with(r, self, beta);
    run_mv(r, a, v, beta, alpha);
    return r;
}
void check_dot(const Tensor& a, const Tensor& b, const char* name) {
    check(a.dim() == 1 && b.dim() == 1, "1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
    check(a.dtype() == b.dtype(), name, " : expected both vectors to have same dtype, but found ", a.dtype(), " and ",
          b.dtype());
    check(a.numel() == b.numel(), "inconsistent tensor size, expected tensor [", a.numel(), "] and src [", b.numel(),
          "] to have the same number of elements, but got ", a.numel(), " and ", b.numel(), " elements respectively");
}
Tensor dot(const Tensor& a, const Tensor& b, Out out) {
    check_dot(a, b, "dot");
    const Tensor r = target(out, {}, a, {&a, &b});
    if (!r.is_meta()) cpu::dot(a.dtype(), a.numel(), a.data(), a.strides()[0], b.data(), b.strides()[0], r.data());
    return r;
}
Tensor vdot(const Tensor& a, const Tensor& b, Out out) {
    check_dot(a, b, "vdot");
    return dot(conj(a), b, out);
}

Tensor addr(const Tensor& self, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, Out out) {
    check(a.dim() == 1, "addr: Expected 1-D argument vec1, but got ", a.dim(), "-D");
    check(b.dim() == 1, "addr: Expected 1-D argument vec2, but got ", b.dim(), "-D");
    const int64_t sizes[] = {a.sizes()[0], b.sizes()[0]};
    check_expand(self, sizes);
    if (out.inplace()) {
        check(self.dim() == 2, "2D tensor expected, got ", self.dim(), "D tensor for input");
        check(same(self.sizes(), sizes), "size mismatch, input: ", self.sizes(), ", v1: ", a.sizes(),
              ", v2: ", b.sizes());
    }
    const Operand all[] = {self, a, b};
    const DType t = result_type(all);
    for (const auto& [s, what] : {std::pair{&beta, "beta"}, std::pair{&alpha, "alpha"}}) {
        check(s->kind != Scalar::Kind::Bool || t == DType::b1, "Boolean ", what,
              " only supported for Boolean results.");
        check(!is_integral(t, true) || s->is_integral(), "For integral input tensors, argument ", what,
              " must not be a floating point number.");
        *s = factor(*s, t);
    }
    if (is_floating(t) && self.dtype() == t && a.dtype() == t && b.dtype() == t && beta.equals(1))
        return op<"addcmul">(op<"expand">(self, IntSpan(sizes)), op<"unsqueeze">(a, 1), b, alpha);  // in one pass
    const Tensor product = op<"mul">(op<"unsqueeze">(a, 1), b);
    const bool logical = t == DType::b1;
    const auto times = [&](const Tensor& x, const Scalar& s) {
        return s.equals(1) ? x : logical ? op<"logical_and">(x, scalar_tensor(s, t)) : op<"mul">(x, s);
    };
    const Tensor p = times(product, alpha);
    if (beta.is_zero()) return p.to(t);
    return logical ? op<"logical_or">(times(op<"expand">(self, IntSpan(sizes)), beta), p)
                   : op<"add">(times(self, beta), p);
}
Tensor outer(const Tensor& a, const Tensor& b) {
    check(a.dim() == 1, "outer: Expected 1-D argument self, but got ", a.dim(), "-D");
    check(b.dim() == 1, "outer: Expected 1-D argument vec2, but got ", b.dim(), "-D");
    return op<"mul">(op<"unsqueeze">(a, 1), b);
}
// Every element of the first times the whole second. x0 1 x1 1 … times 1 y0 1 y1 …: the product lies in the order of
// the result.
Tensor kron(const Tensor& a, const Tensor& b) {
    Dims left, right, shape;
    for (int64_t n = std::max(a.dim(), b.dim()), d = 0; d < n; ++d) {
        const auto size = [&](const Tensor& t) {
            const int64_t at = d - (n - t.dim());
            return at < 0 ? 1 : t.sizes()[size_t(at)];
        };
        left.push_back(size(a)), left.push_back(1);
        right.push_back(1), right.push_back(size(b));
        shape.push_back(size(a) * size(b));
    }
    const Tensor x = op<"reshape">(a, left), y = op<"reshape">(b, right);
    // Short rows are written out as long as the result's first: few long lines instead of many short ones.
    const size_t n = shape.size();
    if (n < 2 || right[2 * n - 1] >= 256 || left[2 * n - 2] == 1 || shape[n - 2] < 16 || shape[n - 1] > 16384)
        return op<"reshape">(op<"mul">(x, y), shape);
    const auto long_rows = [n](const Tensor& t, const Dims& sizes, const Dims& others) {
        Dims wide = sizes, joined = sizes;
        wide[2 * n - 2] = std::max(sizes[2 * n - 2], others[2 * n - 2]);
        wide[2 * n - 1] = std::max(sizes[2 * n - 1], others[2 * n - 1]);
        joined.pop_back();
        joined.back() = wide[2 * n - 2] * wide[2 * n - 1];
        return op<"reshape">(op<"expand">(t, IntSpan(wide)), joined);
    };
    return op<"reshape">(op<"mul">(long_rows(x, left, right), long_rows(y, right, left)), shape);
}
Tensor cross(const Tensor& a, const Tensor& b, int64_t dim, Out out) {
    check(a.dim() == b.dim(), "linalg.cross: inputs must have the same number of dimensions.");
    const int64_t given = dim;
    dim = wrap_dim(dim, a.dim(), false);
    check(a.size(dim) == 3 && b.size(dim) == 3, "linalg.cross: inputs dimension ", given, " must have length 3. Got ",
          a.size(dim), " and ", b.size(dim));
    const Dims shape = broadcast_shapes(a.sizes(), b.sizes());
    no_bool(a.dtype(), "cross");
    check(a.dtype() == b.dtype(), "expected scalar type ", a.dtype(), " but found ", b.dtype());
    const Tensor r = out.result(shape, a.dtype(), a.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor x = op<"expand">(a, shape), y = op<"expand">(b, shape);
    const Dims sr = byte_strides(r), sx = byte_strides(x), sy = byte_strides(y);
    const size_t d = size_t(dim);
    visit_dtype(r.dtype(), [&]<class T>(T) {
        if constexpr (!std::is_same_v<T, bool>)
            each_line<3>(shape, dim, {bytes(r), bytes(x), bytes(y)}, {sr, sx, sy}, [&](const auto& p) {
                T u[3], v[3];
                for (int64_t i = 0; i < 3; ++i) {  // all is read before anything is written: `out` may be an input
                    u[i] = *reinterpret_cast<const T*>(p[1] + i * sx[d]);
                    v[i] = *reinterpret_cast<const T*>(p[2] + i * sy[d]);
                }
                for (int64_t i = 0; i < 3; ++i) {
                    const int64_t j = i == 2 ? 0 : i + 1, k = 3 - i - j;
                    *reinterpret_cast<T*>(p[0] + i * sr[d]) = T(T(u[j] * v[k]) - T(u[k] * v[j]));
                }
            });
    });
    return r;
}
Tensor inner(const Tensor& a, const Tensor& b) {
    if (a.dim() == 0 || b.dim() == 0) return op<"mul">(a, b);
    check(a.sizes().back() == b.sizes().back(),
          "inner() the last dimension must match on both input tensors but got shapes ", a.sizes(), " and ", b.sizes());
    Dims sizes(IntSpan(a.sizes()).first(size_t(a.dim() - 1)));
    for (size_t i = 0; i + 1 < b.sizes().size(); ++i) sizes.push_back(b.sizes()[i]);
    const int64_t k = a.sizes().back(), flat_a[] = {a.numel() / std::max<int64_t>(1, k), k},
                  flat_b[] = {b.numel() / std::max<int64_t>(1, k), k};
    if (k == 0) return op<"zeros">(sizes, a.dtype());
    if (a.numel() == k && b.numel() == k)  // `dot` as in PyTorch: autocast leaves it alone, unlike `mm`
        return op<"view">(op<"dot">(op<"reshape">(a, IntSpan(flat_a + 1, 1)), op<"reshape">(b, IntSpan(flat_b + 1, 1))),
                          sizes);
    return op<"view">(op<"mm">(op<"reshape">(a, IntSpan(flat_a)), op<"t">(op<"reshape">(b, IntSpan(flat_b)))), sizes);
}

// ---------------------------------------------------------------- any ranks
Tensor matmul(const Tensor& a, const Tensor& b) {
    const int64_t da = a.dim(), db = b.dim();
    check(da > 0 && db > 0, "both arguments to matmul need to be at least 1D, but they are ", da, "D and ", db, "D");
    if (da == 1 && db == 1) return op<"dot">(a, b);
    if (da == 2 && db == 1) return op<"mv">(a, b);
    if (da == 2 && db == 2) return op<"mm">(a, b);
    if (da == 1 && db == 2) return op<"squeeze.dim">(op<"mm">(op<"unsqueeze">(a, 0), b), 0);
    const auto &x = a.sizes(), &y = b.sizes();
    if (db <= 2) {  // all but the last dimension of `a` are rows of one matrix
        Dims sizes(IntSpan(x).first(size_t(da - 1)));
        const int64_t k = x.back(), flat[] = {product(sizes), k};
        const Tensor rows = op<"reshape">(a, IntSpan(flat));
        if (db == 1) return op<"_unsafe_view">(op<"mv">(rows, b), sizes);
        sizes.push_back(y[1]);
        return op<"_unsafe_view">(op<"mm">(rows, b), sizes);
    }
    if (da == 1) return op<"squeeze.dim">(matmul(op<"unsqueeze">(a, 0), b), -2);
    Dims batch = broadcast_shapes(IntSpan(x).first(size_t(da - 2)), IntSpan(y).first(size_t(db - 2)));
    const int64_t count = product(batch), m = x[size_t(da - 2)], k = x[size_t(da - 1)], kb = y[size_t(db - 2)],
                  n = y[size_t(db - 1)];
    const auto flatten = [&](const Tensor& t, int64_t rows, int64_t cols) {
        Dims full = batch;
        full.push_back(rows);
        full.push_back(cols);
        const int64_t flat[] = {count, rows, cols};
        const Tensor wide = same(t.sizes(), full) ? t : op<"expand">(t, full);
        return wide.dim() == 3 ? wide : op<"reshape">(wide, IntSpan(flat));
    };
    const Tensor r = op<"bmm">(flatten(a, m, k), flatten(b, kb, n));
    batch.push_back(m);
    batch.push_back(n);
    return op<"_unsafe_view">(r, batch);
}

// Answering: the weight stays packed between calls.
Tensor linear_for_answers(const Tensor& x, const Tensor& w, const Tensor& bias) {
    const auto plain = [&](const Tensor& t) {
        return t.dtype() == w.dtype() && t.device() == kCPU && !t->unusual() && t.is_contiguous();
    };
    if (w.dtype() != DType::f32 && w.dtype() != DType::bf16) return {};
    if (tls.grad || tls.modes || !plain(x) || !plain(w) || x.dim() < 2 || w.dim() != 2 || x.numel() == 0 ||
        w.numel() == 0 || x.size(-1) != w.size(1))
        return {};
    if (bias.defined() && !(plain(bias) && bias.dim() == 1 && bias.size(0) == w.size(0))) return {};
    Dims sizes(x.sizes());
    sizes.back() = w.size(0);
    const Tensor r = empty(sizes, w.dtype());
    const void* b = bias.defined() ? bias.data() : nullptr;
    return cpu::linear_packed(x.numel() / w.size(1), x.data(), w, b, r.data()) ? r : Tensor();
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias) {
    if (const Tensor r = linear_for_answers(x, w, bias); r.defined()) return r;
    check(x.dim() > 0 && w.dim() > 0, "both arguments to linear need to be at least 1D, but they are ", x.dim(),
          "D and ", w.dim(), "D");
    check(w.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", w.dim(), "D");
    if (!bias.defined()) return op<"matmul">(x, w.dim() == 2 ? op<"t">(w) : w);
    if (x.dim() == 2) return op<"addmm">(bias, x, w.dim() == 2 ? op<"t">(w) : w);
    if (x.dim() >= 3 && bias.dim() == 1 && x.is_contiguous() && w.dim() == 2 && x.numel() > 0) {
        Dims sizes(IntSpan(x.sizes()).first(size_t(x.dim() - 1)));
        const int64_t flat[] = {product(sizes), x.sizes().back()};
        sizes.push_back(w.sizes()[0]);
        return op<"view">(op<"addmm">(bias, op<"view">(x, IntSpan(flat)), op<"t">(w)), sizes);
    }
    if (x.dim() == 1 && w.dim() == 2 && bias.dim() == 1)
        return op<"squeeze.dim">(op<"addmm">(bias, op<"unsqueeze">(x, 0), op<"t">(w)), 0);
    return op<"add">(op<"matmul">(x, w.dim() == 2 ? op<"t">(w) : w), bias);
}

// Products of half values in float: the operands are widened first.
void check_wider(const Tensor& x, DType want) {
    check(want == x.dtype() || (want == DType::f32 && is_low_precision(x.dtype())),
          "out_dtype must be the same as input dtype or fp32 for fp16/bf16 inputs");
}
template <Name N>
Tensor wider_product(const Tensor& a, const Tensor& b, DType want) {
    check_wider(a, want);
    return op<N>(a.to(want), b.to(want));
}
template <Name N>
Tensor wider_sum(const Tensor& x, const Tensor& a, const Tensor& b, DType want, Scalar beta, Scalar alpha) {
    check_wider(a, want);
    return op<N>(x.to(want), a.to(want), b.to(want), beta, alpha);
}

const Family family([](Registry& r) {
    r.add("mm(Tensor self, Tensor mat2) -> Tensor", "fmo")
        .kernel<mm>()
        .autocast(1)
        .grad("self", "self, mat2", [](Back& b) { return grad_left(b.g, b.arg(0), b.arg(1), 1); })
        .grad("mat2", "self, mat2", [](Back& b) { return grad_right(b.g, b.arg(0), b.arg(1), 1); });
    r.add("mm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor", "f").kernel<wider_product<"mm">>();
    r.add("addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<addmm>()
        .autocast(1)
        .grad("self", "", [](Back& b) { return scaled(b.g, b.scalar(3)); })
        .grad("mat1", "mat1, mat2", [](Back& b) { return grad_left(b.g, b.arg(1), b.arg(2), b.scalar(4)); })
        .grad("mat2", "mat1, mat2", [](Back& b) { return grad_right(b.g, b.arg(1), b.arg(2), b.scalar(4)); });
    r.add(
         "addmm.dtype(Tensor self, Tensor mat1, Tensor mat2, ScalarType out_dtype, *, Scalar beta=1, Scalar alpha=1) "
         "-> Tensor",
         "f")
        .kernel<wider_sum<"addmm">>();
    r.add("bmm(Tensor self, Tensor mat2) -> Tensor", "fmo")
        .kernel<bmm>()
        .autocast(1)
        .grad("self", "mat2", [](Back& b) { return op<"bmm">(b.g, adjoint(b.arg(1))); })
        .grad("mat2", "self", [](Back& b) { return op<"bmm">(adjoint(b.arg(0)), b.g); });
    r.add("bmm.dtype(Tensor self, Tensor mat2, ScalarType out_dtype) -> Tensor", "f").kernel<wider_product<"bmm">>();
    r.add("baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<baddbmm>()
        .autocast(1)
        .grad("self", "", [](Back& b) { return scaled(b.g, b.scalar(3)); })
        .grad("batch1", "batch2", [](Back& b) { return scaled(op<"bmm">(b.g, adjoint(b.arg(2))), b.scalar(4)); })
        .grad("batch2", "batch1", [](Back& b) { return scaled(op<"bmm">(adjoint(b.arg(1)), b.g), b.scalar(4)); });
    r.add(
         "baddbmm.dtype(Tensor self, Tensor batch1, Tensor batch2, ScalarType out_dtype, *, Scalar beta=1, "
         "Scalar alpha=1) -> Tensor",
         "f")
        .kernel<wider_sum<"baddbmm">>();
    r.add("addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<addbmm>()
        .autocast(1)
        .grad("self", "", [](Back& b) { return scaled(b.g, b.scalar(3)); })
        .grad("batch1", "batch2", [](Back& b) { return scaled(op<"matmul">(b.g, adjoint(b.arg(2))), b.scalar(4)); })
        .grad("batch2", "batch1", [](Back& b) { return scaled(op<"matmul">(adjoint(b.arg(1)), b.g), b.scalar(4)); });
    r.add("mv(Tensor self, Tensor vec) -> Tensor", "fmo")
        .kernel<mv>()
        .autocast(1)
        .grad("self", "vec", [](Back& b) { return op<"outer">(b.g, conj(b.arg(1))); })
        .grad("vec", "self", [](Back& b) { return op<"mv">(adjoint(b.arg(0)), b.g); });
    r.add("addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<addmv>()
        .autocast(1)
        .grad("self", "", [](Back& b) { return scaled(b.g, b.scalar(3)); })
        .grad("mat", "vec", [](Back& b) { return scaled(op<"outer">(b.g, conj(b.arg(2))), b.scalar(4)); })
        .grad("vec", "mat", [](Back& b) { return scaled(op<"mv">(adjoint(b.arg(1)), b.g), b.scalar(4)); });
    r.add("dot(Tensor self, Tensor tensor) -> Tensor", "fmo")
        .kernel<dot>()
        .grad("self", "tensor", [](Back& b) { return op<"mul">(b.g, conj(b.arg(1))); })
        .grad("tensor", "self", [](Back& b) { return op<"mul">(b.g, conj(b.arg(0))); });
    r.add("vdot(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<vdot>()
        .grad("self", "other", [](Back& b) { return op<"mul">(conj(b.g), b.arg(1)); })
        .grad("other", "self", [](Back& b) { return op<"mul">(b.g, b.arg(0)); });
    r.add("addr(Tensor self, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<addr>()
        .grad("self", "", [](Back& b) { return scaled(b.g, b.scalar(3)); })
        .grad("vec1", "vec2", [](Back& b) { return scaled(op<"mv">(b.g, conj(b.arg(2))), b.scalar(4)); })
        .grad("vec2", "vec1", [](Back& b) { return scaled(op<"mv">(op<"t">(b.g), conj(b.arg(1))), b.scalar(4)); });
    r.add("kron(Tensor self, Tensor other) -> Tensor", "fmo").kernel<kron>();
    r.add("linalg::cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor", "fo")
        .kernel<cross>()
        .grad("self", "other",
              [](Back& b) { return sum_to_size(op<"linalg::cross">(conj(b.arg(1)), b.g, b.integer(2)), b.sizes(0)); })
        .grad("other", "self",
              [](Back& b) { return sum_to_size(op<"linalg::cross">(b.g, conj(b.arg(0)), b.integer(2)), b.sizes(1)); });
    r.add("outer(Tensor self, Tensor vec2) -> Tensor", "fmo").kernel<outer>();
    r.add("ger(Tensor self, Tensor vec2) -> Tensor", "fmo").kernel<outer>();
    r.add("inner(Tensor self, Tensor other) -> Tensor", "fmo").kernel<inner>();
    r.add("matmul(Tensor self, Tensor other) -> Tensor", "fmo").kernel<matmul>().autocast(1);
    r.add("nn::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "fo").kernel<linear>().autocast(1);
});

}  // namespace
}  // namespace fb
