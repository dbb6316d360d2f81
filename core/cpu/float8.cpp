// Loops over tensors of float8: conversions by way of float, and the few things that operators do with them. Compiled
// once: what a byte holds is looked up, and what becomes one is plain integer arithmetic.
#include "base/float8.h"
#include <array>
#include "cpu/choose.h"
#include "cpu/simd/table.h"

namespace fb::cpu {
namespace {

template <DType... types>
struct List {};
using Float8s = List<DType::f8e5m2, DType::f8e4m3, DType::f8e5m2z, DType::f8e4m3z, DType::f8e8m0>;
using Others = List<DType::u8, DType::i8, DType::i16, DType::i32, DType::i64, DType::u16, DType::u32, DType::u64,
                    DType::f16, DType::bf16, DType::f64, DType::b1, DType::c32, DType::c64, DType::c128>;

constexpr int64_t kBlock = 512;

// `whole`: to become whole numbers, for which the NaN of a format that has one alone is 0.
template <DType type, bool whole = false>
const float* numbers() {
    constexpr bool zero = whole && (type == DType::f8e8m0 || float8_format(type).one_zero);
    static const std::array<float, 256> table = [] {
        std::array<float, 256> t;
        for (int i = 0; i < 256; ++i) {
            const float v = from_float8<type>(uint8_t(i));
            t[size_t(i)] = zero && v != v ? 0 : v;
        }
        return t;
    }();
    return table.data();
}

void read(const float* table, const char* from, int64_t stride, float* to, int64_t n) {
    const auto* p = reinterpret_cast<const uint8_t*>(from);
    for (int64_t i = 0; i < n; ++i) to[i] = table[p[i * stride]];
}

// Exponents alone are shifted to their place. Written twice, as above.
inline void exponents(const uint8_t* from, float* to, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const uint32_t e = from[i], bits = e == 0 ? 0x00400000u : e == 255 ? 0x7fc00000u : e << 23;
        std::memcpy(to + i, &bits, sizeof bits);
    }
}
#ifdef FB_X86
[[gnu::target("avx2")]] void exponents_avx2(const uint8_t* from, float* to, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
        const uint32_t e = from[i], bits = e == 0 ? 0x00400000u : e == 255 ? 0x7fc00000u : e << 23;
        std::memcpy(to + i, &bits, sizeof bits);
    }
}
#endif

template <DType type, bool whole = false>
void to_float(char* const* p, const int64_t* st, int64_t n, const void*) {
    if (type == DType::f8e8m0 && !whole && st[0] == 4 && st[1] == 1) {
        const auto* from = reinterpret_cast<const uint8_t*>(p[1]);
        auto* to = reinterpret_cast<float*>(p[0]);
#ifdef FB_X86
        if (cpu_level() != CpuLevel::baseline) return exponents_avx2(from, to, n);
#endif
        return exponents(from, to, n);
    }
    const float* const table = numbers<type, whole>();
    if (st[0] == 4) return read(table, p[1], st[1], reinterpret_cast<float*>(p[0]), n);
    for (int64_t i = 0; i < n; ++i) std::memcpy(p[0] + i * st[0], table + uint8_t(p[1][i * st[1]]), 4);
}
// Written twice: the compiler makes vectors of it, of the length that the target has.
template <DType type>
void from_floats(const float* from, uint8_t* to, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] = to_float8<type>(from[i]);
}
#ifdef FB_X86
template <DType type>
[[gnu::target("avx2")]] void from_floats_avx2(const float* from, uint8_t* to, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) to[i] = to_float8<type>(from[i]);
}
#endif
template <DType type>
void from_float(char* const* p, const int64_t* st, int64_t n, const void*) {
    if (st[0] == 1 && st[1] == 4) {
        auto* to = reinterpret_cast<uint8_t*>(p[0]);
        const auto* from = reinterpret_cast<const float*>(p[1]);
#ifdef FB_X86
        if (cpu_level() != CpuLevel::baseline) return from_floats_avx2<type>(from, to, n);
#endif
        return from_floats<type>(from, to, n);
    }
    for (int64_t i = 0; i < n; ++i) {
        float v;
        std::memcpy(&v, p[1] + i * st[1], 4);
        p[0][i * st[0]] = char(to_float8<type>(v));
    }
}

// first(block) makes floats of the source, second takes them to the result.
void by_way_of_float(Loop first, Loop second, char* const* p, const int64_t* st, int64_t n) {
    float block[kBlock];
    char* const room = reinterpret_cast<char*>(block);
    for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = n - i < kBlock ? n - i : kBlock, in[] = {4, st[1]}, out[] = {st[0], 4};
        char *const a[] = {room, p[1] + i * st[1]}, *const b[] = {p[0] + i * st[0], room};
        first(a, in, m, nullptr);
        second(b, out, m, nullptr);
    }
}
template <DType from, DType to>
void convert(char* const* p, const int64_t* st, int64_t n, const void*) {
    Loop first = convert_loop(from, DType::f32);
    if constexpr (is_float8(from) && is_integral(to, false)) first = to_float<from, true>;
    by_way_of_float(first, convert_loop(DType::f32, to), p, st, n);
}

template <DType type, bool equal>
void compare(char* const* p, const int64_t* st, int64_t n, const void*) {
    const float* const table = numbers<type>();
    for (int64_t i = 0; i < n; ++i)
        p[0][i * st[0]] = (table[uint8_t(p[1][i * st[1]])] == table[uint8_t(p[2][i * st[2]])]) == equal;
}
template <DType type>
void absolute(char* const* p, const int64_t* st, int64_t n, const void*) {
    for (int64_t i = 0; i < n; ++i) {
        const auto code = uint8_t(p[1][i * st[1]]);
        p[0][i * st[0]] = char(float8_format(type).one_zero && code == 0x80 ? code : code & 0x7f);
    }
}

void always(char* const* p, const int64_t* st, int64_t n, const void*) {  // what PyTorch says of e8m0, of its NaN too
    for (int64_t i = 0; i < n; ++i) p[0][i * st[0]] = 1;
}

template <DType type, class Tab, DType... others>
constexpr void put_type(Tab& t, List<others...>) {
    t.put(Kind::convert, uint16_t(type), DType::f32, to_float<type>);
    t.put(Kind::convert, uint16_t(DType::f32), type, from_float<type>);
    (t.put(Kind::convert, uint16_t(type), others, convert<type, others>), ...);
    (t.put(Kind::convert, uint16_t(others), type, convert<others, type>), ...);
    t.put(Binary::eq, type, compare<type, true>);
    t.put(Binary::ne, type, compare<type, false>);
    if (type != DType::f8e8m0) t.put(Unary::abs, type, absolute<type>);
    else t.put(Unary::isfinite, type, always);
}
template <DType type, class Tab, DType... others>
constexpr void put_pairs(Tab& t, List<others...>) {
    (
        [&] {
            if constexpr (type != others) t.put(Kind::convert, uint16_t(type), others, convert<type, others>);
        }(),
        ...);
}
template <DType... types>
constexpr auto all_loops(List<types...>) {
    Table<220> t;
    (put_type<types>(t, Others{}), ...);
    (put_pairs<types>(t, Float8s{}), ...);
    return t;
}
constexpr auto all = all_loops(Float8s{});

}  // namespace

extern const Entries float8_loops;
constexpr Entries float8_loops{all.entry, all.count};

}  // namespace fb::cpu
