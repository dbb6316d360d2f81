#include "cpu/sample.h"
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {

namespace baseline {
extern const SampleLoops sample_loops;
}
#ifdef FB_X86
namespace avx2 {
extern const SampleLoops sample_loops;
}
namespace avx512 {
extern const SampleLoops sample_loops;
}
#endif

const SampleLoops& sample_loops() {
#ifdef FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::sample_loops;
    if (level == "avx2") return avx2::sample_loops;
#endif
    return baseline::sample_loops;
}

}  // namespace fb::cpu
