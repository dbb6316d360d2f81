// Losses. `reduction` is PyTorch's number: 0 none, 1 mean, 2 sum.
#include <cmath>
#include "autograd/back.h"
#include "cpu/fold.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

Tensor reduced(const Tensor& loss, int64_t reduction) {
    return reduction == 1 ? op<"mean">(loss) : reduction == 2 ? op<"sum">(loss) : loss;
}
// A gradient of the reduced loss, per element: what reduced()'s own backward would give, without an expanded copy.
Tensor per_element(const Tensor& g, int64_t reduction, int64_t n) {
    return reduction == 1 ? op<"div">(g, Scalar(n)) : g;
}
Tensor mul(const Tensor& a, const Tensor& b) { return op<"mul">(a, b); }
Tensor mul(const Tensor& a, double s) { return op<"mul">(a, Scalar(s)); }
Tensor sub(const Tensor& a, const Tensor& b) { return op<"sub">(a, b); }

Tensor elementwise_loss(Binary kernel, const char* name, const Tensor& x, const Tensor& y, int64_t reduction,
                        const double* params, const Out& out) {
    const DType t = result_type(Operand(x), Operand(y));
    Tensor loss = binary(kernel, name, x, y, t, reduction ? Out() : out, params);
    if (!reduction) return loss;
    Tensor total = fold(Fold::sum, name, loss, ~uint64_t(0), false);
    if (reduction == 1) inplace<"div">(total, Scalar(loss.numel()));
    if (!out.given()) return total.to(t);
    Tensor r = out.result({}, t, total.device());
    copy_data(r, total);
    return r;
}

Tensor mse_loss(const Tensor& x, const Tensor& y, int64_t reduction, Out out) {
    return elementwise_loss(Binary::squared_difference, "mse_cpu", x, y, reduction, nullptr, out);
}
void mse_backward(Back& b) {
    const Tensor d = sub(b.arg(0), b.arg(1));
    const Tensor g = mul(mul(d, b.integer(2) == 1 ? 2.0 / double(d.numel()) : 2.0), b.g);
    b.set(0, g);
    if (b.needs(1)) b.set(1, op<"neg">(g));
}
Tensor l1_loss(const Tensor& x, const Tensor& y, int64_t reduction) { return reduced(op<"abs">(sub(x, y)), reduction); }

Tensor smooth_l1_loss(const Tensor& x, const Tensor& y, int64_t reduction, double beta, Out out) {
    check(beta >= 0, "smooth_l1_loss does not support negative values for beta.");
    if (beta == 0) return l1_loss(x, y, reduction);
    return elementwise_loss(Binary::smooth_l1, "smooth_l1_cpu", x, y, reduction, &beta, out);
}
Tensor huber_loss(const Tensor& x, const Tensor& y, int64_t reduction, double delta, Out out) {
    check(delta > 0, "huber_loss does not support non-positive values for delta.");
    return elementwise_loss(Binary::huber, "huber_cpu", x, y, reduction, &delta, out);
}
// Both are |d| beyond a bound and a parabola within: the slope is d cut to [-bound, bound], times a factor.
void cut_backward(Back& b, double bound, double factor) {
    const Tensor d = sub(b.arg(0), b.arg(1));
    const Tensor slope = bound > 0 ? op<"clamp">(d, Scalar(-bound), Scalar(bound)) : op<"sign">(d);
    const Tensor g = mul(per_element(b.g, b.integer(2), d.numel()), mul(slope, factor));
    b.set(0, g);
    if (b.needs(1)) b.set(1, op<"neg">(g));
}
Tensor soft_margin_loss(const Tensor& x, const Tensor& y, int64_t reduction) {
    return reduced(op<"log1p">(op<"exp">(mul(op<"neg">(y), x))), reduction);
}

// ---------------------------------------------------------------- binary cross entropy, divergence
Tensor bce(const Tensor& x, const Tensor& y, const Tensor& weight, int64_t reduction) {
    check(same(x.sizes(), y.sizes()), "Using a target size (", y.sizes(), ") that is different to the input size (",
          x.sizes(), ") is deprecated. Please ensure they have the same size.");
    if (!x.is_meta() && x.numel()) {
        check(!op<"all">(op<"logical_and">(op<"ge">(x, Scalar(0)), op<"le">(x, Scalar(1)))).item().is_zero(),
              "all elements of input should be between 0 and 1");
        check(!op<"all">(op<"logical_and">(op<"ge">(y, Scalar(0)), op<"le">(y, Scalar(1)))).item().is_zero(),
              "all elements of target should be between 0 and 1");
    }
    // Logarithms are cut at -100, so that 0·log 0 stays finite.
    const Tensor one = op<"clamp_min">(op<"log">(x), Scalar(-100)),
                 other = op<"clamp_min">(op<"log1p">(op<"neg">(x)), Scalar(-100));
    Tensor loss = sub(mul(sub(y, op<"ones_like">(y)), other), mul(y, one));
    if (weight.defined()) loss = mul(loss, weight);
    return reduced(loss, reduction);
}
void bce_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1), w = b.arg(2);
    Tensor g = per_element(b.g, b.integer(3), x.numel());
    if (w.defined()) g = mul(g, w);
    if (b.needs(0)) {
        const Tensor slope = op<"clamp_min">(mul(op<"rsub">(x, Scalar(1)), x), Scalar(1e-12));
        b.set(0, mul(g, op<"div">(sub(x, y), slope)));
    }
    if (b.needs(1)) b.set(1, mul(g, sub(op<"log1p">(op<"neg">(x)), op<"log">(x))));
}
Tensor bce_with_logits(const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& pos_weight,
                       int64_t reduction) {
    const Tensor log_sig = op<"nn::log_sigmoid">(x);
    Tensor loss;
    if (pos_weight.defined()) {
        const Tensor w = op<"add">(mul(op<"sub">(pos_weight, Scalar(1)), y), Scalar(1));
        loss = sub(mul(op<"rsub">(y, Scalar(1)), x), mul(w, log_sig));
    } else {
        loss = sub(mul(op<"rsub">(y, Scalar(1)), x), log_sig);
    }
    if (weight.defined()) loss = mul(loss, weight);
    return reduced(loss, reduction);
}
void bce_with_logits_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.arg(1), w = b.arg(2), p = b.arg(3);
    const Dims shape = broadcast_shapes(x.sizes(), y.sizes());
    Tensor g = per_element(b.g, b.integer(4), product(shape));
    if (w.defined()) g = mul(g, w);
    if (b.needs(0)) {
        const Tensor s = op<"sigmoid">(x);
        if (p.defined()) {
            const Tensor t = mul(p, y);
            b.set(0, mul(sub(mul(op<"sub">(op<"add">(t, Scalar(1)), y), s), t), g));
        } else {
            b.set(0, mul(sub(s, y), g));
        }
    }
    if (b.needs(1)) {
        if (p.defined()) b.set(1, mul(sub(op<"nn::log_sigmoid">(op<"neg">(x)), mul(p, op<"nn::log_sigmoid">(x))), g));
        else b.set(1, mul(op<"neg">(x), g));
    }
}
Tensor kl_div(const Tensor& x, const Tensor& y, int64_t reduction, bool log_target) {
    check(!is_complex(x.dtype()) && !is_complex(y.dtype()), "kl_div: Complex inputs not supported.");
    check(!is_integral(x.dtype(), true) && !is_integral(y.dtype(), true), "kl_div: Integral inputs not supported.");
    const Tensor loss = log_target ? mul(op<"exp">(y), sub(y, x)) : sub(op<"xlogy">(y, y), mul(y, x));
    return reduced(loss, reduction);
}

// ---------------------------------------------------------------- margins between classes
Tensor multi_margin_loss(const Tensor& x0, const Tensor& target0, Scalar p, Scalar margin, const Tensor& weight,
                         int64_t reduction) {
    check(p.equals(1) || p.equals(2), "only p == 1 and p == 2 supported");
    const Tensor x = x0.dim() <= 1 ? op<"reshape">(x0, Dims{1, -1}) : x0, target = op<"reshape">(target0, Dims{-1});
    check(x.dim() == 2 && target.numel() == x.size(0), "inconsistent target size, expected ", x.size(0), " but got ",
          target0.sizes());
    if (weight.defined())
        check(weight.numel() == x.size(1), "inconsistent weight size, expected ", x.size(1), " but got ",
              weight.sizes());
    const Tensor at = op<"unsqueeze">(target, 1), own = op<"gather">(x, 1, at);
    Tensor z = op<"clamp_min">(op<"add">(op<"sub">(x, own), margin), Scalar(0));
    if (p.equals(2)) z = mul(z, z);
    if (weight.defined()) z = mul(z, op<"unsqueeze">(op<"index_select">(weight, 0, target), 1));
    z = op<"scatter.value">(z, 1, at, Scalar(0));
    const Tensor loss = op<"div">(op<"sum.dim_IntList">(z, Dims{1}), Scalar(x.size(1)));
    return x0.dim() <= 1 && reduction == 0 ? op<"reshape">(loss, Dims{}) : reduced(loss, reduction);
}
Tensor multilabel_margin_loss(const Tensor& x0, const Tensor& target0, int64_t reduction) {
    check(x0.dim() <= 2 && x0.dim() == target0.dim() && same(x0.sizes(), target0.sizes()),
          "inconsistent target size: ", target0.sizes(), " for input of size: ", x0.sizes());
    const int64_t n = x0.dim() ? x0.size(-1) : 1;
    const Tensor x = op<"reshape">(x0, Dims{-1, n}), target = op<"reshape">(target0, Dims{-1, n});
    // Labels count up to the first -1.
    const Tensor valid = op<"eq">(op<"cumsum">(op<"lt">(target, Scalar(0)), 1), Scalar(0));
    const Tensor at = op<"masked_fill">(target, op<"logical_not">(valid), Scalar(0));
    const Tensor labelled =
        op<"gt">(op<"scatter_add">(op<"zeros">(target.sizes(), DType::i64), 1, at, valid.to(DType::i64)), Scalar(0));
    const Tensor own = op<"unsqueeze">(op<"gather">(x, 1, at), 2);
    Tensor z = op<"clamp_min">(op<"add">(op<"rsub">(own, Scalar(1)), op<"unsqueeze">(x, 1)),
                               Scalar(0));  // [row, label, class]
    z = mul(z, op<"unsqueeze">(valid, 2));
    z = mul(z, op<"unsqueeze">(op<"logical_not">(labelled), 1));
    const Tensor loss = op<"div">(op<"sum.dim_IntList">(z, Dims{1, 2}), Scalar(n));
    return x0.dim() <= 1 && reduction == 0 ? op<"reshape">(loss, Dims{}) : reduced(loss, reduction);
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
        .kernel<soft_margin_loss>();
    r.add("nn::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=1) -> Tensor", "fo")
        .kernel<bce>()
        .grads("self, target", "self, target, weight", bce_backward);
    r.add(
         "binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, "
         "int reduction=1) -> Tensor",
         "f")
        .kernel<bce_with_logits>()
        .grads("self, target", "self, target, weight, pos_weight", bce_with_logits_backward);
    r.add("kl_div(Tensor self, Tensor target, int reduction=0, *, bool log_target=False) -> Tensor", "f")
        .kernel<kl_div>();
    r.add(
         "nn::multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int "
         "reduction=1) -> Tensor",
         "fo")
        .kernel<multi_margin_loss>();
    r.add("nn::multilabel_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", "fo")
        .kernel<multilabel_margin_loss>();
});

}  // namespace
}  // namespace fb
