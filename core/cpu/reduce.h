// Reductions over any set of dimensions: a plan of two loops (over results, over what each one folds) and kernels that
// run it.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

enum class Fold : uint8_t {
    sum,
    prod,
    max,
    min,
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    abs_sum,
    square_sum,
    abs_max,
    abs_min,
    abs_pow_sum,  // norms; abs_pow_sum takes the exponent
    nansum,
    moments,  // moments: mean and sum of squared deviations (two doubles/floats)
    count
};

inline constexpr int kMaxDims = 24;
struct ReducePlan {  // strides in bytes of the input, fastest dimension first, merged where possible
    int kept = 0, folded = 0;
    int64_t kept_size[kMaxDims], kept_stride[kMaxDims];
    int64_t fold_size[kMaxDims], fold_stride[kMaxDims];
    int64_t results = 1, length = 1;  // products of the sizes
    double param = 0;
};
// Writes results [begin, end), row-major over the kept dimensions, to `out` (typed by fold_type).
// `first` is added to the positions argmax reports.
using FoldLoop = void (*)(const ReducePlan& plan, const char* in, char* out, int64_t begin, int64_t end);

FoldLoop fold_loop(Fold f, DType in);  // null where not defined
DType fold_type(Fold f, DType in);     // element type of `out`; moments write pairs of it

struct FoldTable {
    FoldLoop loops[int(Fold::count)][kDTypeLimit];
};

}  // namespace fb::cpu
