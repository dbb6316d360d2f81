// Solving and inverting with a Cholesky factor. The derivative is that of (L·Lᴴ)⁻¹ in all entries of L, as PyTorch's
// is: the gradient of the factor has entries in the triangle that the solver does not read.
#include "ops/linalg.h"

namespace fb {
namespace {

using namespace linear;

Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper) {
    GradGuard off(false);
    const Tensor lower = upper ? mH(factor) : factor;
    return solve_triangular(mH(lower), solve_triangular(lower, b, false), true);
}
Tensor cholesky_inverse(const Tensor& factor, bool upper) {
    const int64_t n = factor.size(-1);
    Tensor inverse = matrices(batch_of(factor), n, n, factor.dtype(), factor.device());
    if (inverse.is_meta()) return inverse;
    visit_lapack(factor, "cholesky_inverse", [&](auto z) {
        using T = decltype(z);
        const auto potri = routine<void(const char*, const Int*, T*, const Int*, Int*, size_t), T>("potri");
        const Batch from(factor, 2), to(inverse, 2);
        parallel_matrices(from.count, n * n * n, [&](int64_t i) {
            T* c = to.at<T>(i);
            load(c, factor, from.at<T>(i));
            Int code = 0;
            if (n) potri(upper ? "U" : "L", &n, c, &n, &code, 1);
            if (code)
                fail(ErrorKind::Linalg, "cholesky_inverse: ", from.count > 1 ? str("(Batch element ", i, "): ") : "",
                     "The diagonal element ", code, " is zero, the inversion could not be completed because the input ",
                     "matrix is singular.");
            for (int64_t j = 0; j < n; ++j)  // the other triangle
                for (int64_t k = 0; k < j; ++k) {
                    T &above = c[k + j * n], &below = c[j + k * n];
                    if (upper) below = conjugate(above);
                    else above = conjugate(below);
                }
        });
    });
    return inverse;
}

// From the gradient of A = L·Lᴴ (or Uᴴ·U) to that of the factor.
Tensor factor_gradient(const Tensor& of_a, const Tensor& factor, bool upper) {
    const Tensor both = op<"add">(of_a, mH(of_a));
    return upper ? mm(factor, both) : mm(both, factor);
}

const Family family([](Registry& r) {
    r.add("_cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor", "f")
        .kernel<cholesky_solve>()
        .node("CholeskySolveBackward0")
        .grads("self, input2", "input2, result", [](Back& b) {
            const bool upper = b.flag(2);
            const Tensor factor = b.arg(1), of_b = op<"_cholesky_solve">(b.g, factor, upper);
            if (b.needs(0)) b.set(0, of_b);
            if (b.needs(1)) b.set(1, factor_gradient(op<"neg">(mm(of_b, mH(b.result()))), factor, upper));
        });
    r.add("_cholesky_inverse(Tensor self, bool upper=False) -> Tensor", "f")
        .kernel<cholesky_inverse>()
        .node("CholeskyInverseBackward0")
        .grad("self", "self, result", [](Back& b) {
            const Tensor inverse = b.result();
            return factor_gradient(op<"neg">(mm(mm(inverse, b.g), inverse)), b.arg(0), b.flag(1));
        });
});

}  // namespace
}  // namespace fb
