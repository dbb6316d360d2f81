// A kernel for some element types: calls f with a value of the one that t names; false if it is none of them.
#pragma once
#include "base/dtype.h"

namespace fb::cpu {

template <class... T, class F>
bool visit_one_of(DType t, F&& f) {
    return ((t == dtype_of<T>::value && (f(T{}), true)) || ...);
}

}  // namespace fb::cpu
