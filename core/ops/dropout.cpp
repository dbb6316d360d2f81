// Dropout in its variants, and rrelu: what randomness does to a layer's activations.
#include <cmath>
#include "autograd/back.h"
#include "cpu/iter.h"
#include "cpu/random_fill.h"
#include "ops/fits.h"
#include "ops/formula.h"

namespace fb {
namespace {

Tensor bernoulli_(const Tensor& t, double p) {
    inplace<"bernoulli_.float">(t, p);
    return t;
}

void check_dropout(double p) { check(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p); }

// One number for each element, or for each feature map of (N, C, …).
Tensor noise_for(const Tensor& input, bool feature) {
    if (!feature) return empty_like(input);
    check(input.dim() >= 2, "Feature dropout requires at least 2 dimensions in the input");
    Dims shape(size_t(input.dim()), int64_t(1));
    shape[0] = input.sizes()[0];
    shape[1] = input.sizes()[1];
    return empty(shape, input.dtype(), input.device());
}
struct Noise {
    Tensor factor, shift;  // output = input * factor + shift
};
Noise dropout_noise(const Tensor& input, double p, bool feature, bool alpha) {
    GradGuard off(false);
    Noise n{bernoulli_(noise_for(input, feature), 1 - p), {}};
    if (!alpha) {
        inplace<"div.Tensor">(n.factor, 1 - p);
        return n;
    }
    constexpr double kAlpha = 1.7580993408473766;  // minus SELU's value at minus infinity
    const double a = 1 / std::sqrt((kAlpha * kAlpha * p + 1) * (1 - p));
    n.shift = op<"add">(n.factor, -1);
    inplace<"mul.Tensor">(n.shift, kAlpha * a);
    inplace<"add.Tensor">(n.shift, kAlpha * a * p);
    inplace<"mul.Tensor">(n.factor, a);
    return n;
}
template <bool feature, bool alpha>
Tensor dropout(const Tensor& input, double p, bool train) {
    check_dropout(p);
    if (p == 0 || !train || !input.numel()) return input;
    if (p == 1) return op<"mul">(input, op<"zeros">(Dims{}, input.dtype(), nullptr, input.device()));
    const Noise n = dropout_noise(input, p, feature, alpha);
    const Tensor r = op<"mul">(input, n.factor);
    return alpha ? op<"add">(r, n.shift) : r;
}
template <bool feature, bool alpha>
Tensor dropout_(const Tensor& self, double p, bool train) {
    check_dropout(p);
    if (p == 0 || !train || !self.numel()) return self;
    if (p == 1) {
        inplace<"mul.Tensor">(self, op<"zeros">(Dims{}, self.dtype(), nullptr, self.device()));
        return self;
    }
    const Noise n = dropout_noise(self, p, feature, alpha);
    inplace<"mul.Tensor">(self, n.factor);
    if (alpha) inplace<"add.Tensor">(self, n.shift);
    return self;
}
std::tuple<Tensor, Tensor> native_dropout(const Tensor& input, double p, std::optional<bool> train) {
    if (!input.numel()) return {input, empty(input.sizes(), DType::b1, input.device())};
    GradGuard off(false);
    if (!train.value_or(true)) return {op<"clone">(input), op<"ones_like">(input, DType::b1)};
    const Tensor mask = bernoulli_(empty_like(input, DType::b1), 1 - p);
    const Tensor r = op<"mul">(input, mask);
    inplace<"mul.Tensor">(r, p == 1 ? 0.0 : 1 / (1 - p));
    return {r, mask};
}
Tensor native_dropout_backward(const Tensor& g, const Tensor& mask, double scale) {
    return op<"mul">(op<"mul">(g, mask), scale);
}

// ---------------------------------------------------------------- rrelu
Tensor rrelu_with_noise(const Tensor& self, const Tensor& noise, Scalar lower, Scalar upper, bool training,
                        Generator* g) {
    check(real_parameter(lower, DType::f64) <= real_parameter(upper, DType::f64),
          "Lower bound should be less than or equal to the upper bound");
    GradGuard off(false);
    if (!training)
        return op<"nn::leaky_relu">(self, (real_parameter(lower, DType::f64) + real_parameter(upper, DType::f64)) / 2);
    if (!is_floating(self.dtype()) || self.dtype() == DType::f16)
        cpu::no_kernel("rrelu_with_noise_out_cpu", self.dtype());
    check(same(self.sizes(), noise.sizes()),
          "noise tensor shape must match self tensor shape. Got self.shape = ", self.sizes(),
          " noise.shape = ", noise.sizes());
    if (!self.is_meta()) {
        const Tensor x = cpu::dense(self), slopes = noise.is_contiguous() ? noise : empty(self.sizes(), self.dtype());
        Generator& generator = g ? *g : default_generator();
        const GeneratorLock lock(generator);
        cpu::fill_slopes(slopes.data(), x.data(), x.dtype(), x.numel(), real_parameter(lower, DType::f64),
                         real_parameter(upper, DType::f64), generator);
        if (slopes.get() != noise.get()) cpu::copy_data(noise, slopes);
    }
    return op<"mul">(cpu::dense(self),
                     noise);  // the noise keeps its version: it is saved for backward before it is drawn
}
Tensor rrelu_with_noise_(const Tensor& self, const Tensor& noise, Scalar lower, Scalar upper, bool training,
                         Generator* g) {
    cpu::copy_data(self, rrelu_with_noise(self, noise, lower, upper, training, g));
    self->bump_version();
    return self;
}
Tensor rrelu(const Tensor& self, Scalar lower, Scalar upper, bool training, Generator* g) {
    return op<"nn::rrelu_with_noise">(self, empty(self.sizes(), self.dtype(), self.device()), lower, upper, training,
                                      g);
}
Tensor rrelu_(const Tensor& self, Scalar lower, Scalar upper, bool training, Generator* g) {
    return op<"nn::rrelu_with_noise_">(self, empty_like(self), lower, upper, training, g);
}
bool random_slopes(Back& b) { return b.flag(4) && b.scalar(3).real() - b.scalar(2).real() > 1e-6; }
// of what has one slope, from its input or its result (they have the same sign), so that it can be differentiated again
Tensor leaky_gradient(Back& b, const Tensor& x) {
    using namespace formula;
    const double slope = (b.scalar(2).real() + b.scalar(3).real()) / 2;
    return where(x > Value(0), b.g, b.g * slope);
}

const Family dropouts([](Registry& r) {
    r.add("dropout(Tensor input, float p, bool train) -> Tensor", "f").kernel<dropout<false, false>>();
    r.add("dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", "f").kernel<dropout_<false, false>>();
    r.add("feature_dropout(Tensor input, float p, bool train) -> Tensor", "f").kernel<dropout<true, false>>();
    r.add("feature_dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", "f").kernel<dropout_<true, false>>();
    r.add("alpha_dropout(Tensor input, float p, bool train) -> Tensor", "f").kernel<dropout<false, true>>();
    r.add("alpha_dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", "f").kernel<dropout_<false, true>>();
    r.add("feature_alpha_dropout(Tensor input, float p, bool train) -> Tensor", "f").kernel<dropout<true, true>>();
    r.add("feature_alpha_dropout_(Tensor(a!) self, float p, bool train) -> Tensor(a!)", "f")
        .kernel<dropout_<true, true>>();
    r.add("native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)", "f")
        .kernel<native_dropout>()
        .differentiable_results(1)
        .grad("input", "result1", [](Back& b) {
            const double p = b.real(1);
            const bool train = b.attr(2).is_none() || b.flag(2);
            return op<"native_dropout_backward">(b.g, b.result(1), !train ? 1.0 : p == 1 ? 0.0 : 1 / (1 - p));
        });
    r.add("native_dropout_backward(Tensor grad_output, Tensor mask, float scale) -> Tensor", "f")
        .kernel<native_dropout_backward>();

    constexpr const char* kBounds =
        "Scalar lower=0.125, Scalar upper=0.33333333333333331, bool training=False, Generator? "
        "generator=None";
    r.add(str("rrelu(Tensor self, ", kBounds, ") -> Tensor").c_str(), "f").kernel<rrelu>();
    r.add(str("rrelu_(Tensor(a!) self, ", kBounds, ") -> Tensor(a!)").c_str(), "f").kernel<rrelu_>();
    r.add(str("nn::rrelu_with_noise(Tensor self, Tensor(b!) noise, ", kBounds, ") -> Tensor").c_str(), "f")
        .kernel<rrelu_with_noise>()
        .grad("self", "self, noise",
              [](Back& b) { return random_slopes(b) ? op<"mul">(b.g, b.arg(1)) : leaky_gradient(b, b.arg(0)); })
        .piecewise_linear();
    r.add(str("nn::rrelu_with_noise_(Tensor(a!) self, Tensor(b!) noise, ", kBounds, ") -> Tensor(a!)").c_str(), "")
        .kernel<rrelu_with_noise_>()
        .grad("self", "result, noise",
              [](Back& b) { return random_slopes(b) ? op<"mul">(b.g, b.arg(1)) : leaky_gradient(b, b.result()); })
        .piecewise_linear()
        .node("RreluWithNoiseBackward1");
});

}  // namespace
}  // namespace fb
