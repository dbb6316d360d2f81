// Tensors through the folding loops.
#pragma once
#include "cpu/reduce.h"
#include "tensor/tensor.h"

namespace fb::cpu {

// Bit d for every dimension in `dims` (checked); an empty list means all of them where PyTorch says so.
uint64_t dims_mask(IntSpan dims, int64_t n, bool empty_means_all = true);
Dims reduced_shape(IntSpan sizes, uint64_t dims, bool keepdim);
// `anyhow`: the order of what is folded does not matter, so that it goes as memory lies.
ReducePlan make_plan(const Tensor& x, uint64_t dims, bool anyhow = false);
// The raw result, of fold_type(f, x.dtype()), or of `want` where that costs nothing; moments have a last dimension of
// two: mean, sum of squared deviations.
Tensor fold(Fold f, const char* name, const Tensor& x, uint64_t dims, bool keepdim, double param = 0,
            DType want = DType::none);

}  // namespace fb::cpu
