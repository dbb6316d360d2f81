// Elementwise steps that belong together become one program of the fusion VM.
#pragma once
#include "cpu/vm.h"
#include "graph/graph.h"

namespace fb::graph {

struct Fusion {
    cpu::Chain chain;
    Dims sizes;                // the domain
    std::vector<int> inputs;   // slots, in the order of the chain's inputs
    std::vector<int> outputs;  // slots
    std::string names;         // "mul add gelu": for people
};

// Replaces groups among steps [begin, end) by fusions. `live` tells which slots are needed after them.
// Returns the steps in an order that keeps every dependency; what draws numbers or writes stays in its own order.
std::vector<Step> fuse(const Graph& g, std::span<const Step> steps, const std::vector<bool>& live);

}  // namespace fb::graph
