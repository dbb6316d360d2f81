#include "cpu/bags.h"
#include <string_view>
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const BagLoops bag_loops;
}
#if FB_X86
namespace avx2 {
extern const BagLoops bag_loops;
}
namespace avx512 {
extern const BagLoops bag_loops;
}
#endif

const BagLoops& bag_loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::bag_loops;
    if (level == "avx2") return avx2::bag_loops;
#endif
    return baseline::bag_loops;
}

}  // namespace fb::cpu
