// The names that every element type has in messages: `float32`, `Float` and what C++ calls it.
#pragma once
#include "base/dtype.h"

namespace fb {

constexpr const char* name(DType t) {
    switch (t) {
        case DType::u8: return "uint8";
        case DType::i8: return "int8";
        case DType::i16: return "int16";
        case DType::i32: return "int32";
        case DType::i64: return "int64";
        case DType::f16: return "float16";
        case DType::f32: return "float32";
        case DType::f64: return "float64";
        case DType::c32: return "complex32";
        case DType::c64: return "complex64";
        case DType::c128: return "complex128";
        case DType::b1: return "bool";
        case DType::bf16: return "bfloat16";
        case DType::f8e5m2: return "float8_e5m2";
        case DType::f8e4m3: return "float8_e4m3fn";
        case DType::f8e5m2z: return "float8_e5m2fnuz";
        case DType::f8e4m3z: return "float8_e4m3fnuz";
        case DType::f8e8m0: return "float8_e8m0fnu";
        case DType::f4x2: return "float4_e2m1fn_x2";
        case DType::u16: return "uint16";
        case DType::u32: return "uint32";
        case DType::u64: return "uint64";
        default: return "undefined";
    }
}
constexpr const char* scalar_name(DType t) {
    switch (t) {
        case DType::u8: return "Byte";
        case DType::i8: return "Char";
        case DType::i16: return "Short";
        case DType::i32: return "Int";
        case DType::i64: return "Long";
        case DType::f16: return "Half";
        case DType::f32: return "Float";
        case DType::f64: return "Double";
        case DType::c32: return "ComplexHalf";
        case DType::c64: return "ComplexFloat";
        case DType::c128: return "ComplexDouble";
        case DType::b1: return "Bool";
        case DType::bf16: return "BFloat16";
        case DType::f8e5m2: return "Float8_e5m2";
        case DType::f8e4m3: return "Float8_e4m3fn";
        case DType::f8e5m2z: return "Float8_e5m2fnuz";
        case DType::f8e4m3z: return "Float8_e4m3fnuz";
        case DType::f8e8m0: return "Float8_e8m0fnu";
        case DType::f4x2: return "Float4_e2m1fn_x2";
        case DType::u16: return "UInt16";
        case DType::u32: return "UInt32";
        case DType::u64: return "UInt64";
        default: return "Undefined";
    }
}
// The C++ type of the elements, by which some of PyTorch's messages call it.
constexpr const char* cpp_name(DType t) {
    switch (t) {
        case DType::u8: return "unsigned char";
        case DType::i8: return "signed char";
        case DType::i16: return "short int";
        case DType::i32: return "int";
        case DType::i64: return "long int";
        case DType::u16: return "short unsigned int";
        case DType::u32: return "unsigned int";
        case DType::u64: return "long unsigned int";
        case DType::f16: return "c10::Half";
        case DType::bf16: return "c10::BFloat16";
        case DType::f32: return "float";
        case DType::f64: return "double";
        case DType::c32: return "c10::complex<c10::Half>";
        case DType::c64: return "c10::complex<float>";
        case DType::c128: return "c10::complex<double>";
        case DType::b1: return "bool";
        case DType::f8e5m2: return "c10::Float8_e5m2";
        case DType::f8e4m3: return "c10::Float8_e4m3fn";
        case DType::f8e5m2z: return "c10::Float8_e5m2fnuz";
        case DType::f8e4m3z: return "c10::Float8_e4m3fnuz";
        case DType::f8e8m0: return "c10::Float8_e8m0fnu";
        case DType::f4x2: return "c10::Float4_e2m1fn_x2";
        default: return name(t);
    }
}

}  // namespace fb
