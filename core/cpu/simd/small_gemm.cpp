// Small matrix products, compiled once for each instruction set.
#include "cpu/small_gemm.h"
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kStepF = kStep<float>;

// Rows [i, i + R) of the product with one packed panel of B, `width` columns of which exist.
template <int R>
void block(const SmallGemm& g, const float* panel, int64_t i, int64_t j, int64_t width) {
    F sum[R];
    for (F& s : sum) s = splat<F>(0);
    const float* a = g.a + i * g.a_row;
    for (int64_t l = 0; l < g.k; ++l, a += g.a_col) {
        const F row = load<F>(panel + l * kStepF);
        for (int r = 0; r < R; ++r) sum[r] = fma(splat<F>(a[r * g.a_row]), row, sum[r]);
    }
    for (int r = 0; r < R; ++r) {
        float* c = g.c + (i + r) * g.c_row + j;
        F v = sum[r] * splat<F>(g.alpha);
        if (g.beta != 0) v = fma(load_part(c, width), splat<F>(g.beta), v);
        if (width == kStepF) store(c, v);
        else store_part(c, v, width);
    }
}

void multiply(const SmallGemm& g) {
    alignas(64) float panel[4096];
    for (int64_t j = 0; j < g.n; j += kStepF) {
        const int64_t width = g.n - j < kStepF ? g.n - j : kStepF;
        const float* b = g.b + j * g.b_col;
        for (int64_t l = 0; l < g.k; ++l, b += g.b_row) {
            float* to = panel + l * kStepF;
            if (g.b_col == 1) {
                store(to, width == kStepF ? load<F>(b) : load_part(b, width));
            } else {
                for (int64_t q = 0; q < kStepF; ++q) to[q] = q < width ? b[q * g.b_col] : 0;
            }
        }
        int64_t i = 0;
        for (; i + 6 <= g.m; i += 6) block<6>(g, panel, i, j, width);
        for (; i + 2 <= g.m; i += 2) block<2>(g, panel, i, j, width);
        for (; i < g.m; ++i) block<1>(g, panel, i, j, width);
    }
}

}  // namespace

extern constexpr SmallGemmLoop small_gemm_loop = multiply;

}  // namespace fb::cpu::FB_ARCH
