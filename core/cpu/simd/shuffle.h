// Lanes of a register in another order that is known at run time.
#pragma once

namespace fb::cpu::FB_ARCH {

template <class V, class I>
[[gnu::always_inline]] inline V shuffled(V v, I from) {
#ifdef __clang__  // has only orders that are constants
    V r = v;
    for (int l = 0; l < int(sizeof(V) / sizeof(v[0])); l++) r[l] = v[int(from[l])];
    return r;
#else
    return __builtin_shuffle(v, from);
#endif
}

}  // namespace fb::cpu::FB_ARCH
