// What a derivative formula sees. Argument and result numbers are those of the schema.
#pragma once
#include "autograd/node.h"

namespace fb {

struct Back {
    OpNode& node;
    Grads& incoming;
    Grads& outgoing;

    const Tensor& g;  // the gradient of result 0 (may be undefined for operators with several results)

    bool has(int result) const { return size_t(result) < incoming.size() && incoming[size_t(result)].defined(); }
    Tensor grad(int result) const;  // zeros where nothing arrived
    bool needs(int arg) const;
    bool needs_item(int arg, int i) const;  // of a Tensor[] argument
    Tensor arg(int i) const;                // a saved tensor argument (undefined when None was given)
    Tensor result(int i = 0) const;         // a saved result
    Operand operand(int i) const;           // a saved tensor or the number; keep the Back alive while using it
    std::vector<Tensor> list(int i) const;  // a saved Tensor[]
    const Value& attr(int i) const { return node.attributes[size_t(i)]; }
    int64_t integer(int i) const { return attr(i).integer(); }
    double real(int i) const { return attr(i).real(); }
    bool flag(int i) const { return attr(i).flag(); }
    Scalar scalar(int i) const { return attr(i).scalar(); }
    IntSpan ints(int i) const { return attr(i).is_none() ? IntSpan() : attr(i).ints(); }
    // Shape and dtype of a differentiable argument that needs a gradient.
    const ResultMeta& meta(int arg, int item = 0) const;
    const Dims& sizes(int arg, int item = 0) const { return meta(arg, item).sizes; }
    const ResultMeta& result_meta(int i = 0) const { return node.results[size_t(i)]; }
    int items(int arg) const { return node.edge_count[size_t(arg)]; }
    void set(int arg, Tensor g) const;
    void set_item(int arg, int i, Tensor g) const;

    mutable Small<Tensor, 2> keep;      // unpacked operands
    mutable Small<Tensor, 3> unpacked;  // by saved slot: a saved tensor comes back once for all its uses
    const Tensor& saved(size_t k) const;
};

// The gradient of something broadcast from `sizes`: summed over what was repeated (differentiable).
Tensor sum_to_size(const Tensor& g, IntSpan sizes);
Tensor zeros_of(const ResultMeta& m);
// The formula of an operator that PyTorch records and has no derivative of: raises.
void no_derivative(Back& b);

}  // namespace fb
