// The two names every element type has in messages: `float32` and `Float`.
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
// The C++ type of a float8, by which some messages call it.
constexpr const char* float8_class(DType t) {
    switch (t) {
        case DType::f8e5m2: return "c10::Float8_e5m2";
        case DType::f8e4m3: return "c10::Float8_e4m3fn";
        case DType::f8e5m2z: return "c10::Float8_e5m2fnuz";
        case DType::f8e4m3z: return "c10::Float8_e4m3fnuz";
        case DType::f8e8m0: return "c10::Float8_e8m0fnu";
        default: return "c10::Float4_e2m1fn_x2";
    }
}

}  // namespace fb
