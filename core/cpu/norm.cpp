#include "cpu/norm.h"
#include <algorithm>
#include <cmath>
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const NormTable norm_table;
}
#if FB_X86
namespace avx2 {
extern const NormTable norm_table;
}
namespace avx512 {
extern const NormTable norm_table;
}
#endif

static const NormTable& table() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::norm_table;
    if (level == "avx2") return avx2::norm_table;
#endif
    return baseline::norm_table;
}

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
