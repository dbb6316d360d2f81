#include "cpu/distance.h"
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const DistanceLoops distance_loops;
}
namespace avx2 {
extern const DistanceLoops distance_loops;
}
namespace avx512 {
extern const DistanceLoops distance_loops;
}

const DistanceLoops& distance_loops() {
    return for_this_cpu<baseline::distance_loops, avx2::distance_loops, avx512::distance_loops>();
}

}  // namespace fb::cpu
