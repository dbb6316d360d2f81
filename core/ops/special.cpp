// Special functions of two tensors, orthogonal polynomials, angles and complex numbers from their parts.
#include <cmath>

#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

template <Binary kind, Name name>
Tensor in_float(const Operand& a, const Operand& b, Out out) {  // integers become the default dtype
    return binary(kind, name.text, a, b, float_type(result_type(a, b)), out);
}
template <Binary kind, Name name>
Tensor in_wide_float(const Operand& a, const Operand& b, Out out) {  // not there for the half types, as in PyTorch
    const DType t = float_type(result_type(a, b));
    if (is_low_precision(t)) no_kernel(name.text, t);
    return binary(kind, name.text, a, b, t, out);
}
template <Binary kind, Name name>
Tensor as_is(const Operand& a, const Operand& b, Out out) {
    return binary(kind, name.text, a, b, result_type(a, b), out);
}
Tensor heaviside(const Tensor& x, const Tensor& values, Out out) {
    check(!is_complex(x.dtype()) && !is_complex(values.dtype()),
          "heaviside is not yet implemented for complex tensors.");
    check(x.dtype() == values.dtype(), "heaviside is not yet implemented for tensors with different dtypes.");
    return binary(Binary::heaviside, "heaviside_cpu", x, values, x.dtype(), out);
}
template <Binary kind, Name name>
Tensor from_parts(const Tensor& a, const Tensor& b, Out out) {
    auto suits = [](const Tensor& t) {
        return t.dtype() == DType::f32 || t.dtype() == DType::f64 || t.dtype() == DType::f16;
    };
    check(suits(a) && suits(b), "Expected both inputs to be Half, Float or Double tensors but got ",
          scalar_name(a.dtype()), " and ", scalar_name(b.dtype()));
    check(a.dtype() == b.dtype(), "Expected object of scalar type ", scalar_name(a.dtype()), " but got scalar type ",
          scalar_name(b.dtype()), " for second argument");
    if (a.dtype() == DType::f16 && kind == Binary::make_complex) {
        const Tensor wide = binary(kind, name.text, a.to(DType::f32), b.to(DType::f32), DType::f32, Out());
        return wide.to(DType::c32);
    }
    return binary(kind, name.text, a, b, a.dtype(), out);
}

// Operands of a formula: tensors, numbers wrapped.
Tensor tensor_of(Back& b, int i) {
    const Operand o = b.operand(i);
    return o.is_tensor() ? o.tensor() : scalar_tensor(o.scalar(), b.g.dtype(), b.g.device());
}
Tensor not_there(const char* name) {
    fail(ErrorKind::NotImplemented, "the derivative for '", name, "' is not implemented");
}
Tensor gamma_density(Back& b) {  // d P(a, x) / dx
    const Tensor a = b.arg(0), x = b.arg(1);
    return b.g * exp(log(x) * (a - 1.0) - x - op<"lgamma">(a));
}
Tensor atan2_scale(Back& b) {  // zero at the origin, which has no angle
    const Tensor squares = square(b.arg(0)) + square(b.arg(1));
    return masked(op<"reciprocal">(squares), op<"eq">(squares, 0));
}

struct Polynomial {
    const char* name;
    Kernel kernel;
};
#define FB_POLYNOMIAL(kind, name) {name, &detail::Boxed<in_wide_float<Binary::kind, name "_cpu">>::call}
const Polynomial polynomials[] = {
    FB_POLYNOMIAL(chebyshev_t, "chebyshev_polynomial_t"),
    FB_POLYNOMIAL(chebyshev_u, "chebyshev_polynomial_u"),
    FB_POLYNOMIAL(chebyshev_v, "chebyshev_polynomial_v"),
    FB_POLYNOMIAL(chebyshev_w, "chebyshev_polynomial_w"),
    FB_POLYNOMIAL(shifted_chebyshev_t, "shifted_chebyshev_polynomial_t"),
    FB_POLYNOMIAL(shifted_chebyshev_u, "shifted_chebyshev_polynomial_u"),
    FB_POLYNOMIAL(shifted_chebyshev_v, "shifted_chebyshev_polynomial_v"),
    FB_POLYNOMIAL(shifted_chebyshev_w, "shifted_chebyshev_polynomial_w"),
    FB_POLYNOMIAL(hermite_h, "hermite_polynomial_h"),
    FB_POLYNOMIAL(hermite_he, "hermite_polynomial_he"),
    FB_POLYNOMIAL(laguerre_l, "laguerre_polynomial_l"),
    FB_POLYNOMIAL(legendre_p, "legendre_polynomial_p"),
};
#undef FB_POLYNOMIAL

const Family special([](Registry& r) {
    for (const Polynomial& p : polynomials)
        r.add(str("special::", p.name, "(Operand x, Operand n) -> Tensor").c_str(), "fo").boxed(p.kernel);

    for (const char* name : {"atan2", "arctan2"})
        r.add(str(name, "(Tensor self, Tensor other) -> Tensor").c_str(), "fmio")
            .kernel<in_float<Binary::atan2, "atan2_cpu">>()
            .grad("self", "self, other", [](Back& b) { return b.g * (b.arg(1) * atan2_scale(b)); })
            .grad("other", "self, other", [](Back& b) { return -b.g * (b.arg(0) * atan2_scale(b)); })
            .node("Atan2Backward0");
    r.add("hypot(Tensor self, Tensor other) -> Tensor", "fmio")
        .kernel<as_is<Binary::hypot, "hypot_cpu">>()
        .grad("self", "self, result", [](Back& b) { return b.g * (b.arg(0) / b.result()); })
        .grad("other", "other, result", [](Back& b) { return b.g * (b.arg(1) / b.result()); });
    r.add("copysign.Tensor(Tensor self, Operand other) -> Tensor", "fmio")
        .kernel<in_float<Binary::copysign, "copysign_cpu">>()
        .grad("self", "self, result",
              [](Back& b) {
                  const Tensor x = b.arg(0);
                  return b.g * masked(b.result() / x, op<"eq">(x, 0));
              })
        .grad("other", "", [](Back& b) { return zeros_like(b.g); })
        .node("CopysignBackward0 1:other");
    r.add("nextafter(Tensor self, Tensor other) -> Tensor", "fmio")
        .kernel<as_is<Binary::nextafter, "nextafter_cpu">>()
        .grad("self", "self, other", [](Back& b) { return masked(b.g, op<"eq">(b.arg(0), b.arg(1))); })
        .grad("other", "", [](Back& b) { return zeros_like(b.g); });
    r.add("heaviside(Tensor self, Tensor values) -> Tensor", "fmio")
        .kernel<heaviside>()
        .grad("self", "", [](Back&) { return no_derivative("heaviside"); })
        .grad("values", "", [](Back&) { return no_derivative("heaviside"); })
        .node("NotImplemented");
    r.add("logaddexp(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<as_is<Binary::logaddexp, "logaddexp_cpu">>()
        .grad("self", "self, other", [](Back& b) { return b.g / conj(exp(b.arg(1) - b.arg(0)) + 1.0); })
        .grad("other", "self, other", [](Back& b) { return b.g / conj(exp(b.arg(0) - b.arg(1)) + 1.0); });
    r.add("logaddexp2(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<as_is<Binary::logaddexp2, "logaddexp2_cpu">>()
        .grad("self", "self, other", [](Back& b) { return b.g / (op<"exp2">(b.arg(1) - b.arg(0)) + 1.0); })
        .grad("other", "self, other", [](Back& b) { return b.g / (op<"exp2">(b.arg(0) - b.arg(1)) + 1.0); });
    for (const char* name : {"xlogy", "special::xlogy"})
        r.add(str(name, ".Tensor(Operand self, Operand other) -> Tensor").c_str(), name[0] == 's' ? "fo" : "fmio")
            .kernel<in_float<Binary::xlogy, "xlogy_cpu">>()
            .grad("self", "self, other",
                  [](Back& b) {
                      const Tensor y = tensor_of(b, 1);
                      return masked(op<"xlogy">(b.g, y), op<"eq">(b.arg(0), 0) & (y <= Value(0)));
                  })
            .grad("other", "self, other", [](Back& b) { return b.g * op<"div">(b.operand(0), b.arg(1)); })
            .node("XlogyBackward0 1:self 2:other");
    r.add("special::xlog1py(Operand self, Operand other) -> Tensor", "fo")
        .kernel<in_float<Binary::xlog1py, "xlog1py_cpu">>()
        .grad("self", "self, other",
              [](Back& b) {
                  const Tensor y = tensor_of(b, 1);
                  return masked(op<"special::xlog1py">(b.g, y), op<"eq">(b.arg(0), 0) & (y <= Value(-1)));
              })
        .grad("other", "self, other", [](Back& b) { return b.g * op<"div">(b.operand(0), b.arg(1) + 1.0); })
        .node("SpecialXlog1PyBackward0 1:self 2:other");
    r.add("special::zeta(Operand self, Operand other) -> Tensor", "fo")
        .kernel<in_wide_float<Binary::zeta, "zeta_cpu">>()
        .grad("self", "", [](Back&) { return not_there("zeta"); })
        .grad("other", "self, other",
              [](Back& b) {
                  const Tensor s = tensor_of(b, 0);
                  return b.g * (-s * op<"special::zeta">(s + 1.0, b.arg(1)));
              })
        .node("SpecialZetaBackward0 1:self 2:other");
    for (const char* name : {"igamma", "special::gammainc"})
        r.add(str(name, "(Tensor self, Tensor other) -> Tensor").c_str(), name[0] == 's' ? "fo" : "fmio")
            .kernel<as_is<Binary::igamma, "igamma_cpu">>()
            .grad("self", "", [](Back&) { return not_there("igamma: input"); })
            .grad("other", "self, other", gamma_density)
            .node("IgammaBackward0");
    for (const char* name : {"igammac", "special::gammaincc"})
        r.add(str(name, "(Tensor self, Tensor other) -> Tensor").c_str(), name[0] == 's' ? "fo" : "fmio")
            .kernel<as_is<Binary::igammac, "igammac_cpu">>()
            .grad("self", "", [](Back&) { return not_there("igammac: input"); })
            .grad("other", "self, other", [](Back& b) { return -gamma_density(b); })
            .node("IgammacBackward0");

    r.add("complex(Tensor real, Tensor imag) -> Tensor", "fo")
        .kernel<from_parts<Binary::make_complex, "complex_cpu">>()
        .grad("real", "", [](Back& b) { return op<"real">(b.g); })
        .grad("imag", "", [](Back& b) { return op<"imag">(b.g); });
    r.add("polar(Tensor abs, Tensor angle) -> Tensor", "fo")
        .kernel<from_parts<Binary::polar, "polar_cpu">>()
        .grad("abs", "angle",
              [](Back& b) {
                  const Tensor t = b.arg(1);
                  return op<"real">(conj(b.g) * op<"complex">(cos(t), sin(t)));
              })
        .grad("angle", "result", [](Back& b) { return op<"real">(conj(b.g) * times_i(b.result())); });
});

}  // namespace
}  // namespace fb
