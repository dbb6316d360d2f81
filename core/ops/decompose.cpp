// Decompositions by LAPACK, batched: eigenvalues, singular values, QR. Derivatives: M. Giles, "Collected matrix
// derivative results for forward and reverse mode algorithmic differentiation" (2008); for eig and the complex cases
// the same by differentials.
#include <limits>
#include <numeric>

#include "ops/linalg.h"

namespace fb {
namespace {
using namespace linear;

// ---------------------------------------------------------------- eigenvalues
std::tuple<Tensor, Tensor> eigenpairs(const Tensor& a, std::string_view uplo, bool vectors) {
    need_square(a, "linalg.eigh");
    check(uplo.size() == 1 && (uplo[0] == 'L' || uplo[0] == 'U' || uplo[0] == 'l' || uplo[0] == 'u'),
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
        if (!n) return;
        const auto f = [] {
            if constexpr (complex_v<T>)
                return routine<void(const char*, const char*, const Int*, T*, const Int*, R*, T*, const Int*, R*,
                                    const Int*, Int*, const Int*, Int*, size_t, size_t),
                               T>("heevd");
            else
                return routine<void(const char*, const char*, const Int*, T*, const Int*, R*, T*, const Int*, Int*,
                                    const Int*, Int*, size_t, size_t),
                               T>("syevd");
        }();
        Int lwork = -1, lrwork = -1, liwork = -1;
        const auto call = [&](T* c, R* values, T* work, R* rwork, Int* iwork) {
            Int code = 0;
            const char* job = vectors ? "V" : "N";
            if constexpr (complex_v<T>)
                f(job, half_name, &n, c, &n, values, work, &lwork, rwork, &lrwork, iwork, &liwork, &code, 1, 1);
            else f(job, half_name, &n, c, &n, values, work, &lwork, iwork, &liwork, &code, 1, 1);
            return code;
        };
        {  // the same room for all
            T none{}, want{};
            R rnone{}, rwant{};
            Int iwant = 0;
            call(&none, &rnone, &want, &rwant, &iwant);
            lwork = wanted_room(want);
            lrwork = std::max<Int>(1, Int(rwant));
            liwork = std::max<Int>(1, iwant);
        }
        parallel_runs(from.count, 10 * n * n * n, [&](int64_t i, int64_t end) {
            std::vector<T> own(vectors ? 0 : size_t(n * n)), work(static_cast<size_t>(lwork));
            std::vector<R> rwork(static_cast<size_t>(lrwork));
            std::vector<Int> iwork(static_cast<size_t>(liwork));
            for (; i < end; ++i) {
                T* const c = vectors ? to.at<T>(i) : own.data();  // by columns
                load(c, a, from.at<T>(i));
                const Int code = call(c, w.data<R>() + i * n, work.data(), rwork.data(), iwork.data());
                if (code > 0)
                    fail(ErrorKind::Linalg, "linalg.eigh: ", from.count > 1 ? str("(Batch element ", i, "): ") : "",
                         "The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
                         "repeated eigenvalues (error code: ",
                         code, ").");
            }
        });
    });
    return {w, v};
}
std::tuple<Tensor, Tensor> eigh(const Tensor& a, std::string_view uplo) { return eigenpairs(a, uplo, true); }
Tensor eigvalsh(const Tensor& a, std::string_view uplo) { return std::get<0>(eigenpairs(a, uplo, false)); }
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
        if (!n) return;
        const auto f = [] {
            if constexpr (complex_v<T>)
                return routine<void(const char*, const char*, const Int*, T*, const Int*, T*, T*, const Int*, T*,
                                    const Int*, T*, const Int*, R*, Int*, size_t, size_t),
                               T>("geev");
            else
                return routine<void(const char*, const char*, const Int*, T*, const Int*, R*, R*, T*, const Int*, T*,
                                    const Int*, T*, const Int*, Int*, size_t, size_t),
                               T>("geev");
        }();
        parallel_matrices(from.count, 25 * n * n * n, [&](int64_t i) {
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
                    f("N", "V", &n, c.data(), &ld, values, nullptr, &one, right.data(), &ld, work, &lwork, re.data(),
                      &code, 1, 1);
                else
                    f("N", "V", &n, c.data(), &ld, re.data(), im.data(), nullptr, &one, right.data(), &ld, work, &lwork,
                      &code, 1, 1);
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
template <class T>
bool unordered(const T& e) {
    if constexpr (complex_v<T>) return e.re != e.re || e.im != e.im;
    else return e != e;
}

enum class Vectors : char { None = 'N', Some = 'S', All = 'A' };

std::tuple<Tensor, Tensor, Tensor> singular(const Tensor& a, Vectors wanted) {
    need_matrix(a, "linalg.svd");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    const int64_t mu = wanted == Vectors::All    ? m
                       : wanted == Vectors::Some ? k
                                                 : 0,
                  nv = wanted == Vectors::All    ? n
                       : wanted == Vectors::Some ? k
                                                 : 0;
    const char job[2] = {char(wanted), 0};
    Tensor u = matrices(batch_of(a), m, mu, a.dtype(), a.device()),
           s = empty(with(batch_of(a), {k}), to_real(a.dtype()), a.device()),
           vh = matrices(batch_of(a), nv, n, a.dtype(), a.device());
    if (u.is_meta()) return {u, s, vh};
    visit_lapack(a, "linalg_svd", [&](auto z) {
        using T = decltype(z);
        using R = real_of<T>;
        const Batch from(a, 2), tu(u, 2), tv(vh, 2);
        const auto f = [] {
            if constexpr (complex_v<T>)
                return routine<void(const char*, const Int*, const Int*, T*, const Int*, R*, T*, const Int*, T*,
                                    const Int*, T*, const Int*, R*, Int*, Int*, size_t),
                               T>("gesdd");
            else
                return routine<void(const char*, const Int*, const Int*, T*, const Int*, R*, T*, const Int*, T*,
                                    const Int*, T*, const Int*, Int*, Int*, size_t),
                               T>("gesdd");
        }();
        parallel_matrices(from.count, 20 * m * n * k, [&](int64_t i) {
            Columns<T> c(m, n), cu(m, mu), cv(nv, n);
            load(c, a, from.at<T>(i));
            Int code = 0, lwork = -1;
            // LAPACK may turn for ever on infinite elements; NaN singular values are what it else comes to
            const R sum = std::accumulate(c.v.begin(), c.v.end(), R(0), [](R s, const T& e) {
                if constexpr (complex_v<T>) return s + e.re * R(0) + e.im * R(0);
                else return s + e * R(0);
            });
            if (k && sum != 0) {
                for (const T& e : c.v)
                    if (unordered(e))
                        fail(ErrorKind::Linalg, "linalg.svd: ", from.count > 1 ? str("(Batch element ", i, "): ") : "",
                             "The algorithm failed to converge because the input matrix contained non-finite values.");
                const R nan = std::numeric_limits<R>::quiet_NaN();
                std::fill_n(s.data<R>() + i * k, k, nan);
                std::fill(cu.v.begin(), cu.v.end(), T(nan));
                std::fill(cv.v.begin(), cv.v.end(), T(nan));
            } else if (k) {
                const Int lda = c.ld(), ldu = cu.ld(), ldv = cv.ld();
                T want{};
                std::vector<Int> iwork(static_cast<size_t>(8 * k));
                const int64_t big = std::max(m, n);
                std::vector<R> rwork(complex_v<T> ? size_t(std::max(5 * k * k + 5 * k, 2 * big * k + 2 * k * k + k))
                                                  : 1);
                R* values = s.data<R>() + i * k;
                auto call = [&](T* work) {
                    if constexpr (complex_v<T>)
                        f(job, &m, &n, c.data(), &lda, values, cu.data(), &ldu, cv.data(), &ldv, work, &lwork,
                          rwork.data(), iwork.data(), &code, 1);
                    else
                        f(job, &m, &n, c.data(), &lda, values, cu.data(), &ldu, cv.data(), &ldv, work, &lwork,
                          iwork.data(), &code, 1);
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
            } else if (wanted != Vectors::None) {
                for (int64_t j = 0; j < std::min(m, mu); ++j) cu(j, j) = T(1);
                for (int64_t j = 0; j < std::min(n, nv); ++j) cv(j, j) = T(1);
            }
            if (wanted == Vectors::None) return;
            store(cu, u, tu.at<T>(i));
            store(cv, vh, tv.at<T>(i));
        });
    });
    return {u, s, vh};
}
std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& a, bool full, std::string_view) {
    return singular(a, full ? Vectors::All : Vectors::Some);
}
Tensor svdvals(const Tensor& a) { return std::get<1>(singular(a, Vectors::None)); }
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
// LAPACK's QR makes blocks of 32 columns; of fewer it asks what it should do first, which takes longer than to do it.
bool few_columns(int64_t m, int64_t n) { return std::max(m, n) <= 32; }
std::tuple<Tensor, Tensor> geqrf(const Tensor& a) {
    check(a.dim() >= 2, "torch.geqrf: input must have at least 2 dimensions.");
    const int64_t m = a.size(-2), n = a.size(-1), k = std::min(m, n);
    Tensor r = matrices(batch_of(a), m, n, a.dtype(), a.device()),
           tau = empty(with(batch_of(a), {k}), a.dtype(), a.device());
    if (r.is_meta()) return {r, tau};
    visit_lapack(a, "geqrf", [&](auto z) {
        using T = decltype(z);
        const Batch from(a, 2), to(r, 2);
        const Int ld = std::max<Int>(1, m), asked = -1;
        if (few_columns(m, n)) {
            const auto f = routine<void(const Int*, const Int*, T*, const Int*, T*, T*, Int*), T>("geqr2");
            parallel_matrices(from.count, m * n * k, [&](int64_t i) {
                T* const c = to.at<T>(i);  // by columns
                load(c, a, from.at<T>(i));
                T work[32];
                Int code = 0;
                if (k) f(&m, &n, c, &ld, tau.data<T>() + i * k, work, &code);
            });
            return;
        }
        const auto f = routine<void(const Int*, const Int*, T*, const Int*, T*, T*, const Int*, Int*), T>("geqrf");
        T want{}, none{};  // the same room for all
        Int answer = 0;
        if (k) f(&m, &n, &none, &ld, &none, &want, &asked, &answer);
        const Int lwork = wanted_room(want);
        parallel_matrices(from.count, m * n * k, [&](int64_t i) {
            T* const c = to.at<T>(i);  // by columns
            load(c, a, from.at<T>(i));
            Int code = 0;
            std::vector<T> work(static_cast<size_t>(lwork));
            if (k) f(&m, &n, c, &ld, tau.data<T>() + i * k, work.data(), &lwork, &code);
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
        const Batch from(a, 2), to(q, 2);
        const int64_t rows = a.stride(-2), across = a.stride(-1);
        const Int ld = std::max<Int>(1, m), asked = -1;
        const auto begin = [&](int64_t i) {
            T* const c = to.at<T>(i);  // by columns
            const int64_t given = std::min(k, columns);
            copy_matrix(m, given, static_cast<const T*>(from.at<T>(i)), rows, across, c, int64_t(1), m);
            std::fill(c + given * m, c + columns * m, T(0));
            return c;
        };
        if (few_columns(m, columns)) {
            const auto f = routine<void(const Int*, const Int*, const Int*, T*, const Int*, const T*, T*, Int*), T>(
                complex_v<T> ? "ung2r" : "org2r");
            parallel_matrices(from.count, m * columns * k, [&](int64_t i) {
                T* const c = begin(i);
                T work[32];
                Int code = 0;
                if (m && columns) f(&m, &columns, &k, c, &ld, t.data<T>() + i * k, work, &code);
            });
            return;
        }
        const auto f =
            routine<void(const Int*, const Int*, const Int*, T*, const Int*, const T*, T*, const Int*, Int*), T>(
                complex_v<T> ? "ungqr" : "orgqr");
        T want{}, none{};  // the same room for all
        Int answer = 0;
        if (m && columns) f(&m, &columns, &k, &none, &ld, &none, &want, &asked, &answer);
        const Int lwork = wanted_room(want);
        parallel_matrices(from.count, m * columns * k, [&](int64_t i) {
            T* const c = begin(i);
            Int code = 0;
            std::vector<T> work(static_cast<size_t>(lwork));
            if (m && columns) f(&m, &columns, &k, c, &ld, t.data<T>() + i * k, work.data(), &lwork, &code);
        });
    });
    return q;
}
std::tuple<Tensor, Tensor> qr(const Tensor& a, std::string_view mode) {
    need_floating(a, "linalg.qr");
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

const Family decompositions([](Registry& r) {
    r.add("linalg::eigh(Tensor self, str UPLO=\"L\") -> (Tensor eigenvalues, Tensor eigenvectors)", "fo")
        .kernel<eigh>()
        .grad("self", "result0, result1", eigh_backward);
    r.add("_linalg_eigvalsh(Tensor self, str UPLO=\"L\") -> Tensor", "f").kernel<eigvalsh>();  // without a derivative
    r.add("_linalg_svdvals(Tensor A) -> Tensor", "f").kernel<svdvals>();                       // likewise
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
    r.add("geqrf(Tensor self) -> (Tensor a, Tensor tau)", "fmo").kernel<geqrf>().grads("self", "", no_derivative);
});

}  // namespace
}  // namespace fb
