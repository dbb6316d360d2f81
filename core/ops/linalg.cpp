// Factorizations and solvers by LAPACK, batched. Derivatives: M. Giles, "Collected matrix derivative results for
// forward and reverse mode algorithmic differentiation" (2008); for eig and the complex cases the same by
// differentials.
#include "autograd/back.h"
#include "cpu/matrices.h"

namespace fb {
namespace {
using namespace cpu;
using Int = int64_t;

void need_matrix(const Tensor& a, const char* name) {
    check(a.dim() >= 2, name, ": The input tensor A must have at least 2 dimensions.");
}
void need_square(const Tensor& a, const char* name) {
    need_matrix(a, name);
    check(a.size(-1) == a.size(-2), name, ": A must be batches of square matrices, but they are ", a.size(-2), " by ",
          a.size(-1), " matrices");
}
Dims batch_of(const Tensor& a, int inner = 2) { return Dims(IntSpan(a.sizes()).first(size_t(a.dim() - inner))); }
Dims with(Dims batch, std::initializer_list<int64_t> more) {
    for (int64_t m : more) batch.push_back(m);
    return batch;
}
Tensor matrices(const Dims& batch, int64_t m, int64_t n, DType t,
                Device d) {  // column-major, as LAPACK's results are in PyTorch
    Tensor r = empty(with(batch, {n, m}), t, d);
    Dims sizes = with(batch, {m, n}), strides = r.strides();
    std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
    r->set_shape(sizes, strides);
    return r;
}
void parallel_matrices(int64_t count, int64_t cost, const std::function<void(int64_t)>& f) {
    parallel_for(count, std::max<int64_t>(1, 100000 / std::max<int64_t>(1, cost)), [&](int64_t b, int64_t e) {
        for (; b < e; ++b) f(b);
    });
}
void check_info(const Tensor& info, bool wanted, const char* name) {
    if (!wanted || info.is_meta()) return;
    for (int64_t i = 0; i < info.numel(); ++i)
        if (const int v = info.data<int32_t>()[i])
            fail(ErrorKind::Linalg, name, ": (Batch element ", i, "): LAPACK reported info = ", v);
}

// ---------------------------------------------------------------- building blocks of formulas
Tensor mH(const Tensor& t) {
    const Tensor x = op<"transpose">(t, -2, -1);
    return is_complex(t.dtype()) ? op<"conj_physical">(x) : x;
}
Tensor mm(const Tensor& a, const Tensor& b) { return op<"matmul">(a, b); }
Tensor add(const Tensor& a, const Tensor& b) { return a.defined() ? b.defined() ? op<"add">(a, b) : a : b; }
Tensor sub(const Tensor& a, const Tensor& b) { return op<"sub">(a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return op<"mul">(a, b); }
Tensor half(const Tensor& a) { return op<"mul">(a, Scalar(0.5)); }
Tensor neg(const Tensor& a) { return op<"neg">(a); }
Tensor diagonal(const Tensor& a) { return op<"diagonal">(a, 0, -2, -1); }
Tensor diag_embed(const Tensor& v) {
    const int64_t n = v.size(-1);
    return mul(op<"unsqueeze">(v, -1), op<"eye">(n, to_real(v.dtype()), nullptr, v.device()));
}
Tensor real(const Tensor& t) { return is_complex(t.dtype()) ? op<"real">(t) : t; }
Tensor row(const Tensor& v) { return op<"unsqueeze">(v, -2); }
Tensor column(const Tensor& v) { return op<"unsqueeze">(v, -1); }
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left = true, bool unit = false) {
    return op<"linalg::solve_triangular">(a, b, upper, left, unit);
}
// 1 / (x_j - x_i) off the diagonal, 0 on it.
Tensor inverse_gaps(const Tensor& x) {
    const Tensor gap = sub(row(x), column(x));
    const Tensor eye = op<"eye">(x.size(-1), DType::b1, nullptr, x.device());
    return op<"masked_fill">(op<"reciprocal">(op<"masked_fill">(gap, eye, Scalar(1))), eye, Scalar(0));
}

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
            Columns<T> c(n, n);
            load(c, a, from.at<T>(i));
            Int code = 0;
            const Int ld = c.ld();
            if (n) potrf(upper ? "U" : "L", &n, c.data(), &ld, &code, 1);
            for (int64_t j = 0; j < n; ++j)
                for (int64_t k = 0; k < n; ++k)
                    if (upper ? k > j : k < j) c(k, j) = T(0);
            store(c, l, to.at<T>(i));
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
            Columns<T> c(m, n);
            load(c, a, from.at<T>(i));
            std::vector<Int> p(size_t(std::max<int64_t>(1, k)));
            Int code = 0;
            const Int ld = c.ld();
            if (k) getrf(&m, &n, c.data(), &ld, p.data(), &code);
            store(c, lu, to.at<T>(i));
            for (int64_t j = 0; j < k; ++j) pivots.data<int32_t>()[i * k + j] = int32_t(p[size_t(j)]);
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
        for (int64_t i = 0; i < k; ++i) std::swap(o[i], o[p.data<int32_t>()[b * k + i] - 1]);
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
            Columns<T> c(n, n), d(n, k);
            load(c, a, from.at<T>(i));
            load(d, b, rhs.at<T>(i));
            std::vector<Int> p(size_t(std::max<int64_t>(1, n)));
            Int code = 0;
            const Int ld = c.ld();
            if (n) gesv(&n, &k, c.data(), &ld, p.data(), d.data(), &ld, &code);
            store(d, x, to.at<T>(i));
            info.data<int32_t>()[i] = int32_t(code);
        });
    });
    return {x, info};
}
bool right_side_is_vector(const Tensor& a, const Tensor& b) {
    if (b.dim() == 1) return true;
    return a.dim() - 1 == b.dim() && same(b.sizes(), IntSpan(a.sizes()).first(size_t(a.dim() - 1)));
}
std::tuple<Tensor, Tensor> solve_ex(const Tensor& a, const Tensor& b0, bool left, bool check_errors) {
    need_square(a, "linalg.solve");
    check(a.dtype() == b0.dtype(), "linalg.solve: Expected A and B to have the same dtype, but found A of type ",
          a.dtype(), " and B of type ", b0.dtype(), " instead");
    const bool vector = right_side_is_vector(a, b0);
    check(left || !vector,
          "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
          "linalg.solve is equivalent to B / A.squeeze(-1)");
    Tensor b = vector ? op<"unsqueeze">(b0, -1) : b0;
    check(b.size(left ? -2 : -1) == a.size(-1), "linalg.solve: Incompatible shapes of A and B for the equation ",
          left ? "AX = B" : "XA = B", " (", a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
    const Dims batch = broadcast_shapes(batch_of(a), batch_of(b));
    const Tensor A = op<"expand">(left ? a : op<"transpose">(a, -2, -1), with(batch, {a.size(-1), a.size(-1)}));
    b = left ? b : op<"transpose">(b, -2, -1);
    const Tensor B = op<"expand">(b, with(batch, {b.size(-2), b.size(-1)}));
    auto [x, info] = solve_matrices(A, B);
    check_info(info, check_errors, "torch.linalg.solve_ex");
    if (!left) x = make_view(x, op<"transpose">(x, -2, -1).sizes(), op<"transpose">(x, -2, -1).strides(), x->offset);
    if (vector) x = make_view(x, op<"squeeze">(x, -1).sizes(), op<"squeeze">(x, -1).strides(), x->offset);
    return {x, info};
}
void solve_backward(Back& b) {
    const Tensor a = b.arg(0), x = b.result(0), g = b.grad(0);
    const bool left = b.flag(2),
               vector = x.dim() == a.dim() - 1 ||
                        (b.needs(1) ? int64_t(b.sizes(1).size()) == x.dim() && x.dim() == 1 : x.dim() == 1) ||
                        (x.dim() + 1 == a.dim());
    const Tensor G = vector ? column(g) : g, X = vector ? column(x) : x;
    const Tensor gb = op<"linalg::solve">(mH(a), G, left);
    if (b.needs(0)) b.set(0, neg(left ? mm(gb, mH(X)) : mm(mH(X), gb)));
    if (b.needs(1)) b.set(1, vector ? op<"squeeze">(gb, -1) : gb);
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
Tensor det(const Tensor& a) { return std::move(opn<"_linalg_det">(a).result[0]); }

// ---------------------------------------------------------------- triangular systems
Tensor triangular(const Tensor& a0, const Tensor& b0, bool upper, bool left, bool unit) {
    need_square(a0, "linalg.solve_triangular");
    need_matrix(b0, "linalg.solve_triangular");
    check(a0.dtype() == b0.dtype(),
          "linalg.solve_triangular: Expected A and B to have the same dtype, but found A of type ", a0.dtype(),
          " and B of type ", b0.dtype(), " instead");
    check(b0.size(left ? -2 : -1) == a0.size(-1),
          "linalg.solve_triangular: Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (",
          a0.size(-2), "x", a0.size(-1), " and ", b0.size(-2), "x", b0.size(-1), ")");
    const Dims batch = broadcast_shapes(batch_of(a0), batch_of(b0));
    const int64_t n = a0.size(-1), m = b0.size(-2), k = b0.size(-1);
    const Tensor a = op<"expand">(a0, with(batch, {n, n})), b = op<"expand">(b0, with(batch, {m, k}));
    Tensor x = matrices(batch, m, k, a.dtype(), a.device());
    if (x.is_meta()) return x;
    visit_lapack(a, "triangular_solve", [&](auto z) {
        using T = decltype(z);
        const auto trsm = routine<void(const char*, const char*, const char*, const char*, const Int*, const Int*,
                                       const T*, const T*, const Int*, T*, const Int*, size_t, size_t, size_t, size_t),
                                  T>("trsm");
        const Batch from(a, 2), rhs(b, 2), to(x, 2);
        parallel_matrices(rhs.count, m * n * k, [&](int64_t i) {
            Columns<T> c(n, n), d(m, k);
            load(c, a, from.at<T>(i));
            load(d, b, rhs.at<T>(i));
            const T one(1);
            const Int lda = c.ld(), ldb = d.ld();
            if (m && k)
                trsm(left ? "L" : "R", upper ? "U" : "L", "N", unit ? "U" : "N", &m, &k, &one, c.data(), &lda, d.data(),
                     &ldb, 1, 1, 1, 1);
            store(d, x, to.at<T>(i));
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

// ---------------------------------------------------------------- eigenvalues
std::tuple<Tensor, Tensor> eigh(const Tensor& a, std::string_view uplo) {
    need_square(a, "linalg.eigh");
    check(!uplo.empty() && (uplo[0] == 'L' || uplo[0] == 'U' || uplo[0] == 'l' || uplo[0] == 'u'),
          "Expected UPLO argument to be 'L' or 'U', but got ", uplo);
    const int64_t n = a.size(-1);
    Tensor w = empty(with(batch_of(a), {n}), to_real(a.dtype()), a.device()),
           v = matrices(batch_of(a), n, n, a.dtype(), a.device());
    if (w.is_meta()) return {w, v};
    const char half_name[2] = {char(std::toupper(uplo[0])), 0};
    visit_lapack(a, "linalg_eigh", [&](auto z) {
        using T = decltype(z);
        using R = real_of<T>;
        const Batch from(a, 2), to(v, 2);
        parallel_matrices(from.count, 10 * n * n * n, [&](int64_t i) {
            Columns<T> c(n, n);
            load(c, a, from.at<T>(i));
            Int code = 0, lwork = -1, lrwork = -1, liwork = -1, iwant = 0;
            const Int ld = c.ld();
            T want{};
            R rwant{};
            R* values = w.data<R>() + i * n;
            auto call = [&](T* work, R* rwork, Int* iwork) {
                if constexpr (complex_v<T>)
                    routine<void(const char*, const char*, const Int*, T*, const Int*, R*, T*, const Int*, R*,
                                 const Int*, Int*, const Int*, Int*, size_t, size_t),
                            T>("heevd")("V", half_name, &n, c.data(), &ld, values, work, &lwork, rwork, &lrwork, iwork,
                                        &liwork, &code, 1, 1);
                else
                    routine<void(const char*, const char*, const Int*, T*, const Int*, R*, T*, const Int*, Int*,
                                 const Int*, Int*, size_t, size_t),
                            T>("syevd")("V", half_name, &n, c.data(), &ld, values, work, &lwork, iwork, &liwork, &code,
                                        1, 1);
            };
            if (!n) return;
            call(&want, &rwant, &iwant);
            lwork = wanted_room(want);
            lrwork = std::max<Int>(1, Int(rwant));
            liwork = std::max<Int>(1, iwant);
            std::vector<T> work(static_cast<size_t>(lwork));
            std::vector<R> rwork(static_cast<size_t>(lrwork));
            std::vector<Int> iwork(static_cast<size_t>(liwork));
            call(work.data(), rwork.data(), iwork.data());
            if (code > 0)
                fail(ErrorKind::Linalg, "linalg.eigh: ", from.count > 1 ? str("(Batch element ", i, "): ") : "",
                     "The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
                     "repeated eigenvalues (error code: ",
                     code, ").");
            store(c, v, to.at<T>(i));
        });
    });
    return {w, v};
}
Tensor eigh_backward(Back& b) {
    const Tensor w = b.result(0), v = b.result(1);
    Tensor inner;
    if (b.has(1)) inner = mul(mm(mH(v), b.grad(1)), inverse_gaps(w));
    if (b.has(0)) inner = add(inner, diag_embed(b.grad(0)).to(v.dtype()));
    return mm(mm(v, inner), mH(v));
}

std::tuple<Tensor, Tensor> eig(const Tensor& a0) {
    need_square(a0, "linalg.eig");
    // Real matrices go through LAPACK's complex routine's real twin; results are always complex.
    const DType ct = to_complex(a0.dtype());
    const int64_t n = a0.size(-1);
    Tensor w = empty(with(batch_of(a0), {n}), ct, a0.device()), v = matrices(batch_of(a0), n, n, ct, a0.device());
    if (w.is_meta()) return {w, v};
    visit_lapack(a0, "linalg_eig", [&](auto z) {
        using T = decltype(z);
        using R = real_of<T>;
        using C = Complex<R>;
        const Batch from(a0, 2), to(v, 2);
        parallel_matrices(from.count, 25 * n * n * n, [&](int64_t i) {
            if (!n) return;
            Columns<T> c(n, n), right(n, n);
            load(c, a0, from.at<T>(i));
            for (const T& e : c.v) {
                const R s = [&] {
                    if constexpr (complex_v<T>) return e.re + e.im;
                    else return e;
                }();
                check(s - s == 0, "torch.linalg.eig: input tensor should not contain infs or NaNs.");
            }
            Int code = 0, lwork = -1;
            const Int ld = c.ld(), one = 1;
            T want{};
            C* values = w.data<C>() + i * n;
            std::vector<R> re(static_cast<size_t>(2 * n)), im(static_cast<size_t>(n));
            auto call = [&](T* work) {
                if constexpr (complex_v<T>)
                    routine<void(const char*, const char*, const Int*, T*, const Int*, T*, T*, const Int*, T*,
                                 const Int*, T*, const Int*, R*, Int*, size_t, size_t),
                            T>("geev")("N", "V", &n, c.data(), &ld, values, nullptr, &one, right.data(), &ld, work,
                                       &lwork, re.data(), &code, 1, 1);
                else
                    routine<void(const char*, const char*, const Int*, T*, const Int*, R*, R*, T*, const Int*, T*,
                                 const Int*, T*, const Int*, Int*, size_t, size_t),
                            T>("geev")("N", "V", &n, c.data(), &ld, re.data(), im.data(), nullptr, &one, right.data(),
                                       &ld, work, &lwork, &code, 1, 1);
            };
            call(&want);
            lwork = wanted_room(want);
            std::vector<T> work(static_cast<size_t>(lwork));
            call(work.data());
            if (code > 0)
                fail(ErrorKind::Linalg, "linalg.eig: The algorithm failed to converge (error code: ", code, ").");
            Columns<C> vectors(n, n);
            if constexpr (complex_v<T>) {
                vectors.v = right.v;
            } else {
                for (int64_t j = 0; j < n; ++j) {
                    values[j] = {re[size_t(j)], im[size_t(j)]};
                    const bool pair = im[size_t(j)] > 0 && j + 1 < n;
                    for (int64_t k = 0; k < n; ++k) {
                        if (pair) {
                            vectors(k, j) = {right(k, j), right(k, j + 1)};
                            vectors(k, j + 1) = {right(k, j), -right(k, j + 1)};
                        } else {
                            vectors(k, j) = C(right(k, j));
                        }
                    }
                    if (pair) {
                        values[j + 1] = {re[size_t(j + 1)], im[size_t(j + 1)]};
                        ++j;
                    }
                }
            }
            store(vectors, v, to.at<C>(i));
        });
    });
    return {w, v};
}
Tensor eig_backward(Back& b) {
    const Tensor w = b.result(0), v = b.result(1);
    Tensor inner;
    if (b.has(1)) {
        const Tensor vg = mm(mH(v), b.grad(1));
        const Tensor unit = mm(mH(v), mul(v, row(real(diagonal(vg)))));  // the vectors are kept at length one
        inner = mul(sub(vg, unit), op<"conj_physical">(inverse_gaps(w)));
    }
    if (b.has(0)) inner = add(inner, diag_embed(b.grad(0)));
    const Tensor g = op<"linalg::solve">(mH(v), mm(inner, mH(v)));
    return is_complex(b.meta(0).dtype) ? g : real(g);
}

// ---------------------------------------------------------------- singular values
std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool full, std::string_view) {
    need_matrix(a, "linalg.svd");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n), mu = full ? m : k, nv = full ? n : k;
    Tensor u = matrices(batch_of(a), m, mu, a.dtype(), a.device()),
           s = empty(with(batch_of(a), {k}), to_real(a.dtype()), a.device()),
           vh = matrices(batch_of(a), nv, n, a.dtype(), a.device());
    if (u.is_meta()) return {u, s, vh};
    visit_lapack(a, "linalg_svd", [&](auto z) {
        using T = decltype(z);
        using R = real_of<T>;
        const Batch from(a, 2), tu(u, 2), tv(vh, 2);
        parallel_matrices(from.count, 20 * m * n * k, [&](int64_t i) {
            Columns<T> c(m, n), cu(m, mu), cv(nv, n);
            load(c, a, from.at<T>(i));
            Int code = 0, lwork = -1;
            if (k) {
                const Int lda = c.ld(), ldu = cu.ld(), ldv = cv.ld();
                T want{};
                std::vector<Int> iwork(static_cast<size_t>(8 * k));
                const int64_t big = std::max(m, n);
                std::vector<R> rwork(complex_v<T> ? size_t(std::max(5 * k * k + 5 * k, 2 * big * k + 2 * k * k + k))
                                                  : 1);
                R* values = s.data<R>() + i * k;
                auto call = [&](T* work) {
                    if constexpr (complex_v<T>)
                        routine<void(const char*, const Int*, const Int*, T*, const Int*, R*, T*, const Int*, T*,
                                     const Int*, T*, const Int*, R*, Int*, Int*, size_t),
                                T>("gesdd")(full ? "A" : "S", &m, &n, c.data(), &lda, values, cu.data(), &ldu,
                                            cv.data(), &ldv, work, &lwork, rwork.data(), iwork.data(), &code, 1);
                    else
                        routine<void(const char*, const Int*, const Int*, T*, const Int*, R*, T*, const Int*, T*,
                                     const Int*, T*, const Int*, Int*, Int*, size_t),
                                T>("gesdd")(full ? "A" : "S", &m, &n, c.data(), &lda, values, cu.data(), &ldu,
                                            cv.data(), &ldv, work, &lwork, iwork.data(), &code, 1);
                };
                call(&want);
                lwork = wanted_room(want);
                std::vector<T> work(static_cast<size_t>(lwork));
                call(work.data());
                if (code)
                    fail(ErrorKind::Linalg, "linalg.svd: ", from.count > 1 ? str("(Batch element ", i, "): ") : "",
                         "The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
                         "repeated singular values (error code: ",
                         code, ").");
            } else {
                for (int64_t j = 0; j < std::min(m, mu); ++j) cu(j, j) = T(1);
                for (int64_t j = 0; j < std::min(n, nv); ++j) cv(j, j) = T(1);
            }
            store(cu, u, tu.at<T>(i));
            store(cv, vh, tv.at<T>(i));
        });
    });
    return {u, s, vh};
}
Tensor svd_backward(Back& b) {
    const int64_t m = b.sizes(0)[b.sizes(0).size() - 2], n = b.sizes(0).back(), k = std::min(m, n);
    const Tensor u = op<"narrow">(b.result(0), -1, 0, k), s = b.result(1), vh = op<"narrow">(b.result(2), -2, 0, k);
    Tensor gu = b.has(0) ? op<"narrow">(b.grad(0), -1, 0, k) : Tensor(),
           gvh = b.has(2) ? op<"narrow">(b.grad(2), -2, 0, k) : Tensor();
    if (!gu.defined() && !gvh.defined()) return b.has(1) ? mm(mul(u, row(b.grad(1))), vh) : Tensor();
    auto skew = [](const Tensor& t) { return sub(t, mH(t)); };
    const Tensor s2 = mul(s, s), e = inverse_gaps(s2);
    Tensor inner;
    if (gu.defined()) inner = mul(mul(skew(mm(mH(u), gu)), e), row(s));
    if (gvh.defined()) inner = add(inner, mul(mul(skew(mm(vh, mH(gvh))), e), column(s)));
    if (is_complex(u.dtype()) && gu.defined()) {  // the common phase of a pair of vectors
        const Tensor d = diagonal(mm(mH(u), gu));
        const Tensor im = op<"complex">(op<"zeros_like">(real(d)), op<"imag">(d));
        inner = add(inner, diag_embed(op<"div">(im, s)));
    }
    if (b.has(1)) inner = add(inner, diag_embed(b.grad(1)));
    Tensor r;
    if (m > k && gu.defined()) {
        const Tensor out = sub(gu, mm(u, mm(mH(u), gu)));
        r = mm(add(mm(u, inner), op<"div">(out, row(s))), vh);
    } else if (n > k && gvh.defined()) {
        const Tensor out = sub(gvh, mm(mm(gvh, mH(vh)), vh));
        r = mm(u, add(mm(inner, vh), op<"div">(out, column(s))));
    } else {
        r = mm(u, mm(inner, vh));
    }
    return r;
}

// ---------------------------------------------------------------- QR
std::tuple<Tensor, Tensor> geqrf(const Tensor& a) {
    check(a.dim() >= 2, "torch.geqrf: input must have at least 2 dimensions.");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    Tensor r = matrices(batch_of(a), m, n, a.dtype(), a.device()),
           tau = empty(with(batch_of(a), {k}), a.dtype(), a.device());
    if (r.is_meta()) return {r, tau};
    visit_lapack(a, "geqrf", [&](auto z) {
        using T = decltype(z);
        const auto f = routine<void(const Int*, const Int*, T*, const Int*, T*, T*, const Int*, Int*), T>("geqrf");
        const Batch from(a, 2), to(r, 2);
        parallel_matrices(from.count, m * n * k, [&](int64_t i) {
            Columns<T> c(m, n);
            load(c, a, from.at<T>(i));
            Int code = 0, lwork = -1;
            const Int ld = c.ld();
            T want{};
            if (k) {
                T* t = tau.data<T>() + i * k;
                f(&m, &n, c.data(), &ld, t, &want, &lwork, &code);
                lwork = wanted_room(want);
                std::vector<T> work(static_cast<size_t>(lwork));
                f(&m, &n, c.data(), &ld, t, work.data(), &lwork, &code);
            }
            store(c, r, to.at<T>(i));
        });
    });
    return {r, tau};
}
// The first `columns` columns of the product of reflectors.
Tensor reflectors(const Tensor& a, const Tensor& tau, int64_t columns) {
    const int64_t m = a.size(-2), k = tau.size(-1);
    Tensor q = matrices(batch_of(a), m, columns, a.dtype(), a.device());
    if (q.is_meta()) return q;
    const Tensor t = dense(tau);
    visit_lapack(a, "orgqr", [&](auto z) {
        using T = decltype(z);
        const auto f =
            routine<void(const Int*, const Int*, const Int*, T*, const Int*, const T*, T*, const Int*, Int*), T>(
                complex_v<T> ? "ungqr" : "orgqr");
        const Batch from(a, 2), to(q, 2);
        parallel_matrices(from.count, m * columns * k, [&](int64_t i) {
            Columns<T> c(m, columns), src(m, a.size(-1));
            load(src, a, from.at<T>(i));
            for (int64_t j = 0; j < std::min(k, columns); ++j)
                for (int64_t r = 0; r < m; ++r) c(r, j) = src(r, j);
            Int code = 0, lwork = -1;
            const Int ld = c.ld();
            T want{};
            if (m && columns) {
                f(&m, &columns, &k, c.data(), &ld, t.data<T>() + i * k, &want, &lwork, &code);
                lwork = wanted_room(want);
                std::vector<T> work(static_cast<size_t>(lwork));
                f(&m, &columns, &k, c.data(), &ld, t.data<T>() + i * k, work.data(), &lwork, &code);
            }
            store(c, q, to.at<T>(i));
        });
    });
    return q;
}
std::tuple<Tensor, Tensor> qr(const Tensor& a, std::string_view mode) {
    need_matrix(a, "linalg.qr");
    check(mode == "reduced" || mode == "complete" || mode == "r", "qr received unrecognized mode '", mode,
          "' but expected one of 'reduced' (default), 'r', or 'complete'");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    auto [packed, tau] = geqrf(a);
    const int64_t rows = mode == "complete" ? m : k;
    Tensor r = op<"triu">(op<"narrow">(packed, -2, 0, rows));
    Tensor q = mode == "r" ? empty(Dims{0}, a.dtype(), a.device()) : reflectors(packed, tau, rows);
    (void)n;
    return {q, r};
}
// Walter and Lehmann, "On evaluating higher-order derivatives of the QR decomposition" (2012): for a full-rank leading
// square.
Tensor qr_backward(Back& b) {
    const std::string_view mode = b.attr(1).string();
    check(mode != "r",
          "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, "
          "mode='reduced') if you are going to require gradients.");
    const Tensor q = b.result(0), r = b.result(1);
    const int64_t m = q.size(-2), n = r.size(-1);
    check(!(mode == "complete" && m > n),
          "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.");
    Tensor gq = b.has(0) ? b.grad(0) : op<"zeros_like">(q), gr = b.has(1) ? b.grad(1) : op<"zeros_like">(r);
    auto syminvadj = [](const Tensor& x) {  // lower triangle doubled, diagonal real parts once, Hermitian
        Tensor t = add(x, mH(x));
        return sub(t, diag_embed(op<"mul">(diagonal(t), Scalar(0.5))));
    };
    const auto square = [&](const Tensor& Q, const Tensor& R, const Tensor& gQ, const Tensor& gR) {
        Tensor g = sub(mm(gR, mH(R)), mm(mH(Q), gQ));
        g = mm(Q, syminvadj(op<"triu">(g)));
        g = add(g, gQ);
        return mH(solve_triangular(R, mH(g), true));
    };
    if (m >= n) return square(q, r, gq, gr);
    // Wide: A = Q [R1 R2] = [X Y], Y = Q R2.
    const Tensor R1 = op<"narrow">(r, -1, 0, m), gR1 = op<"narrow">(gr, -1, 0, m), gR2 = op<"narrow">(gr, -1, m, n - m);
    const Tensor R2 = op<"narrow">(r, -1, m, n - m), gQ = add(gq, mm(mm(q, R2), mH(gR2)));
    const Tensor gX = square(q, R1, gQ, gR1), gY = mm(q, gR2);
    return op<"cat">(std::vector<Tensor>{gX, gY}, -1);
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
    Tensor x = matrices(batch, n, k, a.dtype(), a.device());
    Tensor residuals = empty(Dims{0}, real_type),
           rank = empty(has_rank ? IntSpan(batch) : IntSpan(Dims{0}), DType::i64),
           values = empty(has_values ? IntSpan(with(batch, {least})) : IntSpan(Dims{0}), real_type);
    if (x.is_meta()) return {x, residuals, rank, values};
    const double tolerance =
        rcond.value_or((real_type == DType::f64 ? 2.220446049250313e-16 : 1.1920929e-07) * double(most));
    const bool with_residuals = m > n && driver != "gelsy";
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
            if (m && n && k) {
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
    if (vector) x = make_view(x, op<"squeeze">(x, -1).sizes(), op<"squeeze">(x, -1).strides(), x->offset);
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
        b.set(1, vector ? op<"squeeze">(gb, -1) : gb);
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
            Int code = 0;
            const Int lda = c.ld();
            if (n && k) f("L", &n, &k, c.data(), &lda, piv.data(), d.data(), &lda, &code, 1);
            store(d, x, to.at<T>(i));
        });
    });
    return x;
}

const Family linalg([](Registry& r) {
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
        .kernel<ldl_solve>();
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
    r.add("linalg::eigh(Tensor self, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)", "fo")
        .kernel<eigh>()
        .grad("self", "result0, result1", eigh_backward);
    r.add("linalg::eig(Tensor self) -> (Tensor eigenvalues, Tensor eigenvectors)", "fo")
        .kernel<eig>()
        .grad("self", "result0, result1", eig_backward);
    r.add("linalg::svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)",
          "fo")
        .kernel<svd>()
        .grad("A", "result0, result1, result2", svd_backward);
    r.add("linalg::qr(Tensor A, str mode=\"reduced\") -> (Tensor Q, Tensor R)", "fo")
        .kernel<qr>()
        .grad("A", "result0, result1", qr_backward);
    r.add("geqrf(Tensor self) -> (Tensor a, Tensor tau)", "fmo").kernel<geqrf>();
    r.add(
         "linalg::ldl_factor_ex(Tensor self, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor "
         "pivots, Tensor info)",
         "fo")
        .kernel<ldl_factor_ex>();
});

}  // namespace
}  // namespace fb
