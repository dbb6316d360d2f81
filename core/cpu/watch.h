// One elementwise pass, as a running trace is told of it (tensor/watch.h).
#pragma once
#include "cpu/pointwise.h"
#include "op/value.h"
#include "tensor/watch.h"

namespace fb {

struct Pointwise {
    cpu::Loop loop;
    DType common;  // what the operands are converted to
    DType result;
    std::span<const Operand> inputs;
    const void* params = nullptr;
    int param_bytes = 0;
    bool condition_first = false;  // the first operand is bool whatever the rest is
};

}  // namespace fb
