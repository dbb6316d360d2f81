#include "cpu/quantize.h"
#include "cpu/choose.h"

namespace fb::cpu {
namespace baseline {
extern const QuantizeLoops quantize_loops;
}
namespace avx2 {
extern const QuantizeLoops quantize_loops;
}
namespace avx512 {
extern const QuantizeLoops quantize_loops;
}

const QuantizeLoops& quantize_loops() {
    return for_this_cpu<baseline::quantize_loops, avx2::quantize_loops, avx512::quantize_loops>();
}

}  // namespace fb::cpu
