// The fusion VM: a chain of elementwise loops run block by block, so that what lies between them stays in the cache.
// How programs are made: graph/fuse.h. See docs/design/fusion.md.
#pragma once
#include <array>
#include <vector>
#include "cpu/iter.h"
#include "cpu/reduce.h"

namespace fb::cpu {

// What a value of a program has one element for: each element of the domain, each row of it (all dimensions but the
// last), or nothing (a constant).
enum class Reach : uint8_t { Full, Row, One };

struct ChainValue {
    DType dtype = DType::f32;
    Reach reach = Reach::Full;
    int reg = -1;  // block register, for values that are no input, output or constant
};

struct ChainStep {
    Loop loop = nullptr;      // an elementwise step …
    FoldLoop fold = nullptr;  // … or one that folds each row to one value …
    bool spread = false;      // … or (the loop copies) one that repeats a row's value along it
    bool by_row = false;      // an elementwise step run row by row, because an operand has one value a row
    int to = -1;
    std::array<int, 4> from{-1, -1, -1, -1};
    int params = -1;  // place in Chain::params
};

struct Chain {
    int inputs = 0;                  // values [0, inputs) are given
    std::vector<ChainValue> values;  // then constants and results in any order
    std::vector<ChainStep> steps;
    std::vector<int> outputs;
    std::vector<std::pair<int, std::array<char, 16>>> constants;  // value, its bytes
    std::vector<std::array<char, 32>> params;
    bool rows = false;  // some value reaches a row: blocks hold whole rows

    void finish();            // when all steps are there: assigns registers
    void sum_first_output();  // instead: for `sum_chain`, of a program without rows
    int summed = -1;          // the value whose elements are added up
    int registers = 0;
    std::vector<std::vector<char>> repeated;  // each constant, one block long
    size_t widest = 8;                        // bytes of the largest element
    std::vector<int> last_read;               // by value: the last step that reads it
    std::vector<int> written_by;              // by value: the step that makes it
    std::vector<int> output_of;               // by value: its output, or -1
};

inline constexpr int64_t kLongestRow = 8192;  // that a program with rows takes

// Runs the program over `sizes` and makes the outputs, row-major. The memory of an input marked as dying (nobody else
// will read it) is used for an output where it fits.
void run_chain(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs, std::span<const bool> dying,
               std::span<Tensor> outputs);

// Runs a program that makes one sum, of floats or doubles; no element is kept.
double sum_chain(const Chain& c, IntSpan sizes, std::span<const Tensor> inputs);

}  // namespace fb::cpu
