// The derivative formulas of one recorded node, to be run again on other tensors.
#pragma once
#include "autograd/node.h"

namespace fb::graph {

struct Formula {
    explicit Formula(const OpNode& node);
    // `saved` in the order of the node's saved tensors.
    Grads run(Grads&& incoming, std::span<const Tensor> saved) const;

    const Op* op;
    Small<uint16_t, 6> first_edge, edge_count;
    Small<Value, 6> attributes;
    std::vector<std::shared_ptr<void>> held;
    Small<uint8_t, 3> saved_slot;
    Small<ResultMeta, 1> results;
    Edges next;  // to nodes that only know what the gradients must look like
};

}  // namespace fb::graph
