// Distances and products of pairs of vectors.
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
    check(eps >= 0, "eps must be non-negative, got: ", eps);
    check(is_floating(a0.dtype()) || is_floating(b0.dtype()),
          "expected common dtype to be floating point, yet common dtype is ", a0.dtype());
    const DType t = is_floating(a0.dtype()) && is_floating(b0.dtype()) && itemsize(b0.dtype()) > itemsize(a0.dtype())
                        ? b0.dtype()
                    : is_floating(a0.dtype()) ? a0.dtype()
                                              : b0.dtype();
    const Dims shape = broadcast_shapes(a0.sizes(), b0.sizes());
    const Tensor a = op<"expand">(a0.to(t), shape), b = op<"expand">(b0.to(t), shape);
    auto length = [&](const Tensor& x) {
        const Tensor norm = op<"linalg::vector_norm">(x, Scalar(2), Dims{dim}, true);
        return op<"clamp_min">(norm, Scalar(eps));
    };
    return op<"sum.dim_IntList">(op<"mul">(op<"div">(a, length(a)), op<"div">(b, length(b))), Dims{dim});
}

// out[…, k] = Σ_ij x1[…, i] w[k, i, j] x2[…, j] + bias[k]
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& w, const Tensor& bias) {
    check(a.dim() > 0 && w.dim() == 3, "bilinear(): inputs must have a dimension and the weight three, got ", a.sizes(),
          " and ", w.sizes());
    check(a.dim() == b.dim(), "bilinear(): input dimensions do not match: got ", a.dim(), " and ", b.dim());
    for (int64_t d = 0; d + 1 < a.dim(); ++d)
        check(a.sizes()[size_t(d)] == b.sizes()[size_t(d)], "bilinear(): input batch dimensions do not match at dim ",
              d, ": got ", a.sizes()[size_t(d)], " and ", b.sizes()[size_t(d)]);
    check(a.size(-1) == w.size(1), "bilinear(): input1 size does not match weight size: got ", a.size(-1),
          " but expected ", w.size(1));
    check(b.size(-1) == w.size(2), "bilinear(): input2 size does not match weight size: got ", b.size(-1),
          " but expected ", w.size(2));
    const int64_t n = a.size(-1), m = b.size(-1), k = w.size(0);
    const Tensor x = op<"reshape">(a, Dims{-1, n}), y = op<"reshape">(b, Dims{-1, m});
    const Tensor left = op<"reshape">(op<"matmul">(x, op<"reshape">(op<"permute">(w, Dims{1, 0, 2}), Dims{n, k * m})),
                                      Dims{x.size(0), k, m});
    Tensor r = op<"squeeze.dim">(op<"matmul">(left, op<"unsqueeze">(y, -1)), -1);
    if (bias.defined()) {
        check(bias.size(0) == k, "bilinear(): bias size does not match weight size: got ", bias.size(0),
              " but expected ", k);
        r = op<"add">(r, bias);
    }
    Dims shape(IntSpan(a.sizes()).first(size_t(a.dim() - 1)));
    shape.push_back(k);
    return op<"reshape">(r, shape);
}

const Family distances([](Registry& r) {
    r.add("pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) -> Tensor", "f")
        .kernel<pairwise_distance>();
    r.add("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", "f")
        .kernel<cosine_similarity>();
    r.add("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", "f").kernel<bilinear>();
});

}  // namespace
}  // namespace fb
