#include "graph/formula.h"

namespace fb::graph {
namespace {

// Stands where the graph of the trace went on.
class End final : public Node {
public:
    Grads apply(Grads&&) override { return {}; }
    std::string name() const override { return "End"; }
};

}  // namespace

Formula::Formula(const OpNode& n)
    : op(n.op),
      first_edge(n.first_edge),
      edge_count(n.edge_count),
      attributes(n.attributes),
      held(n.held),
      saved_slot(n.saved_slot),
      results(n.results) {
    for (const Edge& e : n.next) {
        if (!e) {
            next.push_back({});
            continue;
        }
        Ptr<Node> end(new End);
        end->results.push_back(e.node->results[e.input]);
        next.push_back({std::move(end), 0});
    }
}

Grads Formula::run(Grads&& incoming, std::span<const Tensor> saved) const {
    auto* node = new OpNode(*op);
    const Ptr<Node> owner(node);
    node->first_edge = first_edge;
    node->edge_count = edge_count;
    node->attributes = attributes;
    node->held = held;
    node->saved_slot = saved_slot;
    node->results = results;
    node->next = next;
    for (const Tensor& t : saved) node->saved.push_back(SavedTensor(t, false));
    return node->apply(std::move(incoming));
}

}  // namespace fb::graph
