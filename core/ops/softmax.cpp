// Softmax and its logarithm. With create_graph the gradient is written with operators, otherwise one kernel computes
// it.
#include "autograd/back.h"
#include "base/parallel.h"
#include "cpu/iter.h"
#include "cpu/norm.h"

namespace fb {
namespace {
using namespace cpu;

struct Shape {
    int64_t outer, n, inner;
};
Shape around(IntSpan sizes, int64_t dim) {
    if (sizes.empty()) return {1, 1, 1};
    const size_t d = size_t(dim);
    return {product(sizes.first(d)), sizes[d], product(sizes.subspan(d + 1))};
}
// body(first element, how many outer indices) on several threads. Those share whole groups of rows, which loops may
// take together: results do not depend on the number of threads.
template <class F>
void each_outer(const Shape& s, F&& body) {
    const int64_t group = s.inner == 1 ? 16 : 1, groups = (s.outer + group - 1) / group;
    parallel_for(groups, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, group * s.n * s.inner)),
                 [&](int64_t begin, int64_t end) {
                     begin *= group;
                     body(begin * s.n * s.inner, std::min(end * group, s.outer) - begin);
                 });
}

template <bool log>
Tensor forward(const Tensor& x, int64_t dim, bool half_to_float, Out out) {
    dim = wrap_dim(dim, x.dim());
    const DType t = half_to_float ? DType::f32 : x.dtype();
    const NormLoops* loops = norm_loops(x.dtype());
    if (!loops)
        fail(ErrorKind::NotImplemented, "\"", log ? "log_softmax" : "softmax",
             dim + 1 >= x.dim() ? "_lastdim_kernel_impl" : "_kernel_impl", "\" not implemented for '", x.dtype(), "'");
    Tensor r = out.result(x.sizes(), t, x.device());
    if (r.is_meta()) return r;
    if (!r.is_contiguous()) r = empty(x.sizes(), t);
    const Tensor dx = dense(half_to_float ? convert(x, t) : x);
    const Shape s = around(x.sizes(), dim);
    const int64_t size = int64_t(itemsize(t));
    const char* from = dx.data<char>();
    char* to = r.data<char>();
    if (half_to_float) loops = norm_loops(t);
    each_outer(
        s, [&](int64_t i, int64_t outer) { loops->softmax(from + i * size, to + i * size, outer, s.n, s.inner, log); });
    return r;
}

template <bool log>
Tensor gradient_kernel(const Tensor& g, const Tensor& y, int64_t dim) {
    const DType t = y.dtype();
    const NormLoops* loops = norm_loops(t);
    if (!loops)
        fail(ErrorKind::NotImplemented, "\"", log ? "log_softmax" : "softmax", "_backward_lastdim_kernel_impl\" not ",
             "implemented for '", t, "'");
    const Tensor r = empty(y.sizes(), t, y.device());
    if (r.is_meta()) return r;
    const Tensor dg = dense(g), dy = dense(y);
    const Shape s = around(y.sizes(), dim);
    const int64_t size = int64_t(itemsize(t));
    const char *pg = dg.data<char>(), *py = dy.data<char>();
    char* to = r.data<char>();
    each_outer(s, [&](int64_t i, int64_t outer) {
        loops->softmax_gradient(pg + i * size, py + i * size, to + i * size, outer, s.n, s.inner, log);
    });
    return r;
}

template <bool log>
Tensor gradient(const Tensor& g, const Tensor& y, int64_t dim, DType input_type) {
    dim = wrap_dim(dim, y.dim());
    check(g.sizes() == y.sizes() && g.dtype() == y.dtype(), "softmax backward: the gradient is ", g.dtype(),
          " of shape ", g.sizes(), " but the result is ", y.dtype(), " of shape ", y.sizes());
    if (!tls.grad) return gradient_kernel<log>(g, y, dim).to(input_type);
    const Dims d{dim};
    if constexpr (log) return op<"sub">(g, op<"mul">(op<"exp">(y), op<"sum.dim_IntList">(g, d, true))).to(input_type);
    const Tensor gy = op<"mul">(g, y);
    return op<"sub">(gy, op<"mul">(y, op<"sum.dim_IntList">(gy, d, true))).to(input_type);
}

template <bool log>
Tensor public_form(const Tensor& x, int64_t dim, DType dtype) {
    const Tensor t = dtype != DType::none && x.dtype() != dtype ? x.to(dtype) : x;
    if constexpr (log) return op<"_log_softmax">(t, dim, false);
    else return op<"_softmax">(t, dim, false);
}

const Family family([](Registry& r) {
    r.add("_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", "fo")
        .kernel<forward<false>>()
        .node("SoftmaxBackward0")
        .grad("self", "result",
              [](Back& b) { return gradient<false>(b.g, b.result(), b.integer(1), b.meta(0).dtype); });
    r.add("_log_softmax(Tensor self, int dim, bool half_to_float) -> Tensor", "fo")
        .kernel<forward<true>>()
        .node("LogSoftmaxBackward0")
        .grad("self", "result", [](Back& b) { return gradient<true>(b.g, b.result(), b.integer(1), b.meta(0).dtype); });
    r.add("_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor", "f")
        .kernel<gradient<false>>();
    r.add("_log_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor",
          "f")
        .kernel<gradient<true>>();
    r.add("softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<public_form<false>>()
        .autocast(2);
    r.add("log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<public_form<true>>()
        .autocast(2);
});

}  // namespace
}  // namespace fb
