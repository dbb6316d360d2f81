// A captured program: operator calls on numbered slots, in the order in which they ran.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>
#include "cpu/pointwise.h"
#include "op/op.h"

namespace fb::graph {

// An argument as a step keeps it: a tensor is a slot (-1 for an undefined one), everything else is held.
struct Argument {
    Value value;                 // of numbers and other plain values; of lists and strings: into `held`
    Small<int, 2> slots;         // value.tag Tensor: one, Tensors: as many as the list has
    std::shared_ptr<void> held;  // what `value` points into
};

// A step that is elementwise is a few passes over its operands; the last makes the result.
struct Pass {
    struct In {
        int slot = -1, pass = -1;  // a slot of the graph, or an earlier pass of the step, or (neither) a number
        Scalar number;
        DType type = DType::none;  // what the loop takes
    };
    cpu::Loop loop = nullptr;
    DType result = DType::f32;
    Small<In, 3> in;
    std::array<char, 32> params{};
    bool has_params = false;
};

struct Fusion;   // graph/fuse.h
struct Formula;  // graph/formula.h

struct Step {
    const Op* op = nullptr;  // null: a check of a number, a fusion, or the formulas of a node
    std::vector<Argument> args;
    Small<int, 1> given;  // destinations: of an in-place form args[0], of out= forms the given tensors
    bool inplace = false;
    Small<int, 2> results;           // slots, -1 where a result is undefined
    bool list = false;               // the results are the items of a Tensor[]
    Small<int, 1> writes;            // slots whose memory it writes
    bool random = false;             // it draws from the generator
    bool reads_shape = false;        // what follows may depend on the shape of the result, which depends on values
    bool must_fit = false;           // and that it is another one cannot be answered by running something else
    std::vector<Pass> passes;        // empty: not elementwise
    std::optional<Scalar> expected;  // the number it must give (of args[0] when there is no operator)
    std::shared_ptr<Fusion> fusion;
    std::shared_ptr<Formula> formula;  // args[0]: incoming gradients, args[1]: saved tensors
};

enum class Origin : uint8_t { Made, Input, Held, Seed };

struct Slot {
    Origin origin = Origin::Made;
    int index = -1;         // of an input or seed
    bool constant = false;  // Held: made from numbers of the program alone
    Tensor sample;          // what it was while tracing
    Tensor held;            // of a Held slot: the tensor itself, of a constant an untouched copy
    // Read from the sample when the trace ends, so that the samples need not stay:
    Dims sizes, strides;
    DType dtype = DType::f32;
    int memory = -1;  // slots with the same number share a storage
};

struct Graph {
    std::vector<Slot> slots;
    std::vector<Step> steps;
    std::vector<int> outputs;
    std::vector<int> inputs;   // slot of each input, -1 if it is not used
    std::vector<int> seeds;    // slot of each incoming gradient
    size_t forward_steps = 0;  // the rest belongs to the backward
    std::vector<int> grads;    // slot of the gradient for each of `wanted`, -1 where there is none
    std::vector<int> wanted;   // slots (Input or Held) that need a gradient

    std::string text() const;  // readable, one line a step
};

template <class F>
void each_input(const Step& s, F&& f) {
    for (const Argument& a : s.args)
        for (int v : a.slots)
            if (v >= 0) f(v);
    for (int v : s.given)
        if (v >= 0) f(v);
}

}  // namespace fb::graph
