// A recorded call on its way to a program: the backward that completes it is the caller's own, seen when it runs.
#pragma once
#include "graph/program.h"
#include "graph/trace.h"

namespace fb::graph {

// What became of a recording; the entry asks, the backward tells.
struct Recording final : public RefCounted {
    static void destroy(Recording* r) { delete r; }
    enum class State : uint8_t { Waiting, Ready, Failed, Dropped };

    void fail(std::string why) {
        failure = std::move(why);
        state.store(State::Failed, std::memory_order_release);
    }
    // The program of a finished trace. One that runs quickly is run once more, on what the trace saw, and must agree.
    void complete(Tracer& tracer, TensorSpan inputs, TensorSpan outputs, double seconds, bool untouched);

    std::atomic<State> state{State::Waiting};
    Ptr<Program> program;
    std::string failure;
    std::atomic<double> eager_backward_seconds{1e9};  // the fastest so far
};

// Why the backward between a call's results and the tensors it was given must be left to the engine, or null.
const char* foreign_code(std::span<const Edge> roots, std::span<const Edge> ends);

// One node in the place of all that an eager call put between its results and the tensors it was given. It runs these
// nodes, timed; the first time after a recorded call, under the tracer.
class EagerNode final : public Node {
public:
    EagerNode(Ptr<Recording> recording, std::vector<Edge> ends);
    ~EagerNode() override;
    // Results that need a gradient are replaced by copies whose history is this node. Null where there are none.
    static Ptr<Node> stand_before(Ptr<Recording> recording, std::vector<Edge> ends, std::vector<Tensor>& results,
                                  const std::function<bool(size_t)>& is_result);
    // The backward is to be recorded: by `tracer`, whose forward is over.
    void record(std::unique_ptr<Tracer> tracer, std::vector<Tensor> inputs, std::vector<Tensor> outputs);

    Grads apply(Grads&& in) override;
    std::string name() const override { return "CompiledFunctionBackward"; }
    void release_saved() override;

private:
    void trace(const Grads& in, Grads& out);

    Ptr<Recording> recording_;
    std::vector<Edge> roots_, ends_;
    std::unique_ptr<Tracer> tracer_;
    std::vector<Tensor> inputs_, outputs_;
    std::vector<uint32_t> versions_;  // of what the trace knew when the forward ended
};

}  // namespace fb::graph
