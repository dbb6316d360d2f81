// Arithmetic on tensors as operator calls (recorded when gradients are), for writing derivatives and composites as
// formulas.
#pragma once
#include "autograd/back.h"
#include "cpu/iter.h"

namespace fb::formula {

inline Tensor operator+(const Tensor& a, const Tensor& b) { return op<"add">(a, b); }
inline Tensor operator+(const Tensor& a, double b) { return op<"add">(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return op<"add">(b, a); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return op<"sub">(a, b); }
inline Tensor operator-(const Tensor& a, double b) { return op<"sub">(a, b); }
inline Tensor operator-(double a, const Tensor& b) { return op<"rsub">(b, a); }
inline Tensor operator-(const Tensor& a) { return op<"neg">(a); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return op<"mul">(a, b); }
inline Tensor operator*(const Tensor& a, double b) { return op<"mul">(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return op<"mul">(b, a); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return op<"div">(a, b); }
inline Tensor operator/(const Tensor& a, double b) { return op<"div">(a, b); }
inline Tensor operator<(const Tensor& a, const Value& b) { return op<"lt">(a, b); }
inline Tensor operator<=(const Tensor& a, const Value& b) { return op<"le">(a, b); }
inline Tensor operator>(const Tensor& a, const Value& b) { return op<"gt">(a, b); }
inline Tensor operator>=(const Tensor& a, const Value& b) { return op<"ge">(a, b); }
inline Tensor operator&(const Tensor& a, const Tensor& b) { return op<"logical_and">(a, b); }
inline Tensor operator|(const Tensor& a, const Tensor& b) { return op<"logical_or">(a, b); }
inline Tensor operator!(const Tensor& a) { return op<"logical_not">(a); }

inline Tensor conj(const Tensor& t) { return is_complex(t.dtype()) ? op<"conj_physical">(t) : t; }
inline Scalar conj(const Scalar& s) { return s.is_complex() ? Scalar(C128(s.d, -s.im)) : s; }
inline Operand conj(const Operand& o, Back& b) {  // of a saved operand
    if (!o.is_tensor()) return conj(o.scalar());
    b.keep.push_back(conj(o.tensor()));
    return b.keep.back();
}
inline Tensor where(const Tensor& c, const Value& a, const Value& b) { return op<"where">(c, a, b); }
inline Tensor masked(const Tensor& t, const Tensor& zero_where) { return op<"masked_fill">(t, zero_where, 0); }
inline Tensor exp(const Tensor& t) { return op<"exp">(t); }
inline Tensor log(const Tensor& t) { return op<"log">(t); }
inline Tensor sqrt(const Tensor& t) { return op<"sqrt">(t); }
inline Tensor rsqrt(const Tensor& t) { return op<"rsqrt">(t); }
inline Tensor sin(const Tensor& t) { return op<"sin">(t); }
inline Tensor cos(const Tensor& t) { return op<"cos">(t); }
inline Tensor tanh(const Tensor& t) { return op<"tanh">(t); }
inline Tensor sigmoid(const Tensor& t) { return op<"sigmoid">(t); }
inline Tensor sgn(const Tensor& t) { return op<"sgn">(t); }
inline Tensor real(const Tensor& t) { return is_complex(t.dtype()) ? op<"real">(t) : t; }
inline Tensor square(const Tensor& t) { return t * t; }
inline Tensor zeros(IntSpan sizes, const Tensor& like) {
    return op<"zeros">(sizes, like.dtype(), nullptr, like.device());
}
inline Tensor zeros_like(const Tensor& t) { return op<"zeros_like">(t); }
[[noreturn]] inline Tensor no_derivative(const char* name) {
    fail(ErrorKind::Runtime, "derivative for aten::", name, " is not implemented");
}
// i · t
inline Tensor times_i(const Tensor& t) { return op<"mul">(t, C128(0, 1)); }

}  // namespace fb::formula
