// The instruction set that the kernels of this process use, and the choice among tables compiled for each.
#pragma once

namespace fb::cpu {

enum class CpuLevel { baseline, avx2, avx512 };

// What the CPU offers; FLAMBEAU_CPU in the environment lowers it. Found once.
CpuLevel cpu_level();
const char* cpu_level_name();

// One of the objects of the same name that core/cpu/simd defines for every instruction set. They are template arguments
// and not arguments so that a machine other than x86, for which only the first is compiled, refers to no other.
template <const auto& baseline, const auto& avx2, const auto& avx512>
const auto& for_this_cpu() {
#ifdef FB_X86
    static const auto& chosen = cpu_level() == CpuLevel::avx512 ? avx512
                                : cpu_level() == CpuLevel::avx2 ? avx2
                                                                : baseline;
    return chosen;
#else
    return baseline;
#endif
}

}  // namespace fb::cpu
