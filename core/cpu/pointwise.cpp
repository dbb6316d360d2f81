// Chooses, once, the kernels for this CPU.
#include "cpu/pointwise.h"

#include <cstring>
#include <memory>

#include "cpu/choose.h"
#include "cpu/simd/table.h"

namespace fb::cpu {

#define FB_KERNELS(arch)                                                                                            \
    namespace arch {                                                                                                \
    extern const Entries unary_arithmetic, unary_elementary, unary_integers, unary_others, activation_forward,      \
        activation_backward, activation_losses, binary_floats, binary_comparisons, binary_integers, binary_complex, \
        binary_division, conversion_loops, special_functions, special_complex;                                      \
    static const Entries* const all[] = {                                                                           \
        &unary_arithmetic,    &unary_elementary,  &unary_integers,   &unary_others,       &activation_forward,      \
        &activation_backward, &activation_losses, &binary_floats,    &binary_comparisons, &binary_integers,         \
        &binary_complex,      &binary_division,   &conversion_loops, &special_functions,  &special_complex};        \
    }
FB_KERNELS(baseline)
#ifdef FB_X86
FB_KERNELS(avx2)
FB_KERNELS(avx512)
#endif
#undef FB_KERNELS

// Compiled once: rare, or all time goes into the C library.
extern const Entries special_loops, complex_loops, float8_loops;

namespace {

struct Chosen {
    Loop unary[size_t(Unary::count)][kDTypeLimit] = {};
    Loop binary[size_t(Binary::count)][kDTypeLimit] = {};
    Loop ternary[size_t(Ternary::count)][kDTypeLimit] = {};
    Loop convert[kDTypeLimit][kDTypeLimit] = {};

    Chosen() {
        auto take = [this](const Entries& list) {
            for (int i = 0; i < list.count; i++) {
                const Entry& e = list.data[i];
                const size_t type = size_t(e.type);
                switch (e.kind) {
                    case Kind::unary: unary[e.op][type] = e.loop; break;
                    case Kind::binary: binary[e.op][type] = e.loop; break;
                    case Kind::ternary: ternary[e.op][type] = e.loop; break;
                    case Kind::convert: convert[e.op][type] = e.loop; break;
                }
            }
        };
        take(special_loops);
        take(complex_loops);
        take(float8_loops);
        auto take_all = [&](const auto& lists) {
            for (const Entries* list : lists) take(*list);
        };
        switch (cpu_level()) {
#ifdef FB_X86
            case CpuLevel::avx512:  // which has not all
                take_all(avx2::all);
                take_all(avx512::all);
                break;
            case CpuLevel::avx2: take_all(avx2::all); break;
#endif
            default: take_all(baseline::all);
        }
        for (int t = 0; t < kDTypeLimit; t++)  // copied as the bytes they are
            if (is_float8(DType(t))) {
                convert[t][t] = convert[size_t(DType::u8)][size_t(DType::u8)];
                Loop(&select)[kDTypeLimit] = ternary[size_t(Ternary::where)];
                select[t] = select[size_t(DType::u8)];
                for (const Binary b : {Binary::eq, Binary::ne})
                    if (!binary[size_t(b)][t]) binary[size_t(b)][t] = binary[size_t(b)][size_t(DType::u8)];
            }
        for (size_t t = 0; t < kDTypeLimit; t++) unary[size_t(Unary::copy)][t] = convert[t][t];
    }
};

const Chosen& chosen() {
    static const auto table = std::make_unique<const Chosen>();
    return *table;
}

}  // namespace

Loop unary_loop(Unary op, DType in) { return chosen().unary[size_t(op)][size_t(in)]; }
Loop binary_loop(Binary op, DType common) { return chosen().binary[size_t(op)][size_t(common)]; }
Loop ternary_loop(Ternary op, DType type) { return chosen().ternary[size_t(op)][size_t(type)]; }
Loop convert_loop(DType from, DType to) { return chosen().convert[size_t(from)][size_t(to)]; }

DType unary_out(Unary op, DType in) {
    switch (op) {
        case Unary::logical_not:
        case Unary::isnan:
        case Unary::isinf:
        case Unary::isfinite:
        case Unary::isposinf:
        case Unary::isneginf:
        case Unary::signbit: return DType::b1;
        case Unary::abs:
        case Unary::real:
        case Unary::imag:
        case Unary::angle: return to_real(in);
        case Unary::frexp_exponent: return DType::i32;
        default: return in;
    }
}

DType binary_out(Binary op, DType common) {
    if (op >= Binary::eq && op <= Binary::logical_xor) return DType::b1;
    if (op == Binary::make_complex || op == Binary::polar) return to_complex(common);
    return common;
}

bool any_zero(DType type, const char* p, int64_t stride, int64_t n) {
    auto scan = [&](auto zero) {
        using T = decltype(zero);
        if (stride == sizeof(T)) {
            const T* v = reinterpret_cast<const T*>(p);
            T zeros = 0;  // as wide as the values, for registers of both
#pragma omp simd reduction(| : zeros)
            for (int64_t i = 0; i < n; i++) zeros |= T(v[i] == 0);
            return zeros != 0;
        }
        for (int64_t i = 0; i < (stride ? n : n > 0); i++) {
            T v;
            std::memcpy(&v, p + i * stride, sizeof v);
            if (v == 0) return true;
        }
        return false;
    };
    switch (itemsize(type)) {
        case 1: return scan(uint8_t{});
        case 2: return scan(uint16_t{});
        case 4: return scan(uint32_t{});
        default: return scan(uint64_t{});
    }
}

}  // namespace fb::cpu
