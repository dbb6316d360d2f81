#include "cpu/norm.h"
#include <algorithm>
#include <cmath>
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const NormTable norm_table;
}
namespace avx2 {
extern const NormTable norm_table;
}
namespace avx512 {
extern const NormTable norm_table;
}

static const NormTable& table() { return for_this_cpu<baseline::norm_table, avx2::norm_table, avx512::norm_table>(); }

const NormLoops* norm_loops(DType t) {
    static const NormTable& all = table();
    switch (t) {
        case DType::f32: return &all.f32;
        case DType::f64: return &all.f64;
        case DType::f16: return &all.f16;
        case DType::bf16: return &all.bf16;
        default: return nullptr;
    }
}

Moments moments(const NormLoops& loops, const void* row, int64_t n, double shift, double eps) {
    double sums[2] = {0, 0};
    loops.sums(row, n, shift, sums);
    const double m = sums[0] / double(n);
    return {shift + m, 1 / std::sqrt(std::max(0.0, sums[1] / double(n) - m * m) + eps)};
}

}  // namespace fb::cpu
