#include "autograd/sparse_gradient.h"

#include "op/op.h"

namespace fb {

SparseGradients sparse_gradients;

Tensor sparse_rows(const Tensor& indices, const Tensor& g, int64_t rows) {
    if (!sparse_gradients.make) fail(ErrorKind::NotImplemented, "sparse gradients need the Python package");
    const int64_t flat[] = {1, indices.numel()}, width = g.size(-1);
    const int64_t values[] = {indices.numel(), width}, sizes[] = {rows, width};
    return sparse_gradients.make(op<"reshape">(indices.to(DType::i64), IntSpan(flat)),
                                 op<"reshape">(g, IntSpan(values)), IntSpan(sizes));
}

}  // namespace fb
