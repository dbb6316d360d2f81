#include "cpu/sample.h"
#include "cpu/choose.h"

namespace fb::cpu {

namespace baseline {
extern const SampleLoops sample_loops;
}
namespace avx2 {
extern const SampleLoops sample_loops;
}
namespace avx512 {
extern const SampleLoops sample_loops;
}

const SampleLoops& sample_loops() {
    return for_this_cpu<baseline::sample_loops, avx2::sample_loops, avx512::sample_loops>();
}

}  // namespace fb::cpu
