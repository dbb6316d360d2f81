// Losses. `reduction` is PyTorch's number: 0 none, 1 mean, 2 sum.
#include <cmath>
#include "cpu/composed.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

Tensor reduced(const Tensor& loss, int64_t reduction) {
    return reduction == 1 ? op<"mean">(loss) : reduction == 2 ? op<"sum">(loss) : loss;
}
// The loss of each element by a formula, reduced.
Tensor element_loss(Formula f, std::initializer_list<Tensor> in, std::initializer_list<double> numbers,
                    int64_t reduction) {
    if (!reduction) return composed(f, in, numbers);
    if (const auto sum = composed_sum(f, in, numbers)) {
        double mean = *sum;
        if (reduction == 1) {
            Dims sizes = in.begin()->sizes();
            for (const Tensor& t : in) sizes = broadcast_shapes(sizes, t.sizes());
            mean /= double(product(sizes));
        }
        return scalar_tensor(Scalar(mean), in.begin()->dtype());
    }
    Tensor loss;
    f(in.begin(), numbers.begin(), &loss);
    return reduced(loss, reduction);
}
// A gradient of the reduced loss, per element: what reduced()'s own backward would give, without an expanded copy.
Tensor per_element(const Tensor& g, int64_t reduction, int64_t n) { return reduction == 1 ? g / double(n) : g; }

template <Binary kernel>
Tensor pair(const char* name, const Tensor* in, const double* params = nullptr) {
    return binary(kernel, name, in[0], in[1], result_type(Operand(in[0]), Operand(in[1])), Out(), params);
}

Tensor mse_loss(const Tensor& x, const Tensor& y, int64_t reduction) {
    const Formula f = [](const Tensor* in, const double*, Tensor* out) {
        *out = pair<Binary::squared_difference>("mse_cpu", in);
    };
    return element_loss(f, {x, y}, {}, reduction);
}
void mse_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1);
    const Formula f = [](const Tensor* in, const double*, Tensor* out) { *out = (in[0] - in[1]) * in[2]; };
    const int64_t n = product(broadcast_shapes(x.sizes(), y.sizes()));
    const Tensor g = composed(f, {x, y, per_element(b.g, b.integer(2), n) * 2});
    b.set(0, g);
    if (b.needs(1)) b.set(1, -g);
}
Tensor l1_loss(const Tensor& x, const Tensor& y, int64_t reduction) {
    const Formula f = [](const Tensor* in, const double*, Tensor* out) { *out = op<"abs">(in[0] - in[1]); };
    return element_loss(f, {x, y}, {}, reduction);
}

Tensor smooth_l1_loss(const Tensor& x, const Tensor& y, int64_t reduction, double beta) {
    check(beta >= 0, "smooth_l1_loss does not support negative values for beta.");
    if (beta == 0) return l1_loss(x, y, reduction);
    const Formula f = [](const Tensor* in, const double* beta, Tensor* out) {
        *out = pair<Binary::smooth_l1>("smooth_l1_cpu", in, beta);
    };
    return element_loss(f, {x, y}, {beta}, reduction);
}
// PyTorch computes some losses in place, in a tensor like one of the operands.
Tensor in_type_of(const Tensor& made_in, Tensor r) {
    const DType t = made_in.dtype();
    check(!is_integral(t, true), "result type ", r.dtype(), " can't be cast to the desired output type ", t);
    return r.dtype() == t ? std::move(r) : r.to(t);
}
Tensor huber_loss(const Tensor& x, const Tensor& y, int64_t reduction, double delta) {
    check(delta > 0, "huber_loss does not support non-positive values for delta.");
    const Formula f = [](const Tensor* in, const double* delta, Tensor* out) {
        *out = pair<Binary::huber>("huber_cpu", in, delta);
    };
    return in_type_of(x, element_loss(f, {x, y}, {delta}, reduction));
}
// Both are |d| beyond a bound and a parabola within: the slope is d cut to [-bound, bound], times a factor.
void cut_backward(Back& b, double bound, double factor) {
    const Tensor x = b.arg(0), y = b.arg(1);
    const Formula f = [](const Tensor* in, const double* bound, Tensor* out) {
        const Tensor d = in[0] - in[1];
        *out = (*bound > 0 ? op<"clamp">(d, Scalar(-*bound), Scalar(*bound)) : op<"sign">(d)) * in[2];
    };
    const Tensor one = per_element(b.g, b.integer(2), product(broadcast_shapes(x.sizes(), y.sizes())));
    const Tensor g = composed(f, {x, y, factor == 1 ? one : one * factor}, {bound});
    b.set(0, g);
    if (b.needs(1)) b.set(1, -g);
}
Tensor soft_margin_loss(const Tensor& x, const Tensor& y, int64_t reduction) {
    const Formula f = [](const Tensor* in, const double*, Tensor* out) { *out = op<"log1p">(exp(-in[1] * in[0])); };
    return in_type_of(x, element_loss(f, {x, y}, {}, reduction));
}

void soft_margin_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1);
    // of log(1 + e^-xy): with respect to either, the other times this
    const Formula f = [](const Tensor* in, const double*, Tensor* out) {
        const Tensor z = exp(-in[1] * in[0]);
        *out = -in[1] * z / (z + 1) * in[2];
    };
    const Tensor g = per_element(b.g, b.integer(2), product(broadcast_shapes(x.sizes(), y.sizes())));
    if (b.needs(0)) b.set(0, composed(f, {x, y, g}));
    if (b.needs(1)) b.set(1, composed(f, {y, x, g}));
}

// ---------------------------------------------------------------- binary cross entropy, divergence
// Optional weights of a formula: a number tells whether they are there; in their place stands any other tensor.
bool all_between_0_and_1(const Tensor& t) {
    const auto ends = opn<"aminmax">(t, nullptr, false);
    return ends.result[0].item().real() >= 0 && ends.result[1].item().real() <= 1;
}
Tensor bce(const Tensor& x, const Tensor& y, const Tensor& weight, int64_t reduction) {
    check(same(x.sizes(), y.sizes()), "Using a target size (", y.sizes(), ") that is different to the input size (",
          x.sizes(), ") is deprecated. Please ensure they have the same size.");
    if (!is_floating(x.dtype())) no_kernel("binary_cross_entropy", x.dtype());
    if (!x.is_meta() && x.numel()) {
        check(all_between_0_and_1(x), "all elements of input should be between 0 and 1");
        check(all_between_0_and_1(y), "all elements of target should be between 0 and 1");
    }
    // Logarithms are cut at -100, so that 0·log 0 stays finite.
    const Formula f = [](const Tensor* in, const double* weighted, Tensor* out) {
        const Tensor &x = in[0], &y = in[1], one = op<"clamp_min">(log(x), Scalar(-100)),
                     other = op<"clamp_min">(op<"log1p">(-x), Scalar(-100));
        *out = (y - 1) * other - y * one;
        if (*weighted) *out = *out * in[2];
    };
    return element_loss(f, {x, y, weight.defined() ? weight : x}, {double(weight.defined())}, reduction);
}
void bce_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1), w = b.arg(2), g = per_element(b.g, b.integer(3), x.numel());
    const double weighted = w.defined();
    const Tensor& weight = w.defined() ? w : x;
    if (b.needs(0)) {
        const Formula f = [](const Tensor* in, const double* weighted, Tensor* out) {
            const Tensor &x = in[0], &y = in[1], slope = op<"clamp_min">((1 - x) * x, Scalar(1e-12));
            *out = (*weighted ? in[2] * in[3] : in[2]) * ((x - y) / slope);
        };
        b.set(0, composed(f, {x, y, g, weight}, {weighted}));
    }
    if (b.needs(1)) {
        const Formula f = [](const Tensor* in, const double* weighted, Tensor* out) {
            *out = (*weighted ? in[1] * in[2] : in[1]) * (op<"log1p">(-in[0]) - log(in[0]));
        };
        b.set(1, composed(f, {x, g, weight}, {weighted}));
    }
}

Tensor bce_with_logits(const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& pos_weight,
                       int64_t reduction) {
    const Formula f = [](const Tensor* in, const double* has, Tensor* out) {
        const Tensor &x = in[0], &y = in[1], log_sig = op<"nn::log_sigmoid">(x);
        *out = (1 - y) * x - (has[1] ? ((in[3] - 1) * y + 1) * log_sig : log_sig);
        if (has[0]) *out = *out * in[2];
    };
    const bool weighted = weight.defined(), positive = pos_weight.defined();
    Tensor r = element_loss(f, {x, y, weighted ? weight : x, positive ? pos_weight : x},
                            {double(weighted), double(positive)}, reduction);
    return positive ? r : in_type_of(y, std::move(r));
}
void bce_with_logits_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1), w = b.arg(2), p = b.arg(3);
    const Tensor g = per_element(b.g, b.integer(4), product(broadcast_shapes(x.sizes(), y.sizes())));
    const double weighted = w.defined(), positive = p.defined();
    const Tensor &weight = w.defined() ? w : x, &pos_weight = p.defined() ? p : x;
    if (b.needs(0)) {
        const Formula f = [](const Tensor* in, const double* has, Tensor* out) {
            const Tensor &y = in[1], s = sigmoid(in[0]), g = has[0] ? in[2] * in[3] : in[2];
            if (has[1]) {
                const Tensor t = in[4] * y;
                *out = ((t + 1 - y) * s - t) * g;
            } else {
                *out = (s - y) * g;
            }
        };
        b.set(0, composed(f, {x, y, g, weight, pos_weight}, {weighted, positive}));
    }
    if (b.needs(1)) {
        const Formula f = [](const Tensor* in, const double* has, Tensor* out) {
            const Tensor &x = in[0], g = has[0] ? in[1] * in[2] : in[1];
            *out = has[1] ? (op<"nn::log_sigmoid">(-x) - in[3] * op<"nn::log_sigmoid">(x)) * g : -x * g;
        };
        b.set(1, composed(f, {x, g, weight, pos_weight}, {weighted, positive}));
    }
}
Tensor kl_div(const Tensor& x, const Tensor& y, int64_t reduction, bool log_target) {
    check(!is_complex(x.dtype()) && !is_complex(y.dtype()), "kl_div: Complex inputs not supported.");
    check(!is_integral(x.dtype(), true) && !is_integral(y.dtype(), true), "kl_div: Integral inputs not supported.");
    const Formula f = [](const Tensor* in, const double* log_target, Tensor* out) {
        const Tensor &x = in[0], &y = in[1];
        *out = *log_target ? exp(y) * (y - x) : op<"xlogy">(y, y) - y * x;
    };
    return element_loss(f, {x, y}, {double(log_target)}, reduction);
}

const Family losses([](Registry& r) {
    r.add("nn::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", "fo")
        .kernel<mse_loss>()
        .grads("self, target", "self, target", mse_backward);
    r.add("nn::l1_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", "f").kernel<l1_loss>();
    r.add("nn::smooth_l1_loss(Tensor self, Tensor target, int reduction=1, float beta=1.0) -> Tensor", "fo")
        .kernel<smooth_l1_loss>()
        .grads("self, target", "self, target", [](Back& b) {
            const double beta = b.real(3);
            cut_backward(b, beta, beta > 0 ? 1 / beta : 1);
        });
    r.add("nn::huber_loss(Tensor self, Tensor target, int reduction=1, float delta=1.0) -> Tensor", "fo")
        .kernel<huber_loss>()
        .grads("self, target", "self, target", [](Back& b) { cut_backward(b, b.real(3), 1); });
    r.add("nn::soft_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", "fo")
        .kernel<soft_margin_loss>()
        .grads("self, target", "self, target", soft_margin_backward);
    r.add("nn::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor", "fo")
        .kernel<bce>()
        .grads("self, target", "self, target, weight", bce_backward);
    r.add(
         "binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, "
         "int reduction=0) -> Tensor",
         "f")
        .kernel<bce_with_logits>()
        .grads("self, target", "self, target, weight, pos_weight", bce_with_logits_backward);
    r.add("kl_div(Tensor self, Tensor target, int reduction=0, *, bool log_target=False) -> Tensor", "f")
        .kernel<kl_div>();
});

}  // namespace
}  // namespace fb
