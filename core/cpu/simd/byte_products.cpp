// Products of 16-bit numbers added up in 32 bits, compiled once for each instruction set.
#include "cpu/byte_products.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

using Sums = Vec<int32_t>;
constexpr int kColumns = kLanes<int32_t>;

// Two numbers of `a` times each pair in `b`, the two products of a pair added.
inline Sums times_pairs(const int16_t* a, const Sums& b) {
#if FB_AVX512
    return Sums(_mm512_madd_epi16(_mm512_set1_epi32(load<int32_t>(a)), __m512i(b)));
#elif FB_AVX2
    return Sums(_mm256_madd_epi16(_mm256_set1_epi32(load<int32_t>(a)), __m256i(b)));
#elif defined(__SSE2__)
    return Sums(_mm_madd_epi16(_mm_set1_epi32(load<int32_t>(a)), __m128i(b)));
#else
    const auto pairs = bitcast<Vec<int16_t> >(b);
    Sums r;
    for (int k = 0; k < kColumns; ++k) r[k] = a[0] * pairs[2 * k] + a[1] * pairs[2 * k + 1];
    return r;
#endif
}

template <int rows>
void tile(const int16_t* a, int64_t pairs, const int16_t* weights, float* to, int64_t stride, int64_t columns) {
    Sums sum[rows][2] = {};
    for (int64_t p = 0; p < pairs; ++p, weights += 4 * kColumns) {
        const Sums left = load<Sums>(weights), right = load<Sums>(weights + 2 * kColumns);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            sum[r][0] += times_pairs(a + 2 * (r * pairs + p), left);
            sum[r][1] += times_pairs(a + 2 * (r * pairs + p), right);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
        const F all[2] = {__builtin_convertvector(sum[r][0], F), __builtin_convertvector(sum[r][1], F)};
        if (columns == 2 * kColumns) __builtin_memcpy(to + r * stride, all, sizeof all);
        else __builtin_memcpy(to + r * stride, all, size_t(columns) * sizeof(float));
    }
}

void multiply(const int16_t* a, int64_t rows, int64_t pairs, const int16_t* weights, float* to, int64_t stride,
              int64_t columns) {
    const auto next = [&]<int count>() {
        tile<count>(a, pairs, weights, to, stride, columns);
        a += 2 * count * pairs, to += count * stride, rows -= count;
    };
    while (rows >= 6) next.template operator()<6>();
    if (rows >= 4) next.template operator()<4>();
    if (rows >= 2) next.template operator()<2>();
    if (rows) next.template operator()<1>();
}

void widen(const uint8_t* from, int64_t n, int zero, int16_t* to) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = int16_t(from[i] - zero);
}

}  // namespace

extern constexpr ByteProducts byte_products = {2 * kColumns, widen, multiply};

}  // namespace fb::cpu::FB_ARCH
