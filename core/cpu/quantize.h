// Numbers as bytes that stand for them and back, element by element (flambeau/quantized).
#pragma once
#include "cpu/pointwise.h"

namespace fb::cpu {

// Loops over bytes without and with a sign, in this order; parameters are doubles. A level is the whole number nearest
// to x·factor + zero, ties to even, between `low` and `high`: `levels` rounds that sum once and makes `high` of NaN;
// all others round x·factor, then add zero, and make `low` of NaN.
struct QuantizeLoops {
    Loop levels[2], levels_apart[2];  // of floats; s: factor, zero, low, high
    Loop numbers[2];                  // (i - shift)·factor of bytes; s: factor, shift
    Loop numbers_once[2];             // i·factor + shift rounded once
    // The level of a sum of numbers_once, of a product of bytes less their shifts; s: factor and shift of both, factor,
    // zero, low, high
    Loop sum[2], product[2];
    Loop of_sums;  // of floats x, b and f to bytes without a sign: the level of (x + b)·f; s: zero, low
};
const QuantizeLoops& quantize_loops();  // for this CPU

}  // namespace fb::cpu
