// Solving and inverting with a Cholesky factor. The derivative is that of (L·Lᴴ)⁻¹ in all entries of L, as PyTorch's
// is: the gradient of the factor has entries in the triangle that the solver does not read.
#include "autograd/back.h"
#include "ops/formula.h"

namespace fb {
namespace {

Tensor mH(const Tensor& t) { return formula::conj(op<"transpose.int">(t, -2, -1)); }
Tensor mm(const Tensor& a, const Tensor& b) { return op<"matmul">(a, b); }
Tensor triangular(const Tensor& a, const Tensor& b, bool upper) { return op<"linalg::solve_triangular">(a, b, upper); }

Tensor cholesky_solve(const Tensor& b, const Tensor& factor, bool upper) {
    GradGuard off(false);
    const Tensor lower = upper ? mH(factor) : factor;
    return triangular(mH(lower), triangular(lower, b, false), true);
}
Tensor cholesky_inverse(const Tensor& factor, bool upper) {
    GradGuard off(false);
    const Tensor eye =
                     op<"expand">(op<"eye">(factor.size(-1), factor.dtype(), nullptr, factor.device()), factor.sizes()),
                 inverse = triangular(factor, eye, upper);
    return upper ? mm(inverse, mH(inverse)) : mm(mH(inverse), inverse);
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
