#include "cpu/distance.h"
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const DistanceLoops distance_loops;
}
#if FB_X86
namespace avx2 {
extern const DistanceLoops distance_loops;
}
namespace avx512 {
extern const DistanceLoops distance_loops;
}
#endif

const DistanceLoops& distance_loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::distance_loops;
    if (level == "avx2") return avx2::distance_loops;
#endif
    return baseline::distance_loops;
}

}  // namespace fb::cpu
