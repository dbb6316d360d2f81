// A number as Python gives it: bool, int, float or complex.
#pragma once
#include "base/dtype.h"
#include "base/error.h"

namespace fb {

struct Scalar {
    enum class Kind : uint8_t { Bool, Int, Double, Complex };
    Kind kind = Kind::Int;
    union {
        int64_t i = 0;
        double d;
    };
    double im = 0;

    Scalar() = default;
    Scalar(bool v) : kind(Kind::Bool), i(v) {}
    Scalar(int v) : kind(Kind::Int), i(v) {}
    Scalar(int64_t v) : kind(Kind::Int), i(v) {}
    Scalar(double v) : kind(Kind::Double), d(v) {}
    Scalar(C128 v) : kind(Kind::Complex), d(v.re), im(v.im) {}

    bool is_integral() const { return kind == Kind::Int || kind == Kind::Bool; }
    bool is_complex() const { return kind == Kind::Complex; }
    bool is_float() const { return kind == Kind::Double; }
    double real() const { return is_integral() ? double(i) : d; }
    C128 complex() const { return {real(), im}; }
    int64_t integer() const { return is_integral() ? i : int64_t(d); }
    bool is_zero() const { return is_integral() ? i == 0 : d == 0 && im == 0; }
    bool equals(double v) const { return real() == v && im == 0; }
    DType natural_dtype() const {  // before the default dtype is taken into account
        return kind == Kind::Bool     ? DType::b1
               : kind == Kind::Int    ? DType::i64
               : kind == Kind::Double ? DType::f64
                                      : DType::c128;
    }
    Scalar operator-() const { return is_integral() ? Scalar(-i) : is_complex() ? Scalar(C128(-d, -im)) : Scalar(-d); }
    // Converts as a C++ cast does; complex to real takes the real part.
    template <class T>
    T to() const {
        if constexpr (std::is_same_v<T, C64> || std::is_same_v<T, C128>) {
            using R = decltype(T{}.re);
            return T(R(real()), R(im));
        } else if constexpr (std::is_same_v<T, bool>) {
            return !is_zero();
        } else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
            return T(float(real()));
        } else if constexpr (std::is_integral_v<T>) {
            return is_integral() ? T(i) : T(int64_t(d));
        } else {
            return is_integral() ? T(i) : T(d);
        }
    }
};

}  // namespace fb
