// A trace sees the operators that derivative formulas call. Formulas that compute by themselves are shown to it whole.
#pragma once
#include "autograd/node.h"

namespace fb {

using RunFormulas = Grads (*)(OpNode&, Grads&&);
inline Grads (*formula_hook)(OpNode& node, Grads&& in, RunFormulas run) = nullptr;  // asked while somebody watches

}  // namespace fb
