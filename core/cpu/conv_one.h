// Convolutions with kernels of one position, a product at every position, and what follows them in the same pass.
#pragma once
#include "cpu/conv.h"

namespace fb::cpu {

// Neighbouring positions of a row and two vectors of outputs (or one).
struct OneTile {
    const float* x;   // the first position of the first block of inputs
    int64_t x_block;  // from one block of inputs to the next
    int64_t inputs;
    const float* w;   // [input][vectors][lanes]
    float* y;         // positions lie a vector apart
    int64_t y_block;  // from one block of outputs to the next
    int64_t count;    // positions, at most `positions` below
    bool pair, far;   // two vectors of outputs; the positions of x lie two vectors apart
    Scaling scaling;  // of these outputs
};

// Compiled for each instruction set.
struct OneLoops {
    int64_t lanes, positions;
    void (*tile)(const OneTile& t);
    void (*limit)(float* p, int64_t count, float low, float high);
};
const OneLoops& one_loops();

bool one_fits(const ConvShape& s);
Tensor one_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);

}  // namespace fb::cpu
