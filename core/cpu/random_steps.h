// The steps of drawing random numbers that have vector code. All CPUs give the same bits.
#pragma once
#include <cstdint>

namespace fb::cpu {

struct RandomSteps {
    // MT19937: the next 624 words of state, in place; and what leaves the generator for n words of it.
    void (*refill)(uint32_t* state);
    void (*temper)(const uint32_t* state, uint32_t* out, int64_t n);
    // Words to n numbers in [0, 1): the low 24 bits of one word; the low 53 of two, the first being the
    // upper.
    void (*unit_float)(const uint32_t* words, float* out, int64_t n);
    void (*unit_double)(const uint32_t* words, double* out, int64_t n);
    // x = x * (to - from) + from, fused, in place. Rounding may reach `to`, which is excluded: such numbers
    // become `from`.
    void (*stretch_float)(float* x, int64_t n, float from, float to);
    void (*stretch_double)(double* x, int64_t n, double from, double to);
    // Box-Muller for `count` blocks of 16 numbers in [0, 1), in place: in each, the first 8 give radii, the
    // last 8 angles.
    void (*box_muller)(float* x, int64_t count, float mean, float std);
};

const RandomSteps& random_steps();  // those of this CPU

}  // namespace fb::cpu
