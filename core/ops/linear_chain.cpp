// Linear layers and activations in one pass over the rows, for answering. In every other case, and where a gradient is
// wanted, they are operators one after the other.
#include "cpu/linear_chain.h"
#include "cpu/packed.h"
#include "ops/formula.h"

namespace fb {
namespace {

constexpr int64_t kFewestRows = 32, kFewestWeights = 32768;  // with less there is nothing to gain
constexpr int64_t kMostWeights = int64_t(4) << 20;  // each block of rows reads them all: they stay in the last cache

struct Activation {
    std::string_view name;
    cpu::Unary kind;
    Tensor (*call)(const Tensor&);
};
const Activation kActivations[] = {
    {"none", cpu::Unary::copy, [](const Tensor& x) { return x; }},
    {"relu", cpu::Unary::relu, [](const Tensor& x) { return op<"relu">(x); }},
    {"gelu", cpu::Unary::gelu, [](const Tensor& x) { return op<"nn::gelu">(x); }},
    {"gelu_tanh", cpu::Unary::gelu_tanh, [](const Tensor& x) { return op<"nn::gelu">(x, "tanh"); }},
    {"silu", cpu::Unary::silu, [](const Tensor& x) { return op<"nn::silu">(x); }},
    {"tanh", cpu::Unary::tanh, [](const Tensor& x) { return op<"tanh">(x); }},
    {"sigmoid", cpu::Unary::sigmoid, [](const Tensor& x) { return op<"sigmoid">(x); }},
};
// "gelu none": the names of what follows each layer.
std::vector<const Activation*> activations(std::string_view names) {
    std::vector<const Activation*> r;
    while (!names.empty()) {
        const std::string_view one = names.substr(0, names.find(' '));
        names.remove_prefix(std::min(names.size(), one.size() + 1));
        const auto* at = std::find_if(std::begin(kActivations), std::end(kActivations),
                                      [&](const Activation& a) { return a.name == one; });
        check(at != std::end(kActivations), "_linear_chain: there is no activation '", one, "'");
        r.push_back(at);
    }
    return r;
}

bool is_plain_float(const Tensor& t) {
    return t.dtype() == DType::f32 && t.device() == kCPU && !t->unusual() && t.is_contiguous() && t.numel() > 0 &&
           !(tls.grad && t->needs_grad());
}

bool in_one_pass(const Tensor& x, TensorSpan weights, TensorSpan biases) {
    if (!is_plain_float(x) || x.dim() < 2) return false;
    int64_t width = x.size(-1), all = 0;
    if (x.numel() / width < kFewestRows) return false;
    for (size_t i = 0; i < weights.size(); ++i) {
        const Tensor &w = weights[i], &b = biases[i];
        if (!w.defined() || !is_plain_float(w) || w.dim() != 2 || w.size(1) != width) return false;
        width = w.size(0);
        all += w.numel();
        if (b.defined() && !(is_plain_float(b) && b.dim() == 1 && b.size(0) == width)) return false;
    }
    return all >= kFewestWeights && all <= kMostWeights;
}

// `in_place`: the last activation would have written into what the last layer made.
Tensor linear_chain(const Tensor& x, TensorSpan weights, TensorSpan biases, std::string_view names, bool in_place) {
    const std::vector<const Activation*> after = activations(names);
    check(!weights.empty() && weights.size() == biases.size() && weights.size() == after.size(),
          "_linear_chain: expected as many biases and activations as weights, got ", biases.size(), ", ", after.size(),
          " and ", weights.size());
    const auto written = [&](const Tensor& r) {
        if (in_place && !tls.grad && !tls.inference) r->bump_version();
        return r;
    };
    if (!in_one_pass(x, weights, biases)) {
        Tensor r = x;
        for (size_t i = 0; i < weights.size(); ++i) r = after[i]->call(op<"nn::linear">(r, weights[i], biases[i]));
        return written(r);
    }
    std::vector<cpu::Packed> panels;
    std::vector<cpu::ChainLink> links;
    for (size_t i = 0; i < weights.size(); ++i) {
        const Tensor &w = weights[i], &b = biases[i];
        panels.push_back(cpu::packed_panels(w));
        const float* bias = b.defined() ? b.data<float>() : nullptr;
        links.push_back({{panels.back()->as<const float>(), bias, w.size(1), w.size(0)}, after[i]->kind});
    }
    Dims sizes(x.sizes());
    sizes.back() = links.back().linear.out;
    const Tensor r = empty(sizes, DType::f32);
    cpu::linear_chain(x.numel() / x.size(-1), x.data<float>(), links, r.data<float>());
    return written(r);
}

const Family family([](Registry& r) {
    r.add("_linear_chain(Tensor input, Tensor[] weights, Tensor?[] biases, str activations, bool in_place) -> Tensor",
          "f")
        .kernel<linear_chain>();
});

}  // namespace
}  // namespace fb
