// A convolution, batch norm with trained statistics, a residual sum and limits (relu and its like) in one pass, for
// answering. In every other case, and where a gradient is wanted, it is these operators one after the other.
#include <cmath>
#include "cpu/conv.h"
#include "cpu/conv_ways.h"
#include "ops/formula.h"
#include "ops/waiting.h"

namespace fb {
namespace {

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

}  // namespace

bool in_one_pass(const Answer& a) {
    const Tensor &x = a.x, &w = a.w;
    const int64_t n = w.dim() - 2;
    if (n < 1 || n > 2 || x.dim() != w.dim() || !is_plain_float(x) || !is_plain_float(w)) return false;
    if (cpu::shows_channels_last(x) || cpu::shows_channels_last(w)) return false;
    if (int64_t(a.stride.size()) != n || int64_t(a.padding.size()) != n || int64_t(a.dilation.size()) != n ||
        a.groups < 1 || w.size(0) % a.groups || x.size(1) != w.size(1) * a.groups || !(a.low <= 0 && a.high >= 0))
        return false;
    for (const Tensor* t : {&x, &w, &a.bias, &a.norm_weight, &a.norm_bias, &a.mean, &a.var}) {
        if (!t->defined()) continue;
        if (tls.grad && (*t)->needs_grad()) return false;
        if (t != &x && t != &w && (!is_plain_float(*t) || t->dim() != 1 || t->size(0) != w.size(0))) return false;
    }
    if (a.normed() != a.var.defined()) return false;
    for (int64_t d = 0; d < n; ++d) {
        const size_t i = size_t(d);
        if (a.stride[i] < 1 || a.padding[i] < 0 || a.dilation[i] < 1 ||
            x.size(d + 2) + 2 * a.padding[i] < a.dilation[i] * (w.size(d + 2) - 1) + 1)
            return false;
    }
    return true;
}

Tensor answer(const Answer& a) {
    cpu::ConvShape s{a.x.sizes(), a.w.sizes(), Dims{a.x.size(0), a.w.size(0)}, a.stride, a.padding,
                     a.dilation,  a.groups};
    for (size_t d = 0; d < a.stride.size(); ++d)
        s.out.push_back((s.in[d + 2] + 2 * a.padding[d] - a.dilation[d] * (s.weight[d + 2] - 1) - 1) / a.stride[d] + 1);
    constexpr int64_t kBlock = 16;  // the widest
    const int64_t channels = a.w.size(0), filled = (channels + kBlock - 1) / kBlock * kBlock;
    std::vector<float> scale(size_t(filled), 0.f), shift(size_t(filled), 0.f);
    const PerChannel of_bias(a.bias, 0), of_weight(a.norm_weight, 1), of_norm_bias(a.norm_bias, 0), of_mean(a.mean, 0),
        of_var(a.var, 1);
    for (int64_t c = 0; c < channels; ++c) {
        double factor = 1, add = of_bias[c];
        if (a.normed()) {
            factor = of_weight[c] / std::sqrt(of_var[c] + a.eps);
            add = of_norm_bias[c] + (add - of_mean[c]) * factor;
        }
        scale[size_t(c)] = float(factor);
        shift[size_t(c)] = float(add);
    }
    const GradGuard off(false);
    const Tensor r = cpu::conv_scaled(s, a.x, a.w, {scale.data(), shift.data(), float(a.low), float(a.high)}, a.other);
    return r.defined() ? r : one_by_one(a);
}

Tensor one_by_one(const Answer& a) {
    const Dims none(size_t(std::max<int64_t>(1, a.w.dim() - 2)), 0);
    Tensor r = op<"convolution">(a.x, a.w, a.bias, a.stride, a.padding, a.dilation, false, IntSpan(none), a.groups);
    if (a.normed()) r = op<"batch_norm">(r, a.norm_weight, a.norm_bias, a.mean, a.var, false, 0.0, a.eps, true);
    if (a.other.defined()) r = op<"add.Tensor">(r, a.other);
    return a.limited() ? op<"clamp">(r, Scalar(a.low), Scalar(a.high)) : r;
}

namespace {

Tensor convolution_norm(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& norm_weight,
                        const Tensor& norm_bias, const Tensor& mean, const Tensor& var, double eps, IntSpan stride,
                        IntSpan padding, IntSpan dilation, int64_t groups, double low, double high, bool in_place) {
    Answer a{x, w, bias, stride, padding, dilation, groups, norm_weight, norm_bias, mean, var, eps, {}, low, high};
    if (in_one_pass(a)) {
        Tensor r = wait_for_more(a);
        if (!r.defined()) r = answer(a);
        if (in_place && !tls.inference) r->bump_version();
        return r;
    }
    if (!in_place || !a.limited()) return one_by_one(a);
    a.low = -Answer::kEndless;
    a.high = Answer::kEndless;
    const Tensor r = one_by_one(a);
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
