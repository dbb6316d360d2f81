// The C++ names of types, by which some of PyTorch's messages call them.
#pragma once
#include "base/dtype.h"

namespace fb {

inline const char* cpp_name(DType t) {
    switch (t) {
        case DType::f32: return "float";
        case DType::f64: return "double";
        case DType::f16: return "c10::Half";
        case DType::bf16: return "c10::BFloat16";
        case DType::i64: return "long int";
        case DType::i32: return "int";
        case DType::i16: return "short";
        case DType::i8: return "signed char";
        case DType::u8: return "unsigned char";
        case DType::b1: return "bool";
        case DType::c64: return "c10::complex<float>";
        case DType::c128: return "c10::complex<double>";
        default: return is_float8(t) ? float8_class(t) : name(t);
    }
}

}  // namespace fb
