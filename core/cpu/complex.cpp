// Functions of complex numbers, by the C++ library.
#include <cmath>
#include <complex>

#include "cpu/strided.h"

namespace fb::cpu {
namespace {

template <class T>
using C = std::complex<T>;

template <class T>
C<T> quotient(C<T> a, C<T> b) {  // Smith's division, as everywhere in this library
    const Complex<T> r = Complex<T>(a.real(), a.imag()) / Complex<T>(b.real(), b.imag());
    return {r.re, r.im};
}
template <class T>
C<T> rsqrt(C<T> z) {
    return quotient(C<T>(1), std::sqrt(z));
}
template <class T>
C<T> exp2(C<T> z) {
    return std::exp(z * T(0.6931471805599453));
}
template <class T>
C<T> expm1(C<T> z) {  // e^x cos y - 1 without cancellation
    const T half = std::sin(z.imag() / 2);
    return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * half * half, std::exp(z.real()) * std::sin(z.imag())};
}
template <class T>
C<T> log2(C<T> z) {
    const C<T> l = std::log(z);
    return {l.real() / T(0.6931471805599453), l.imag() / T(0.6931471805599453)};
}
template <class T>
C<T> log1p(C<T> z) {
    const T x = z.real(), y = z.imag();
    const C<T> direct = std::log(C<T>(1 + x, y));
    return std::abs(x) < T(0.5) && std::abs(y) < T(0.5) ? C<T>(std::log1p(x * (x + 2) + y * y) / 2, direct.imag())
                                                        : direct;
}
template <class T>
C<T> sigmoid(C<T> z) {
    return quotient(C<T>(1), C<T>(1) + std::exp(-z));
}
template <class T>
C<T> silu(C<T> z) {
    return quotient(z, C<T>(1) + std::exp(-z));
}
template <class T>
C<T> sinc(C<T> z) {
    const C<T> p = z * T(3.141592653589793);
    return z == C<T>() ? C<T>(1) : quotient(std::sin(p), p);
}
template <class T>
C<T> sgn(C<T> z) {
    // Squares of floats are in reach of double, and their sum is exact enough.
    const T r = sizeof(T) == 4 ? T(std::sqrt(double(z.real()) * z.real() + double(z.imag()) * z.imag())) : std::abs(z);
    return r == 0 ? C<T>() : C<T>(z.real() / r, z.imag() / r);
}
template <class T>
C<T> power(C<T> a, C<T> b) {
    return std::pow(a, b);
}
template <class T>
C<T> pow_scalar(C<T> z, const void* s) {
    const C128 e = *static_cast<const C128*>(s);
    if (e.im == 0) {
        auto times = [](C<T> a, C<T> b) {
            return C<T>(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
        };
        if (e.re == 0) return C<T>(1);
        if (e.re == 1) return z;
        if (e.re == 2) return times(z, z);
        if (e.re == 3) return times(times(z, z), z);
        if (e.re == 0.5) return std::sqrt(z);
        if (e.re == -0.5) return rsqrt(z);
        if (e.re == -1) return quotient(C<T>(1), z);
        if (e.re == -2) return quotient(C<T>(1), times(z, z));
    }
    return std::pow(z, C<T>(T(e.re), T(e.im)));
}
template <class T>
C<T> logaddexp(C<T> a, C<T> b) {
    if (std::isnan(a.real()) || std::isnan(a.imag())) return a;
    if (std::isnan(b.real()) || std::isnan(b.imag())) return b;
    const bool first = a.real() >= b.real();
    const C<T> hi = first ? a : b, lo = first ? b : a;
    if (std::isinf(hi.real()) && hi.real() == lo.real()) {
        if (hi.real() < 0) return lo;  // the angle of nothing: PyTorch keeps the second
        return std::log(std::exp(lo) + std::exp(hi));
    }
    return hi + log1p(std::exp(lo - hi));
}
template <class T>
C<T> polar(T r, T angle) {
    return {r * std::cos(angle), r * std::sin(angle)};
}
template <class T>
T magnitude(C<T> z) {
    return std::abs(z);
}
template <class T>
T angle(C<T> z) {
    return std::isnan(z.real()) && std::isnan(z.imag()) ? z.real() : std::arg(z);
}

template <class T, class Tab>
constexpr void fill(Tab& t, DType type, DType real) {
    auto put = [&]<auto f>(Unary op) { t.put(op, type, strided<f, C<T>, C<T>>); };
    put.template operator()<rsqrt<T>>(Unary::rsqrt);
    put.template operator()<exp2<T>>(Unary::exp2);
    put.template operator()<expm1<T>>(Unary::expm1);
    put.template operator()<log2<T>>(Unary::log2);
    put.template operator()<log1p<T>>(Unary::log1p);
    put.template operator()<sigmoid<T>>(Unary::sigmoid);
    put.template operator()<silu<T>>(Unary::silu);
    put.template operator()<sinc<T>>(Unary::sinc);
    put.template operator()<sgn<T>>(Unary::sgn);
    put.template operator()<[](C<T> z) { return std::sqrt(z); }>(Unary::sqrt);
    put.template operator()<[](C<T> z) { return std::exp(z); }>(Unary::exp);
    put.template operator()<[](C<T> z) { return std::log(z); }>(Unary::log);
    put.template operator()<[](C<T> z) { return std::log10(z); }>(Unary::log10);
    put.template operator()<[](C<T> z) { return std::sin(z); }>(Unary::sin);
    put.template operator()<[](C<T> z) { return std::cos(z); }>(Unary::cos);
    put.template operator()<[](C<T> z) { return std::tan(z); }>(Unary::tan);
    put.template operator()<[](C<T> z) { return std::asin(z); }>(Unary::asin);
    put.template operator()<[](C<T> z) { return std::acos(z); }>(Unary::acos);
    put.template operator()<[](C<T> z) { return std::atan(z); }>(Unary::atan);
    put.template operator()<[](C<T> z) { return std::sinh(z); }>(Unary::sinh);
    put.template operator()<[](C<T> z) { return std::cosh(z); }>(Unary::cosh);
    put.template operator()<[](C<T> z) { return std::tanh(z); }>(Unary::tanh);
    put.template operator()<[](C<T> z) { return std::asinh(z); }>(Unary::asinh);
    put.template operator()<[](C<T> z) { return std::acosh(z); }>(Unary::acosh);
    put.template operator()<[](C<T> z) { return std::atanh(z); }>(Unary::atanh);
    t.put(Unary::pow_scalar, type, strided<pow_scalar<T>, C<T>, C<T>>);
    t.put(Unary::abs, type, strided<magnitude<T>, T, C<T>>);
    t.put(Unary::angle, type, strided<angle<T>, T, C<T>>);
    t.put(Binary::pow, type, strided<power<T>, C<T>, C<T>, C<T>>);
    t.put(Binary::logaddexp, type, strided<logaddexp<T>, C<T>, C<T>, C<T>>);
    t.put(Binary::polar, real, strided<polar<T>, C<T>, T, T>);
}

constexpr auto make() {
    Table<80> t;
    fill<float>(t, DType::c64, DType::f32);
    fill<double>(t, DType::c128, DType::f64);
    return t;
}
constexpr auto table = make();
}  // namespace

extern const Entries complex_loops;
constexpr Entries complex_loops{table.entry, table.count};

}  // namespace fb::cpu
