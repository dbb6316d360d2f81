// What follows the attention in a layer of a transformer, in one pass over the rows, for answering. In every other
// case, and where a gradient is wanted, it is its operators one after the other.
#include "cpu/after_attention.h"
#include "cpu/packed.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace formula;

constexpr int64_t kMostWeights = int64_t(4) << 20;  // each block of rows reads them all: they stay in the last cache

bool is_plain_float(const Tensor& t) {
    return t.dtype() == DType::f32 && t.device() == kCPU && !t->unusual() && t.is_contiguous() && t.numel() > 0;
}
bool is_row(const Tensor& t, int64_t n) {
    return !t.defined() || (is_plain_float(t) && t.dim() == 1 && t.size(0) == n);
}

struct Linear {
    const Tensor &weight, &bias;
    bool fits() const {
        return is_plain_float(weight) && weight.dim() == 2 && is_row(bias, weight.size(0)) && !wants_gradient();
    }
    bool wants_gradient() const { return tls.grad && (weight->needs_grad() || (bias.defined() && bias->needs_grad())); }
    Tensor operator()(const Tensor& x) const { return op<"nn::linear">(x, weight, bias); }
};
struct LayerNorm {
    const Tensor &weight, &bias;
    double eps;
    bool fits(int64_t n) const {
        return is_row(weight, n) && is_row(bias, n) &&
               !(tls.grad && ((weight.defined() && weight->needs_grad()) || (bias.defined() && bias->needs_grad())));
    }
    Tensor operator()(const Tensor& x) const {
        const int64_t shape[] = {x.size(-1)};
        return op<"layer_norm">(x, IntSpan(shape), weight, bias, eps);
    }
    cpu::LayerNormWeights read() const {
        return {weight.defined() ? weight.data<float>() : nullptr, bias.defined() ? bias.data<float>() : nullptr, eps};
    }
};

Tensor after_attention(const Tensor& attended, const Tensor& x, const Tensor& project_weight,
                       const Tensor& project_bias, const Tensor& norm1_weight, const Tensor& norm1_bias,
                       const Tensor& up_weight, const Tensor& up_bias, const Tensor& down_weight,
                       const Tensor& down_bias, const Tensor& norm2_weight, const Tensor& norm2_bias, double eps1,
                       double eps2, bool norm_first, std::string_view activation) {
    const Linear project{project_weight, project_bias}, up{up_weight, up_bias}, down{down_weight, down_bias};
    const LayerNorm norm1{norm1_weight, norm1_bias, eps1}, norm2{norm2_weight, norm2_bias, eps2};
    check(activation == "gelu" || activation == "relu", "the activation should be relu or gelu, got ", activation);
    const auto in_one_pass = [&] {
        if (!is_plain_float(attended) || !is_plain_float(x) || x.dim() < 1 || !same(attended.sizes(), x.sizes()) ||
            (tls.grad && (attended->needs_grad() || x->needs_grad())))
            return false;
        const int64_t n = x.size(-1);
        if (project_weight.numel() + up_weight.numel() + down_weight.numel() > kMostWeights) return false;
        return project.fits() && up.fits() && down.fits() && norm1.fits(n) && norm2.fits(n) &&
               project_weight.size(0) == n && project_weight.size(1) == n && up_weight.size(1) == n &&
               down_weight.size(0) == n && down_weight.size(1) == up_weight.size(0);
    };
    if (!in_one_pass()) {
        Tensor sum = x + project(attended);
        if (!norm_first) sum = norm1(sum);
        Tensor inside = up(norm_first ? norm2(sum) : sum);
        inside = activation == "gelu" ? op<"nn::gelu">(inside) : op<"relu">(inside);
        sum = sum + down(inside);
        return norm_first ? sum : norm2(sum);
    }
    const Tensor out = empty(x.sizes(), DType::f32);
    const cpu::Packed panels[] = {cpu::packed_panels(project_weight), cpu::packed_panels(up_weight),
                                  cpu::packed_panels(down_weight)};
    const auto rows = [](const Linear& l, const cpu::Packed& p) {
        return cpu::LinearRows{p->as<const float>(), l.bias.defined() ? l.bias.data<float>() : nullptr,
                               l.weight.size(1), l.weight.size(0)};
    };
    cpu::after_attention({x.numel() / x.size(-1), attended.data<float>(), x.data<float>(), out.data<float>(),
                          rows(project, panels[0]), rows(up, panels[1]), rows(down, panels[2]), norm1.read(),
                          norm2.read(), norm_first, activation == "gelu" ? cpu::Unary::gelu : cpu::Unary::relu});
    return out;
}

const Family family([](Registry& r) {
    r.add(
         "_after_attention(Tensor attended, Tensor input, Tensor project_weight, Tensor? project_bias, Tensor? "
         "norm1_weight, Tensor? norm1_bias, Tensor up_weight, Tensor? up_bias, Tensor down_weight, Tensor? down_bias, "
         "Tensor? norm2_weight, Tensor? norm2_bias, float eps1, float eps2, bool norm_first, str activation) -> Tensor",
         "f")
        .kernel<after_attention>();
});

}  // namespace
}  // namespace fb
