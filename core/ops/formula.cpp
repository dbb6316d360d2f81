#include "ops/formula.h"

namespace fb::formula {

Tensor operator+(const Tensor& a, const Tensor& b) { return op<"add">(a, b); }
Tensor operator+(const Tensor& a, double b) { return op<"add">(a, b); }
Tensor operator+(double a, const Tensor& b) { return op<"add">(b, a); }
Tensor operator-(const Tensor& a, const Tensor& b) { return op<"sub">(a, b); }
Tensor operator-(const Tensor& a, double b) { return op<"sub">(a, b); }
Tensor operator-(double a, const Tensor& b) { return op<"rsub">(b, a); }
Tensor operator-(const Tensor& a) { return op<"neg">(a); }
Tensor operator*(const Tensor& a, const Tensor& b) { return op<"mul">(a, b); }
Tensor operator*(const Tensor& a, double b) { return op<"mul">(a, b); }
Tensor operator*(double a, const Tensor& b) { return op<"mul">(b, a); }
Tensor operator/(const Tensor& a, const Tensor& b) { return op<"div">(a, b); }
Tensor operator/(const Tensor& a, double b) { return op<"div">(a, b); }
Tensor operator<(const Tensor& a, const Value& b) { return op<"lt">(a, b); }
Tensor operator<=(const Tensor& a, const Value& b) { return op<"le">(a, b); }
Tensor operator>(const Tensor& a, const Value& b) { return op<"gt">(a, b); }
Tensor operator>=(const Tensor& a, const Value& b) { return op<"ge">(a, b); }
Tensor operator&(const Tensor& a, const Tensor& b) { return op<"logical_and">(a, b); }
Tensor operator|(const Tensor& a, const Tensor& b) { return op<"logical_or">(a, b); }
Tensor operator!(const Tensor& a) { return op<"logical_not">(a); }

Tensor conj(const Tensor& t) { return is_complex(t.dtype()) ? op<"conj_physical">(t) : t; }
Scalar conj(const Scalar& s) { return s.is_complex() ? Scalar(C128(s.d, -s.im)) : s; }
Operand conj(const Operand& o, Back& b) {  // of a saved operand
    if (!o.is_tensor()) return conj(o.scalar());
    b.keep.push_back(conj(o.tensor()));
    return b.keep.back();
}
Tensor where(const Tensor& c, const Value& a, const Value& b) { return op<"where">(c, a, b); }
Tensor masked(const Tensor& t, const Tensor& zero_where) { return op<"masked_fill">(t, zero_where, 0); }
Tensor exp(const Tensor& t) { return op<"exp">(t); }
Tensor log(const Tensor& t) { return op<"log">(t); }
Tensor sqrt(const Tensor& t) { return op<"sqrt">(t); }
Tensor rsqrt(const Tensor& t) { return op<"rsqrt">(t); }
Tensor sin(const Tensor& t) { return op<"sin">(t); }
Tensor cos(const Tensor& t) { return op<"cos">(t); }
Tensor tanh(const Tensor& t) { return op<"tanh">(t); }
Tensor sigmoid(const Tensor& t) { return op<"sigmoid">(t); }
Tensor sgn(const Tensor& t) { return op<"sgn">(t); }
Tensor real(const Tensor& t) { return is_complex(t.dtype()) ? op<"real">(t) : t; }
Tensor square(const Tensor& t) { return t * t; }
Tensor zeros(IntSpan sizes, const Tensor& like) { return op<"zeros">(sizes, like.dtype(), nullptr, like.device()); }
Tensor zeros_like(const Tensor& t) { return op<"zeros_like">(t); }
Tensor no_derivative(const char* name) {
    fail(ErrorKind::Runtime, "derivative for aten::", name, " is not implemented");
}
// i · t
Tensor times_i(const Tensor& t) { return op<"mul">(t, C128(0, 1)); }

}  // namespace fb::formula
