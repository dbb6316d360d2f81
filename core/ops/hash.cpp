// A cheap fingerprint of a tensor: the 64-bit patterns of its elements, folded with exclusive or.
#include "cpu/fold.h"
#include "cpu/iter.h"

namespace fb {
namespace {
using namespace cpu;

Tensor hash_tensor(const Tensor& x, IntSpan dim, bool keepdim, int64_t mode, Out out) {
    check(mode == 0, "Unknown hash_tensor mode: ", mode);
    if (is_complex(x.dtype())) no_kernel("xor_sum_cpu", x.dtype());
    check(x.numel() || !dim.empty(),
          "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
          "with the 'dim' argument.");
    const uint64_t mask = dims_mask(dim, x.dim());
    Dims shape, order;
    int64_t folded = 1;
    for (int64_t d = 0; d < x.dim(); ++d) {
        if (!(mask >> d & 1)) order.push_back(d);
        if (mask >> d & 1) {
            check_index(x.numel() || x.size(d), "hash_tensor: Expected reduction dim ", d, " to have non-zero size.");
            folded *= x.size(d);
        }
        if (keepdim || !(mask >> d & 1)) shape.push_back(mask >> d & 1 ? 1 : x.size(d));
    }
    for (int64_t d = 0; d < x.dim(); ++d)
        if (mask >> d & 1) order.push_back(d);
    Tensor r = out.result(shape, DType::u64, x.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor rows = dense(op<"permute">(convert(x, is_floating(x.dtype()) ? DType::f64 : DType::i64), order));
    const Tensor target = dense(r);
    const uint64_t* bits = rows.data<uint64_t>();
    uint64_t* to = target.data<uint64_t>();
    for (int64_t i = 0; i < target.numel(); ++i) {
        uint64_t h = 0;
        for (int64_t k = 0; k < folded; ++k) h ^= bits[i * folded + k];
        to[i] = h;
    }
    if (target.get() != r.get()) copy_data(r, target);
    return r;
}

const Family hash([](Registry& r) {
    r.add("hash_tensor(Tensor self, int[1] dim=[], *, bool keepdim=False, int mode=0) -> Tensor", "fmo")
        .kernel<hash_tensor>();
});

}  // namespace
}  // namespace fb
