#include "cpu/norm.h"
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

}  // namespace fb::cpu
