// Which dtypes an out= tensor may have.
#pragma once
#include <string_view>
#include "base/dtype.h"

namespace fb {

// Fails, with PyTorch's text, where a result of the operator may not go into an out= tensor of that dtype. Names are
// written as in Python's torch, with '_' for '.': "linalg_solve". Most operators take whatever the result can be
// cast to.
void check_out_type(std::string_view op, int results, DType result, DType out);

}  // namespace fb
