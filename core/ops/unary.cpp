// Elementwise functions of one tensor.
#include <cmath>
#include <numbers>
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;
using std::numbers::ln10;
using std::numbers::ln2;
using std::numbers::pi;

constexpr double kTwoOverSqrtPi = 2 * std::numbers::inv_sqrtpi;

// --- kernels by what happens to integers
template <Unary kind, Name name>
Tensor in_float(const Tensor& x, Out out) {  // integers become the default dtype
    return unary(kind, name.text, x, float_type(x.dtype()), out);
}
template <Unary kind, Name name>
Tensor in_wide_float(const Tensor& x, Out out) {  // not there for the half types, as in PyTorch
    if (is_low_precision(x.dtype())) no_kernel(name.text, x.dtype());
    return in_float<kind, name>(x, std::move(out));
}
template <Unary kind, Name name>
Tensor as_is(const Tensor& x, Out out) {
    return unary(kind, name.text, x, x.dtype(), out);
}
template <Unary kind, Name name>
Tensor rounding(const Tensor& x, Out out) {  // nothing to do for integers
    const std::string_view n = name.text;
    if (is_complex(x.dtype())) {
        check(n == "round", "");
        no_kernel("round_vml_cpu", x.dtype());
    }
    if (x.dtype() == DType::b1) no_kernel(str(n, "_vml_cpu").c_str(), x.dtype());
    return unary(kind, str(n, "_vml_cpu").c_str(), x, x.dtype(), out);
}
template <Unary kind, Name name>
Tensor whole(const Tensor& x, Out out) {
    if (is_complex(x.dtype())) fail(ErrorKind::NotImplemented, name.text, " is not supported for complex inputs");
    return rounding<kind, name>(x, out);
}
template <Unary kind, Name name>
Tensor not_complex(const Tensor& x, Out out) {
    check(!is_complex(x.dtype()), name.text, " does not support complex inputs.");
    return unary(kind, name.text, x, x.dtype(), out);
}
template <Unary kind, Name name>
Tensor degrees(const Tensor& x, Out out) {
    check(!is_complex(x.dtype()), name.text, " is not supported for complex tensors.");
    return unary(kind, name.text, x, float_type(x.dtype()), out);
}

Tensor neg(const Tensor& x, Out out) {
    check(x.dtype() != DType::b1,
          "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the "
          "`~` or "
          "`logical_not()` operator instead.");
    return unary(Unary::neg, "neg_cpu", x, x.dtype(), out);
}
Tensor abs(const Tensor& x, Out out) {
    if (x.dtype() == DType::b1) no_kernel("abs_cpu", x.dtype());
    if (out.inplace()) check(!is_complex(x.dtype()), "In-place abs is not supported for complex tensors.");
    return unary(Unary::abs, "abs_cpu", x, x.dtype(), out);
}
Tensor positive(const Tensor& x) {
    check(x.dtype() != DType::b1, "The `+` operator, on a bool tensor is not supported.");
    return x;
}
Tensor sign(const Tensor& x, Out out) {
    if (is_complex(x.dtype()))
        fail(ErrorKind::NotImplemented,
             "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.");
    return unary(Unary::sign, "sign_cpu", x, x.dtype(), out);
}
Tensor squared(const Tensor& x, Out out) {
    return unary(Unary::square, "pow", x, x.dtype() == DType::b1 ? DType::i64 : x.dtype(), out);
}
Tensor signbit(const Tensor& x, Out out) {
    if (is_complex(x.dtype())) fail(ErrorKind::NotImplemented, "signbit is not implemented for complex tensors.");
    return unary(Unary::signbit, "signbit_cpu", x, x.dtype(), out);
}
Tensor bitwise_not(const Tensor& x, Out out) {
    if (!is_integral(x.dtype(), true)) no_kernel("bitwise_not_cpu", x.dtype());
    return unary(Unary::bitwise_not, "bitwise_not_cpu", x, x.dtype(), out);
}
Tensor round_decimals(const Tensor& x, int64_t decimals, Out out) {
    if (decimals == 0) {
        if (is_integral(x.dtype(), true)) no_kernel("round_vml_cpu", x.dtype());
        return unary(Unary::round, "round_vml_cpu", x, x.dtype(), out);
    }
    if (!is_floating(x.dtype())) no_kernel("round_cpu", x.dtype());
    const double s[] = {double(decimals)};
    return unary(Unary::round_decimals, "round_cpu", x, x.dtype(), out, s);
}
Tensor logit(const Tensor& x, std::optional<double> eps, Out out) {
    const double s[] = {eps.value_or(-1)};
    return unary(Unary::logit, "logit_cpu", x, float_type(x.dtype()), out, s);
}
Tensor polygamma(int64_t n, const Tensor& x, Out out) {
    check(n >= 0, "polygamma(n, x) does not support negative n.");
    const double s[] = {double(n)};
    return unary(n == 1 ? Unary::trigamma : Unary::polygamma, "polygamma", x, float_type(x.dtype()), out, s);
}
Tensor polygamma_method(const Tensor& x, int64_t n, Out out) { return polygamma(n, x, out); }
Tensor mvlgamma(const Tensor& x, int64_t p) {
    check(x.dtype() != DType::b1, "The input tensor may not be a boolean tensor.");
    check(p >= 1, "p has to be greater than or equal to 1");
    const Tensor steps =
        op<"mul">(op<"arange.start_step">(1 - p, 1, 1, float_type(x.dtype()), Value(), x.device()), 0.5);
    const Tensor terms = op<"lgamma">(op<"add">(op<"unsqueeze">(x, -1), steps));
    return op<"sum.dim_IntList">(terms, IntSpan(std::array<int64_t, 1>{-1})) + double(p * (p - 1)) / 4 * std::log(pi);
}
Tensor mvlgamma_(const Tensor& x, int64_t p) {
    op<"copy_">(x, mvlgamma(x, p));
    return x;
}

// --- nan_to_num: numbers left out are zero and the largest of the type
Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> posinf,
                  std::optional<double> neginf, Out out) {
    const DType t = x.dtype();
    if (is_complex(t)) {
        auto part = [&](const Tensor& p) { return nan_to_num(p, nan, posinf, neginf, Out()); };
        const Tensor r = op<"complex">(part(op<"real">(x)), part(op<"imag">(x)));
        if (!out.given()) return r;
        Tensor o = out.result(x.sizes(), t, x.device());
        copy_data(o, r);
        return o;
    }
    const double top = t == DType::f32    ? 3.4028234663852886e38
                       : t == DType::f16  ? 65504
                       : t == DType::bf16 ? 3.3895313892515355e38
                                          : 1.7976931348623157e308;
    const double s[] = {nan.value_or(0), posinf.value_or(top), neginf.value_or(-top)};
    return unary(Unary::nan_to_num, "nan_to_num", x, t, out, s);
}

// --- complex numbers and their parts
Tensor part(const Tensor& z, int64_t which) {  // a view of the real or the imaginary parts
    Dims strides = z.strides();
    for (auto& s : strides) s *= 2;
    Tensor v = make_view(z, z.sizes(), strides, 2 * z->offset + which);
    v->dtype = to_real(z.dtype());
    v->neg = z->neg != (z->conj && which == 1);
    v->conj = false;
    return v;
}
Tensor real_part(const Tensor& z) { return is_complex(z.dtype()) ? part(z, 0) : z; }
Tensor imag_part(const Tensor& z) {
    check(is_complex(z.dtype()), "imag is not implemented for tensors with non-complex dtypes.");
    return part(z, 1);
}
Tensor view_as_real(const Tensor& z) {
    check(is_complex(z.dtype()), "view_as_real is only supported for complex tensors");
    check(
        !z->conj,
        "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can view "
        "it as real, use self.resolve_conj(); however, be warned that the resulting tensor will NOT alias the "
        "original.");
    Dims sizes = z.sizes(), strides = z.strides();
    for (auto& s : strides) s *= 2;
    sizes.push_back(2);
    strides.push_back(1);
    Tensor v = make_view(z, sizes, strides, 2 * z->offset);
    v->dtype = to_real(z.dtype());
    return v;
}
Tensor view_as_complex(const Tensor& x) {
    check(is_floating(x.dtype()) && x.dtype() != DType::bf16 && !is_float8(x.dtype()),
          "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: ",
          scalar_name(x.dtype()));
    check(x.dim() > 0, "Input tensor must have one or more dimensions");
    check(x.sizes().back() == 2, "Tensor must have a last dimension of size 2");
    check(x.strides().back() == 1, "Tensor must have a last dimension with stride 1");
    Dims sizes = x.sizes(), strides = x.strides();
    sizes.pop_back();
    strides.pop_back();
    for (size_t d = 0; d < strides.size(); ++d) {
        check(strides[d] % 2 == 0, "Tensor must have a stride divisible by 2 for all but last dimension");
        strides[d] /= 2;
    }
    check(x->offset % 2 == 0, "Tensor must have a storage_offset divisible by 2");
    Tensor v = make_view(x, sizes, strides, x->offset / 2);
    v->dtype = to_complex(x.dtype());
    return v;
}
Tensor conj_physical_of(const Tensor& x, Out out) {
    if (!is_complex(x.dtype()) && !out.given())
        return make_view(x, x.sizes(), x.strides(), x->offset);  // nothing to change
    return unary(is_complex(x.dtype()) ? Unary::conj : Unary::copy, "conj_cpu", x, x.dtype(), out);
}
Tensor conj_of(const Tensor& x) {
    if (!is_complex(x.dtype())) return x;
    Tensor v = make_view(x, x.sizes(), x.strides(), x->offset);
    v->conj = !x->conj;
    unusual_tensors = true;
    return v;
}
Tensor conj_public(const Tensor& x) { return is_complex(x.dtype()) ? op<"_conj">(x) : x; }
Tensor resolve_conj(const Tensor& x) { return x->conj ? op<"clone">(x) : x; }
Tensor resolve_neg(const Tensor& x) { return x->neg ? op<"clone">(x) : x; }
Tensor isreal(const Tensor& x) {
    return is_complex(x.dtype()) ? op<"eq">(op<"imag">(x), 0) : op<"ones_like">(x, DType::b1);
}
std::tuple<Tensor, Tensor> frexp(const Tensor& x, Out out) {
    check(is_floating(x.dtype()), "torch.frexp() only supports floating-point dtypes");
    Tensor m = unary(Unary::frexp_mantissa, "frexp", x, x.dtype(), out);
    return {m, unary(Unary::frexp_exponent, "frexp", x, x.dtype(), out.at(1))};
}

// --- derivatives
Tensor zero(Back& b) { return zeros_like(b.g); }
Tensor sgn_grad(Back& b) {
    const Tensor x = b.arg(0);
    if (!is_complex(x.dtype())) return zero(b);
    const Tensor r = op<"abs">(x), s = sgn(x), along = real(conj(b.g) * s);
    return masked((b.g - s * along) / r, op<"eq">(r, 0));
}
Tensor angle_grad(Back& b) {
    const Tensor z = b.arg(0);
    if (!is_complex(z.dtype())) return zero(b);
    const Tensor r = op<"abs">(z);  // d angle = i z / |z|^2
    return masked(b.g * (times_i(z) / (r * r)), op<"eq">(r, 0));
}
Tensor sinc_grad(Back& b) {
    const Tensor x = b.arg(0), p = x * pi;
    const Tensor d = (cos(p) * p - sin(p)) / (p * x);
    return b.g * masked(conj(d), op<"eq">(x, 0));
}
Tensor i1_ratio(const Tensor& x, const Tensor& y) {  // i1(x) / x, one half at 0
    const Tensor small = op<"abs">(x) < Value(x.dtype() == DType::f64 ? 2.220446049250313e-16 : 1.1920928955078125e-07);
    return where(small, 0.5, y / where(small, 1.0, x));
}
// The derivative of tanh and sigmoid in one pass, unless it must itself be differentiable.
template <Name fused>
Tensor by_output(Back& b, Tensor (*formula)(const Tensor& y)) {
    const Tensor y = b.result();
    if (!tls.grad && !is_complex(y.dtype()) && b.g.dtype() == y.dtype()) return op<fused>(b.g, y);
    return b.g * conj(formula(y));
}

struct Row {
    const char* names;  // blank separated; the first names the node
    const char* variants;
    Kernel kernel;
    const char* uses = "";
    GradFn grad = nullptr;
};
#define FB_FLOAT(name, text) &detail::Boxed<in_float<Unary::name, text>>::call
#define FB_WIDE(name, text) &detail::Boxed<in_wide_float<Unary::name, text>>::call
#define FB_SAME(name, text) &detail::Boxed<as_is<Unary::name, text>>::call
const Row rows[] = {
    {"abs absolute", "fmio", &detail::Boxed<abs>::call, "self", [](Back& b) { return b.g * sgn(b.arg(0)); }},
    {"neg negative", "fmio", &detail::Boxed<neg>::call, "", [](Back& b) { return -b.g; }},
    {"sign", "fmio", &detail::Boxed<sign>::call, "", zero},
    {"sgn", "fmio", FB_SAME(sgn, "sgn_cpu"), "self", sgn_grad},
    {"sqrt", "fmio", FB_FLOAT(sqrt, "sqrt_vml_cpu"), "result", [](Back& b) { return b.g / (2.0 * conj(b.result())); }},
    {"rsqrt", "fmio", FB_FLOAT(rsqrt, "rsqrt_cpu"), "result",
     [](Back& b) {
         const Tensor y = b.result();
         return -0.5 * b.g * conj(y * y * y);
     }},
    {"reciprocal", "fmio", FB_FLOAT(reciprocal, "reciprocal_cpu"), "result",
     [](Back& b) { return -b.g * conj(square(b.result())); }},
    {"exp", "fmio", FB_FLOAT(exp, "exp_vml_cpu"), "result", [](Back& b) { return b.g * conj(b.result()); }},
    {"exp2 special::exp2", "fmio", FB_FLOAT(exp2, "exp2"), "result",
     [](Back& b) { return b.g * conj(b.result()) * ln2; }},
    {"expm1 special::expm1", "fmio", FB_FLOAT(expm1, "expm1_vml_cpu"), "result",
     [](Back& b) { return b.g * (conj(b.result()) + 1.0); }},
    {"log", "fmio", FB_FLOAT(log, "log_vml_cpu"), "self", [](Back& b) { return b.g / conj(b.arg(0)); }},
    {"log2", "fmio", FB_FLOAT(log2, "log2_vml_cpu"), "self", [](Back& b) { return b.g / (conj(b.arg(0)) * ln2); }},
    {"log10", "fmio", FB_FLOAT(log10, "log10_vml_cpu"), "self", [](Back& b) { return b.g / (conj(b.arg(0)) * ln10); }},
    {"log1p special::log1p", "fmio", FB_FLOAT(log1p, "log1p_vml_cpu"), "self",
     [](Back& b) { return b.g / (conj(b.arg(0)) + 1.0); }},
    {"sin", "fmio", FB_FLOAT(sin, "sin_vml_cpu"), "self", [](Back& b) { return b.g * conj(cos(b.arg(0))); }},
    {"cos", "fmio", FB_FLOAT(cos, "cos_vml_cpu"), "self", [](Back& b) { return -b.g * conj(sin(b.arg(0))); }},
    {"tan", "fmio", FB_FLOAT(tan, "tan_vml_cpu"), "result",
     [](Back& b) { return b.g * conj(square(b.result()) + 1.0); }},
    {"asin arcsin", "fmio", FB_FLOAT(asin, "asin_vml_cpu"), "self",
     [](Back& b) { return b.g * conj(rsqrt(1.0 - square(b.arg(0)))); }},
    {"acos arccos", "fmio", FB_FLOAT(acos, "acos_vml_cpu"), "self",
     [](Back& b) { return -b.g * conj(rsqrt(1.0 - square(b.arg(0)))); }},
    {"atan arctan", "fmio", FB_FLOAT(atan, "atan_vml_cpu"), "self",
     [](Back& b) { return b.g / (conj(square(b.arg(0))) + 1.0); }},
    {"sinh", "fmio", FB_FLOAT(sinh, "sinh_vml_cpu"), "self", [](Back& b) { return b.g * conj(op<"cosh">(b.arg(0))); }},
    {"cosh", "fmio", FB_FLOAT(cosh, "cosh_vml_cpu"), "self", [](Back& b) { return b.g * conj(op<"sinh">(b.arg(0))); }},
    {"tanh", "fmio", FB_FLOAT(tanh, "tanh_vml_cpu"), "result",
     [](Back& b) { return by_output<"tanh_backward">(b, [](const Tensor& y) { return 1.0 - y * y; }); }},
    {"asinh arcsinh", "fmio", FB_FLOAT(asinh, "asinh"), "self",
     [](Back& b) { return b.g * conj(rsqrt(square(b.arg(0)) + 1.0)); }},
    {"acosh arccosh", "fmio", FB_FLOAT(acosh, "acosh"), "self",
     [](Back& b) {
         const Tensor x = b.arg(0);
         return b.g * conj(is_complex(x.dtype()) ? rsqrt(x + 1.0) * rsqrt(x - 1.0) : rsqrt(x * x - 1.0));
     }},
    {"atanh arctanh", "fmio", FB_FLOAT(atanh, "atanh"), "self",
     [](Back& b) { return b.g / conj(1.0 - square(b.arg(0))); }},
    {"erf special::erf", "fmio", FB_FLOAT(erf, "erf_vml_cpu"), "self",
     [](Back& b) { return b.g * (kTwoOverSqrtPi * exp(-square(b.arg(0)))); }},
    {"erfc special::erfc", "fmio", FB_FLOAT(erfc, "erfc_vml_cpu"), "self",
     [](Back& b) { return b.g * (-kTwoOverSqrtPi * exp(-square(b.arg(0)))); }},
    {"erfinv special::erfinv", "fmio", FB_FLOAT(erfinv, "erfinv_vml_cpu"), "result",
     [](Back& b) { return b.g * (1 / kTwoOverSqrtPi * exp(square(b.result()))); }},
    {"ceil", "fmio", &detail::Boxed<whole<Unary::ceil, "ceil">>::call, "", zero},
    {"floor", "fmio", &detail::Boxed<whole<Unary::floor, "floor">>::call, "", zero},
    {"trunc fix", "fmio", &detail::Boxed<whole<Unary::trunc, "trunc">>::call, "", zero},
    {"round", "fmio", &detail::Boxed<rounding<Unary::round, "round">>::call, "", zero},
    {"frac", "fmio", FB_SAME(frac, "frac_cpu"), "", [](Back& b) { return b.g; }},
    {"sigmoid special::expit", "fmio", FB_FLOAT(sigmoid, "sigmoid_cpu"), "result",
     [](Back& b) { return by_output<"sigmoid_backward">(b, [](const Tensor& y) { return (1.0 - y) * y; }); }},
    {"sinc special::sinc", "fmio", FB_FLOAT(sinc, "sinc_cpu"), "self", sinc_grad},
    {"digamma special::digamma special::psi", "fmio", FB_FLOAT(digamma, "digamma"), "self",
     [](Back& b) { return b.g * op<"polygamma">(1, b.arg(0)); }},
    {"lgamma special::gammaln", "fmio", FB_FLOAT(lgamma, "lgamma_vml_cpu"), "self",
     [](Back& b) { return b.g * op<"digamma">(b.arg(0)); }},
    {"i0 special::i0", "fmio", FB_FLOAT(i0, "i0_vml_cpu"), "self",
     [](Back& b) { return b.g * op<"special::i1">(b.arg(0)); }},
    {"special::i0e", "fo", FB_FLOAT(i0e, "i0e_cpu"), "self, result",
     [](Back& b) {
         const Tensor x = b.arg(0);
         return b.g * (op<"special::i1e">(x) - sgn(x) * b.result());
     }},
    {"special::i1", "fo", FB_FLOAT(i1, "i1_cpu"), "self, result",
     [](Back& b) {
         const Tensor x = b.arg(0);
         return b.g * (op<"i0">(x) - i1_ratio(x, b.result()));
     }},
    {"special::i1e", "fo", FB_FLOAT(i1e, "i1e_cpu"), "self, result",
     [](Back& b) {
         const Tensor x = b.arg(0), y = b.result();
         return b.g * (op<"special::i0e">(x) - y * sgn(x) - i1_ratio(x, y));
     }},
    {"special::entr", "fo", FB_FLOAT(entr, "entr_cpu"), "self", [](Back& b) { return b.g * (-log(b.arg(0)) - 1.0); }},
    {"special::ndtr", "fo", FB_FLOAT(ndtr, "ndtr_cpu"), "self",
     [](Back& b) { return b.g * (exp(-0.5 * square(b.arg(0))) * (1 / std::sqrt(2 * pi))); }},
    {"special::ndtri", "fo", FB_WIDE(ndtri, "ndtri_cpu"), "result",
     [](Back& b) { return b.g * (exp(0.5 * square(b.result())) * std::sqrt(2 * pi)); }},
    {"special::log_ndtr", "fo", FB_WIDE(log_ndtr, "log_ndtr_cpu"), "self",
     [](Back& b) { return b.g / op<"special::erfcx">(b.arg(0) * -std::numbers::sqrt2 * 0.5) * std::sqrt(2 / pi); }},
    {"special::erfcx", "fo", FB_WIDE(erfcx, "erfcx_cpu"), "self, result",
     [](Back& b) { return b.g * (2.0 * b.arg(0) * b.result() - kTwoOverSqrtPi); }},
    {"special::bessel_j0", "fo", FB_WIDE(bessel_j0, "bessel_j0_cpu")},
    {"special::bessel_j1", "fo", FB_WIDE(bessel_j1, "bessel_j1_cpu")},
    {"special::bessel_y0", "fo", FB_WIDE(bessel_y0, "bessel_y0_cpu")},
    {"special::bessel_y1", "fo", FB_WIDE(bessel_y1, "bessel_y1_cpu")},
    {"special::modified_bessel_i0", "fo", FB_WIDE(i0, "modified_bessel_i0_cpu")},
    {"special::modified_bessel_i1", "fo", FB_WIDE(i1, "modified_bessel_i1_cpu")},
    {"special::modified_bessel_k0", "fo", FB_WIDE(modified_bessel_k0, "modified_bessel_k0_cpu")},
    {"special::modified_bessel_k1", "fo", FB_WIDE(modified_bessel_k1, "modified_bessel_k1_cpu")},
    {"deg2rad", "fmio", &detail::Boxed<degrees<Unary::deg2rad, "deg2rad">>::call, "",
     [](Back& b) { return b.g * (pi / 180); }},
    {"rad2deg", "fmio", &detail::Boxed<degrees<Unary::rad2deg, "rad2deg">>::call, "",
     [](Back& b) { return b.g * (180 / pi); }},
    {"angle", "fmo", FB_FLOAT(angle, "angle_cpu"), "self", angle_grad},
    {"bitwise_not", "fmio", &detail::Boxed<bitwise_not>::call},
    {"logical_not", "fmio", FB_SAME(logical_not, "logical_not_cpu")},
    {"isnan", "fm", FB_SAME(isnan, "isnan_cpu")},
    {"isinf", "fm", FB_SAME(isinf, "isinf_cpu")},
    {"isfinite", "fm", FB_SAME(isfinite, "isfinite_cpu")},
    {"isposinf", "fmo", &detail::Boxed<not_complex<Unary::isposinf, "isposinf">>::call},
    {"isneginf", "fmo", &detail::Boxed<not_complex<Unary::isneginf, "isneginf">>::call},
    {"signbit", "fmo", &detail::Boxed<signbit>::call},
};
// Three of the table take their argument under another name.
const Row rows_of_x[] = {
    {"special::scaled_modified_bessel_k0", "fo", FB_WIDE(scaled_modified_bessel_k0, "scaled_modified_bessel_k0_cpu")},
    {"special::scaled_modified_bessel_k1", "fo", FB_WIDE(scaled_modified_bessel_k1, "scaled_modified_bessel_k1_cpu")},
    {"special::spherical_bessel_j0", "fo", FB_WIDE(spherical_bessel_j0, "spherical_bessel_j0_cpu")},
    {"special::airy_ai", "fo", FB_WIDE(airy_ai, "airy_ai_cpu")},
};
#undef FB_FLOAT
#undef FB_WIDE
#undef FB_SAME

void add_rows(Registry& r, std::span<const Row> table, const char* signature) {
    for (const Row& row : table) {
        std::string node;
        const std::string names = row.names;
        for (size_t from = 0; from < names.size();) {
            const size_t to = std::min(names.find(' ', from), names.size());
            const std::string name = names.substr(from, to - from);
            from = to + 1;
            const bool special = name.starts_with("special::");
            OpBuilder b = r.add((name + signature).c_str(), special ? "fo" : row.variants);
            b.boxed(row.kernel);
            if (row.grad) b.grad("self", row.uses, row.grad);
            if (node.empty()) node = r.find(name)->derivative.node_name;
            else b.node(node.c_str());
        }
    }
}

const Family unary_family([](Registry& r) {
    add_rows(r, rows, "(Tensor self) -> Tensor");
    add_rows(r, rows_of_x, "(Tensor x) -> Tensor");
    r.add("square(Tensor self) -> Tensor", "fmio")
        .kernel<squared>()
        .grad("self", "self", [](Back& b) { return b.g * (2.0 * conj(b.arg(0))); })
        .node("PowBackward0");
    r.add("positive(Tensor self) -> Tensor", "fm").kernel<positive>();
    r.add("round.decimals(Tensor self, *, int decimals) -> Tensor", "fmio")
        .kernel<round_decimals>()
        .grad("self", "", zero)
        .node("RoundBackward1");
    r.add("special::round(Tensor self, *, int decimals=0) -> Tensor", "fo")
        .kernel<round_decimals>()
        .grad("self", "", zero)
        .node("RoundBackward1");
    for (const char* name : {"logit", "special::logit"})
        r.add(str(name, "(Tensor self, float? eps=None) -> Tensor").c_str(), name[0] == 's' ? "fo" : "fmio")
            .kernel<logit>()
            .grad("self", "self",
                  [](Back& b) {
                      const Tensor x = b.arg(0);
                      const double eps = b.attr(1).is_none() ? -1 : b.real(1);
                      if (!tls.grad && b.g.dtype() == x.dtype()) return op<"logit_backward">(b.g, x, eps);
                      const double lo = std::max(eps, 0.0);
                      return where((x < Value(lo)) | (x > Value(1 - lo)), eps < 0 ? std::nan("") : 0.0,
                                   b.g / (x * (1.0 - x)));
                  })
            .node("LogitBackward0");
    for (const char* name : {"polygamma", "special::polygamma"})
        r.add(str(name, "(int n, Tensor self) -> Tensor").c_str(), "fo")
            .kernel<polygamma>()
            .grad("self", "self", [](Back& b) { return b.g * op<"polygamma">(b.integer(0) + 1, b.arg(1)); })
            .node("PolygammaBackward0");
    r.add("polygamma.method(Tensor self, int n) -> Tensor", "mi")
        .kernel<polygamma_method>()
        .grad("self", "self", [](Back& b) { return b.g * op<"polygamma">(b.integer(1) + 1, b.arg(0)); });
    r.add("mvlgamma(Tensor self, int p) -> Tensor", "fmo").kernel<mvlgamma>().shown_as("MvlgammaBackward0");
    r.add("special::multigammaln(Tensor self, int p) -> Tensor", "fo").kernel<mvlgamma>().shown_as("MvlgammaBackward0");
    r.add("mvlgamma_(Tensor self, int p) -> Tensor", "m").kernel<mvlgamma_>();
    r.add("nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor", "fmio")
        .kernel<nan_to_num>()
        .grad("self", "self", [](Back& b) { return b.g * op<"isfinite">(b.arg(0)); });
    r.add("real(Tensor self) -> Tensor", "f")
        .kernel<real_part>()
        .view()
        .node("SelectBackward0")
        .grad("self", "", [](Back& b) { return b.g; });
    r.add("imag(Tensor self) -> Tensor", "f")
        .kernel<imag_part>()
        .view()
        .node("SelectBackward0")
        .grad("self", "", [](Back& b) { return times_i(b.g); });
    r.add("view_as_real(Tensor self) -> Tensor", "f").kernel<view_as_real>().view().grad("self", "", [](Back& b) {
        return op<"view_as_complex">(op<"contiguous">(b.g));
    });
    r.add("view_as_complex(Tensor self) -> Tensor", "f").kernel<view_as_complex>().view().grad("self", "", [](Back& b) {
        return op<"view_as_real">(op<"contiguous">(b.g));
    });
    r.add("conj_physical(Tensor self) -> Tensor", "fmio")
        .kernel<conj_physical_of>()
        .view()
        .takes_lazy(false)
        .grad("self", "", [](Back& b) { return conj(b.g); });
    r.add("_conj(Tensor self) -> Tensor", "f")
        .kernel<conj_of>()
        .view()
        .node("ConjBackward0")
        .grad("self", "", [](Back& b) { return conj(b.g); });
    r.add("conj(Tensor self) -> Tensor", "fm").kernel<conj_public>().takes_lazy();
    r.add("resolve_conj(Tensor self) -> Tensor", "fm").kernel<resolve_conj>().takes_lazy();
    r.add("resolve_neg(Tensor self) -> Tensor", "fm").kernel<resolve_neg>().takes_lazy();
    r.add("isreal(Tensor self) -> Tensor", "fm").kernel<isreal>();
    r.add("frexp.Tensor(Tensor self) -> (Tensor mantissa, Tensor exponent)", "fmo")
        .kernel<frexp>()
        .differentiable_results(1)
        .grad("self", "result1", [](Back& b) { return b.g / op<"exp2">(b.result(1).to(b.g.dtype())); });
});

}  // namespace
}  // namespace fb
