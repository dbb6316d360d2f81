// Between autograd and the kernels: where modes and subclasses written in Python (`__torch_dispatch__`) see a call.
#pragma once
#include "op/op.h"

namespace fb {

// The frame that `python_mode` hands on to the operator's own kernel: `run_kernel` passes it by once.
extern constinit thread_local const Frame* let_through;

// A call that autocast has nothing more to do with: for tensors that kernels cannot read as they lie, then for a trace,
// then for autograd.
void call_below_autocast(const Op& op, Frame& f);

// Refuses tensors without data beside real ones, where the operator cannot mix them (op/lazy.cpp).
void check_devices(const Op& op, const Frame& f);

inline void run_own_kernel(const Op& op, Frame& f) {
    let_through = &f;
    op.run_kernel(f);
}

}  // namespace fb
