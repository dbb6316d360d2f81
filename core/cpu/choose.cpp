#include "cpu/choose.h"
#include <cstdlib>
#include <cstring>

namespace fb::cpu {

static CpuLevel detect() {
    CpuLevel level = CpuLevel::baseline;
#ifdef FB_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
        __builtin_cpu_supports("bmi2")) {
        level = CpuLevel::avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            level = CpuLevel::avx512;
    }
#endif
    if (const char* wish = std::getenv("FLAMBEAU_CPU")) {
        if (!std::strcmp(wish, "baseline")) level = CpuLevel::baseline;
        if (!std::strcmp(wish, "avx2") && level == CpuLevel::avx512) level = CpuLevel::avx2;
    }
    return level;
}

CpuLevel cpu_level() {
    static const CpuLevel level = detect();
    return level;
}

const char* cpu_level_name() {
    static const char* const names[] = {"baseline", "avx2", "avx512"};
    return names[int(cpu_level())];
}

}  // namespace fb::cpu
