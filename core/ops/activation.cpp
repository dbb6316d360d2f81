// Activation functions. Their derivatives run as one fused pass, or as a formula when they must be differentiable
// themselves.
#include "cpu/composed.h"
#include <cmath>
#include <numbers>

#include "ops/fits.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;
using std::numbers::sqrt2;

constexpr double kSeluAlpha = 1.6732632423543772848170429916717, kSeluScale = 1.0507009873554804934193349852946;

template <Unary kind, Name name>
Tensor plain(const Tensor& x, Out out) {
    return unary(kind, name.text, x, x.dtype(), out);
}
// With parameters; only floating types have the kernel.
template <class... P>
Tensor with(Unary kind, const char* name, const Tensor& x, const Out& out, P... p) {
    const double s[] = {p...};
    if (!unary_loop(kind, x.dtype())) no_kernel(name, x.dtype());
    return unary(kind, name, x, x.dtype(), out, s);
}
// Rounded as the elements are, where a comparison with them decides.
double as_element(double v, DType t) {
    double r = v;
    if (is_floating(t))
        visit_dtype(t, [&](auto z) {
            if constexpr (!std::is_integral_v<decltype(z)> && sizeof(z) < 8) r = double(float(decltype(z)(float(v))));
        });
    return r;
}

Tensor relu(const Tensor& x, Out out) {
    check(x.dtype() != DType::b1, "Boolean inputs not supported for relu");
    if (is_complex(x.dtype())) fail(ErrorKind::NotImplemented, "clamp is not supported for complex types");
    return unary(Unary::relu, "relu_cpu", x, x.dtype(), out);
}
void check_hardtanh(const Tensor& x, double lo) {
    check(x.dtype() != DType::b1, "Bool inputs not supported for hardtanh");
    if (is_complex(x.dtype())) fail(ErrorKind::NotImplemented, "clamp is not supported for complex types");
    check(!(x.dtype() == DType::u8 && std::trunc(lo) < 0),
          "cannot do hardtanh on an unsigned type with negative limits");
}
Tensor hardtanh(const Tensor& x, Scalar lo, Scalar hi, Out out) {
    check_hardtanh(x, lo.real());
    return with(Unary::hardtanh, "hardtanh_cpu", x, out, real_parameter(lo, DType::f64),
                real_parameter(hi, DType::f64));
}
Tensor relu6(const Tensor& x, Out out) {
    check_hardtanh(x, 0);
    return unary(Unary::relu6, "hardtanh_cpu", x, x.dtype(), out);
}
Tensor threshold(const Tensor& x, Scalar limit, Scalar value, Out out) {
    return with(Unary::threshold, "threshold_cpu", x, out, as_element(real_parameter(limit, x.dtype()), x.dtype()),
                real_parameter(value, x.dtype()));
}
Tensor leaky_relu(const Tensor& x, Scalar slope, Out out) {
    return with(Unary::leaky_relu, "leaky_relu_cpu", x, out, real_parameter(slope, x.dtype()));
}
Tensor elu(const Tensor& x, Scalar alpha, Scalar scale, Scalar in, Out out) {
    return with(Unary::elu, "elu_cpu", x, out, real_parameter(alpha, x.dtype()), real_parameter(scale, x.dtype()),
                real_parameter(in, x.dtype()));
}
Tensor selu(const Tensor& x, Out out) { return with(Unary::elu, "elu_cpu", x, out, kSeluAlpha, kSeluScale, 1.0); }
Tensor celu(const Tensor& x, Scalar alpha, Out out) {
    check(!alpha.is_zero(), "ZeroDivisionError: alpha cannot be 0 for CELU");
    const double a = real_parameter(alpha, DType::f64);
    return with(Unary::elu, "elu_cpu", x, out, a, 1.0, 1 / a);
}
Tensor softplus(const Tensor& x, Scalar beta, Scalar limit, Out out) {
    return with(Unary::softplus, "softplus_cpu", x, out, real_parameter(beta, x.dtype()),
                real_parameter(limit, x.dtype()));
}
Tensor hardshrink(const Tensor& x, Scalar lambda, Out out) {
    return with(Unary::hardshrink, "hardshrink_cpu", x, out, as_element(real_parameter(lambda, x.dtype()), x.dtype()));
}
Tensor softshrink(const Tensor& x, Scalar lambda, Out out) {
    if (!is_floating(x.dtype())) no_kernel("softshrink_check", x.dtype());
    const char* top = x.dtype() == DType::f64    ? "1.79769e+308"
                      : x.dtype() == DType::f16  ? "65504"
                      : x.dtype() == DType::bf16 ? "3.38953e+38"
                                                 : "3.40282e+38";
    const double l = real_parameter(lambda, DType::f64);
    check(l >= 0, "lambda must be in range [0, ", top, "] for input dtype ", scalar_name(x.dtype()), ", but found ", l);
    return with(Unary::softshrink, "softshrink_cpu", x, out, as_element(l, x.dtype()));
}
bool is_tanh(std::string_view approximate) {
    check(approximate == "none" || approximate == "tanh", "approximate argument must be either none or tanh.");
    return approximate == "tanh";
}
Tensor gelu(const Tensor& x, std::string_view approximate, Out out) {
    return with(is_tanh(approximate) ? Unary::gelu_tanh : Unary::gelu, "GeluKernelImpl", x, out, 0.0);
}
Tensor prelu(const Tensor& x, const Tensor& weight) {
    check(x.dtype() == weight.dtype(), "prelu: Type promoting not supported. Got ", scalar_name(x.dtype()), " and ",
          scalar_name(weight.dtype()));
    Tensor w = weight;
    if (weight.numel() != 1) {
        check(x.dim() > 0, "Not allow zero-dim input tensor.");
        const int64_t channels = x.dim() > 1 ? x.size(1) : 1;
        check(channels == weight.numel(),
              "Mismatch of parameter numbers and input channel size. Found parameter numbers = ", weight.numel(),
              " and channel size = ", channels, ".");
        check(weight.dim() <= 1,
              "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = ", weight.dim());
        Dims shape(size_t(x.dim()), 1);
        shape[x.dim() > 1 ? 1 : 0] = channels;
        w = op<"reshape">(weight, shape);
    } else if (weight.dim() > 0) {
        w = op<"reshape">(weight, IntSpan());
    }
    return op<"_prelu_kernel">(x, w);
}
Tensor prelu_kernel(const Tensor& x, const Tensor& w) {
    if (!is_floating(x.dtype())) no_kernel("prelu_cpu", x.dtype());
    return binary(Binary::prelu, "prelu_cpu", x, w, x.dtype(), {});
}
Tensor glu(const Tensor& x, int64_t dim) {
    check(x.dim() > 0, "glu does not support 0-dimensional tensors");
    if (!is_floating(x.dtype())) no_kernel("glu_cpu", x.dtype());
    const int64_t d = wrap_dim(dim, x.dim()), n = x.size(d);
    check(n % 2 == 0, "Halving dimension must be even, but dimension ", d, " is size ", n);
    const Formula f = [](const Tensor* in, const double*, Tensor* out) { *out = in[0] * sigmoid(in[1]); };
    return composed(f, {op<"narrow">(x, d, 0, n / 2), op<"narrow">(x, d, n / 2, n / 2)});
}
Tensor glu_gradient(Back& b) {
    const Tensor x = b.arg(0);
    const int64_t d = wrap_dim(b.integer(1), x.dim()), n = x.size(d);
    const Formula f = [](const Tensor* in, const double*, Tensor* out) {
        const Tensor s = sigmoid(in[1]), first = in[2] * s;
        out[0] = first;
        out[1] = first * in[0] * (1 - s);
    };
    Tensor halves[2];
    composed(f, {op<"narrow">(x, d, 0, n / 2), op<"narrow">(x, d, n / 2, n / 2), b.g}, {}, halves);
    return op<"cat">(TensorSpan(halves, 2), d);
}

// --- fused derivatives: gradient, then input or output of the forward operation
template <Binary kind, Name name, class... P>
Tensor fused(const Tensor& g, const Tensor& x, const Out& out, P... p) {
    const double s[] = {p..., 0.0};
    return binary(kind, name.text, g, x, x.dtype(), out, s);
}
template <Binary kind, Name name>
Tensor back0(const Tensor& g, const Tensor& x, Out out) {
    return fused<kind, name>(g, x, out);
}
template <Binary kind, Name name>
Tensor back1(const Tensor& g, const Tensor& x, Scalar a, Out out) {
    return fused<kind, name>(g, x, out, a.real());
}
template <Binary kind, Name name>
Tensor back2(const Tensor& g, const Tensor& x, Scalar a, Scalar b, Out out) {
    return fused<kind, name>(g, x, out, a.real(), b.real());
}
Tensor gelu_backward(const Tensor& g, const Tensor& x, std::string_view approximate, Out out) {
    return is_tanh(approximate) ? fused<Binary::gelu_tanh_backward, "gelu_backward">(g, x, out)
                                : fused<Binary::gelu_backward, "gelu_backward">(g, x, out);
}
Tensor elu_backward(const Tensor& g, Scalar alpha, Scalar scale, Scalar in, bool from_output, const Tensor& x,
                    Out out) {
    return from_output ? fused<Binary::elu_backward_from_output, "elu_backward">(g, x, out, alpha.real(), scale.real(),
                                                                                 in.real())
                       : fused<Binary::elu_backward, "elu_backward">(g, x, out, real_parameter(alpha, x.dtype()),
                                                                     real_parameter(scale, x.dtype()),
                                                                     real_parameter(in, x.dtype()));
}
Tensor leaky_relu_backward(const Tensor& g, const Tensor& x, Scalar slope, bool from_output, Out out) {
    check(
        !(from_output && slope.real() < 0),
        "In-place leakyReLu backward calculation is triggered with a negative slope which is not supported. This is "
        "caused by calling in-place forward function with a negative slope, please call out-of-place version instead.");
    return fused<Binary::leaky_relu_backward, "leaky_relu_backward">(g, x, out, real_parameter(slope, x.dtype()));
}

bool fuse(Back& b, const Tensor& x) { return !tls.grad && b.g.dtype() == x.dtype() && is_floating(x.dtype()); }

Tensor relu_grad(Back& b) {
    const Tensor y = b.result();
    return fuse(b, y) ? op<"threshold_backward">(b.g, y, 0) : masked(b.g, y <= Value(0));
}
Tensor hardtanh_mask(Back& b, double lo, double hi) {
    const Tensor x = b.arg(0);
    return fuse(b, x) ? op<"nn::hardtanh_backward">(b.g, x, lo, hi) : masked(b.g, (x <= Value(lo)) | (x >= Value(hi)));
}
Tensor elu_formula(const Tensor& g, const Tensor& x, double alpha, double scale, double in) {
    // the exponential only where it is used: it would overflow for large positive x
    return where(x > Value(0), g * scale, g * (in * alpha * scale) * exp(op<"clamp_max">(x, 0) * in));
}
Tensor elu_grad(Back& b, double alpha, double scale, double in) {
    const Tensor x = b.arg(0);
    return fuse(b, x) ? op<"nn::elu_backward">(b.g, alpha, scale, in, false, x) : elu_formula(b.g, x, alpha, scale, in);
}
// In-place forms keep the output instead of the input.
Tensor elu_grad_output(Back& b, double alpha, double scale, double in) {
    const Tensor y = b.result();
    if (fuse(b, y)) return op<"nn::elu_backward">(b.g, alpha, scale, in, true, y);
    return where(y > Value(0), b.g * scale, b.g * in * (y + alpha * scale));
}
Tensor silu_formula(const Tensor& x) {
    const Tensor s = sigmoid(x);
    return s * (x * (1.0 - s) + 1.0);
}
Tensor mish_formula(const Tensor& x) {
    const Tensor t = tanh(op<"nn::softplus">(x));
    return t + x * sigmoid(x) * (1.0 - t * t);
}
Tensor gelu_formula(const Tensor& x) {
    return (op<"erf">(x * (0.5 * sqrt2)) + 1.0) * 0.5 +
           x * exp(x * x * -0.5) * (0.5 * sqrt2 * std::numbers::inv_sqrtpi);
}
Tensor gelu_tanh_formula(const Tensor& x) {
    const double k = sqrt2 * std::numbers::inv_sqrtpi;  // sqrt(2 / pi)
    const Tensor t = tanh(k * (x + 0.044715 * (x * x * x)));
    return (t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * (k * (3 * 0.044715 * (x * x) + 1.0));
}

const Family activation([](Registry& r) {
    r.add("relu(Tensor self) -> Tensor", "fmi").kernel<relu>().grad("self", "result", relu_grad).piecewise_linear();
    r.add("threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", "fio")
        .kernel<threshold>()
        .grad("self", "self",
              [](Back& b) {
                  const Tensor x = b.arg(0);
                  return fuse(b, x) ? op<"threshold_backward">(b.g, x, b.scalar(1))
                                    : masked(b.g, x <= Value(b.scalar(1)));
              })
        .piecewise_linear();
    r.add("nn::relu6(Tensor self) -> Tensor", "fi")
        .kernel<relu6>()
        .grad("self", "self", [](Back& b) { return hardtanh_mask(b, 0, 6); })
        .piecewise_linear()
        .node("HardtanhBackward0");
    r.add("nn::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", "fio")
        .kernel<hardtanh>()
        .grad("self", "self", [](Back& b) { return hardtanh_mask(b, b.real(1), b.real(2)); })
        .piecewise_linear();
    r.add("nn::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", "fio")
        .kernel<leaky_relu>()
        .grad("self", "self",
              [](Back& b) {
                  const Tensor x = b.arg(0);
                  return fuse(b, x) ? op<"nn::leaky_relu_backward">(b.g, x, b.scalar(1), false)
                                    : where(x > Value(0), b.g, b.g * b.real(1));
              })
        .piecewise_linear();
    r.add("nn::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", "fio")
        .kernel<elu>()
        .grad("self", "self", [](Back& b) { return elu_grad(b, b.real(1), b.real(2), b.real(3)); });
    r.add("selu(Tensor self) -> Tensor", "fi")
        .kernel<selu>()
        .grad("self", "result", [](Back& b) { return elu_grad_output(b, kSeluAlpha, kSeluScale, 1); })
        .node("EluBackward0");
    r.add("celu(Tensor self, Scalar alpha=1.0) -> Tensor", "fi")
        .kernel<celu>()
        .grad("self", "self", [](Back& b) { return elu_grad(b, b.real(1), 1, 1 / b.real(1)); })
        .node("CeluBackward0");
    r.add("nn::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", "fo")
        .kernel<softplus>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            if (fuse(b, x)) return op<"nn::softplus_backward">(b.g, x, b.scalar(1), b.scalar(2));
            const Tensor s = x * b.real(1);
            return where(s > Value(b.real(2)), b.g, b.g * sigmoid(s));
        });
    r.add("nn::log_sigmoid(Tensor self) -> Tensor", "fo")
        .kernel<plain<Unary::log_sigmoid, "log_sigmoid_cpu">>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            return fuse(b, x) ? op<"nn::log_sigmoid_backward">(b.g, x) : b.g * sigmoid(-x);
        });
    r.add("nn::silu(Tensor self) -> Tensor", "fio")
        .kernel<plain<Unary::silu, "silu_cpu">>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            return fuse(b, x) ? op<"nn::silu_backward">(b.g, x) : b.g * conj(silu_formula(x));
        });
    r.add("nn::mish(Tensor self) -> Tensor", "fio")
        .kernel<plain<Unary::mish, "mish_cpu">>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            return fuse(b, x) ? op<"nn::mish_backward">(b.g, x) : b.g * mish_formula(x);
        });
    r.add("nn::gelu(Tensor self, *, str approximate='none') -> Tensor", "fio")
        .kernel<gelu>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            if (fuse(b, x)) return op<"nn::gelu_backward">(b.g, x, b.attr(1));
            return b.g * (is_tanh(b.attr(1).string()) ? gelu_tanh_formula(x) : gelu_formula(x));
        });
    r.add("nn::hardsigmoid(Tensor self) -> Tensor", "fio")
        .kernel<plain<Unary::hardsigmoid, "hardsigmoid_cpu">>()
        .grad("self", "self",
              [](Back& b) {
                  const Tensor x = b.arg(0);
                  return fuse(b, x) ? op<"nn::hardsigmoid_backward">(b.g, x)
                                    : where((x > Value(-3)) & (x < Value(3)), b.g / 6, 0.0);
              })
        .piecewise_linear();
    r.add("nn::hardswish(Tensor self) -> Tensor", "fio")
        .kernel<plain<Unary::hardswish, "hardswish_cpu">>()
        .grad("self", "self", [](Back& b) {
            const Tensor x = b.arg(0);
            if (fuse(b, x)) return op<"nn::hardswish_backward">(b.g, x);
            return where(x <= Value(-3), 0.0, where(x < Value(3), b.g * (x / 3 + 0.5), b.g));
        });
    r.add("hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "fmo")
        .kernel<hardshrink>()
        .grad("self", "self", [](Back& b) { return masked(b.g, op<"abs">(b.arg(0)) <= Value(b.scalar(1))); })
        .piecewise_linear();
    r.add("nn::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "fo")
        .kernel<softshrink>()
        .grad("self", "self", [](Back& b) { return masked(b.g, op<"abs">(b.arg(0)) <= Value(b.scalar(1))); })
        .piecewise_linear();
    r.add("prelu(Tensor self, Tensor weight) -> Tensor", "fm").kernel<prelu>();
    r.add("_prelu_kernel(Tensor self, Tensor weight) -> Tensor", "f")
        .kernel<prelu_kernel>()
        .grads("self, weight", "self, weight",
               [](Back& b) {
                   const Tensor x = b.arg(0), w = b.arg(1);
                   const bool at_once = fuse(b, x) && fuse(b, w);
                   if (b.needs(0))
                       b.set(0, at_once ? b.g * binary(Binary::prelu_slope, "prelu_cpu", x, w, x.dtype(), {})
                                        : where(x > Value(0), b.g, w * b.g));
                   if (b.needs(1))
                       b.set(1, sum_to_size(at_once ? binary(Binary::prelu_weight, "prelu_cpu", b.g, x, x.dtype(), {})
                                                    : masked(x * b.g, x > Value(0)),
                                            w.sizes()));
               })
        .piecewise_linear();
    r.add("nn::glu(Tensor self, int dim=-1) -> Tensor", "fo").kernel<glu>().grad("self", "self", glu_gradient);

    r.add("threshold_backward(Tensor grad_output, Tensor self, Scalar threshold) -> Tensor", "")
        .kernel<back1<Binary::threshold_backward, "threshold_backward">>();
    r.add("sigmoid_backward(Tensor grad_output, Tensor output) -> Tensor", "")
        .kernel<back0<Binary::sigmoid_backward, "sigmoid_backward">>();
    r.add("tanh_backward(Tensor grad_output, Tensor output) -> Tensor", "")
        .kernel<back0<Binary::tanh_backward, "tanh_backward">>();
    r.add("logit_backward(Tensor grad_output, Tensor self, Scalar eps) -> Tensor", "")
        .kernel<back1<Binary::logit_backward, "logit_backward">>();
    r.add("nn::hardtanh_backward(Tensor grad_output, Tensor self, Scalar min_val, Scalar max_val) -> Tensor", "")
        .kernel<back2<Binary::hardtanh_backward, "hardtanh_backward">>();
    r.add(
         "nn::leaky_relu_backward(Tensor grad_output, Tensor self, Scalar negative_slope, bool self_is_result) -> "
         "Tensor",
         "")
        .kernel<leaky_relu_backward>();
    r.add(
         "nn::elu_backward(Tensor grad_output, Scalar alpha, Scalar scale, Scalar input_scale, bool is_result, Tensor "
         "self_or_result) -> Tensor",
         "")
        .kernel<elu_backward>();
    r.add("nn::softplus_backward(Tensor grad_output, Tensor self, Scalar beta, Scalar threshold) -> Tensor", "")
        .kernel<back2<Binary::softplus_backward, "softplus_backward">>();
    r.add("nn::log_sigmoid_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<back0<Binary::log_sigmoid_backward, "log_sigmoid_backward">>();
    r.add("nn::silu_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<back0<Binary::silu_backward, "silu_backward">>();
    r.add("nn::mish_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<back0<Binary::mish_backward, "mish_backward">>();
    r.add("nn::gelu_backward(Tensor grad_output, Tensor self, str approximate) -> Tensor", "").kernel<gelu_backward>();
    r.add("nn::hardsigmoid_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<back0<Binary::hardsigmoid_backward, "hardsigmoid_backward">>();
    r.add("nn::hardswish_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<back0<Binary::hardswish_backward, "hardswish_backward">>();
});

}  // namespace
}  // namespace fb
