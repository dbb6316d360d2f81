// Systems of equations by LAPACK, batched: Cholesky, LU, LDL, determinants, triangular systems, least squares.
// Derivatives: M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
// differentiation" (2008); for the complex cases the same by differentials.
#include "ops/linalg.h"
#include <algorithm>
#include <cmath>
#include "cpu/tiny_matrices.h"

namespace fb {
namespace {
using namespace linear;

// ---------------------------------------------------------------- Cholesky
std::tuple<Tensor, Tensor> cholesky_ex(const Tensor& a, bool upper, bool check_errors) {
    need_square(a, "linalg.cholesky");
    const int64_t n = a.size(-1);
    Tensor l = matrices(batch_of(a), n, n, a.dtype(), a.device()), info = empty(batch_of(a), DType::i32, a.device());
    if (l.is_meta()) return {l, info};
    visit_lapack(a, "linalg_cholesky", [&](auto z) {
        using T = decltype(z);
        const auto potrf = routine<void(const char*, const Int*, T*, const Int*, Int*, size_t), T>("potrf");
        const Batch from(a, 2), to(l, 2);
        parallel_matrices(from.count, n * n * n, [&](int64_t i) {
            T* c = to.at<T>(i);
            load(c, a, from.at<T>(i));
            Int code = 0;
            if (n <= tiny::kMost) code = tiny::cholesky(c, n, upper);
            else potrf(upper ? "U" : "L", &n, c, &n, &code, 1);
            for (int64_t j = 0; j < n; ++j)
                std::fill(c + j * n + (upper ? j + 1 : 0), c + j * n + (upper ? n : j), T(0));
            info.data<int32_t>()[i] = int32_t(code);
        });
    });
    check_info(info, check_errors, "linalg.cholesky_ex");
    return {l, info};
}
Tensor cholesky_backward(Back& b) {
    const bool upper = b.flag(1);
    const Tensor l = upper ? mH(b.result()) : b.result(), g = upper ? mH(b.grad(0)) : b.grad(0);
    Tensor phi = op<"tril">(mm(mH(l), g));
    phi = sub(phi, half(diag_embed(diagonal(phi))));
    const Tensor x = mH(solve_triangular(mH(l), mH(solve_triangular(mH(l), phi, true)), true));  // L^-H phi L^-1
    return half(add(x, mH(x)));
}

// ---------------------------------------------------------------- LU, solve, inverse
std::tuple<Tensor, Tensor, Tensor> lu_factor_ex(const Tensor& a, bool pivot, bool check_errors) {
    need_matrix(a, "torch.lu_factor");
    check(pivot, "linalg.lu_factor: LU without pivoting is not implemented on the CPU");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    Tensor lu = matrices(batch_of(a), m, n, a.dtype(), a.device()),
           pivots = empty(with(batch_of(a), {k}), DType::i32, a.device()),
           info = empty(batch_of(a), DType::i32, a.device());
    if (lu.is_meta()) return {lu, pivots, info};
    visit_lapack(a, "lu_factor", [&](auto z) {
        using T = decltype(z);
        const auto getrf = routine<void(const Int*, const Int*, T*, const Int*, Int*, Int*), T>("getrf");
        const Batch from(a, 2), to(lu, 2);
        parallel_matrices(from.count, m * n * k, [&](int64_t i) {
            T* c = to.at<T>(i);
            load(c, a, from.at<T>(i));
            Small<Int, 16> p;
            p.resize(size_t(k));
            Int code = 0;
            if (std::max(m, n) <= tiny::kMost) code = tiny::lu(c, m, n, p.data());
            else if (k) getrf(&m, &n, c, &m, p.data(), &code);
            int32_t* const exchanged = pivots.data<int32_t>() + i * k;
            for (int64_t j = 0; j < k; ++j) exchanged[j] = int32_t(p[size_t(j)]);
            info.data<int32_t>()[i] = int32_t(code);
        });
    });
    check_info(info, check_errors, "torch.linalg.lu_factor_ex");
    return {lu, pivots, info};
}
// The permutation of LAPACK's exchanges: row numbers, (…, k) to (…, m).
Tensor permutation(const Tensor& pivots, int64_t m) {
    const Tensor p = dense(pivots);
    const int64_t k = p.size(-1), count = k ? p.numel() / k : product(batch_of(p, 1));
    Tensor r = empty(with(batch_of(p, 1), {m}), DType::i64, p.device());
    if (r.is_meta()) return r;
    for (int64_t b = 0; b < count; ++b) {
        int64_t* o = r.data<int64_t>() + b * m;
        for (int64_t i = 0; i < m; ++i) o[i] = i;
        for (int64_t i = 0; i < k; ++i) {
            const int32_t with = p.data<int32_t>()[b * k + i];
            check(i < m && with >= 1 && with <= m, "pivots passed to lu_unpack must be between 1 and LU.size(-2) ",
                  "inclusive. Did you properly pass the result of lu_factor?");
            std::swap(o[i], o[with - 1]);
        }
    }
    return r;
}
Tensor permute_rows(const Tensor& x, const Tensor& order) {
    Dims shape = x.sizes();
    return op<"gather">(x, -2, op<"expand">(column(order), shape));
}
Tensor lu_factor_backward(Back& b) {
    const Tensor lu = b.result(0), pivots = b.result(1), g = b.grad(0);
    const int64_t m = lu.size(-2), n = lu.size(-1), k = std::min(m, n);
    const Tensor order = op<"argsort">(permutation(pivots, m), -1);  // A = P^T L U: rows go back
    const Tensor eye = op<"eye.m">(m, k, to_real(lu.dtype()));
    auto left = [&](const Tensor& t) { return op<"narrow">(t, -1, 0, k); };
    auto top = [&](const Tensor& t) { return op<"narrow">(t, -2, 0, k); };
    const Tensor L = add(op<"tril">(left(lu), -1), eye), U = op<"triu">(top(lu));
    const Tensor gL = op<"tril">(left(g), -1), gU = op<"triu">(top(g));
    Tensor r;
    if (m == n) {
        const Tensor phi = add(op<"tril">(mm(mH(L), gL), -1), op<"triu">(mm(gU, mH(U))));
        r = mH(solve_triangular(U, mH(solve_triangular(mH(L), phi, true, true, true)), true));
    } else if (m < n) {  // wide: U = [U1 U2]
        const Tensor U1 = op<"narrow">(U, -1, 0, k), U2 = op<"narrow">(U, -1, k, n - k),
                     gU1 = op<"narrow">(gU, -1, 0, k), gU2 = op<"narrow">(gU, -1, k, n - k);
        const Tensor phi = add(op<"tril">(sub(mm(mH(L), gL), mm(gU2, mH(U2))), -1), op<"triu">(mm(gU1, mH(U1))));
        const Tensor first = mH(solve_triangular(U1, mH(phi), true));
        r = solve_triangular(mH(L), op<"cat">(std::vector<Tensor>{first, gU2}, -1), true, true, true);
    } else {  // tall: L = [L1; L2]
        const Tensor L1 = top(L), L2 = op<"narrow">(L, -2, k, m - k), gL1 = top(gL),
                     gL2 = op<"narrow">(gL, -2, k, m - k);
        const Tensor phi = add(op<"tril">(mm(mH(L1), gL1), -1), op<"triu">(sub(mm(gU, mH(U)), mm(mH(L2), gL2))));
        const Tensor first = solve_triangular(mH(L1), phi, true, true, true);
        r = mH(solve_triangular(U, mH(op<"cat">(std::vector<Tensor>{first, gL2}, -2)), true));
    }
    return permute_rows(r, order);
}

std::tuple<Tensor, Tensor> solve_matrices(const Tensor& a, const Tensor& b) {  // same batch
    const int64_t n = a.size(-1), k = b.size(-1);
    Tensor x = matrices(batch_of(b), n, k, a.dtype(), a.device()), info = empty(batch_of(b), DType::i32, a.device());
    if (x.is_meta()) return {x, info};
    visit_lapack(a, "linalg_solve", [&](auto z) {
        using T = decltype(z);
        const auto gesv = routine<void(const Int*, const Int*, T*, const Int*, Int*, T*, const Int*, Int*), T>("gesv");
        const Batch from(a, 2), rhs(b, 2), to(x, 2);
        parallel_matrices(from.count, n * n * (n + k), [&](int64_t i) {
            Columns<T> c(n, n);
            T* d = to.at<T>(i);
            load(c, a, from.at<T>(i));
            load(d, b, rhs.at<T>(i));
            Small<Int, 16> p;
            p.resize(size_t(n));
            Int code = 0;
            if (n <= tiny::kMost) {
                code = tiny::lu(c.data(), n, n, p.data());
                if (!code) tiny::solve(c.data(), p.data(), n, d, k);
            } else {
                gesv(&n, &k, c.data(), &n, p.data(), d, &n, &code);
            }
            info.data<int32_t>()[i] = int32_t(code);
        });
    });
    return {x, info};
}
bool right_side_is_vector(const Tensor& a, const Tensor& b) {
    if (b.dim() == 1) return true;
    return a.dim() - 1 == b.dim() && same(b.sizes(), IntSpan(a.sizes()).first(size_t(a.dim() - 1)));
}
Tensor without_last(const Tensor& x) {  // of size 1
    const Tensor view = op<"squeeze.dim">(x, -1);
    return make_view(x, view.sizes(), view.strides(), x->offset);
}
// PyTorch lays batches of vectors out as if the last two dimensions were those of a matrix.
Tensor column_major(const Tensor& x) {
    if (x.dim() < 2) return x;
    Tensor r = matrices(batch_of(x), x.size(-2), x.size(-1), x.dtype(), x.device());
    if (!x.is_meta()) op<"copy_">(r, x);
    return r;
}
// The codes of the matrices themselves, of which those of all right-hand sides are repetitions.
Tensor of_batch(const Tensor& info, const Dims& batch) {
    if (same(info.sizes(), batch)) return info;
    if (!info.numel()) return op<"zeros">(batch, DType::i32, nullptr, info.device());
    Tensor r = info;
    while (r.dim() > int64_t(batch.size())) r = op<"select">(r, 0, 0);
    for (size_t d = 0; d < batch.size(); ++d)
        if (batch[d] != r.size(int64_t(d))) r = op<"narrow">(r, int64_t(d), 0, batch[d]);
    return op<"clone">(r);
}
std::tuple<Tensor, Tensor> solve_ex(const Tensor& a, const Tensor& b0, bool left, bool check_errors) {
    need_floating(a, "linalg.solve");
    need_square(a, "linalg.solve");
    check(a.dtype() == b0.dtype(), "linalg.solve: Expected A and B to have the same dtype, but found A of type ",
          a.dtype(), " and B of type ", b0.dtype(), " instead");
    const bool vector = right_side_is_vector(a, b0);
    Tensor b = vector ? op<"unsqueeze">(b0, -1) : b0;
    check(b.size(left ? -2 : -1) == a.size(-1), "linalg.solve: Incompatible shapes of A and B for the equation ",
          left ? "AX = B" : "XA = B", " (", a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
    check(left || !vector,
          "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
          "linalg.solve is equivalent to B / A.squeeze(-1)");
    const Dims batch = broadcast_shapes(batch_of(a), batch_of(b));
    const Tensor A = op<"expand">(left ? a : op<"transpose">(a, -2, -1), with(batch, {a.size(-1), a.size(-1)}));
    b = left ? b : op<"transpose">(b, -2, -1);
    const Tensor B = op<"expand">(b, with(batch, {b.size(-2), b.size(-1)}));
    auto [x, info] = solve_matrices(A, B);
    check_info(info, check_errors, "torch.linalg.solve_ex");
    if (!left) x = make_view(x, op<"transpose">(x, -2, -1).sizes(), op<"transpose">(x, -2, -1).strides(), x->offset);
    if (vector) x = column_major(without_last(x));
    return {x, of_batch(info, batch_of(a))};
}
void solve_backward(Back& b) {
    const Tensor a = b.arg(0), x = b.result(0), g = b.grad(0);
    const bool left = b.flag(2), vector = x.dim() == a.dim() - 1;
    const Tensor G = vector ? column(g) : g, X = vector ? column(x) : x;
    const Tensor gb = op<"linalg::solve">(mH(a), G, left);
    if (b.needs(0)) b.set(0, neg(left ? mm(gb, mH(X)) : mm(mH(X), gb)));
    if (b.needs(1)) b.set(1, vector ? op<"squeeze.dim">(gb, -1) : gb);
}
Tensor solve(const Tensor& a, const Tensor& b, bool left) {
    Frame f = opn<"linalg::solve_ex">(a, b, left);
    const Tensor& info = f.result[1];
    if (!info.is_meta())
        for (int64_t i = 0; i < info.numel(); ++i)
            if (info.data<int32_t>()[i] > 0)
                fail(ErrorKind::Linalg,
                     "torch.linalg.solve: ", info.numel() > 1 ? str("(Batch element ", i, "): ") : "",
                     "The solver failed because the input matrix is singular.");
    return f.result[0];
}
std::tuple<Tensor, Tensor> inv_ex(const Tensor& a, bool check_errors) {
    need_floating(a, "linalg.inv");
    check(!is_low_precision(a.dtype()), "linalg.inv: Low precision dtypes not supported. Got ", a.dtype());
    need_square(a, "linalg.inv");
    const int64_t n = a.size(-1);
    const Tensor eye =
        op<"expand">(op<"eye">(n, is_floating(a.dtype()) || is_complex(a.dtype()) ? a.dtype() : default_dtype(),
                               nullptr, a.device()),
                     a.sizes());
    auto [x, info] = solve_matrices(a, eye);
    check_info(info, check_errors, "linalg.inv_ex");
    return {x, info};
}

// The product of U's diagonal, its sign flipped for every row exchange.
std::tuple<Tensor, Tensor, Tensor> det_parts(const Tensor& a) {
    need_square(a, "linalg.det");
    auto [lu, pivots, info] = lu_factor_ex(a, true, false);
    Tensor sign = empty(batch_of(a), a.dtype(), a.device());
    if (!sign.is_meta()) {
        const int64_t n = a.size(-1);
        for (int64_t i = 0; i < sign.numel(); ++i) {
            bool odd = false;
            for (int64_t j = 0; j < n; ++j) odd ^= pivots.data<int32_t>()[i * n + j] != j + 1;
            visit_dtype(a.dtype(),
                        [&](auto z) { sign.data<decltype(z)>()[i] = Scalar(odd ? -1 : 1).to<decltype(z)>(); });
        }
    }
    return {op<"mul">(op<"prod.dim_int">(diagonal(lu), -1), sign), lu, pivots};
}
// d det(A) = det(A) tr(A^-1 dA). Singular matrices: by the singular values, where all but one may still contribute.
Tensor det_backward(Back& b) {
    const Tensor a = b.arg(0), d = b.result(0), g = b.grad(0);
    const Tensor scale = column(column(mul(g, is_complex(d.dtype()) ? op<"conj_physical">(d) : d)));
    const bool singular = !a.is_meta() && d.numel() && !op<"any">(op<"eq">(d, Scalar(0))).item().is_zero();
    if (!singular) {
        const Tensor eye = op<"expand">(op<"eye">(a.size(-1), a.dtype(), nullptr, a.device()), a.sizes());
        return mul(op<"linalg::solve">(mH(a), eye), scale);
    }
    // Adjugate through A = U S V^H: cofactors of S are products of the other singular values.
    Frame f = opn<"linalg::svd">(a, false);
    const Tensor u = f.result[0], s = f.result[1], vh = f.result[2];
    const int64_t n = s.size(-1);
    std::vector<Tensor> others;
    for (int64_t k = 0; k < n; ++k) {
        std::vector<Tensor> rest;
        for (int64_t j = 0; j < n; ++j)
            if (j != k) rest.push_back(op<"select">(s, -1, j));
        others.push_back(rest.empty() ? op<"ones_like">(op<"select">(s, -1, 0))
                                      : op<"prod.dim_int">(op<"stack">(rest, -1), -1));
    }
    const Tensor phase = mul(op<"linalg::det">(u), op<"linalg::det">(vh));
    const Tensor cofactors = mm(mul(u, row(op<"stack">(others, -1).to(u.dtype()))), vh);
    return mul(cofactors, column(column(mul(g, phase))));
}
Tensor det(const Tensor& a) {
    need_floating(a, "linalg.det");
    return std::move(opn<"_linalg_det">(a).result[0]);
}

// ---------------------------------------------------------------- triangular systems
Tensor triangular(const Tensor& a0, const Tensor& b0, bool upper, bool left, bool unit) {
    need_square(a0, "linalg.solve_triangular");
    need_matrix(b0, "linalg.solve_triangular");
    check(b0.size(left ? -2 : -1) == a0.size(-1),
          "linalg.solve_triangular: Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (",
          a0.size(-2), "x", a0.size(-1), " and ", b0.size(-2), "x", b0.size(-1), ")");
    const Dims batch = broadcast_shapes(batch_of(a0), batch_of(b0));
    const int64_t n = a0.size(-1), m = b0.size(-2), k = b0.size(-1);
    // PyTorch does not ask for one type: the result is A's
    const Tensor like_a = b0.dtype() == a0.dtype() ? b0 : op<"to.dtype">(b0, a0.dtype());
    const Tensor a = op<"expand">(a0, with(batch, {n, n})), b = op<"expand">(like_a, with(batch, {m, k}));
    Tensor x = matrices(batch, m, k, a.dtype(), a.device());
    if (x.is_meta()) return x;
    visit_lapack(a, "triangular_solve", [&](auto z) {
        using T = decltype(z);
        const auto trsm = routine<void(const char*, const char*, const char*, const char*, const Int*, const Int*,
                                       const T*, const T*, const Int*, T*, const Int*, size_t, size_t, size_t, size_t),
                                  T>("trsm");
        const Batch from(a, 2), rhs(b, 2), to(x, 2);
        // Both orders of the elements are read where they are; by rows it is the transposed matrix.
        const bool by_columns = a.stride(-2) == 1 && a.stride(-1) >= n,
                   by_rows = a.stride(-1) == 1 && a.stride(-2) >= n, turned = by_rows && !by_columns;
        const Int lda = by_columns ? a.stride(-1) : by_rows ? a.stride(-2) : n;
        parallel_matrices(rhs.count, m * n * k, [&](int64_t i) {
            T *c = from.at<T>(i), *d = to.at<T>(i);
            std::vector<T> copy(by_columns || by_rows ? 0 : size_t(n * n));
            if (!by_columns && !by_rows) load(copy.data(), a, c);
            load(d, b, rhs.at<T>(i));
            const T one(1);
            if (m && k)
                trsm(left ? "L" : "R", upper != turned ? "U" : "L", turned ? "T" : "N", unit ? "U" : "N", &m, &k, &one,
                     copy.empty() ? c : copy.data(), &lda, d, &m, 1, 1, 1, 1);
        });
    });
    return x;
}
void triangular_backward(Back& b) {
    const Tensor a = b.arg(0), x = b.result();
    const bool upper = b.flag(2), left = b.flag(3), unit = b.flag(4);
    const Tensor gb = solve_triangular(mH(a), b.g, !upper, left, unit);
    if (b.needs(0)) {
        const Tensor ga = neg(left ? mm(gb, mH(x)) : mm(mH(x), gb));
        b.set(0, upper ? op<"triu">(ga, int64_t(unit)) : op<"tril">(ga, -int64_t(unit)));
    }
    b.set(1, gb);
}

// ---------------------------------------------------------------- least squares
std::tuple<Tensor, Tensor, Tensor, Tensor> lstsq(const Tensor& a0, const Tensor& b0, std::optional<double> rcond,
                                                 std::string_view driver) {
    need_matrix(a0, "torch.linalg.lstsq");
    check(a0.dtype() == b0.dtype(),
          "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype ", a0.dtype(),
          " and other's dtype ", b0.dtype());
    check(driver.empty() || driver == "gels" || driver == "gelsy" || driver == "gelsd" || driver == "gelss",
          "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)");
    check(
        b0.dim() >= 1 && a0.dim() - b0.dim() <= 1 && a0.dim() >= b0.dim(),
        "torch.linalg.lstsq: input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1");
    const bool vector = a0.dim() - 1 == b0.dim();
    const Tensor b1 = vector ? column(b0) : b0;
    const int64_t m = a0.size(-2), n = a0.size(-1), k = b1.size(-1), most = std::max(m, n), least = std::min(m, n);
    check(b1.size(-2) == m, "torch.linalg.lstsq: input.size(-2) should match other.size(-", vector ? 1 : 2, ")");
    const Dims batch = broadcast_shapes(batch_of(a0), batch_of(b1));
    const Tensor a = op<"expand">(a0, with(batch, {m, n})), b = op<"expand">(b1, with(batch, {m, k}));
    const bool qr_only = driver == "gels", has_rank = !qr_only, has_values = driver == "gelsd" || driver == "gelss";
    const DType real_type = to_real(a.dtype());
    // its columns are the upper parts of those that LAPACK works in
    Tensor x = matrices(batch, most, k, a.dtype(), a.device());
    x->set_shape(with(batch, {n, k}), Dims(x.strides()));
    Tensor residuals = empty(Dims{0}, real_type, x.device()),
           rank = empty(has_rank ? IntSpan(batch) : IntSpan(Dims{0}), DType::i64, x.device()),
           values = empty(has_values ? IntSpan(with(batch, {least})) : IntSpan(Dims{0}), real_type, x.device());
    if (x.is_meta()) return {x, residuals, rank, values};
    const double tolerance =
        rcond.value_or((real_type == DType::f64 ? 2.220446049250313e-16 : 1.1920929e-07) * double(most));
    const bool with_residuals = m > n && !driver.empty() && driver != "gelsy";
    Tensor squares = empty(with(batch, {k}), real_type);
    bool full_rank = true;
    visit_lapack(a, "linalg_lstsq", [&](auto z) {
        using T = decltype(z);
        using R = real_of<T>;
        const Batch from(a, 2), rhs(b, 2), to(x, 2);
        for (int64_t i = 0; i < from.count; ++i) {
            Columns<T> c(m, n), d(most, k);
            load(c, a, from.at<T>(i));
            {
                Columns<T> given(m, k);
                load(given, b, rhs.at<T>(i));
                for (int64_t j = 0; j < k; ++j)
                    for (int64_t r = 0; r < m; ++r) d(r, j) = given(r, j);
            }
            Int code = 0, lwork = -1, found = 0;
            const Int lda = c.ld(), ldb = d.ld();
            R cut = R(tolerance);
            T want{};
            std::vector<R> s(size_t(std::max<int64_t>(1, least))),
                rwork(size_t(std::max<int64_t>(1, 64 * (most + 1) * 12 + 5 * least * 12)));
            std::vector<Int> iwork(size_t(std::max<int64_t>(1, 64 * least + 64))),
                jpvt(size_t(std::max<int64_t>(1, n)), 0);
            auto call = [&](T* work) {
                if (qr_only) {
                    routine<void(const char*, const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, T*,
                                 const Int*, Int*, size_t),
                            T>("gels")("N", &m, &n, &k, c.data(), &lda, d.data(), &ldb, work, &lwork, &code, 1);
                } else if (!has_values) {
                    if constexpr (complex_v<T>)
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, Int*, const R*,
                                     Int*, T*, const Int*, R*, Int*),
                                T>("gelsy")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, jpvt.data(), &cut, &found, work,
                                            &lwork, rwork.data(), &code);
                    else
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, Int*, const R*,
                                     Int*, T*, const Int*, Int*),
                                T>("gelsy")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, jpvt.data(), &cut, &found, work,
                                            &lwork, &code);
                } else if (driver == "gelss") {
                    if constexpr (complex_v<T>)
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, R*, const R*,
                                     Int*, T*, const Int*, R*, Int*),
                                T>("gelss")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, s.data(), &cut, &found, work,
                                            &lwork, rwork.data(), &code);
                    else
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, R*, const R*,
                                     Int*, T*, const Int*, Int*),
                                T>("gelss")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, s.data(), &cut, &found, work,
                                            &lwork, &code);
                } else {
                    if constexpr (complex_v<T>)
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, R*, const R*,
                                     Int*, T*, const Int*, R*, Int*, Int*),
                                T>("gelsd")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, s.data(), &cut, &found, work,
                                            &lwork, rwork.data(), iwork.data(), &code);
                    else
                        routine<void(const Int*, const Int*, const Int*, T*, const Int*, T*, const Int*, R*, const R*,
                                     Int*, T*, const Int*, Int*, Int*),
                                T>("gelsd")(&m, &n, &k, c.data(), &lda, d.data(), &ldb, s.data(), &cut, &found, work,
                                            &lwork, iwork.data(), &code);
                }
            };
            const auto finite = [](const Columns<T>& matrix) {
                return std::all_of(matrix.v.begin(), matrix.v.end(), [](const T& t) {
                    if constexpr (complex_v<T>) return std::isfinite(t.re) && std::isfinite(t.im);
                    else return std::isfinite(t);
                });
            };
            if (!qr_only && !(finite(c) && finite(d))) {  // LAPACK's iterations would not end
                for (int64_t j = 0; j < k; ++j)
                    for (int64_t r = 0; r < most; ++r) d(r, j) = T(std::numeric_limits<R>::quiet_NaN());
                std::fill(s.begin(), s.end(), std::numeric_limits<R>::quiet_NaN());
            } else if (m && n && k) {
                call(&want);
                lwork = wanted_room(want);
                std::vector<T> work(static_cast<size_t>(lwork));
                call(work.data());
                if (code > 0)
                    fail(ErrorKind::Linalg,
                         "torch.linalg.lstsq: The least squares solution could not be computed because the input "
                         "matrix does not have full rank (error code: ",
                         code, ").");
            }
            Columns<T> solution(n, k);
            for (int64_t j = 0; j < k; ++j)
                for (int64_t r = 0; r < n; ++r) solution(r, j) = d(r, j);
            store(solution, x, to.at<T>(i));
            if (has_rank) rank.data<int64_t>()[i] = found;
            if (has_values) std::copy_n(s.data(), least, values.data<R>() + i * least);
            full_rank = full_rank && (qr_only || found == n);
            for (int64_t j = 0; j < k && with_residuals; ++j) {
                double total = 0;
                for (int64_t r = n; r < m; ++r) {
                    if constexpr (complex_v<T>)
                        total += double(d(r, j).re) * double(d(r, j).re) + double(d(r, j).im) * double(d(r, j).im);
                    else total += double(d(r, j)) * double(d(r, j));
                }
                squares.data<R>()[i * k + j] = R(total);
            }
        }
    });
    if (with_residuals && full_rank) residuals = squares;
    if (vector) x = without_last(x);
    return {x, residuals, rank, values};
}
// X = A^+ B: through the pseudo-inverse's differential.
void lstsq_backward(Back& b) {
    const Tensor a = b.arg(0), b0 = b.arg(1);
    const bool vector = a.dim() - 1 == b0.dim();
    const Tensor B = vector ? column(b0) : b0;
    if (!b.has(0)) return;
    const Tensor g = vector ? column(b.grad(0)) : b.grad(0);
    const int64_t m = a.size(-2), n = a.size(-1);
    // A^+ = (A^H A)^-1 A^H for tall matrices, A^H (A A^H)^-1 for wide ones.
    const Tensor p = m >= n ? op<"linalg::solve">(mm(mH(a), a), mH(a)) : mH(op<"linalg::solve">(mm(a, mH(a)), a));
    if (b.needs(1)) {
        const Tensor gb = mm(mH(p), g);
        b.set(1, vector ? op<"squeeze.dim">(gb, -1) : gb);
    }
    if (b.needs(0)) {
        const Tensor gp = mm(g, mH(B));  // gradient of A^+
        const Tensor ph = mH(p), gh = mH(gp);
        Tensor ga = neg(mm(mm(ph, gp), ph));
        if (m >= n) ga = add(ga, mm(sub(gh, mm(mm(a, p), gh)), mm(p, ph)));
        else ga = add(ga, mm(mm(ph, p), sub(gh, mm(mm(gh, p), a))));
        b.set(0, ga);
    }
}

// ---------------------------------------------------------------- LDL
std::tuple<Tensor, Tensor, Tensor> ldl_factor_ex(const Tensor& a, bool hermitian, bool check_errors) {
    need_square(a, "torch.linalg.ldl_factor_ex");
    const int64_t n = a.size(-1);
    Tensor ld = matrices(batch_of(a), n, n, a.dtype(), a.device()),
           pivots = empty(with(batch_of(a), {n}), DType::i32, a.device()),
           info = empty(batch_of(a), DType::i32, a.device());
    if (ld.is_meta()) return {ld, pivots, info};
    visit_lapack(a, "ldl_factor", [&](auto z) {
        using T = decltype(z);
        const auto f = routine<void(const char*, const Int*, T*, const Int*, Int*, T*, const Int*, Int*, size_t), T>(
            complex_v<T> && hermitian ? "hetrf" : "sytrf");
        const Batch from(a, 2), to(ld, 2);
        parallel_matrices(from.count, n * n * n, [&](int64_t i) {
            Columns<T> c(n, n);
            load(c, a, from.at<T>(i));
            std::vector<Int> p(size_t(std::max<int64_t>(1, n)));
            Int code = 0, lwork = -1;
            const Int lda = c.ld();
            T want{};
            if (n) {
                f("L", &n, c.data(), &lda, p.data(), &want, &lwork, &code, 1);
                lwork = wanted_room(want);
                std::vector<T> work(static_cast<size_t>(lwork));
                f("L", &n, c.data(), &lda, p.data(), work.data(), &lwork, &code, 1);
            }
            for (int64_t j = 0; j < n; ++j)
                for (int64_t k = 0; k < j; ++k) c(k, j) = T(0);
            store(c, ld, to.at<T>(i));
            for (int64_t j = 0; j < n; ++j) pivots.data<int32_t>()[i * n + j] = int32_t(p[size_t(j)]);
            info.data<int32_t>()[i] = int32_t(code);
        });
    });
    check_info(info, check_errors, "torch.linalg.ldl_factor_ex");
    return {ld, pivots, info};
}

// LAPACK walks along the pivots, from either end, and believes them: rows in 1 … n, negative where two steps belong
// together.
void check_ldl_pivots(std::span<const Int> pivots) {
    const size_t n = pivots.size();
    for (const Int p : pivots) {
        check(
            p != 0,
            "Pivots given to ldl_solve must all satisfy |pivot| >= 1. Did you properly pass the result of ldl_factor?");
        check(p <= Int(n) && p >= -Int(n),
              "Pivots given to ldl_solve must all satisfy |pivot| <= LD.size(-2). Did you properly pass the result of "
              "ldl_factor?");
    }
    for (size_t i = 0; i < n; ++i)
        if (pivots[i] < 0)
            check(++i < n && pivots[i] < 0,
                  "Negative pivots given to ldl_solve must come in pairs. Did you properly pass the result of "
                  "ldl_factor?");
}

Tensor ldl_solve(const Tensor& ld, const Tensor& pivots, const Tensor& b0, bool hermitian) {
    need_square(ld, "torch.linalg.ldl_solve");
    need_matrix(b0, "torch.linalg.ldl_solve");
    check(b0.dtype() == ld.dtype(),
          "torch.linalg.ldl_solve: Expected LD and B to have the same dtype, but found LD of type ", ld.dtype(),
          " and B of type ", b0.dtype(), " instead");
    check(is_integral(pivots.dtype(), false), "torch.linalg.ldl_solve: Expected pivots to be integers. Got ",
          pivots.dtype());
    const int64_t n = ld.size(-1), k = b0.size(-1);
    const Dims batch = broadcast_shapes(batch_of(ld), batch_of(b0));
    const Tensor a = op<"expand">(ld, with(batch, {n, n})), b = op<"expand">(b0, with(batch, {n, k})),
                 p = op<"expand">(pivots.to(DType::i64), with(batch, {n}));
    Tensor x = matrices(batch, n, k, a.dtype(), a.device());
    if (x.is_meta()) return x;
    visit_lapack(a, "ldl_solve", [&](auto z) {
        using T = decltype(z);
        const auto f = routine<void(const char*, const Int*, const Int*, const T*, const Int*, const Int*, T*,
                                    const Int*, Int*, size_t),
                               T>(complex_v<T> && hermitian ? "hetrs" : "sytrs");
        const Batch from(a, 2), rhs(b, 2), to(x, 2), at(p, 1);
        parallel_matrices(from.count, n * n * k, [&](int64_t i) {
            Columns<T> c(n, n), d(n, k);
            load(c, a, from.at<T>(i));
            load(d, b, rhs.at<T>(i));
            std::vector<Int> piv(size_t(std::max<int64_t>(1, n)));
            for (int64_t j = 0; j < n; ++j) piv[size_t(j)] = at.at<int64_t>(i)[j * p.stride(-1)];
            check_ldl_pivots({piv.data(), size_t(n)});
            Int code = 0;
            const Int lda = c.ld();
            if (n && k) f("L", &n, &k, c.data(), &lda, piv.data(), d.data(), &lda, &code, 1);
            store(d, x, to.at<T>(i));
        });
    });
    return x;
}

const Family linalg([](Registry& r) {
    r.add("_lu_permutation(Tensor pivots, int rows) -> Tensor", "f").kernel<permutation>();
    r.add("_linalg_det(Tensor A) -> (Tensor result, Tensor LU, Tensor pivots)", "f")
        .kernel<det_parts>()
        .grad("A", "A, result0", det_backward)
        .differentiable_results(1);
    r.add("linalg::det(Tensor A) -> Tensor", "fo").kernel<det>();
    r.add("det(Tensor self) -> Tensor", "fm").kernel<det>();
    r.add(
         "linalg::lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor "
         "residuals, Tensor rank, Tensor singular_values)",
         "fo")
        .kernel<lstsq>()
        .grads("self, b", "self, b", lstsq_backward)
        .differentiable_results(1);
    r.add("linalg::ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor", "fo")
        .kernel<ldl_solve>()
        .node("NotImplemented")
        .grads("LD, B", "", no_derivative);
    r.add("linalg::cholesky_ex(Tensor self, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)",
          "fo")
        .kernel<cholesky_ex>()
        .grad("self", "result0", cholesky_backward)
        .differentiable_results(1);
    r.add(
         "linalg::lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, "
         "Tensor info)",
         "fo")
        .kernel<lu_factor_ex>()
        .grad("A", "result0, result1", lu_factor_backward)
        .differentiable_results(1);
    r.add(
         "linalg::solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor "
         "info)",
         "fo")
        .kernel<solve_ex>()
        .grads("A, B", "A, result0", solve_backward)
        .differentiable_results(1);
    r.add("linalg::solve(Tensor A, Tensor B, *, bool left=True) -> Tensor", "fo").kernel<solve>();
    r.add("linalg::inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)", "fo")
        .kernel<inv_ex>()
        .grad("A", "result0",
              [](Back& b) {
                  const Tensor h = mH(b.result(0));
                  return neg(mm(h, mm(b.grad(0), h)));
              })
        .differentiable_results(1);
    r.add(
         "linalg::solve_triangular(Tensor self, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> "
         "Tensor",
         "fo")
        .kernel<triangular>()
        .grads("self, B", "self, result", triangular_backward);
    r.add(
         "linalg::ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor "
         "pivots, Tensor info)",
         "fo")
        .kernel<ldl_factor_ex>()
        .node("NotImplemented")
        .grads("self", "", no_derivative);
});

}  // namespace
}  // namespace fb
