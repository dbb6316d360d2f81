// Arithmetic of two operands.
#include "autograd/back.h"
#include "cpu/iter.h"

namespace fb {
namespace {
using namespace cpu;

Tensor conj(const Tensor& t) { return is_complex(t.dtype()) ? op<"conj_physical">(t) : t; }
Operand conj(const Operand& o, Back& b) {
    if (!o.is_tensor()) return o.scalar().is_complex() ? Operand(Scalar(C128(o.scalar().d, -o.scalar().im))) : o;
    b.keep.push_back(conj(o.tensor()));
    return Operand(b.keep.back());
}
Value times(const Scalar& s) { return Value(s); }

bool is_bool(const Operand& o) { return o.is_tensor() ? o.tensor().dtype() == DType::b1 : o.scalar().kind == Scalar::Kind::Bool; }

void check_alpha(DType common, const Scalar& alpha) {
    check(!(is_integral(common, true) && (alpha.is_float() || alpha.is_complex())),
          "For integral input tensors, argument alpha must not be a floating point number.");
    check(!(alpha.is_complex() && !is_complex(common)), "For non-complex input tensors, argument alpha must not be a complex number.");
    check(!(alpha.kind == Scalar::Kind::Bool && common != DType::b1), "Boolean alpha only supported for Boolean results.");
}

Tensor add_scaled(Binary plain, Binary scaled, const char* name, const Operand& a, const Operand& b, const Scalar& alpha, const Out& out) {
    const DType t = result_type(a, b);
    check_alpha(t, alpha);
    if (alpha.equals(1)) return binary(plain, name, a, b, t, out);
    alignas(16) char s[16];
    const DType st = is_low_precision(t) ? DType::f32 : t;
    visit_dtype(st, [&](auto z) { *reinterpret_cast<decltype(z)*>(s) = alpha.to<decltype(z)>(); });
    return binary(scaled, name, a, b, t, out, s);
}
Tensor add(const Operand& a, const Operand& b, Scalar alpha, Out out) {
    return add_scaled(Binary::add, Binary::add_scaled, "add_stub", a, b, alpha, out);
}
Tensor sub(const Operand& a, const Operand& b, Scalar alpha, Out out) {
    check(!(is_bool(a) && is_bool(b)), "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.");
    check(!(is_bool(a) || is_bool(b)), "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or `logical_not()` operator instead.");
    return add_scaled(Binary::sub, Binary::sub_scaled, "sub_stub", a, b, alpha, out);
}
Tensor rsub(const Operand& a, const Operand& b, Scalar alpha, Out out) { return sub(b, a, alpha, out); }
Tensor mul(const Operand& a, const Operand& b, Out out) { return binary(Binary::mul, "mul_cpu", a, b, result_type(a, b), out); }
Tensor div(const Operand& a, const Operand& b, Out out) { return binary(Binary::div, "div_true_cpu", a, b, float_type(result_type(a, b)), out); }

const Family arith([](Registry& r) {
    r.add("add.Tensor(Operand self, Operand other, *, Scalar alpha=1) -> Tensor", "fmio").kernel<add>()
        .grad("self", "", [](Back& b) { return b.g; })
        .grad("other", "", [](Back& b) { return b.scalar(2).equals(1) ? b.g : op<"mul">(b.g, times(b.scalar(2).is_complex() ? Scalar(C128(b.scalar(2).d, -b.scalar(2).im)) : b.scalar(2))); });
    r.add("sub.Tensor(Operand self, Operand other, *, Scalar alpha=1) -> Tensor", "fmio").kernel<sub>()
        .grad("self", "", [](Back& b) { return b.g; })
        .grad("other", "", [](Back& b) { return b.scalar(2).equals(1) ? op<"neg">(b.g) : op<"mul">(b.g, times(-b.scalar(2))); });
    r.add("rsub.Tensor(Tensor self, Operand other, Scalar alpha=1) -> Tensor", "f").kernel<rsub>()
        .grad("self", "", [](Back& b) { return b.scalar(2).equals(1) ? op<"neg">(b.g) : op<"mul">(b.g, times(-b.scalar(2))); })
        .grad("other", "", [](Back& b) { return b.g; });
    r.add("mul.Tensor(Operand self, Operand other) -> Tensor", "fmio").kernel<mul>()
        .grad("self", "other", [](Back& b) { return op<"mul">(b.g, conj(b.operand(1), b)); })
        .grad("other", "self", [](Back& b) { return op<"mul">(b.g, conj(b.operand(0), b)); });
    r.add("div.Tensor(Operand self, Operand other) -> Tensor", "fmio").kernel<div>()
        .grad("self", "other", [](Back& b) { return op<"div">(b.g, conj(b.operand(1), b)); })
        .grad("other", "self, other", [](Back& b) {
            const Tensor other = b.arg(1);
            const Tensor q = op<"div">(op<"div">(b.operand(0), other), other);
            return op<"mul">(op<"neg">(b.g), conj(q));
        });
});

}  // namespace
}  // namespace fb
