#include "cpu/positions.h"
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const PositionLoops position_loops;
}
namespace avx2 {
extern const PositionLoops position_loops;
}
namespace avx512 {
extern const PositionLoops position_loops;
}

const PositionLoops& position_loops() {
    return for_this_cpu<baseline::position_loops, avx2::position_loops, avx512::position_loops>();
}

}  // namespace fb::cpu
