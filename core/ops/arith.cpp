// Arithmetic of two and three operands: sums, products, quotients, remainders, powers.
#include <atomic>
#include <cmath>

#include "base/parallel.h"
#include "cpu/watch.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

// A factor or exponent that PyTorch rounds to a half type before it computes with it.
float rounded_to_half(const Scalar& x, DType t) { return t == DType::f16 ? float(x.to<F16>()) : float(x.to<BF16>()); }
bool on_cpu(const Tensor& t) { return t.device().type == DeviceType::CPU; }

bool is_bool(const Operand& o) {
    return o.is_tensor() ? o.tensor().dtype() == DType::b1 : o.scalar().kind == Scalar::Kind::Bool;
}

void check_alpha(DType common, const Scalar& alpha) {
    check(!(is_integral(common, true) && (alpha.is_float() || alpha.is_complex())),
          "For integral input tensors, argument alpha must not be a floating point number.");
    check(!(alpha.is_complex() && !is_complex(common)),
          "For non-complex input tensors, argument alpha must not be a complex number.");
    check(!(alpha.kind == Scalar::Kind::Bool && common != DType::b1),
          "Boolean alpha only supported for Boolean results.");
}

Tensor add_scaled(Binary plain, Binary scaled, const char* name, const Operand& a, const Operand& b,
                  const Scalar& alpha, const Out& out) {
    const DType t = result_type(a, b);
    check_alpha(t, alpha);
    if (alpha.equals(1)) return binary(plain, name, a, b, t, out);
    alignas(16) char s[16];
    if (is_low_precision(t)) *reinterpret_cast<float*>(s) = rounded_to_half(alpha, t);
    else
        visit_dtype(t == DType::c32 ? DType::c64 : t,
                    [&](auto z) { *reinterpret_cast<decltype(z)*>(s) = alpha.to<decltype(z)>(); });
    return binary(scaled, name, a, b, t, out, s);
}
Tensor add(const Operand& a, const Operand& b, Scalar alpha, Out out) {
    return add_scaled(Binary::add, Binary::add_scaled, "add_stub", a, b, alpha, out);
}
Tensor sub(const Operand& a, const Operand& b, Scalar alpha, Out out) {
    check(!(is_bool(a) && is_bool(b)),
          "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
          "operator instead.");
    check(!(is_bool(a) || is_bool(b)),
          "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
          "the `~` or `logical_not()` operator instead.");
    return add_scaled(Binary::sub, Binary::sub_scaled, "sub_stub", a, b, alpha, out);
}
Tensor rsub(const Operand& a, const Operand& b, Scalar alpha, Out out) { return sub(b, a, alpha, out); }
// A number beside half values: it is not rounded to their type, as in PyTorch. A trace keeps tensors as what they are,
// not their values.
bool is_number_beside(const Operand& a, const Operand& b, DType common) {
    if (!is_low_precision(common) || !a.is_tensor() || a.tensor().dtype() != common || !on_cpu(a.tensor()))
        return false;
    if (!b.is_tensor()) return true;
    return b.tensor().dim() == 0 && b.tensor().dtype() != common && on_cpu(b.tensor()) && !watcher;
}
Tensor with_number(Unary kind, const char* name, const Operand& a, const Operand& b, DType common, const Out& out) {
    const double n = (b.is_tensor() ? b.tensor().item() : b.scalar()).real();
    return unary(kind, name, a.tensor(), common, out, &n);
}
Tensor mul(const Operand& a, const Operand& b, Out out) {
    const DType t = result_type(a, b);
    if (is_number_beside(a, b, t)) return with_number(Unary::times_number, "mul_cpu", a, b, t, out);
    if (!a.is_tensor() && is_number_beside(b, a, t)) return with_number(Unary::times_number, "mul_cpu", b, a, t, out);
    return binary(Binary::mul, "mul_cpu", a, b, t, out);
}
Tensor div(const Operand& a, const Operand& b, Out out) {
    const DType t = float_type(result_type(a, b));
    if (is_number_beside(a, b, t)) return with_number(Unary::over_number, "div_true_cpu", a, b, t, out);
    if (!a.is_tensor() && is_number_beside(b, a, t))  // PyTorch multiplies by the rounded reciprocal
        return with_number(Unary::times_number, "mul_cpu",
                           unary(Unary::reciprocal, "reciprocal_cpu", b.tensor(), t, Out()), a, t, out);
    return binary(Binary::div, "div_true_cpu", a, b, t, out);
}

// --- division that rounds
void check_divisor(DType common, const Operand& b) {
    if (!is_integral(common, true)) return;
    bool zero = false;
    if (!b.is_tensor()) {
        zero = b.scalar().is_zero();
    } else if (!b.tensor().is_meta()) {
        const Tensor d = dense(b.tensor());
        const char* p = d.data<char>();
        const int64_t item = int64_t(itemsize(d.dtype()));
        std::atomic<bool> found = false;
        parallel_for(d.numel(), 65536, [&](int64_t b, int64_t e) {
            if (any_zero(d.dtype(), p + b * item, item, e - b)) found = true;
        });
        zero = found;
    }
    check(!zero, "ZeroDivisionError");
}
Tensor rounded(Binary kind, const char* name, const Operand& a, const Operand& b, const Out& out) {
    const DType t = result_type(a, b);
    if (!binary_loop(kind, t)) no_kernel(name, t);
    check_divisor(t, b);
    return binary(kind, name, a, b, t, out);
}
Tensor remainder(const Operand& a, const Operand& b, Out out) {
    return rounded(Binary::remainder, "remainder_cpu", a, b, out);
}
Tensor fmod(const Operand& a, const Operand& b, Out out) { return rounded(Binary::fmod, "fmod_cpu", a, b, out); }
Tensor floor_divide(const Operand& a, const Operand& b, Out out) {
    return rounded(Binary::floor_div, "div_floor_cpu", a, b, out);
}
Tensor div_mode(const Operand& a, const Operand& b, std::string_view mode, Out out) {
    if (mode.empty()) return div(a, b, out);
    check(mode == "floor" || mode == "trunc",
          "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '", std::string(mode), "'");
    return mode == "floor" ? floor_divide(a, b, out) : rounded(Binary::trunc_div, "div_trunc_cpu", a, b, out);
}

// --- powers
Tensor power(const Operand& a, const Operand& b, DType t, const Out& out) {
    if (t == DType::b1) {  // only what a bool exponent makes of the tensor
        if (!a.is_tensor() || b.is_tensor()) no_kernel("pow", t);
        return b.scalar().is_zero() ? op<"ones_like">(a.tensor()) : unary(Unary::copy, "pow", a.tensor(), t, out);
    }
    if (a.is_tensor() && !b.is_tensor()) {
        const Scalar e = b.scalar();
        check(!(is_integral(t, true) && e.integer() < 0), "Integers to negative integer powers are not allowed.");
        if (!is_complex(t) && e.real() == 1)
            return unary(Unary::copy, "pow", a.tensor().dtype() == t ? a.tensor() : convert(a.tensor(), t), t, out);
        if (is_complex(t) && t != DType::c32) {  // small whole powers by products, as PyTorch
            const C128 z = e.complex();
            const Tensor x = a.tensor().dtype() == t ? a.tensor() : convert(a.tensor(), t);
            if (z.im == 0 && z.re == 2) return unary(Unary::square, "pow", x, t, out);
            if (z.im == 0 && z.re == 3)
                return binary(Binary::mul, "pow", unary(Unary::square, "pow", x, t, Out()), x, t, out);
        }
        alignas(16) char s[16];
        if (is_complex(t)) *reinterpret_cast<C128*>(s) = e.complex();
        else if (is_integral(t, true)) *reinterpret_cast<int64_t*>(s) = e.integer();
        else  // here the number is rounded to a half type, unlike in products
            *reinterpret_cast<double*>(s) = is_low_precision(t) ? rounded_to_half(e, t) : e.real();
        return unary(Unary::pow_scalar, "pow", a.tensor().dtype() == t ? a.tensor() : convert(a.tensor(), t), t, out,
                     s);
    }
    return binary(Binary::pow, "pow", a, b, t, out);
}
Tensor pow(const Operand& a, const Operand& b, Out out) { return power(a, b, result_type(a, b), out); }
DType power_type(const Operand& a, const Operand& b) {  // of float_power: always double precision
    auto complex = [](const Operand& o) {
        return o.is_tensor() ? is_complex(o.tensor().dtype()) : o.scalar().is_complex();
    };
    return complex(a) || complex(b) ? DType::c128 : DType::f64;
}
Tensor float_power(const Operand& a, const Operand& b, Out out) {
    const DType t = power_type(a, b);
    if (out.given() && (*out.given()).dtype() != t)
        fail(ErrorKind::Runtime,
             out.inplace() ? "the base given to float_power_ has dtype " : "the output given to float_power has dtype ",
             scalar_name((*out.given()).dtype()), " but the operation's result requires dtype ", scalar_name(t));
    return power(a, b, t, out);
}
// Operands of a power as tensors of the gradient's type (a number stays one, and `keep` holds what is made).
Operand in_type(const Operand& o, DType t, Tensor& keep) {
    if (!o.is_tensor()) return o;
    keep = o.tensor().to(promote(t, o.tensor().dtype()));
    return keep;
}
Tensor power_base_grad(Back& b) {
    Tensor kx, ke;
    const Operand x = in_type(b.operand(0), b.g.dtype(), kx), e = in_type(b.operand(1), b.g.dtype(), ke);
    if (!e.is_tensor()) {
        const Scalar n = e.scalar();
        if (n.is_zero()) return zeros_like(b.g);
        const Scalar less = n.is_complex()    ? Scalar(C128(n.d - 1, n.im))
                            : n.is_integral() ? Scalar(n.i - 1)
                                              : Scalar(n.d - 1);
        return b.g * conj(op<"mul">(op<"pow">(x, less), n));
    }
    return b.g * conj(where(op<"eq">(e, 0.0), 0.0, op<"mul">(e, op<"pow">(x, e.tensor() - 1.0))));
}
Tensor power_exponent_grad(Back& b) {
    Tensor kx, ke;
    const Operand x = in_type(b.operand(0), b.g.dtype(), kx), e = in_type(b.operand(1), b.g.dtype(), ke);
    const Tensor y = b.result(), positive = real(e.tensor()) >= Value(0.0);
    if (x.is_tensor()) {
        // masked before it meets the gradient: what is linear in it (forward derivatives) must not see 0 * -inf
        return b.g * conj(where(op<"eq">(x, 0.0) & positive, 0.0, y * log(x.tensor())));
    }
    const Scalar c = x.scalar();
    const double size = std::hypot(c.real(), c.is_complex() ? c.im : 0),
                 angle = std::atan2(c.is_complex() ? c.im : 0, c.real());
    if (size == 0) return b.g * conj(where(positive, 0.0, y * -INFINITY));
    if (c.is_complex() || is_complex(y.dtype())) return b.g * conj(op<"mul">(y, C128(std::log(size), angle)));
    return b.g * conj(y * (c.real() < 0 ? NAN : std::log(size)));
}
Tensor rdiv(const Tensor& x, const Operand& other) { return op<"mul">(op<"reciprocal">(x), other); }
const Tensor& exponent(const Tensor& x, const Tensor& e) {
    if (is_floating(x.dtype()) && e.dtype() == DType::b1) no_kernel("ldexp_cpu_exp", DType::b1);
    return e;
}
Tensor ldexp(const Tensor& x, const Tensor& e) { return op<"mul">(x, op<"pow">(2.0, exponent(x, e))); }
Tensor ldexp_(const Tensor& x, const Tensor& e) {
    (void)exponent(x, e);
    inplace<"mul">(x, op<"pow">(2.0, e));
    return x;
}

// --- three operands
Tensor with_value(Ternary kind, const char* name, const Tensor& a, const Tensor& b, const Tensor& c,
                  const Scalar& value, const Out& out) {
    const Operand all[] = {a, b, c};
    const DType t = result_type(all);
    if (!ternary_loop(kind, t)) no_kernel(name, t);
    alignas(16) char s[16];
    visit_dtype(is_low_precision(t) ? DType::f32 : t,
                [&](auto z) { *reinterpret_cast<decltype(z)*>(s) = value.to<decltype(z)>(); });
    return ternary(kind, name, a, b, c, t, out, s);
}
Tensor addcmul(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value, Out out) {
    return with_value(Ternary::addcmul, "addcmul_cpu_out", a, b, c, value, out);
}
Tensor addcdiv(const Tensor& a, const Tensor& b, const Tensor& c, Scalar value, Out out) {
    check(!(is_integral(b.dtype(), true) && is_integral(c.dtype(), true)),
          "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
          "division of tensor1 and tensor2. "
          "The historic addcdiv behavior can be implemented as (input + value * torch.trunc(tensor1 / "
          "tensor2)).to(input.dtype) for integer inputs and as "
          "(input + value * tensor1 / tensor2) for float inputs. The future addcdiv behavior is just the latter "
          "implementation: (input + value * tensor1 / "
          "tensor2), for all dtypes.");
    return with_value(Ternary::addcdiv, "addcdiv_cpu_out", a, b, c, value, out);
}
Tensor lerp(const Tensor& a, const Tensor& end, const Operand& weight, Out out) {
    auto same_type = [&](const Tensor& t, const char* what) {
        check(t.dtype() == a.dtype(), "expected dtype ", cpp_name(a.dtype()), " for `", what, "` but got dtype ",
              cpp_name(t.dtype()));
    };
    same_type(end, "end");
    if (weight.is_tensor() && weight.tensor().dim()) same_type(weight.tensor(), "weight");
    if (!weight.is_tensor() && is_low_precision(a.dtype()) && on_cpu(a)) {  // not rounded to the type
        const float w = float(weight.scalar().real());
        return ternary(Ternary::lerp, "lerp_kernel_scalar", a, end, weight, a.dtype(), out, &w);
    }
    return ternary(Ternary::lerp, weight.is_tensor() ? "lerp_kernel_tensor" : "lerp_kernel_scalar", a, end, weight,
                   a.dtype(), out);
}
Tensor scaled(const Tensor& t, const Scalar& s) { return s.equals(1) ? t : op<"mul">(t, s); }

// --- derivatives shared by the names of one operation
Tensor same(Back& b) { return b.g; }
Tensor sub_other(Back& b) { return b.scalar(2).equals(1) ? -b.g : op<"mul">(b.g, -conj(b.scalar(2))); }
Tensor mul_self(Back& b) { return op<"mul">(b.g, conj(b.operand(1), b)); }
Tensor mul_other(Back& b) { return op<"mul">(b.g, conj(b.operand(0), b)); }
Tensor div_self(Back& b) { return op<"div">(b.g, conj(b.operand(1), b)); }
Tensor div_other(Back& b) {
    const Tensor other = b.arg(1);
    return -b.g * conj(op<"div">(op<"div">(b.operand(0), other), other));
}
Tensor weight_of(Back& b) {  // of lerp, conjugated, as a tensor
    const Operand w = b.operand(2);
    return w.is_tensor() ? conj(w.tensor()) : scalar_tensor(conj(w.scalar()), b.g.dtype(), b.g.device());
}
bool rounds(Back& b) { return !b.attr(2).is_none(); }

const Family arith([](Registry& r) {
    r.add("add.Tensor(Operand self, Operand other, *, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<add>()
        .grad("self", "", same)
        .grad("other", "", [](Back& b) { return scaled(b.g, conj(b.scalar(2))); });
    for (const char* name : {"sub", "subtract"})
        r.add(str(name, ".Tensor(Operand self, Operand other, *, Scalar alpha=1) -> Tensor").c_str(), "fmio")
            .kernel<sub>()
            .grad("self", "", same)
            .grad("other", "", sub_other)
            .node("SubBackward0");
    r.add("rsub.Tensor(Tensor self, Operand other, Scalar alpha=1) -> Tensor", "f")
        .kernel<rsub>()
        .grad("self", "", sub_other)
        .grad("other", "", same)
        .node("RsubBackward0 1:other");
    for (const char* name : {"mul", "multiply"})
        r.add(str(name, ".Tensor(Operand self, Operand other) -> Tensor").c_str(), "fmio")
            .kernel<mul>()
            .grad("self", "other", mul_self)
            .grad("other", "self", mul_other)
            .node("MulBackward0");
    for (const char* name : {"div", "divide", "true_divide"})
        r.add(str(name, ".Tensor(Operand self, Operand other) -> Tensor").c_str(), "fmio")
            .kernel<div>()
            .grad("self", "other", div_self)
            .grad("other", "self, other", div_other)
            .node("DivBackward0 *:self");
    for (const char* name : {"div", "divide"})
        r.add(str(name, ".Tensor_mode(Operand self, Operand other, *, str? rounding_mode) -> Tensor").c_str(), "fmio")
            .kernel<div_mode>()
            .grad("self", "other", [](Back& b) { return rounds(b) ? zeros_like(b.g) : div_self(b); })
            .grad("other", "self, other", [](Back& b) { return rounds(b) ? zeros_like(b.g) : div_other(b); })
            .node("DivBackward2");
    r.add("__rdiv__(Tensor self, Operand other) -> Tensor", "m").kernel<rdiv>();
    r.add("floor_divide(Operand self, Operand other) -> Tensor", "fmio")
        .kernel<floor_divide>()
        .grad("self", "", [](Back&) { return no_derivative("floor_divide"); })
        .grad("other", "", [](Back&) { return no_derivative("floor_divide"); })
        .node("NotImplemented");
    r.add("remainder.Tensor(Operand self, Operand other) -> Tensor", "fmio")
        .kernel<remainder>()
        .grad("self", "", same)
        .grad("other", "self, other",
              [](Back& b) { return -b.g * op<"div.Tensor_mode">(b.operand(0), b.arg(1), "floor"); })
        .node("RemainderBackward1 0:other");
    r.add("fmod.Tensor(Tensor self, Operand other) -> Tensor", "fmio")
        .kernel<fmod>()
        .grad("self", "", same)
        .grad("other", "self, other",
              [](Back& b) { return -b.g * op<"div.Tensor_mode">(b.operand(0), b.arg(1), "trunc"); })
        .node("FmodBackward1 0:other");
    r.add("pow.Tensor_Tensor(Operand self, Operand exponent) -> Tensor", "fmio")
        .kernel<pow>()
        .grad("self", "self, exponent", power_base_grad)
        .grad("exponent", "self, exponent, result", power_exponent_grad)
        .node("PowBackward1 0:exponent 2:self");
    r.add("float_power.Tensor_Tensor(Operand self, Operand exponent) -> Tensor", "fmio")
        .kernel<float_power>()
        .grad("self", "self, exponent", power_base_grad)
        .grad("exponent", "self, exponent, result", power_exponent_grad)
        .node("PowBackward1 0:exponent 2:self");
    r.add("ldexp.Tensor(Tensor self, Tensor other) -> Tensor", "fmo").kernel<ldexp>().shown_as("LdexpBackward0");
    r.add("ldexp_(Tensor self, Tensor other) -> Tensor", "fm").kernel<ldexp_>();
    r.add("addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", "fmio")
        .kernel<addcmul>()
        .grad("self", "", same)
        .grad("tensor1", "tensor2", [](Back& b) { return b.g * scaled(conj(b.arg(2)), conj(b.scalar(3))); })
        .grad("tensor2", "tensor1", [](Back& b) { return b.g * scaled(conj(b.arg(1)), conj(b.scalar(3))); });
    r.add("addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor", "fmio")
        .kernel<addcdiv>()
        .grad("self", "", same)
        .grad("tensor1", "tensor2", [](Back& b) { return b.g * conj(op<"div">(b.scalar(3), b.arg(2))); })
        .grad("tensor2", "tensor1, tensor2", [](Back& b) {
            const Tensor c = b.arg(2);
            return -b.g * conj(scaled(b.arg(1) / c / c, b.scalar(3)));
        });
    r.add("lerp.Scalar(Tensor self, Tensor end, Operand weight) -> Tensor", "fmio")
        .kernel<lerp>()
        .grad("self", "weight", [](Back& b) { return b.g * (1.0 - weight_of(b)); })
        .grad("end", "weight", [](Back& b) { return b.g * weight_of(b); })
        .grad("weight", "self, end", [](Back& b) { return b.g * conj(b.arg(1) - b.arg(0)); })
        .node("LerpBackward1 0:weight");
});

}  // namespace
}  // namespace fb
