// The product of two bfloat16 matrices on one thread, as a product of floats that are pairs: two steps along k at a
// time.
#include "cpu/gemm_block.h"
#include "cpu/simd/gemm_tile.h"

namespace fb::cpu::FB_ARCH {
#if FB_AVX512
namespace {

// Whether a line of steps can be read as floats that are pairs.
bool in_pairs(int64_t k, int64_t along, int64_t across) { return along == 1 && across % 2 == 0 && k % 2 == 0; }
uint32_t pair(BHalf low, BHalf high) { return low.bits | uint32_t(high.bits) << 16; }

// to[l·panel + q]: steps 2l and 2l + 1 of line q; zero beyond the last step and the last line.
void pack_pairs(float* to, int64_t panel, const BHalf* from, int64_t along, int64_t across, int64_t k, int64_t width) {
    if (panel > 1 && in_pairs(k, along, across))
        return pack(to, panel, reinterpret_cast<const float*>(from), 1, across / 2, k / 2, width);
    const BHalf none{0};
    alignas(64) uint16_t places[64];
    for (int x = 0; x < 64; ++x) places[x] = uint16_t(x / 2 + x % 2 * 32);  // 32 of the other line
    const __m512i first = load<__m512i>(places), second = load<__m512i>(places + 32);
    const auto part = [width](const BHalf* line) {
        return _mm512_maskz_loadu_epi16(__mmask32(~0u >> (32 - width)), line);
    };
    for (int64_t l = 0; l < k; l += 2, to += panel) {
        const BHalf* line = from + l * along;
        const bool both = l + 1 < k;
        if (across == 1 && panel > 1) {
            const __m512i low = part(line), high = both ? part(line + along) : __m512i{};
            store(to, _mm512_permutex2var_epi16(low, first, high));
            if (panel > W) store(to + W, _mm512_permutex2var_epi16(low, second, high));
            continue;
        }
        for (int64_t q = 0; q < panel; ++q) {
            const uint32_t x = q < width ? pair(line[q * across], both ? line[along + q * across] : none) : 0;
            __builtin_memcpy(to + q, &x, sizeof x);
        }
    }
}
// A line of one column, whose steps lie one after another in the result.
void pack_line(float* to, const BHalf* from, int64_t along, int64_t k) {
    if (along != 1) return pack_pairs(to, 1, from, along, 0, k, 1);
    to[k / 2] = 0;
    __builtin_memcpy(to, from, size_t(k) * sizeof(BHalf));
}

// Rounded as `store_as` does, but numbers below the normal ones become zero, as oneDNN's do.
void store_rounded(BHalf* to, F x, int64_t n) {
    __m256i r;
    asm("vcvtneps2bf16 %1, %0" : "=v"(r) : "v"(x));
    if (n == W) store(to, r);
    else _mm256_mask_storeu_epi16(to, __mmask16((1u << n) - 1), r);
}

struct Plan {
    bool direct_a, columns_a;  // as it lies; columns of a transposed A are packed, a panel for each tile
    int64_t depth;
    int64_t room_a, room_b;
};
Plan plan(const PairsBlock& g) {
    const int64_t depth = (g.k + 1) / 2;
    const bool direct = in_pairs(g.k, g.a_col, g.a_row), columns = !direct && g.a_row == 1 && g.m > 1;
    const int64_t lines = columns ? parts(g.m, kRows) * W : g.m;
    return {direct, columns, depth, direct ? 0 : parts(lines * depth, 16) * 16 + 16,
            g.panels ? 0 : depth * kColumns + 16};
}
int64_t room(const PairsBlock& g) {
    const Plan p = plan(g);
    return p.room_a + p.room_b + kRows * kColumns;
}

void run(const PairsBlock& g, float* room) {
    const Plan p = plan(g);
    float *sums = room, *panel_b = sums + kRows * kColumns, *lines_a = panel_b + p.room_b;
    const BHalf *a = reinterpret_cast<const BHalf*>(g.a), *b = reinterpret_cast<const BHalf*>(g.b),
                *bias = reinterpret_cast<const BHalf*>(g.bias);
    BHalf* c = reinterpret_cast<BHalf*>(g.c);
    const float* from_a = p.direct_a ? reinterpret_cast<const float*>(a) : lines_a;
    const int64_t a_row = p.direct_a ? g.a_row / 2 : p.columns_a ? 1 : p.depth, a_col = p.columns_a ? W : 1;
    if (p.columns_a) {
        float* to = lines_a;
        each_tile(g.m, [&](int64_t i, int64_t rows) {
            pack_pairs(to, W, a + i * g.a_row, g.a_col, 1, g.k, rows);
            to += W * p.depth;
        });
    } else if (!p.direct_a) {
        for (int64_t i = 0; i < g.m; ++i) pack_line(lines_a + i * p.depth, a + i * g.a_row, g.a_col, g.k);
    }
    const Finish plain{1, 0, nullptr};
    const F alpha = splat<F>(g.alpha), beta = splat<F>(g.beta);
    for (int64_t j = 0; j < g.n; j += kColumns) {
        const int64_t width = least(kColumns, g.n - j);
        const float* panel = g.panels ? g.panels + j * p.depth : panel_b;
        if (!g.panels) pack_pairs(panel_b, kColumns, b + j * g.b_col, g.b_row, g.b_col, g.k, width);
        const float* columns = lines_a;
        each_tile(g.m, [&](int64_t i, int64_t rows) {
            const float* rows_a = p.columns_a ? columns : from_a + i * a_row;
            columns += W * p.depth;
            const Tile tile = (width > W ? tile_of<2, false, false, true> : tile_of<1, false, false, true>)(rows);
            tile(p.depth, rows_a, a_row, a_col, panel, kColumns, plain, sums, kColumns, nullptr, kColumns, nullptr);
            for (int64_t r = 0; r < rows; ++r)
                for (int64_t q = 0; q < width; q += W) {
                    BHalf* to = c + (i + r) * g.c_row + j + q;
                    const int64_t left = least(W, width - q);
                    const auto at = [left](const BHalf* from) {
                        return left == W ? load_as(from) : load_part(from, left);
                    };
                    F v = load<F>(sums + r * kColumns + q) * alpha;
                    if (g.beta != 0) v = fma(at(to), beta, v);
                    if (bias) v = v + at(bias + j + q);
                    store_rounded(to, v, left);
                }
        });
    }
}

}  // namespace

extern constexpr PairsKernel gemm_pairs_kernel = {room, run};
#endif
}  // namespace fb::cpu::FB_ARCH
