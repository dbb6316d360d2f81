// The graph: a node is one recorded operation, an edge says which input of which node a gradient goes to.
#pragma once
#include <functional>
#include <string>
#include "op/op.h"

namespace fb {

class Node;
struct Edge {
    Ptr<Node> node;
    uint32_t input = 0;
    explicit operator bool() const { return bool(node); }
};
using Edges = Small<Edge, 3>;
using Grads = Small<Tensor, 3>;  // undefined means zero

// What a gradient arriving at a node must look like: that of the forward result it belongs to.
struct ResultMeta {
    Dims sizes;
    DType dtype = DType::f32;
    Device device;
};

// Called with the gradients on their way into (pre) or out of (post) a node; may replace them.
class Hook : public RefCounted {
public:
    virtual ~Hook() = default;
    virtual void pre(Grads& inputs) { (void)inputs; }
    virtual void post(Grads& outputs, const Grads& inputs) {
        (void)outputs;
        (void)inputs;
    }
    static void destroy(Hook* h) { delete h; }
    int64_t id = 0;
};

struct NodeHooks {
    struct TensorHook {
        uint32_t input;
        Ptr<Hook> hook;
    };
    std::vector<TensorHook> tensor;  // of a result: see one gradient
    std::vector<TensorHook> retain;  // retain_grad: after every other hook
    std::vector<Ptr<Hook>> pre, post;
};

class Node : public RefCounted {
public:
    Node();
    virtual ~Node() = default;
    virtual Grads apply(Grads&& inputs) = 0;
    virtual std::string name() const = 0;
    virtual void release_saved() {}  // after its run, unless the graph is kept
    virtual bool is_accumulate() const { return false; }
    static void destroy(Node*);  // iterative: long chains must not overflow the stack

    uint64_t sequence;             // creation order; larger runs first
    const char* shown = nullptr;   // its name, where it is the last step of an operator that has one in PyTorch
    Edges next;                    // by differentiable input
    Small<ResultMeta, 1> results;  // by result
    std::unique_ptr<NodeHooks> hooks;
    void* object = nullptr;                   // its Python object (borrowed, cleared by that object)
    std::shared_ptr<std::string> created_at;  // anomaly mode: the traceback of the forward call
    NodeHooks& need_hooks() {
        if (!hooks) hooks = std::make_unique<NodeHooks>();
        return *hooks;
    }
};

class AccumulateGrad;

// Autograd state that few tensors have.
struct AutogradMeta {
    Tensor grad;
    AccumulateGrad* accumulator = nullptr;  // weak: lives as long as a graph uses it
    std::vector<Ptr<Hook>> hooks;           // of a leaf, moved into the accumulator when it is made
    std::vector<Ptr<Hook>> post_accumulate;
    bool retains_grad = false;
    std::string name;
};
// A leaf: adds what arrives to the tensor's `.grad`.
class AccumulateGrad final : public Node {
public:
    explicit AccumulateGrad(const Tensor& leaf);
    ~AccumulateGrad() override {
        if (variable->meta) variable->meta->accumulator = nullptr;
    }
    Grads apply(Grads&& inputs) override;
    std::string name() const override { return "AccumulateGrad"; }
    bool is_accumulate() const override { return true; }
    static void* operator new(size_t);
    static void operator delete(void*);
    Tensor variable;
    std::vector<Ptr<Hook>> post_accumulate;  // pre() is called with the variable
};

AutogradMeta& need_meta(TensorImpl& t);

// A saved tensor: refuses to come back changed. A saved result must not own its own node, so history is put back on
// use.
class SavedTensor {
public:
    SavedTensor() = default;
    SavedTensor(const Tensor& t, bool is_result);
    Tensor unpack(Node* owner, const std::string& who) const;
    void reset() {
        tensor_ = {};
        packed_.reset();
        released_ = true;
    }
    bool defined() const { return tensor_.defined() || packed_; }
    bool released() const { return released_; }

private:
    Tensor tensor_;
    uint32_t version_ = 0;
    uint16_t output_nr_ = 0;
    bool is_result_ = false, released_ = false, is_leaf_ = false;
    std::shared_ptr<void> packed_;  // saved_tensors_hooks: what pack gave, with the unpacking
    std::function<Tensor(void*)> unpack_;
    friend struct SavedHooks;
};

// saved_tensors_hooks and anomaly mode, set by the Python layer.
struct SavedHooks {
    static thread_local int active;  // number of hook pairs in force
    static std::shared_ptr<void> (*pack)(const Tensor&);
    static Tensor (*unpack)(void*);
    static thread_local const char* disabled;  // the error text, when saving is forbidden
};
struct AnomalyMode {
    static bool on, check_nan;
    static std::string (*traceback)();  // the current Python stack as text
};

// The number of the next node; results whose node is that or a later one go by the operator's name.
uint64_t next_node();
void show_as(const Tensor& result, const char* name, uint64_t since);

// --- history of tensors
Edge gradient_edge(const Tensor& t);       // the node a gradient of t goes to; makes the leaf's accumulator
const Ptr<Node> grad_fn(const Tensor& t);  // brings a view's up to date first; null for leaves
void set_history(const Tensor& result, const Ptr<Node>& node, uint32_t output_nr);
uint32_t add_result(Node& node, const Tensor& t);  // records its metadata, returns its number
// After an in-place operation recorded as `node` (its result 0 is t): t, and for a view its base, now come from it.
void rebase_history(const Tensor& t, const Ptr<Node>& node);
[[noreturn]] void fail_released();    // a second backward through what was not retained
void check_inplace(const Tensor& t);  // leaves that require grad, views of such, …

// The node of every operator with a derivative entry.
class OpNode final : public Node {
public:
    explicit OpNode(const Op& op) : op(&op) {}
    Grads apply(Grads&& inputs) override;
    std::string name() const override { return op->derivative.node_name; }
    void release_saved() override;
    static void* operator new(size_t);
    static void operator delete(void*);

    const Op* op;
    Small<uint16_t, 6> first_edge;  // by argument; 0xffff: not differentiable
    Small<uint16_t, 6> edge_count;  // 1 for a tensor, n for a list
    Small<Value, 6> attributes;     // non-tensor arguments; lists point into `held`
    std::vector<std::shared_ptr<void>> held;
    Small<SavedTensor, 3> saved;
    Small<uint8_t, 3> saved_slot;  // which argument (or 32 + result) each is; lists repeat their slot
    bool released = false;
};

// --- running backward
struct BackwardOptions {
    bool keep_graph = false, create_graph = false, accumulate = true, allow_unreachable = true;
};
// Gradients of `roots` flow back from `grads`. With `inputs` the gradients there are returned (accumulate false) or
// only those leaves get theirs (accumulate true).
std::vector<Tensor> run_backward(std::span<const Edge> roots, Grads grads, const BackwardOptions&,
                                 std::span<const Edge> inputs = {});

}  // namespace fb
