// Capturing: what runs while a trace is on is recorded, operator by operator, and still runs.
#pragma once
#include <chrono>
#include <unordered_map>
#include <unordered_set>
#include "autograd/formula_hook.h"
#include "cpu/random.h"
#include "cpu/watch.h"
#include "graph/graph.h"

namespace fb::graph {

// Operators that users wrote in Python. A program calls them as they are: what they do inside may be different in
// another call, the shape of their results too.
std::unordered_set<const Op*>& users_operators();

class Tracer final : public Watcher {
public:
    Tracer();
    ~Tracer() override;
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    int add_input(const Tensor& t);  // before start
    void know(const Tensor& t);      // a tensor that the program may reach without being given it
    void start();                    // recording on, in this thread
    void stop();
    static bool one_is_running();        // in this thread
    static int64_t steps_so_far();       // of the one running in this thread; -1: none
    static bool one_must_be_readable();  // a lenient one: others read what it wrote
    // After the forward part, stopped: from where and to where its backward leads, which is that of `outputs` for every
    // input and known tensor that was used and needs a gradient. No roots: there is none.
    void end_forward(TensorSpan outputs, std::vector<Edge>& roots, std::vector<Edge>& ends);
    // Runs that backward and records it; leaves its results in `gradients`.
    void trace_backward(std::span<const Edge> roots, std::span<const Edge> ends, const Grads& incoming);
    // The results of the program, in order: a slot for each, or a failure.
    void set_outputs(TensorSpan outputs);
    double seconds() const { return seconds_; }    // that recording took
    void distrust_samples() { trusted_ = false; }  // somebody wrote into what the forward saw
    void finish();                                 // fills in what slots know of their samples

    void fail(const std::string& why) {
        if (!failure_.empty()) return;
        failure_ = why;
        note("failure");
    }
    // Told what happens that somebody may want to know the place of in the program: "failure" or "branch".
    static inline void (*on_event)(const char* what) = nullptr;
    const std::string& failure() const { return failure_; }
    bool lenient = false;  // values that leave the graph become constants of it (jit.trace), and no backward follows
    bool keeps_constants = false;  // lenient: constants are the tensors themselves, with their history, not copies
    const std::string& baked() const { return baked_; }  // the first that did
    Graph graph;
    std::vector<Tensor> gradients;  // what the traced backward gave
    const Generator::State& numbers_before() const { return numbers_before_; }

    void call(const Op& op, Frame& f);
    Grads formula(OpNode& node, Grads&& in, RunFormulas run);

    void born(const void* impl) override { born_.insert(impl); }
    void item(const Tensor& t, const Scalar& value) override;
    void leak(const char* how) override;
    void copied(const Tensor& from, const Tensor& copy) override;
    void constant(const Tensor& t) override;
    void reshaped(const Tensor& t, const Tensor& view) override;
    void pointwise(const Pointwise& p, const Tensor& r) override;

private:
    struct Note {  // a pass of the running kernel
        Pass pass;
        Tensor result;
        std::vector<Tensor> inputs;  // undefined for numbers
    };
    struct View {  // what makes two tensor objects the same tensor
        const Storage* storage;
        int64_t offset;
        DType dtype;
        bool conj, neg;
        bool grad;  // a tensor with a history is not what was detached from it
        Dims sizes, strides;
        bool operator==(const View&) const = default;
    };
    struct ViewHash {
        size_t operator()(const View& v) const;
    };
    static View view_of(const TensorImpl& t);
    void note(const char* what) const {
        if (!lenient && on_event) on_event(what);
    }

    void record(const Op& op, Frame& f, const std::vector<std::pair<Tensor, uint32_t>>& versions, bool random);
    std::vector<Pass> passes_for(const Frame& f, const Step& s) const;
    int find(const Tensor& t) const;
    int slot_of(const Tensor& t, const Op& op, bool overwritten);
    int detached(int found, const Tensor& t);
    int add_slot(Slot s);
    int add_result(const Tensor& t);
    void drop_from(size_t step, size_t slot);
    void add_creation(int slot, const Tensor& like);

    std::unordered_map<const TensorImpl*, int> by_impl_;
    std::unordered_map<View, int, ViewHash> by_view_;
    std::unordered_map<const TensorImpl*, Tensor> known_;
    std::unordered_map<const TensorImpl*, Ptr<Node>> histories_;  // those of inputs and known tensors, at first
    std::unordered_set<const void*> born_;
    std::vector<Tensor> kept_;  // so that no address is used twice
    std::vector<Note> notes_;
    bool depends_on(const Grads& incoming, const Grads& results, size_t first_step) const;
    std::string failure_, baked_;
    Generator::State numbers_before_{};
    double seconds_ = 0;
    std::chrono::steady_clock::time_point started_;
    bool trusted_ = true;
    int leaf_ = 0, depth_ = 0;  // inside a kernel that is one step; inside a composite that is taken apart
    bool on_ = false;
    Watcher* outer_ = nullptr;
};

}  // namespace fb::graph
