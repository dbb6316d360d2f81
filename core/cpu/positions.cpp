#include "cpu/positions.h"
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const PositionLoops position_loops;
}
#if FB_X86
namespace avx2 {
extern const PositionLoops position_loops;
}
namespace avx512 {
extern const PositionLoops position_loops;
}
#endif

const PositionLoops& position_loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::position_loops;
    if (level == "avx2") return avx2::position_loops;
#endif
    return baseline::position_loops;
}

}  // namespace fb::cpu
