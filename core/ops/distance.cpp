// Distances of pairs of vectors.
#include <cmath>
#include "autograd/back.h"

namespace fb {
namespace {

Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim) {
    const int64_t last = std::max(a.dim(), b.dim()) - 1;
    return op<"linalg::vector_norm">(op<"add">(op<"sub">(a, b), Scalar(eps)), Scalar(p), Dims{last}, keepdim);
}

// x·y / (|x| |y|), each norm at least eps.
Tensor cosine_similarity(const Tensor& a0, const Tensor& b0, int64_t dim, double eps) {
    check(is_floating(a0.dtype()) || is_floating(b0.dtype()), "expected common dtype to be floating point, yet common dtype is ", a0.dtype());
    const DType t = is_floating(a0.dtype()) && is_floating(b0.dtype()) && itemsize(b0.dtype()) > itemsize(a0.dtype()) ? b0.dtype() : is_floating(a0.dtype()) ? a0.dtype() : b0.dtype();
    const Dims shape = broadcast_shapes(a0.sizes(), b0.sizes());
    const Tensor a = op<"expand">(a0.to(t), shape), b = op<"expand">(b0.to(t), shape);
    auto length = [&](const Tensor& x) {
        const Tensor norm = op<"linalg::vector_norm">(x, Scalar(2), Dims{dim}, true);
        return op<"clamp_min">(norm, Scalar(eps));
    };
    return op<"sum.dim_IntList">(op<"mul">(op<"div">(a, length(a)), op<"div">(b, length(b))), Dims{dim});
}

const Family distances([](Registry& r) {
    r.add("pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) -> Tensor", "f").kernel<pairwise_distance>();
    r.add("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", "f").kernel<cosine_similarity>();
});

}  // namespace
}  // namespace fb
