// Between autograd and the kernels: where modes and subclasses written in Python (`__torch_dispatch__`) see a call.
#pragma once
#include "op/op.h"

namespace fb {

// The frame that `python_mode` hands on to the operator's own kernel: `run_kernel` passes it by once.
extern constinit thread_local const Frame* let_through;

inline void run_own_kernel(const Op& op, Frame& f) {
    let_through = &f;
    op.run_kernel(f);
}

}  // namespace fb
