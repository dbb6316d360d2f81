// Convolutions with kernels of one position, a product at every position, and what follows them in the same pass.
#pragma once
#include "cpu/conv.h"

namespace fb::cpu {

// How a tile's inputs lie: positions a vector apart or two (stride 2), or every input as a row of positions.
enum class OneInput : uint8_t { Near, Far, Rows };

// Neighbouring positions of a row and two vectors of outputs (or one).
struct OneTile {
    const float* x;   // the first position of the first block of inputs
    int64_t x_block;  // from one block of inputs to the next
    int64_t inputs;
    const float* w;   // [input][vectors][lanes]
    float* y;         // positions lie a vector apart
    int64_t y_block;  // from one block of outputs to the next
    int64_t count;    // positions, at most `positions` below
    bool pair;        // two vectors of outputs
    OneInput from;
    Scaling scaling;  // of these outputs
};

// What some taps at once have in common with a block of outputs, summed over the positions of a picture.
struct TapSums {
    static constexpr int kTaps = 9;
    const float* x;
    int64_t offsets[kTaps];  // in x, of each tap
    int64_t x_line, x_step;  // in x, to the next line of outputs and to the next output
    const float* g;          // outputs, positions a vector apart
    int64_t lines, line;     // of outputs
    float* sums;             // [tap][lanes], added to
};

// Compiled for each instruction set.
struct OneLoops {
    int64_t lanes, positions;
    int64_t row;  // floats from an input to the next where they lie as rows: a tile's positions, filled up
    void (*tap_sums)(const TapSums& t);
    void (*tile)(const OneTile& t);
    void (*limit)(float* p, const float* other, int64_t count, float low, float high);  // other may be null
    void (*scale)(float* p, const float* other, int64_t rows, const Scaling&);          // rows of one block of channels
};
const OneLoops& one_loops();

bool one_fits(const ConvShape& s);
Tensor one_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling);

// Products of pictures that lie plain, which need no reordering: stride 1, float.
bool one_reads(const ConvShape& s, const Tensor& picture);
Tensor one_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias);
Tensor one_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w);
Tensor one_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g);

}  // namespace fb::cpu
