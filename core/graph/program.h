// A captured graph made ready to run: forward, and backward where gradients are asked for.
#pragma once
#include <atomic>
#include "autograd/node.h"
#include "cpu/random.h"
#include "graph/fuse.h"

namespace fb::graph {

// Steps with the slots that end at each.
class Code {
public:
    Code() = default;
    Code(const Graph& g, std::vector<Step> steps, const std::vector<bool>& live_after);
    // `slots` holds the inputs and takes the results. False: a number or a shape that the program depends on is
    // another one; nothing the caller can see has happened by then.
    bool run(const Graph& g, std::vector<Tensor>& slots) const;
    const std::vector<Step>& steps() const { return steps_; }

private:
    std::vector<Step> steps_;
    std::vector<Small<int, 4>> ends_;    // by step: slots nobody reads any more
    std::vector<Small<bool, 8>> dying_;  // by fusion: inputs whose memory is free to take
};

class Program final : public RefCounted {
public:
    explicit Program(Graph g);
    static void destroy(Program* p) { delete p; }

    // Runs everything once more as the trace ran it and compares; random numbers and the caller's memory are put back.
    bool agrees(TensorSpan inputs, TensorSpan outputs, TensorSpan gradients, const Generator::State& numbers_before);
    void forget_samples();

    // One call: the tensors given, the results. False: this path does not hold (see Code::run).
    bool run(TensorSpan inputs, std::vector<Tensor>& outputs) const;
    mutable std::atomic<double> backward_seconds{1e9};  // the fastest run so far
    bool has_backward() const { return has_backward_; }
    const Graph& graph() const { return graph_; }
    std::string text() const;

    // Where memory of the caller is written, no two tensors of his may share it unseen.
    bool inputs_fit(TensorSpan inputs) const;
    struct Counts {
        int operators, steps, fused;
    };
    Counts counts() const;

    // The state of the world that the held tensors were captured in still holds.
    bool held_unchanged() const;

private:
    friend class CompiledNode;
    struct Held {
        Tensor tensor;
        DType dtype;
        bool needs_grad;
        Dims sizes, strides;
    };
    void fill(std::vector<Tensor>& slots, TensorSpan inputs) const;
    std::vector<Tensor> backward(std::vector<Tensor>&& slots, const Grads& incoming) const;

    Graph graph_;
    Code forward_, backward_;
    bool has_backward_ = false;
    std::vector<int> saved_;                     // slots that the backward reads from the forward
    std::vector<std::vector<bool>> reached_by_;  // by wanted: which seeds lead to it
    std::vector<Held> held_;
    std::vector<bool> callers_see_;  // by slot: its memory is also that of an input, a held tensor or a result
    bool writes_callers_ = false;
    int operators_ = 0;
};

// By wanted: which of the incoming gradients lead to it.
std::vector<std::vector<bool>> reached_by(const Graph& g);

// Plain running of a graph as it was recorded: modes and gradients as in eager code.
std::vector<Tensor> replay(const Graph& g, TensorSpan inputs, TensorSpan held);

// The node behind the results of a program.
class CompiledNode final : public Node {
public:
    explicit CompiledNode(Ptr<Program> p) : program_(std::move(p)) {}
    Grads apply(Grads&& in) override;
    std::string name() const override { return "CompiledFunctionBackward"; }
    void release_saved() override;

private:
    friend class Program;
    Ptr<Program> program_;
    std::vector<SavedTensor> kept_;  // of the caller: may not have been written to
    std::vector<int> kept_slots_;
    std::vector<Tensor> own_;  // made here
    std::vector<int> own_slots_;
    std::vector<int> result_seed_;  // by result of this node: the seed it is
    bool released_ = false;
};

}  // namespace fb::graph
