// Formulas of elements, written with operators, as one pass of the fusion VM (docs/design/fusion.md): what eager
// operators that are composed of others run on.
#pragma once
#include <initializer_list>
#include "cpu/iter.h"

namespace fb::cpu {

// Makes `out` from `in` with elementwise operators only; `numbers` are part of the program that is made of it.
using Formula = void (*)(const Tensor* in, const double* numbers, Tensor* out);

// The results, each of the shape all inputs broadcast to.
void composed(Formula f, std::initializer_list<Tensor> in, std::initializer_list<double> numbers,
              std::span<Tensor> out);
inline Tensor composed(Formula f, std::initializer_list<Tensor> in, std::initializer_list<double> numbers = {}) {
    Tensor r;
    composed(f, in, numbers, {&r, 1});
    return r;
}
// The sum of the only result, which is not kept; nothing where the operators have to be called one by one.
std::optional<double> composed_sum(Formula f, std::initializer_list<Tensor> in,
                                   std::initializer_list<double> numbers = {});

}  // namespace fb::cpu
