// Gradients of a fused operator for create_graph: the operator is written once more with operators, and differentiated.
#pragma once
#include "autograd/back.h"

namespace fb {

// f computes the results from the inputs with recorded operators. Returns the gradient of each input, with history;
// undefined gradients count as zero, undefined inputs stay so.
template <class F>
std::vector<Tensor> composite_gradients(std::span<const Tensor> inputs, std::span<const Tensor> grads, F&& f) {
    std::vector<Tensor> own;  // behind a node of their own: what the inputs depend on is not followed
    std::vector<Edge> wanted;
    for (const Tensor& t : inputs) {
        own.push_back(t.defined() && t.requires_grad() ? op<"alias">(t) : t);
        if (t.defined() && t.requires_grad()) wanted.push_back(gradient_edge(own.back()));
    }
    const std::vector<Tensor> results = f(own);
    std::vector<Edge> roots;
    Grads seeds;
    for (size_t i = 0; i < results.size(); ++i) {
        if (!grads[i].defined() || !results[i].requires_grad()) continue;
        roots.push_back(gradient_edge(results[i]));
        seeds.push_back(grads[i]);
    }
    std::vector<Tensor> r(inputs.size());
    if (roots.empty() || wanted.empty()) return r;
    BackwardOptions options;
    options.keep_graph = options.create_graph = true;
    options.accumulate = false;
    std::vector<Tensor> found = run_backward(roots, std::move(seeds), options, wanted);
    for (size_t i = 0, k = 0; i < inputs.size(); ++i)
        if (inputs[i].defined() && inputs[i].requires_grad()) r[i] = std::move(found[k++]);
    return r;
}

}  // namespace fb
