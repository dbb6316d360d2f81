// Element types. The numbers are the ones PyTorch files use, so that they can be written to disk as they are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fb {

enum class DType : uint8_t {
    u8 = 0,
    i8 = 1,
    i16 = 2,
    i32 = 3,
    i64 = 4,
    f16 = 5,
    f32 = 6,
    f64 = 7,
    c32 = 8,
    c64 = 9,
    c128 = 10,
    b1 = 11,
    bf16 = 15,
    f8e5m2 = 23,
    f8e4m3 = 24,
    f8e5m2z = 25,
    f8e4m3z = 26,
    u16 = 27,
    u32 = 28,
    u64 = 29,
    f8e8m0 = 44,
    f4x2 = 45,  // two numbers of four bits in a byte
    none = 255,
};
inline constexpr int kDTypeLimit = 46;  // one past the largest number, for tables

constexpr size_t itemsize(DType t) {
    switch (t) {
        case DType::u8:
        case DType::i8:
        case DType::b1:
        case DType::f8e5m2:
        case DType::f8e4m3:
        case DType::f8e5m2z:
        case DType::f8e4m3z:
        case DType::f8e8m0:
        case DType::f4x2: return 1;
        case DType::i16:
        case DType::u16:
        case DType::f16:
        case DType::bf16: return 2;
        case DType::i32:
        case DType::u32:
        case DType::f32:
        case DType::c32: return 4;
        case DType::i64:
        case DType::u64:
        case DType::f64:
        case DType::c64: return 8;
        case DType::c128: return 16;
        default: return 0;
    }
}
constexpr bool is_complex(DType t) { return t == DType::c64 || t == DType::c128 || t == DType::c32; }
constexpr bool is_one_of(DType t, uint64_t set) { return set >> (unsigned(t) & 63) & (t != DType::none); }
constexpr uint64_t set_of(auto... t) { return ((uint64_t(1) << unsigned(t)) | ...); }
// Numbers of one byte (base/float8.h): moved, filled and converted; no operator computes with them.
inline constexpr uint64_t float8_types =
    set_of(DType::f8e5m2, DType::f8e4m3, DType::f8e5m2z, DType::f8e4m3z, DType::f8e8m0, DType::f4x2);
constexpr bool is_float8(DType t) { return is_one_of(t, float8_types); }
constexpr bool is_floating(DType t) {
    return is_one_of(t, float8_types | set_of(DType::f32, DType::f64, DType::f16, DType::bf16));
}
constexpr bool is_integral(DType t, bool with_bool) {
    return t != DType::none && !is_complex(t) && !is_floating(t) && (with_bool || t != DType::b1);
}
constexpr bool is_low_precision(DType t) { return t == DType::f16 || t == DType::bf16; }
constexpr DType to_real(DType t) {
    return t == DType::c64 ? DType::f32 : t == DType::c128 ? DType::f64 : t == DType::c32 ? DType::f16 : t;
}
constexpr DType to_complex(DType t) {
    return t == DType::f64 ? DType::c128 : t == DType::f16 ? DType::c32 : is_complex(t) ? t : DType::c64;
}

// bfloat16: the upper half of a float32, rounded to nearest even.
struct BF16 {
    uint16_t bits = 0;
    BF16() = default;
    BF16(float f) {
        uint32_t u;
        std::memcpy(&u, &f, 4);
        bits = (u & 0x7fffffff) > 0x7f800000 ? uint16_t(0x7fc0) : uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16);
    }
    operator float() const {
        uint32_t u = uint32_t(bits) << 16;
        float f;
        std::memcpy(&f, &u, 4);
        return f;
    }
};

// IEEE half precision in software; vector kernels use F16C.
struct F16 {
    uint16_t bits = 0;
    F16() = default;
    F16(float f) {
        uint32_t x;
        std::memcpy(&x, &f, 4);
        const uint32_t sign = (x >> 16) & 0x8000, mag = x & 0x7fffffff;
        if (mag >= 0x47800000) {  // too large, infinite or NaN
            bits = uint16_t(sign | (mag > 0x7f800000 ? 0x7e00 : 0x7c00));
        } else if (mag < 0x38800000) {  // subnormal: let the FPU round by adding a magic number
            float a;
            std::memcpy(&a, &mag, 4);
            a += 0.5f;
            uint32_t u;
            std::memcpy(&u, &a, 4);
            bits = uint16_t(sign | (u - 0x3f000000));
        } else {
            bits = uint16_t(sign | ((mag - 0x38000000 + 0xfff + ((mag >> 13) & 1)) >> 13));
        }
    }
    operator float() const {
        const uint32_t sign = uint32_t(bits & 0x8000) << 16, exp = (bits >> 10) & 31, man = bits & 0x3ff;
        uint32_t u;
        if (exp == 31) {
            u = sign | 0x7f800000 | (man << 13);
        } else if (exp) {
            u = sign | ((exp + 112) << 23) | (man << 13);
        } else {
            float a = float(man) * 5.9604644775390625e-8f;  // 2^-24
            std::memcpy(&u, &a, 4);
            u |= sign;
        }
        float f;
        std::memcpy(&f, &u, 4);
        return f;
    }
};

// A complex number without <complex>'s slow NaN-recovery paths; layout as std::complex.
template <class T>
struct Complex {
    T re = 0, im = 0;
    constexpr Complex() = default;
    constexpr Complex(T r, T i = 0) : re(r), im(i) {}
    template <class U>
    constexpr explicit Complex(Complex<U> o) : re(T(o.re)), im(T(o.im)) {}
    friend constexpr Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
    friend constexpr Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
    friend constexpr Complex operator-(Complex a) { return {-a.re, -a.im}; }
    friend constexpr Complex operator*(Complex a, Complex b) {
        return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    }
    friend constexpr Complex operator/(Complex a, Complex b) {  // Smith's method: no overflow in between
        const T ar = b.re < 0 ? -b.re : b.re, ai = b.im < 0 ? -b.im : b.im;
        if (ar >= ai) {
            if (ar == 0 && ai == 0) return {a.re / ar, a.im / ar};
            const T r = b.im / b.re, d = b.re + b.im * r;
            return {(a.re + a.im * r) / d, (a.im - a.re * r) / d};
        }
        const T r = b.re / b.im, d = b.re * r + b.im;
        return {(a.re * r + a.im) / d, (a.im * r - a.re) / d};
    }
    Complex& operator+=(Complex b) { return *this = *this + b; }
    Complex& operator-=(Complex b) { return *this = *this - b; }
    Complex& operator*=(Complex b) { return *this = *this * b; }
    Complex& operator/=(Complex b) { return *this = *this / b; }
    friend constexpr bool operator==(Complex a, Complex b) { return a.re == b.re && a.im == b.im; }
};
using C64 = Complex<float>;
using C128 = Complex<double>;

template <class T>
struct dtype_of;
template <>
struct dtype_of<uint8_t> {
    static constexpr DType value = DType::u8;
};
template <>
struct dtype_of<int8_t> {
    static constexpr DType value = DType::i8;
};
template <>
struct dtype_of<int16_t> {
    static constexpr DType value = DType::i16;
};
template <>
struct dtype_of<int32_t> {
    static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<int64_t> {
    static constexpr DType value = DType::i64;
};
template <>
struct dtype_of<uint16_t> {
    static constexpr DType value = DType::u16;
};
template <>
struct dtype_of<uint32_t> {
    static constexpr DType value = DType::u32;
};
template <>
struct dtype_of<uint64_t> {
    static constexpr DType value = DType::u64;
};
template <>
struct dtype_of<F16> {
    static constexpr DType value = DType::f16;
};
template <>
struct dtype_of<BF16> {
    static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<float> {
    static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<double> {
    static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<bool> {
    static constexpr DType value = DType::b1;
};
template <>
struct dtype_of<C64> {
    static constexpr DType value = DType::c64;
};
template <>
struct dtype_of<C128> {
    static constexpr DType value = DType::c128;
};

[[noreturn]] void no_element_type(DType t);  // raises: no kernel is made for complex32 and float8

// Calls f(T{}) with the C++ type of t; f is instantiated for all element types.
template <class F>
void visit_dtype(DType t, F&& f) {
    switch (t) {
        case DType::u8: f(uint8_t{}); return;
        case DType::i8: f(int8_t{}); return;
        case DType::i16: f(int16_t{}); return;
        case DType::i32: f(int32_t{}); return;
        case DType::i64: f(int64_t{}); return;
        case DType::u16: f(uint16_t{}); return;
        case DType::u32: f(uint32_t{}); return;
        case DType::u64: f(uint64_t{}); return;
        case DType::f16: f(F16{}); return;
        case DType::bf16: f(BF16{}); return;
        case DType::f32: f(float{}); return;
        case DType::f64: f(double{}); return;
        case DType::b1: f(bool{}); return;
        case DType::c64: f(C64{}); return;
        case DType::c128: f(C128{}); return;
        default: no_element_type(t);
    }
}

}  // namespace fb
