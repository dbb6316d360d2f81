// A convolution, batch norm with trained statistics and limits (relu and its like, counted as a write if it works in
// place) in one pass, for answering. In every other case, and where a gradient is wanted, it is these three operators
// one after the other.
#include <cmath>
#include <limits>
#include "cpu/conv.h"
#include "cpu/conv_ways.h"
#include "ops/formula.h"

namespace fb {
namespace {

struct Norm {
    const Tensor &weight, &bias, &mean, &var;
    double eps;
    bool there() const { return mean.defined(); }
};

// A number for each channel, the same one for all where there is no tensor.
struct PerChannel {
    float same;
    const float* p;
    int64_t step;
    PerChannel(const Tensor& t, float otherwise)
        : same(otherwise), p(t.defined() ? t.data<float>() : &same), step(t.defined() ? t.strides()[0] : 0) {}
    PerChannel(const PerChannel&) = delete;
    double operator[](int64_t c) const { return double(p[c * step]); }
};

bool is_plain_float(const Tensor& t) {
    return t.dtype() == DType::f32 && t.device() == kCPU && !t->unusual() && t.numel() > 0;
}
// No gradient to record, float, shapes that fit: whatever is wrong is told by the operators themselves.
bool in_one_pass(const Tensor& x, const Tensor& w, const Tensor& bias, const Norm& norm, IntSpan stride,
                 IntSpan padding, IntSpan dilation, int64_t groups, double low, double high) {
    const int64_t n = w.dim() - 2;
    if (n < 1 || n > 2 || x.dim() != w.dim() || !is_plain_float(x) || !is_plain_float(w)) return false;
    if (cpu::shows_channels_last(x) || cpu::shows_channels_last(w)) return false;
    if (int64_t(stride.size()) != n || int64_t(padding.size()) != n || int64_t(dilation.size()) != n || groups < 1 ||
        w.size(0) % groups || x.size(1) != w.size(1) * groups || !(low <= 0 && high >= 0))
        return false;
    for (const Tensor* t : {&x, &w, &bias, &norm.weight, &norm.bias, &norm.mean, &norm.var}) {
        if (!t->defined()) continue;
        if (tls.grad && (*t)->needs_grad()) return false;
        if (t != &x && t != &w && (!is_plain_float(*t) || t->dim() != 1 || t->size(0) != w.size(0))) return false;
    }
    if (norm.there() != norm.var.defined()) return false;
    for (int64_t d = 0; d < n; ++d) {
        const size_t i = size_t(d);
        if (stride[i] < 1 || padding[i] < 0 || dilation[i] < 1 ||
            x.size(d + 2) + 2 * padding[i] < dilation[i] * (w.size(d + 2) - 1) + 1)
            return false;
    }
    return true;
}

Tensor convolution_norm(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& norm_weight,
                        const Tensor& norm_bias, const Tensor& mean, const Tensor& var, double eps, IntSpan stride,
                        IntSpan padding, IntSpan dilation, int64_t groups, double low, double high, bool in_place) {
    const Norm norm{norm_weight, norm_bias, mean, var, eps};
    if (in_one_pass(x, w, bias, norm, stride, padding, dilation, groups, low, high)) {
        cpu::ConvShape s{x.sizes(), w.sizes(), Dims{x.size(0), w.size(0)}, stride, padding, dilation, groups};
        for (size_t d = 0; d < stride.size(); ++d)
            s.out.push_back((s.in[d + 2] + 2 * padding[d] - dilation[d] * (s.weight[d + 2] - 1) - 1) / stride[d] + 1);
        constexpr int64_t kBlock = 16;  // the widest
        const int64_t channels = w.size(0), filled = (channels + kBlock - 1) / kBlock * kBlock;
        std::vector<float> scale(size_t(filled), 0.f), shift(size_t(filled), 0.f);
        const PerChannel of_bias(bias, 0), of_weight(norm_weight, 1), of_norm_bias(norm_bias, 0), of_mean(mean, 0),
            of_var(var, 1);
        for (int64_t c = 0; c < channels; ++c) {
            double factor = 1, add = of_bias[c];
            if (norm.there()) {
                factor = of_weight[c] / std::sqrt(of_var[c] + eps);
                add = of_norm_bias[c] + (add - of_mean[c]) * factor;
            }
            scale[size_t(c)] = float(factor);
            shift[size_t(c)] = float(add);
        }
        const GradGuard off(false);
        if (Tensor r = cpu::conv_scaled(s, x, w, {scale.data(), shift.data(), float(low), float(high)}); r.defined()) {
            if (in_place && !tls.inference) r->bump_version();
            return r;
        }
    }
    const Dims none(size_t(std::max<int64_t>(1, w.dim() - 2)), 0);
    Tensor r = op<"convolution">(x, w, bias, stride, padding, dilation, false, IntSpan(none), groups);
    if (norm.there()) r = op<"batch_norm">(r, norm_weight, norm_bias, mean, var, false, 0.0, eps, true);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (low == -infinity && high == infinity) return r;
    if (!in_place) return op<"clamp">(r, Scalar(low), Scalar(high));
    inplace<"clamp">(r, Scalar(low), Scalar(high));
    return r;
}

const Family family([](Registry& r) {
    r.add(
         "_convolution_norm(Tensor input, Tensor weight, Tensor? bias, Tensor? norm_weight, Tensor? norm_bias, Tensor? "
         "running_mean, Tensor? running_var, float eps, int[] stride, int[] padding, int[] dilation, int groups, float "
         "low, float high, bool in_place) -> Tensor",
         "f")
        .kernel<convolution_norm>();
});

}  // namespace
}  // namespace fb
