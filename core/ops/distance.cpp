// Distances and products of pairs of vectors.
#include <cmath>
#include "autograd/back.h"
#include "base/parallel.h"
#include "cpu/copy_loops.h"
#include "cpu/distance.h"
#include "cpu/iter.h"

namespace fb {
namespace {
using namespace cpu;

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
    // on no list of PyTorch's autocast for the CPU, though the products that it is made of are
    struct NoCasts {
        ~NoCasts() { tls.modes = before; }
        uint8_t before = tls.modes;
    } const no_casts;
    tls.modes &= uint8_t(~kAutocastMode);
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

// Distances of rows without a difference of every pair in memory; p is 0, 1, 2 or infinite.
Distance distance_of(double p) {
    check(p == 0 || p == 1 || p == 2 || std::isinf(p), "distances of p = ", p, " have no loop of their own");
    return p == 0 ? Distance::count : p == 1 ? Distance::sum : p == 2 ? Distance::euclid : Distance::largest;
}
// Calls f(loop, rows, turned rows, their stride, values of the result) with the element type.
template <class F>
void with_distances(DType t, F&& f) {
    check(t == DType::f32 || t == DType::f64, "distances have no loop for ", t);
    if (t == DType::f32) f(distance_loops().floats, float{});
    else f(distance_loops().doubles, double{});
}
// Rows of `width` values as columns, those of a thread its own: what another core has just written is slow to read.
template <class T>
struct Turned {
    int64_t stride;
    std::vector<T> values;
    Turned(int64_t rows, int64_t width) : stride(rows + kPastRows), values(size_t(stride * width)) {}
    void take(const T* rows, int64_t n, int64_t width) {
        using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
        const auto turn = [&] {
            if constexpr (sizeof(T) == 4) return copy_loops().turn4;
            else return copy_loops().turn8;
        }();
        turn(reinterpret_cast<const Bits*>(rows), width, reinterpret_cast<Bits*>(values.data()), stride, n, width);
    }
};
// (…, n, d) and (…, m, d), equal but for n and m, to (…, n, m).
Tensor pair_distances(const Tensor& x1, const Tensor& x2, double p) {
    check(x1.dtype() == x2.dtype() && x1.dim() >= 2 && x1.dim() == x2.dim() && x1.size(-1) == x2.size(-1),
          "_pair_distances needs rows of one type and length");
    const Distance how = distance_of(p);
    const Tensor a = dense(x1), b = dense(x2);
    const int64_t n = a.size(-2), m = b.size(-2), width = a.size(-1);
    Dims shape = a.sizes();
    shape.back() = m;
    const int64_t batch = product(IntSpan(shape).first(shape.size() - 2));
    for (size_t d = 0; d + 2 < shape.size(); ++d)
        check(a.sizes()[d] == b.sizes()[d], "_pair_distances needs equal batches");
    Tensor r = empty(shape, a.dtype(), a.device());
    if (r.is_meta() || !r.numel()) return r;
    with_distances(a.dtype(), [&]<class T>(DistanceLoop<T> loop, T) {
        for (int64_t k = 0; k < batch; ++k) {
            const T *const rows = a.data<T>() + k * n * width, *const others = b.data<T>() + k * m * width;
            T* const to = r.data<T>() + k * n * m;
            parallel_for(n, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, m * width)),
                         [&](int64_t begin, int64_t end) {
                             constexpr int64_t kBlock = 256;  // of the other rows, which stay in the nearest caches
                             Turned<T> turned(std::min(kBlock, m), width);
                             for (int64_t j = 0; j < m; j += kBlock) {
                                 const int64_t count = std::min(kBlock, m - j);
                                 turned.take(others + j * width, count, width);
                                 for (int64_t i = begin; i < end; ++i)
                                     loop(how, rows + i * width, turned.values.data(), turned.stride, width, count,
                                          to + i * m + j);
                             }
                         });
        }
    });
    return r;
}
// Of the pairs of rows of one matrix: 0 with 1, 2, …, then 1 with 2, 3, …
Tensor own_distances(const Tensor& x, double p) {
    check(x.dim() == 2, "_own_distances needs a matrix");
    const Distance how = distance_of(p);
    const Tensor a = dense(x);
    const int64_t n = a.size(0), width = a.size(1);
    Tensor r = empty(Dims{std::max<int64_t>(0, n * (n - 1) / 2)}, a.dtype(), a.device());
    if (r.is_meta() || !r.numel()) return r;
    with_distances(a.dtype(), [&]<class T>(DistanceLoop<T> loop, T) {
        const T* const rows = a.data<T>();
        // a long row and a short one together
        parallel_for((n + 1) / 2, std::max<int64_t>(1, 32768 / (n * std::max<int64_t>(1, width))),
                     [&](int64_t b, int64_t e) {
                         Turned<T> turned(n, width);
                         turned.take(rows, n, width);
                         const auto row = [&](int64_t i) {
                             loop(how, rows + i * width, turned.values.data() + i + 1, turned.stride, width, n - i - 1,
                                  r.data<T>() + i * (2 * n - i - 1) / 2);
                         };
                         for (; b < e; ++b) {
                             row(b);
                             if (n - 1 - b != b) row(n - 1 - b);
                         }
                     });
    });
    return r;
}

const Family distances([](Registry& r) {
    r.add("pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) -> Tensor", "f")
        .kernel<pairwise_distance>();
    r.add("cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor", "f")
        .kernel<cosine_similarity>();
    r.add("_pair_distances(Tensor x1, Tensor x2, float p) -> Tensor", "f").kernel<pair_distances>();
    r.add("_own_distances(Tensor self, float p) -> Tensor", "f").kernel<own_distances>();
    r.add("bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor", "f").kernel<bilinear>();
});

}  // namespace
}  // namespace fb
