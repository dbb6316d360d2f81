// The product of two float matrices on one thread, compiled once for each instruction set.
//
// A tile of C, kRows x 2 vectors, stays in registers while a column of A meets a row of B. Around it B is packed into
// panels as wide as the tile and A into panels as high, in portions that the caches keep. What is small enough, or
// already lies as the tile wants it, is not packed. Few rows times a transposed matrix (a linear layer on few samples)
// are dot products, so that the matrix is read once and in order.
#include "cpu/gemm_block.h"
#include "cpu/simd/gemm_tile.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kDepth = 512;                                            // a panel of B is kColumns x kDepth
constexpr int64_t kHigh = kRows * 20, kWide = kColumns * 32;               // portions of A and B
constexpr int64_t kDirectRows = 8 * kRows, kDirectColumns = 4 * kColumns;  // up to these, packing the other costs more
constexpr int64_t kDotRows = kWidth == 64 ? 8 : 3;

// Fewer rows leave registers for more columns.
constexpr int kMostWide = kWidth == 64 ? 8 : 4;
constexpr int wide_vectors(int64_t rows) {
    return rows == 1   ? kMostWide
           : rows == 2 ? kMostWide
           : rows == 3 ? kMostWide * 3 / 4
           : rows == 4 ? kMostWide / 2
                       : 2;
}
inline Tile wide_tile(int64_t rows, int64_t width) {
    if (width < wide_vectors(rows) * W) {
        switch (rows) {
            case 1: return tile<1, kMostWide / 2, false, false, false>;
            case 2: return tile<2, kMostWide / 2, false, false, false>;
            default: return tile<3, kMostWide / 2, false, false, false>;
        }
    }
    switch (rows) {
        case 1: return tile<1, wide_vectors(1), false, false, false>;
        case 2: return tile<2, wide_vectors(2), false, false, false>;
        case 3: return tile<3, wide_vectors(3), false, false, false>;
        case 4: return tile<4, wide_vectors(4), false, false, false>;
        default: return tile_of<2, false>(rows);
    }
}

// ---------------------------------------------------------------- dot products
// Lane x of the result is the sum of vector x. `count`, a power of two, may be less than there are lanes.
template <int count, int step = 1>
inline F sums(F* v) {
    if constexpr (step == W) {
        return v[0];
    } else {
        constexpr int left = count > 1 ? count / 2 : 1;
#pragma GCC unroll 16
        for (int i = 0; i < left; ++i) {
            F a = v[count > 1 ? 2 * i : 0], b = v[count > 1 ? 2 * i + 1 : 0];
            exchange<step>(a, b, std::make_index_sequence<size_t(W)>());
            v[i] = a + b;
        }
        return sums<left, 2 * step>(v);
    }
}
// R rows of A with N columns of B; both lie in order along k.
template <int R, int N>
void dots(const GemmBlock& g, int64_t j) {
    const float *a[R], *b[N];
    for (int r = 0; r < R; ++r) a[r] = g.a + r * g.a_row;
    for (int q = 0; q < N; ++q) b[q] = g.b + (j + q) * g.b_col;
    F sum[R][N];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int q = 0; q < N; ++q) sum[r][q] = splat<F>(0);
    const bool ahead = R == 1 && g.k <= 8 * W;  // short rows: the next ones are near
    const auto add = [&](auto load_at) {
        F y[N];
#pragma GCC unroll 16
        for (int q = 0; q < N; ++q) y[q] = load_at(b[q]);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const F x = load_at(a[r]);
#pragma GCC unroll 16
            for (int q = 0; q < N; ++q) sum[r][q] = fma(x, y[q], sum[r][q]);
        }
    };
    int64_t l = 0;
    for (; l + W <= g.k; l += W) {
        if (ahead)
#pragma GCC unroll 16
            for (int q = 0; q < N; ++q) __builtin_prefetch(b[q] + 2 * N * g.b_col + l);
        add([l](const float* p) { return load<F>(p + l); });
    }
    if (l < g.k) add([l, n = g.k - l](const float* p) { return load_part(p + l, n); });
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
        constexpr int count = N == 3 ? 4 : N;
        F all[count];
#pragma GCC unroll 16
        for (int q = 0; q < count; ++q) all[q] = q < N ? sum[r][q < N ? q : 0] : splat<F>(0);
        finish({g.alpha, g.beta, g.bias}, g.c + r * g.c_row + j, g.bias ? g.bias + j : nullptr, sums<count>(all), N);
    }
}
template <int R>
void dot_rows(const GemmBlock& g) {
    if (g.m > R) {
        if constexpr (R < kDotRows) dot_rows<R + 1>(g);
        return;
    }
    constexpr int N = kWidth < 64 || (R > 1 && R < 7) ? 4 : R == 1 ? 8 : 3;
    int64_t j = 0;
    for (; j + N <= g.n; j += N) dots<R, N>(g, j);
    for (; j < g.n; ++j) dots<R, 1>(g, j);
}

// ---------------------------------------------------------------- the whole block
struct Plan {
    bool dots, direct_a, direct_b;
    bool panels;  // B was packed beforehand
    bool once;    // A fits into one portion: a panel of B is packed, used and forgotten
    int64_t depth, high, wide;
    int64_t room_a() const { return direct_a ? 0 : high * depth + W; }
    int64_t room_b() const {
        const int64_t rest = wide % kColumns;
        if (panels || (direct_b && (rest == 0 || rest == W))) return 0;
        return depth * (once ? kColumns : parts(wide, kColumns) * kColumns);
    }
};
// Rows that lie one after another are read as they are, unless they are so many bytes apart that they displace each
// other in the nearest cache.
inline bool rows_in_place(const GemmBlock& g) { return g.a_col == 1 && g.a_row % 1024 != 0; }
inline int64_t portion(int64_t n, int64_t most, int64_t unit) {  // equal portions, none larger than `most`
    return n <= most ? n : parts(parts(n, parts(n, most)), unit) * unit;
}
Plan plan(const GemmBlock& g) {
    Plan p;
    p.dots = !g.b_panel && g.c_col == 1 && g.m <= kDotRows && g.b_row == 1 && (g.b_col != 1 || g.n == 1) &&
             (g.a_col == 1 || g.k == 1) && g.k >= W;
    p.panels = g.b_panel != 0;
    p.direct_b = p.panels || (g.b_col == 1 && g.m <= kDirectRows);
    p.direct_a =
        g.n <= kDirectColumns || g.c_col != 1 || rows_in_place(g) || g.also.k || (p.direct_b && !g.b_panel && g.m <= 4);
    p.depth = portion(g.k, kDepth, 8);
    // A few columns: rows of A that are read as they lie come from memory once for all of them.
    const bool few = !p.direct_b && g.n <= kDirectColumns;
    p.high = !p.direct_a ? portion(g.m, kHigh, kRows) : few ? portion(g.m, 2 * kRows, kRows) : g.m;
    p.once = p.high >= g.m;
    p.wide = p.once ? g.n : portion(g.n, kWide, kColumns);
    return p;
}
int64_t room(const GemmBlock& g) {
    const Plan p = plan(g);
    return p.dots ? 0 : p.room_a() + 16 + p.room_b();
}

Tile choose(const Plan& p, bool turned, int64_t rows, int64_t width) {
    if (width > kColumns) return wide_tile(rows, width);
    if (turned) return (width > W ? tile_of<2, false, true> : tile_of<1, false, true>)(rows);
    if (p.direct_a) return (width > W ? tile_of<2, false> : tile_of<1, false>)(rows);
    return (width > W ? tile_of<2, true> : tile_of<1, true>)(rows);
}

void multiply(const GemmBlock& g, const Plan& p, float* room) {
    if (p.dots) return dot_rows<1>(g);
    float *panels_b = room, *panels_a = room + parts(p.room_b(), 16) * 16;
    const int64_t wide_step = p.direct_b && !g.b_panel && g.m <= 4 && g.c_col == 1 ? wide_vectors(g.m) * W : kColumns;
    constexpr int64_t half_wide = kMostWide / 2 * W;
    for (int64_t j0 = 0; j0 < g.n; j0 += p.wide) {
        const int64_t n = least(p.wide, g.n - j0);
        for (int64_t l0 = 0; l0 < g.k; l0 += p.depth) {
            const int64_t depth = least(p.depth, g.k - l0);
            const bool last = l0 + depth == g.k;
            const Finish f{g.alpha, l0 ? 1 : g.beta, l0 ? nullptr : g.bias};
            const auto b_at = [&](int64_t j) { return g.b + l0 * g.b_row + (j0 + j) * g.b_col; };
            if (!p.once && !g.b_panel)
                for (int64_t j = 0; j < n; j += kColumns) {
                    const int64_t width = least(kColumns, n - j);
                    pack(panels_b + j * depth, width > W ? kColumns : W, b_at(j), g.b_row, g.b_col, depth, width);
                }
            for (int64_t i0 = 0; i0 < g.m; i0 += p.high) {
                const int64_t m = least(p.high, g.m - i0);
                const float* a0 = g.a + i0 * g.a_row + l0 * g.a_col;
                if (!p.direct_a)
                    each_tile(m, [&](int64_t i, int64_t rows) {
                        pack(panels_a + i * depth, rows, a0 + i * g.a_row, g.a_col, g.a_row, depth, rows);
                    });
                for (int64_t j = 0, step; j < n; j += step) {
                    int64_t width = least(kColumns, n - j), b_row = width > W ? kColumns : W;
                    const float* b = panels_b + (p.once ? 0 : j * depth);
                    step = kColumns;
                    if (g.b_panel) {
                        b = g.b + (j0 + j) / kColumns * g.b_panel + l0 * kColumns;
                        b_row = kColumns;
                    } else if (p.direct_b && (width == kColumns || width == W)) {
                        b = b_at(j);
                        b_row = g.b_row;
                        if (n - j >= wide_step) step = width = wide_step;
                        else if (wide_step > half_wide && n - j >= half_wide) step = width = half_wide;
                    } else if (p.once) {
                        pack(panels_b, b_row, b_at(j), g.b_row, g.b_col, depth, width);
                    }
                    each_tile(m, [&](int64_t i, int64_t rows) {
                        const Tile tile = choose(p, g.c_col != 1, rows, width);
                        const float* bias = !f.bias ? nullptr : g.c_col == 1 ? f.bias + j0 + j : f.bias + i0 + i;
                        const float* a = p.direct_a ? a0 + i * g.a_row : panels_a + i * depth;
                        const More more{g.also.k, g.also.a + (i0 + i) * g.also.a_row, g.also.a_row,
                                        g.also.b + (j0 + j) / kColumns * g.also.b_panel};
                        tile(depth, a, g.a_row, g.a_col, b, b_row, f, g.c + (i0 + i) * g.c_row + (j0 + j) * g.c_col,
                             g.c_col == 1 ? g.c_row : g.c_col, bias, width, last && g.also.k ? &more : nullptr);
                    });
                }
            }
        }
    }
}

// Products of one tile: rows of B are read as they lie, a part of a vector; columns no longer than a vector are turned.
template <int R>
void small(const GemmBlock& g, const GemmBatch& batch) {
    const Finish f{g.alpha, g.beta, g.bias};
    GemmBlock at = g;
    const bool turned = g.b_col != 1;
    float rows[W * W] = {};
    const int64_t b_row = turned ? W : g.b_row;
    for (int64_t i = 0; i < batch.count; ++i, at.a += batch.a, at.b += batch.b, at.c += batch.c) {
        const float* b = at.b;
        if (turned) {
            for (int64_t q = 0; q < g.n; ++q)
                for (int64_t l = 0; l < g.k; ++l) rows[l * W + q] = b[l * g.b_row + q * g.b_col];
            b = rows;
        }
        F sum[R];
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) sum[r] = splat<F>(0);
        for (int64_t l = 0; l < g.k; ++l) {
            const F row = load_part(b + l * b_row, g.n);
            const float* a = at.a + l * g.a_col;
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) sum[r] = fma(splat<F>(a[r * g.a_row]), row, sum[r]);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) finish(f, at.c + r * g.c_row, g.bias, sum[r], g.n);
    }
}
#if FB_AVX2
// Products of 4x4, two rows of C in a register: each step along k spreads a column of A over its halves.
void fours(const GemmBlock& g, const GemmBatch& batch) {
    const float *pa = g.a, *pb = g.b;
    float* c = g.c;
    const __m256 alpha = _mm256_set1_ps(g.alpha), beta = _mm256_set1_ps(g.beta);
    for (int64_t i = 0; i < batch.count; ++i, pa += batch.a, pb += batch.b, c += batch.c) {
        __m128 b[4];
        for (int64_t l = 0; l < 4; ++l) b[l] = _mm_loadu_ps(pb + l * (g.b_col == 1 ? g.b_row : g.b_col));
        if (g.b_col != 1) _MM_TRANSPOSE4_PS(b[0], b[1], b[2], b[3]);
        __m256 row[4];
        for (int l = 0; l < 4; ++l) row[l] = _mm256_set_m128(b[l], b[l]);
        for (int64_t r = 0; r < 4; r += 2) {
            const __m256 a = _mm256_set_m128(_mm_loadu_ps(pa + (r + 1) * g.a_row), _mm_loadu_ps(pa + r * g.a_row));
            __m256 sum = _mm256_mul_ps(_mm256_permute_ps(a, 0), row[0]);
            sum = _mm256_fmadd_ps(_mm256_permute_ps(a, 0x55), row[1], sum);
            sum = _mm256_fmadd_ps(_mm256_permute_ps(a, 0xaa), row[2], sum);
            sum = _mm256_fmadd_ps(_mm256_permute_ps(a, 0xff), row[3], sum);
            sum = _mm256_mul_ps(sum, alpha);
            float *first = c + r * g.c_row, *second = first + g.c_row;
            if (g.beta != 0)
                sum = _mm256_fmadd_ps(_mm256_set_m128(_mm_loadu_ps(second), _mm_loadu_ps(first)), beta, sum);
            _mm_storeu_ps(first, _mm256_castps256_ps128(sum));
            _mm_storeu_ps(second, _mm256_extractf128_ps(sum, 1));
        }
    }
}
bool is_fours(const GemmBlock& g) {
    return g.m == 4 && g.n == 4 && g.k == 4 && g.a_col == 1 && (g.b_col == 1 || g.b_row == 1) && g.c_col == 1 &&
           !g.bias && !g.b_panel && !g.also.k;
}
#endif
#if FB_AVX512
// Products whose three matrices fill a register at most, row after row: each step along k spreads a column of A and a
// row of B over the places of C.
void tiny(const GemmBlock& g, const GemmBatch& batch) {
    __m512i from_a[16], from_b[16];
    for (int64_t l = 0; l < g.k; ++l) {
        alignas(64) int32_t a[16] = {}, b[16] = {};
        for (int64_t x = 0; x < g.m * g.n; ++x) {
            a[x] = int32_t(x / g.n * g.a_row + l * g.a_col);
            b[x] = int32_t(l * g.b_row + x % g.n * g.b_col);
        }
        from_a[l] = _mm512_load_si512(a);
        from_b[l] = _mm512_load_si512(b);
    }
    const auto first = [](int64_t n) { return __mmask16((1u << n) - 1); };
    const __mmask16 of_a = first(g.m * g.k), of_b = first(g.k * g.n), of_c = first(g.m * g.n);
    const __m512 alpha = _mm512_set1_ps(g.alpha), beta = _mm512_set1_ps(g.beta);
    const float *pa = g.a, *pb = g.b;
    float* c = g.c;
    const auto finish = [&](__m512 sum) {
        sum = _mm512_mul_ps(sum, alpha);
        if (g.beta != 0) sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(of_c, c), beta, sum);
        _mm512_mask_storeu_ps(c, of_c, sum);
    };
    if (g.n == 4 && g.k == 4 && g.a_col == 1 && g.b_col == 1) {  // rows of four are what a register is parted into
        for (int64_t i = 0; i < batch.count; ++i, pa += batch.a, pb += batch.b, c += batch.c) {
            const __m512 a = _mm512_maskz_loadu_ps(of_a, pa);
            const auto row = [pb](int64_t l) { return _mm512_broadcast_f32x4(_mm_loadu_ps(pb + 4 * l)); };
            __m512 sum = _mm512_mul_ps(_mm512_permute_ps(a, 0), row(0));
            sum = _mm512_fmadd_ps(_mm512_permute_ps(a, 0x55), row(1), sum);
            sum = _mm512_fmadd_ps(_mm512_permute_ps(a, 0xaa), row(2), sum);
            finish(_mm512_fmadd_ps(_mm512_permute_ps(a, 0xff), row(3), sum));
        }
        return;
    }
    for (int64_t i = 0; i < batch.count; ++i, pa += batch.a, pb += batch.b, c += batch.c) {
        const __m512 a = _mm512_maskz_loadu_ps(of_a, pa), b = _mm512_maskz_loadu_ps(of_b, pb);
        __m512 sum = _mm512_setzero_ps();
        for (int64_t l = 0; l < g.k; ++l)
            sum = _mm512_fmadd_ps(_mm512_permutexvar_ps(from_a[l], a), _mm512_permutexvar_ps(from_b[l], b), sum);
        finish(sum);
    }
}
bool is_tiny(const GemmBlock& g) {
    const auto dense = [](int64_t rows, int64_t cols, int64_t row, int64_t col) {
        return rows * cols <= 16 && ((col == 1 && row == cols) || (row == 1 && col == rows));
    };
    return dense(g.m, g.k, g.a_row, g.a_col) && dense(g.k, g.n, g.b_row, g.b_col) && g.m * g.n <= 16 &&
           g.c_row == g.n && g.c_col == 1 && !g.bias && !g.b_panel;
}
#endif
template <int R = 1>
void small_rows(const GemmBlock& g, const GemmBatch& batch) {
    if (g.m == R) return small<R>(g, batch);
    if constexpr (R < kRows) small_rows<R + 1>(g, batch);
}

void run(const GemmBlock& g, const GemmBatch& batch, float* room) {
#if FB_AVX512
    if (batch.count > 1 && is_tiny(g)) return tiny(g, batch);
#elif FB_AVX2
    if (is_fours(g)) return fours(g, batch);
#endif
    const Plan p = plan(g);
    if (kWidth >= 32 && g.m <= kRows && g.n <= W && (g.b_col == 1 || (kWidth == 32 && g.k <= W)) && g.c_col == 1 &&
        !g.b_panel && !p.dots && !g.also.k)
        return small_rows(g, batch);
    GemmBlock at = g;
    for (int64_t i = 0; i < batch.count; ++i, at.a += batch.a, at.b += batch.b, at.c += batch.c) multiply(at, p, room);
}

void pack_panels(const GemmBlock& g, float* to, int64_t begin, int64_t end) {
    for (int64_t j = begin * kColumns; j < end * kColumns; j += kColumns)
        pack(to + j * g.k, kColumns, g.b + j * g.b_col, g.b_row, g.b_col, g.k, least(kColumns, g.n - j));
}

}  // namespace

extern constexpr GemmKernel gemm_block_kernel = {kRows, kColumns, room, run, pack_panels};

}  // namespace fb::cpu::FB_ARCH
