#include "base/denormal.h"
#include "base/parallel.h"
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace fb {

bool set_flush_denormal([[maybe_unused]] bool on) {
#ifdef __SSE2__
    // Threads started later inherit the register; those of OpenMP that are there already must be told.
#pragma omp parallel num_threads(num_threads())
    {
        constexpr unsigned kFlushResults = 0x8000, kFlushInputs = 0x0040, both = kFlushResults | kFlushInputs;
        _mm_setcsr(on ? _mm_getcsr() | both : _mm_getcsr() & ~both);
    }
    return true;
#else
    return false;
#endif
}

}  // namespace fb
