// What type operands of several types are computed in.
#include "cpu/iter.h"

namespace fb::cpu {

DType promote(DType a, DType b) {
    if (a == b) return a;
    if (a == DType::none) return b;
    if (b == DType::none) return a;
    if (is_float8(a) || is_float8(b))
        fail(ErrorKind::Runtime, "Promotion for Float8 Types is not supported, attempted to promote ", scalar_name(a),
             " and ", scalar_name(b));
    if (is_complex(a) || is_complex(b)) {
        const DType r = promote(to_real(a), to_real(b));
        const DType f = is_integral(r, true) ? (is_complex(a) ? to_real(a) : to_real(b)) : r;
        return f == DType::bf16 ? DType::c64 : to_complex(f);
    }
    if (is_floating(a) || is_floating(b)) {
        if (!is_floating(a)) return b;
        if (!is_floating(b)) return a;
        if (itemsize(a) == itemsize(b)) return DType::f32;  // half with bfloat16
        return itemsize(a) > itemsize(b) ? a : b;
    }
    if (a == DType::b1) return b;
    if (b == DType::b1) return a;
    auto is_unsigned = [](DType t) { return t == DType::u8 || t == DType::u16 || t == DType::u32 || t == DType::u64; };
    const bool ua = is_unsigned(a), ub = is_unsigned(b);
    if (ua == ub) return itemsize(a) > itemsize(b) ? a : b;
    const DType u = ua ? a : b, s = ua ? b : a;
    if (u != DType::u8)
        fail(ErrorKind::Runtime, "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote ",
             scalar_name(a), " and ", scalar_name(b));
    return itemsize(s) > 1 ? s : DType::i16;
}

DType result_type(std::span<const Operand> operands) {
    DType dims = DType::none, zero = DType::none, number = DType::none;
    for (const Operand& o : operands) {
        if (o.is_tensor()) {
            DType& d = o.tensor().dim() ? dims : zero;
            d = promote(d, o.tensor().dtype());
        } else {
            DType t = o.scalar().natural_dtype();
            if (t == DType::f64) t = default_dtype();
            if (t == DType::c128) t = to_complex(default_dtype());
            number = promote(number, t);
        }
    }
    // A lower group counts only if its kind (bool < int < float < complex) is higher.
    auto kind = [](DType t) {
        return t == DType::none ? -1 : is_complex(t) ? 3 : is_floating(t) ? 2 : t == DType::b1 ? 0 : 1;
    };
    auto combine = [&](DType higher, DType lower) {
        if (higher == DType::none) return lower;
        if (kind(lower) <= kind(higher)) return higher;
        if (is_complex(lower) && is_float8(higher))
            fail(ErrorKind::Runtime, "Unknown Complex ScalarType for ", scalar_name(higher));
        if (is_complex(lower) && is_floating(higher)) return to_complex(higher == DType::bf16 ? DType::f32 : higher);
        return lower;
    };
    return combine(dims, combine(zero, number));
}

bool can_cast(DType from, DType to) {
    if (is_complex(from) && !is_complex(to)) return false;
    if (is_floating(from) && is_integral(to, true)) return false;
    return !(to == DType::b1 && from != DType::b1);
}

}  // namespace fb::cpu
