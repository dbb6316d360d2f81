#include "ops/fits.h"
#include <cmath>
#include "base/error.h"
#include "base/names.h"
#include "cpu/iter.h"

namespace fb {
namespace {

// As the kernels call the types, where that differs from what the compiler does.
const char* type_in_message(DType t) {
    switch (t) {
        case DType::u8: return "uint8_t";
        case DType::i8: return "int8_t";
        case DType::i16: return "int16_t";
        case DType::i64: return "int64_t";
        case DType::u16: return "uint16_t";
        case DType::u32: return "uint32_t";
        case DType::u64: return "uint64_t";
        default: return cpp_name(t);
    }
}

bool fits_integer(const Scalar& s, double lowest, double largest) {
    if (!s.is_integral()) return s.d >= lowest && s.d <= largest;  // NaN is neither
    return s.i >= 0 ? double(s.i) <= largest : lowest < 0 ? double(s.i) >= lowest : -double(s.i) <= largest;
}

bool fits_real(double d, double largest) { return !(std::abs(d) > largest) || std::isinf(d); }

bool fits(const Scalar& s, DType t) {
    const bool real = !is_complex(t);
    if (t == DType::b1) return true;
    if (real && s.is_complex() && s.im != 0) return false;
    switch (t) {
        case DType::u8: return fits_integer(s, 0, 255);
        case DType::i8: return fits_integer(s, -128, 127);
        case DType::i16: return fits_integer(s, -32768, 32767);
        case DType::u16: return fits_integer(s, 0, 65535);
        case DType::i32: return fits_integer(s, -2147483648.0, 2147483647.0);
        case DType::u32: return fits_integer(s, 0, 4294967295.0);
        case DType::i64: return fits_integer(s, -0x1p63, 0x1p63);
        case DType::u64: return fits_integer(s, 0, 0x1p64);
        default: break;
    }
    if (s.is_integral()) return true;
    const double largest = t == DType::f16                      ? 65504
                           : t == DType::bf16                   ? 0x1.fep127
                           : t == DType::f32 || t == DType::c64 ? 0x1.fffffep127
                                                                : INFINITY;
    return fits_real(s.d, largest) && (!s.is_complex() || fits_real(s.im, largest));
}

}  // namespace

void check_fits(const Scalar& s, DType to) {
    check(fits(s, to), "value cannot be converted to type ", type_in_message(to), " without overflow");
}

double real_parameter(const Scalar& s, DType elements) {
    if (s.is_complex()) check_fits(s, elements == DType::f64 ? DType::f64 : DType::f32);
    return s.real();
}

}  // namespace fb
