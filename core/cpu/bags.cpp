#include "cpu/bags.h"
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const BagLoops bag_loops;
}
namespace avx2 {
extern const BagLoops bag_loops;
}
namespace avx512 {
extern const BagLoops bag_loops;
}

const BagLoops& bag_loops() { return for_this_cpu<baseline::bag_loops, avx2::bag_loops, avx512::bag_loops>(); }

}  // namespace fb::cpu
