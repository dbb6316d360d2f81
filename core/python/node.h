// The graph as Python sees it: x.grad_fn, hooks, autograd.Function.
#pragma once
#include <optional>
#include "autograd/node.h"
#include "python/helpers.h"

namespace fb::py {

PyObject* wrap_node(const Ptr<Node>& node);  // new reference; None for null
bool is_node(PyObject* o);
Ptr<Node> unwrap_node(PyObject* o);         // throws when its graph is gone
void init_nodes(PyObject* module);          // node.cpp
void init_function_base(PyObject* module);  // custom_function.cpp
void init_saved_tensors(PyObject* module);  // saved_tensor.cpp
Ptr<Node> unwrap_core_node(PyObject* o);    // of an object for which is_node

// A dictionary of Python callables in the place of one core hook; RemovableHandle takes entries out of it.
enum class HookKind : uint8_t { Gradient, Pre, Post, PostAccumulate };
class DictHook final : public Hook {
public:
    DictHook(PyObject* dict, HookKind kind, const Node* node = nullptr)
        : dict(Py_NewRef(dict)), kind(kind), node(node) {}
    ~DictHook() override;
    void pre(Grads& inputs) override;
    void post(Grads& outputs, const Grads& inputs) override;
    PyObject* dict;
    HookKind kind;
    const Node* node;  // that it is a hook of
};

// The node of an autograd.Function: its object is the `ctx` of the call.
class CustomNode final : public Node {
public:
    explicit CustomNode(PyObject* ctx) : ctx(Py_NewRef(ctx)) {}
    ~CustomNode() override;
    Grads apply(Grads&& inputs) override;
    std::string name() const override;
    void release_saved() override;
    PyObject* ctx;
};

PyObject* next_functions(const Node& n);
PyObject* input_metadata(const Node& n);
PyObject* saved_object(PyObject* owner, std::optional<size_t> index);  // a look at what a node saved
SavedTensor* saved_in_ctx(PyObject* ctx, size_t index, Node*& node, bool& released);
SavedTensor packed_by(PyObject* pack, PyObject* unpack, const Tensor& t, bool is_result);  // autograd.cpp
PyObject* register_node_hook(Node& n, PyObject* callable, HookKind kind);                  // returns a RemovableHandle
Ref wrap_grads(const Grads& g);  // a tuple, None for undefined ones
void read_grads(PyObject* result, Grads& into, const char* who);

}  // namespace fb::py
