#include "cpu/quantize.h"
#include <string_view>

namespace fb::cpu {
namespace baseline {
extern const QuantizeLoops quantize_loops;
}
#if FB_X86
namespace avx2 {
extern const QuantizeLoops quantize_loops;
}
namespace avx512 {
extern const QuantizeLoops quantize_loops;
}
#endif

const QuantizeLoops& quantize_loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::quantize_loops;
    if (level == "avx2") return avx2::quantize_loops;
#endif
    return baseline::quantize_loops;
}

}  // namespace fb::cpu
