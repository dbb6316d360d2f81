// Arithmetic on tensors as operator calls (recorded when gradients are), for writing derivatives and composites as
// formulas.
#pragma once
#include "autograd/back.h"
#include "cpu/iter.h"

namespace fb::formula {

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, double b);
Tensor operator-(double a, const Tensor& b);
Tensor operator-(const Tensor& a);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, double b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, double b);
Tensor operator<(const Tensor& a, const Value& b);
Tensor operator<=(const Tensor& a, const Value& b);
Tensor operator>(const Tensor& a, const Value& b);
Tensor operator>=(const Tensor& a, const Value& b);
Tensor operator&(const Tensor& a, const Tensor& b);
Tensor operator|(const Tensor& a, const Tensor& b);
Tensor operator!(const Tensor& a);

Tensor conj(const Tensor& t);
Scalar conj(const Scalar& s);
Operand conj(const Operand& o, Back& b);
Tensor where(const Tensor& c, const Value& a, const Value& b);
Tensor masked(const Tensor& t, const Tensor& zero_where);
Tensor exp(const Tensor& t);
Tensor log(const Tensor& t);
Tensor sqrt(const Tensor& t);
Tensor rsqrt(const Tensor& t);
Tensor sin(const Tensor& t);
Tensor cos(const Tensor& t);
Tensor tanh(const Tensor& t);
Tensor sigmoid(const Tensor& t);
Tensor sgn(const Tensor& t);
Tensor real(const Tensor& t);
Tensor square(const Tensor& t);
Tensor zeros(IntSpan sizes, const Tensor& like);
Tensor zeros_like(const Tensor& t);
[[noreturn]] Tensor no_derivative(const char* name);
// i · t
Tensor times_i(const Tensor& t);

}  // namespace fb::formula
