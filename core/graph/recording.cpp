#include "graph/recording.h"
#include <chrono>
#include <unordered_set>
#include "autograd/back.h"

namespace fb::graph {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// A backward inside another one ends at these nodes: what hangs behind them, and their hooks, are the outer one's.
class Ends {
public:
    explicit Ends(std::span<const Edge> ends) {
        for (const Edge& e : ends) {
            if (!e || !seen_.insert(e.node.get()).second) continue;
            away_.push_back({e.node, std::move(e.node->hooks), std::move(e.node->next)});
            e.node->next.clear();
        }
    }
    ~Ends() {
        for (Away& a : away_) {
            a.node->hooks = std::move(a.hooks);
            a.node->next = std::move(a.next);
        }
    }
    Ends(const Ends&) = delete;
    Ends& operator=(const Ends&) = delete;

private:
    struct Away {
        Ptr<Node> node;
        std::unique_ptr<NodeHooks> hooks;
        Edges next;
    };
    std::vector<Away> away_;
    std::unordered_set<const Node*> seen_;
};

// Each node from the roots down to the ends, these excluded, once.
template <class F>
void each_node_between(std::span<const Edge> roots, std::span<const Edge> ends, F&& f) {
    std::unordered_set<const Node*> seen;
    for (const Edge& e : ends) seen.insert(e.node.get());
    std::vector<Node*> waiting;
    for (const Edge& e : roots) waiting.push_back(e.node.get());
    while (!waiting.empty()) {
        Node* n = waiting.back();
        waiting.pop_back();
        if (!n || !seen.insert(n).second) continue;
        f(*n);
        for (const Edge& e : n->next) waiting.push_back(e.node.get());
    }
}

std::vector<Tensor> run_between(std::span<const Edge> roots, std::span<const Edge> ends, Grads seeds) {
    BackwardOptions options;
    options.keep_graph = true;
    options.create_graph = tls.grad;
    options.accumulate = false;
    const Ends stop(ends);
    return run_backward(roots, std::move(seeds), options, ends);
}

}  // namespace

const char* foreign_code(std::span<const Edge> roots, std::span<const Edge> ends) {
    const char* why = nullptr;
    each_node_between(roots, ends, [&](const Node& n) {
        if (n.hooks) why = "a tensor or node inside has a hook";
        else if (!dynamic_cast<const OpNode*>(&n) && !n.is_accumulate() && n.name() != "CopySlices")
            why = "an autograd.Function, or a hook of a module, takes part in the backward";
    });
    return why;
}

// ---------------------------------------------------------------- the program
void Recording::complete(Tracer& tracer, TensorSpan inputs, TensorSpan outputs, double seconds, bool untouched) {
    constexpr double kQuick = 0.03;
    if (tracer.failure().empty()) tracer.finish();
    if (!tracer.failure().empty()) return fail(tracer.failure());
    try {
        Ptr<Program> p(new Program(std::move(tracer.graph)));
        if (untouched && seconds < kQuick && !p->agrees(inputs, outputs, tracer.gradients, tracer.numbers_before()))
            return fail("run again, the recorded operators gave other numbers");
        p->forget_samples();
        program = std::move(p);
        state.store(State::Ready, std::memory_order_release);
    } catch (const std::exception& e) { fail(std::string("its program could not be made: ") + e.what()); }
}

// ---------------------------------------------------------------- the node
EagerNode::EagerNode(Ptr<Recording> recording, std::vector<Edge> ends)
    : recording_(std::move(recording)), ends_(std::move(ends)) {
    for (const Edge& e : ends_) next.push_back(e);
}

EagerNode::~EagerNode() {
    if (tracer_) recording_->state.store(Recording::State::Dropped, std::memory_order_release);
}

Ptr<Node> EagerNode::stand_before(Ptr<Recording> recording, std::vector<Edge> ends, std::vector<Tensor>& results,
                                  const std::function<bool(size_t)>& is_result) {
    auto* node = new EagerNode(std::move(recording), std::move(ends));
    Ptr<Node> owner(node);
    for (size_t i = 0; i < results.size(); ++i) {
        if (!is_result(i)) continue;
        node->roots_.push_back(gradient_edge(results[i]));
        results[i] = shallow_copy(results[i], true);
        const uint32_t nr = add_result(*node, results[i]);
        set_history(results[i], owner, nr);
    }
    return node->roots_.empty() ? Ptr<Node>() : owner;
}

void EagerNode::record(std::unique_ptr<Tracer> tracer, std::vector<Tensor> inputs, std::vector<Tensor> outputs) {
    tracer_ = std::move(tracer);
    inputs_ = std::move(inputs);
    outputs_ = std::move(outputs);
    for (const Slot& s : tracer_->graph.slots) versions_.push_back(s.sample->version());
}

void EagerNode::trace(const Grads& in, Grads& out) {
    const std::unique_ptr<Tracer> tracer = std::move(tracer_);
    const std::vector<Tensor> inputs = std::move(inputs_), outputs = std::move(outputs_);
    bool untouched = true;
    for (size_t i = 0; i < versions_.size(); ++i)
        untouched = untouched && tracer->graph.slots[i].sample->version() == versions_[i];
    if (!untouched) tracer->distrust_samples();
    Grads seeds;
    for (size_t i = 0; i < roots_.size(); ++i)
        seeds.push_back(i < in.size() && in[i].defined() ? in[i] : zeros_of(results[i]));
    try {
        const Ends stop(ends_);
        tracer->trace_backward(roots_, ends_, seeds);
    } catch (const std::exception& e) {
        recording_->fail(std::string("its backward failed: ") + e.what());
        throw;
    }
    // As in later calls, what no incoming gradient leads to gets none.
    const auto reached = reached_by(tracer->graph);
    out.resize(ends_.size());
    for (size_t i = 0; i < ends_.size(); ++i) {
        bool any = reached.empty() || reached[i].empty();
        for (size_t k = 0, seed = 0; !any && k < reached[i].size(); ++k) {
            if (tracer->graph.seeds[k] < 0) continue;
            any = reached[i][k] && seed < in.size() && in[seed].defined();
            ++seed;
        }
        if (any) out[i] = tracer->gradients[i];
    }
    recording_->complete(*tracer, inputs, outputs, tracer->seconds(), untouched);
}

Grads EagerNode::apply(Grads&& in) {
    Grads out;
    if (tracer_ && !tls.grad && !Tracer::one_is_running()) {
        trace(in, out);
        return out;
    }
    if (tracer_) {
        tracer_.reset();
        recording_->fail(tls.grad ? "its backward is differentiated" : "its backward is part of another recording");
    }
    Grads seeds;
    std::vector<Edge> roots;
    for (size_t i = 0; i < roots_.size() && i < in.size(); ++i) {
        if (!in[i].defined()) continue;
        roots.push_back(roots_[i]);
        seeds.push_back(std::move(in[i]));
    }
    in.clear();
    const auto start = Clock::now();
    for (Tensor& t : run_between(roots, ends_, std::move(seeds))) out.push_back(std::move(t));
    const double took = seconds_since(start);
    if (took < recording_->eager_backward_seconds.load()) recording_->eager_backward_seconds = took;
    return out;
}

void EagerNode::release_saved() {
    each_node_between(roots_, ends_, [](Node& n) { n.release_saved(); });
}

}  // namespace fb::graph
