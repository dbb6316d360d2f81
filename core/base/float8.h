// Floating point numbers of one byte: how each of the formats holds a number, and conversion from and to float.
#pragma once
#include "base/dtype.h"

namespace fb {

// A sign, an exponent and `mantissa` bits. NaN and the codes that numbers beyond the largest one get differ.
struct Float8Format {
    int mantissa, bias;
    uint8_t top;     // the largest finite magnitude
    uint8_t beyond;  // what larger ones become, with the sign where there is one
    uint8_t nan;     // likewise
    bool one_zero;   // fnuz: the code of -0 is the only NaN
};
constexpr Float8Format float8_format(DType t) {
    switch (t) {
        case DType::f8e5m2: return {2, 15, 0x7b, 0x7c, 0x7f, false};
        case DType::f8e4m3: return {3, 7, 0x7e, 0x7e, 0x7f, false};
        case DType::f8e5m2z: return {2, 16, 0x7f, 0x80, 0x80, true};
        default: return {3, 8, 0x7f, 0x80, 0x80, true};  // f8e4m3z
    }
}

template <class To, class From>
[[gnu::always_inline]] inline To same_bits(From v) {
    static_assert(sizeof(To) == sizeof(From));
    To r;
    std::memcpy(&r, &v, sizeof r);
    return r;
}

// Rounded to the nearest, ties to even. Without branches, so that loops of it become vectors.
template <DType type>
[[gnu::always_inline]] inline uint8_t to_float8(float v) {
    const uint32_t bits = same_bits<uint32_t>(v), magnitude = bits & 0x7fffffff;
    if constexpr (type == DType::f8e8m0) {  // an exponent alone: the sign is dropped
        const uint32_t exponent = magnitude >> 23, rest = magnitude & 0x7fffff;
        const uint32_t up = (rest + 0x400000 - (exponent == 0)) >> 23, code = exponent + up;  // ties up, but the lowest
        return uint8_t(code > 255 ? 255 : code);
    } else {
        constexpr Float8Format f = float8_format(type);
        constexpr int cut = 23 - f.mantissa;
        // Numbers below the smallest normal one are rounded by the addition of one whose last bit is worth as much as
        // theirs.
        constexpr uint32_t normal = uint32_t(128 - f.bias) << 23, shift = uint32_t(128 - f.bias + cut) << 23;
        const uint32_t small = same_bits<uint32_t>(same_bits<float>(magnitude) + same_bits<float>(shift)) - shift;
        const uint32_t large = ((magnitude + (uint32_t(1) << (cut - 1)) - 1 + ((magnitude >> cut) & 1)) >> cut) -
                               (uint32_t(127 - f.bias) << f.mantissa);
        uint32_t code = magnitude < normal ? small : large;
        code = code > f.top ? f.beyond : code;
        code = magnitude > 0x7f800000 ? f.nan : code;
        const uint32_t sign = f.one_zero && code == 0 ? 0 : bits >> 24 & 0x80;
        return uint8_t(code | sign);
    }
}

template <DType type>
float from_float8(uint8_t code) {
    constexpr uint32_t kNoNumber = 0x7f800001;  // the NaN of formats that have one alone
    if constexpr (type == DType::f8e8m0) {
        return same_bits<float>(code == 255 ? kNoNumber : code == 0 ? uint32_t(0x400000) : uint32_t(code) << 23);
    } else {
        constexpr Float8Format f = float8_format(type);
        constexpr int cut = 23 - f.mantissa;
        if (f.one_zero && code == 0x80) return same_bits<float>(kNoNumber);
        const uint32_t sign = uint32_t(code & 0x80) << 24, magnitude = code & 0x7f;
        if (magnitude > f.top)  // infinity and NaN
            return same_bits<float>(sign | 0x7f800000 | (magnitude << cut & 0x7fffff) |
                                    (magnitude > f.beyond ? 0x400000 : 0));
        if (magnitude >> f.mantissa)
            return same_bits<float>(sign | ((magnitude << cut) + (uint32_t(127 - f.bias) << 23)));
        const float last = same_bits<float>(uint32_t(128 - f.bias - f.mantissa) << 23);
        return same_bits<float>(sign | same_bits<uint32_t>(float(magnitude) * last));
    }
}

template <DType type>
struct Float8 {
    uint8_t bits = 0;
    Float8() = default;
    Float8(float v) : bits(to_float8<type>(v)) {}
    operator float() const { return from_float8<type>(bits); }
};

// visit_dtype for single numbers: float8 is among the types.
template <class F>
void visit_number(DType t, F&& f) {
    switch (t) {
        case DType::f8e5m2: f(Float8<DType::f8e5m2>{}); return;
        case DType::f8e4m3: f(Float8<DType::f8e4m3>{}); return;
        case DType::f8e5m2z: f(Float8<DType::f8e5m2z>{}); return;
        case DType::f8e4m3z: f(Float8<DType::f8e4m3z>{}); return;
        case DType::f8e8m0: f(Float8<DType::f8e8m0>{}); return;
        default: visit_dtype(t, f);
    }
}

}  // namespace fb
