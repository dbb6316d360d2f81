#include "base/crc32.h"
#include <array>
#include <cstring>
#if FB_X86
#include <immintrin.h>
#endif

namespace fb {
namespace {

constexpr auto tables = [] {
    std::array<std::array<uint32_t, 256>, 8> t{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t c = i;
        for (int k = 0; k < 8; ++k) c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
        t[0][i] = c;
    }
    for (size_t k = 1; k < 8; ++k)
        for (size_t i = 0; i < 256; ++i) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 255];
    return t;
}();

uint32_t by_table(const uint8_t* p, size_t n, uint32_t c) {
    const auto& t = tables;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {  // eight bytes a step
        uint32_t low, high;
        std::memcpy(&low, p + i, 4);
        std::memcpy(&high, p + i + 4, 4);
        low ^= c;
        c = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^ t[3][high & 255] ^
            t[2][high >> 8 & 255] ^ t[1][high >> 16 & 255] ^ t[0][high >> 24];
    }
    for (; i < n; ++i) c = (c >> 8) ^ t[0][(c ^ p[i]) & 255];
    return c;
}

#if FB_X86
// x^n modulo the polynomial, bits in the order of the check sum, times x: a product of reflected numbers lacks that.
constexpr long long power(int n) {
    uint32_t c = 0x80000000u;
    for (int i = 0; i < n; ++i) c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
    return static_cast<long long>(c) << 1;
}

// Carry-less products (Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ, 2009): 16 bytes are
// moved by a distance of bits, where they are added to what stands there; in the end 16 are left for the table.
[[gnu::target("pclmul,sse4.1")]] __m128i moved(__m128i x, __m128i by) {
    return _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11));
}
[[gnu::target("pclmul,sse4.1")]] uint32_t by_products(const uint8_t* p, size_t n, uint32_t c) {
    constexpr size_t lanes = 4, step = 16 * lanes;
    const auto load = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)); };
    const __m128i far = _mm_set_epi64x(power(8 * step - 32), power(8 * step + 32));
    const __m128i near = _mm_set_epi64x(power(128 - 32), power(128 + 32));
    __m128i x[lanes];
    for (size_t i = 0; i < lanes; ++i) x[i] = load(i);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(c)));
    for (p += step, n -= step; n >= step; p += step, n -= step)
        for (size_t i = 0; i < lanes; ++i) x[i] = _mm_xor_si128(moved(x[i], far), load(i));
    for (size_t i = 1; i < lanes; ++i) x[i] = _mm_xor_si128(moved(x[i - 1], near), x[i]);
    uint8_t last[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(last), x[lanes - 1]);
    return by_table(p, n, by_table(last, sizeof last, 0));
}

// The same with four times as wide registers.
[[gnu::target("vpclmulqdq,avx512f,pclmul")]] uint32_t by_wide_products(const uint8_t* p, size_t n, uint32_t c) {
    constexpr size_t lanes = 4, step = 64 * lanes;
    const __m512i far =
        _mm512_set4_epi64(power(8 * step - 32), power(8 * step + 32), power(8 * step - 32), power(8 * step + 32));
    __m512i x[lanes];
    for (size_t i = 0; i < lanes; ++i) x[i] = _mm512_loadu_si512(p + 64 * i);
    x[0] = _mm512_xor_si512(x[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(c))));
    for (p += step, n -= step; n >= step; p += step, n -= step)
        for (size_t i = 0; i < lanes; ++i)
            x[i] = _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(x[i], far, 0x00),
                                             _mm512_clmulepi64_epi128(x[i], far, 0x11), _mm512_loadu_si512(p + 64 * i),
                                             0x96);  // all three added
    uint8_t last[step];
    for (size_t i = 0; i < lanes; ++i) _mm512_storeu_si512(last + 64 * i, x[i]);
    c = by_products(last, step, 0);
    return n >= 64 ? by_products(p, n, c) : by_table(p, n, c);
}

bool has_products() { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }
bool has_wide_products() {
    return has_products() && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f");
}
#endif

}  // namespace

uint32_t crc32(std::span<const uint8_t> bytes, uint32_t before) {
    const uint8_t* p = bytes.data();
    const size_t n = bytes.size();
#if FB_X86
    static const bool wide = has_wide_products(), narrow = has_products();
    if (wide && n >= 1024) return ~by_wide_products(p, n, ~before);
    if (narrow && n >= 64) return ~by_products(p, n, ~before);
#endif
    return ~by_table(p, n, ~before);
}

}  // namespace fb
