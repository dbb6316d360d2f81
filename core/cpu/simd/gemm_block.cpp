// The product of two float matrices on one thread, compiled once for each instruction set.
//
// A tile of C, kRows x 2 vectors, stays in registers while a column of A meets a row of B. Around it B is packed into
// panels as wide as the tile and A into panels as high, in portions that the caches keep. What is small enough, or
// already lies as the tile wants it, is not packed. Few rows times a transposed matrix (a linear layer on few samples)
// are dot products, so that the matrix is read once and in order.
#include "cpu/gemm_block.h"
#include <utility>
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t W = kLanes<float>;
constexpr int64_t kRows = kWidth == 64 ? 12 : kWidth == 32 ? 6 : 4, kColumns = 2 * W;  // kRows <= W: see `pack`
constexpr int64_t kDepth = 512;                                            // a panel of B is kColumns x kDepth
constexpr int64_t kHigh = kRows * 20, kWide = kColumns * 32;               // portions of A and B
constexpr int64_t kDirectRows = 8 * kRows, kDirectColumns = 4 * kColumns;  // up to these, packing the other costs more
constexpr int64_t kDotRows = kWidth == 64 ? 8 : 3;

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

// What becomes of a finished tile.
struct Finish {
    float alpha, beta;
    const float* bias;
    // What most products want is decided once: the sum itself, or something added to it.
    enum {
        Plain,
        Sum,
        Any
    } form = alpha != 1 || (bias ? beta != 0 : beta != 0 && beta != 1) ? Any
             : bias || beta == 1                                       ? Sum
                                                                       : Plain;
};
// What else is added up in a tile before it is finished.
struct More {
    int64_t k;
    const float* a;
    int64_t a_row;
    const float* b;
};

inline void finish(const Finish& f, float* c, const float* bias, F v, int64_t width) {
    v = v * splat<F>(f.alpha);
    if (width >= W) {
        if (f.beta != 0) v = fma(load<F>(c), splat<F>(f.beta), v);
        if (bias) v = v + load<F>(bias);
        store(c, v);
    } else {
        if (f.beta != 0) v = fma(load_part(c, width), splat<F>(f.beta), v);
        if (bias) v = v + load_part(bias, width);
        store_part(c, v, width);
    }
}

template <int step, size_t... x>
inline void exchange(F& a, F& b, std::index_sequence<x...>) {
    const F low = __builtin_shufflevector(a, b, int(x & step ? W + x - step : x)...);
    b = __builtin_shufflevector(a, b, int(x & step ? W + x : x + step)...);
    a = low;
}
template <int step = 1>
inline void transpose(F* rows) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i)
        if (!(i & step)) exchange<step>(rows[i], rows[i + step], std::make_index_sequence<size_t(W)>());
    if constexpr (2 * step < W) transpose<2 * step>(rows);
}

// R rows and V vectors of C. A is packed (R numbers for each step along k) or has strides. C is `turned` when its
// columns are contiguous: `c_step` lies between two of the other direction.
template <int R, int V, bool packed, bool turned>
void tile(int64_t k, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t b_row, const Finish& f,
          float* c, int64_t c_step, const float* bias, int64_t width, const More* more) {
    F sum[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sum[r][v] = splat<F>(0);
    while (true) {
        const float *a3 = a + 3 * a_row, *a6 = a3 + 3 * a_row, *a9 = a6 + 3 * a_row;
        for (; k > 0; --k) {
            F row[V];
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) row[v] = load<F>(b + v * W);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                const float* from = r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9;
                const F x = splat<F>(packed ? a[r] : from[r % 3 * a_row]);
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) sum[r][v] = fma(x, row[v], sum[r][v]);
            }
            b += b_row;
            if constexpr (packed) {
                a += R;
            } else {
                a += a_col;
                if constexpr (R > 3) a3 += a_col;
                if constexpr (R > 6) a6 += a_col;
                if constexpr (R > 9) a9 += a_col;
            }
        }
        if (V > 2 || packed || turned || !more) break;
        k = more->k, a = more->a, a_row = more->a_row, a_col = 1, b = more->b, b_row = kColumns;
        more = nullptr;
    }
    if constexpr (turned) {
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) {
            F rows[W];
#pragma GCC unroll 16
            for (int r = 0; r < W; ++r) rows[r] = r < R ? sum[r < R ? r : 0][v] : splat<F>(0);
            transpose(rows);
#pragma GCC unroll 16
            for (int x = 0; x < W; ++x)
                if (width > v * W + x) finish(f, c + (v * W + x) * c_step, bias, rows[x], R);
        }
    } else if (width >= V * W && f.form != Finish::Any) [[likely]] {
        const float* from = bias ? bias : c;
        const int64_t from_step = bias ? 0 : c_step;
        const bool add = f.form == Finish::Sum;
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) store(c + v * W, add ? sum[r][v] + load<F>(from + v * W) : sum[r][v]);
            c += c_step, from += from_step;
            asm("" : "+r"(c), "+r"(from));  // one addition a row; the compiler would compute all addresses beforehand
        }
    } else {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v)
                if (width > v * W)
                    finish(f, c + r * c_step + v * W, bias ? bias + v * W : nullptr, sum[r][v], width - v * W);
    }
}
using Tile = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, const Finish&, float*, int64_t,
                      const float*, int64_t, const More*);
template <int V, bool packed, bool turned, class Rows>
struct Tiles;
template <int V, bool packed, bool turned, size_t... r>
struct Tiles<V, packed, turned, std::index_sequence<r...>> {
    static constexpr Tile by_rows[] = {nullptr, tile<int(r) + 1, V, packed, turned>...};
};
template <int V, bool packed, bool turned = false>
inline Tile tile_of(int64_t rows) {
    return Tiles<V, packed, turned, std::make_index_sequence<size_t(kRows)>>::by_rows[rows];
}
// Fewer rows leave registers for more columns.
constexpr int kMostWide = kWidth == 64 ? 8 : 4;
constexpr int wide_vectors(int64_t rows) {
    return rows == 1   ? kMostWide
           : rows == 2 ? kMostWide
           : rows == 3 ? kMostWide * 3 / 4
           : rows == 4 ? kMostWide / 2
                       : 2;
}
inline Tile wide_tile(int64_t rows) {
    switch (rows) {
        case 1: return tile<1, wide_vectors(1), false, false>;
        case 2: return tile<2, wide_vectors(2), false, false>;
        case 3: return tile<3, wide_vectors(3), false, false>;
        case 4: return tile<4, wide_vectors(4), false, false>;
        default: return tile_of<2, false>(rows);
    }
}

// ---------------------------------------------------------------- packing
// to[l·panel + q] = from[l·along + q·across], zero from `width` to the end of a panel. A panel that is narrower than a
// vector is written over its neighbour, which comes after it: W more floats of room.
void pack(float* to, int64_t panel, const float* from, int64_t along, int64_t across, int64_t depth, int64_t width) {
    if (across == 1) {
        for (int64_t l = 0; l < depth; ++l, from += along, to += panel)
            for (int64_t q = 0; q < panel; q += W) {
                if (width - q >= W) store(to + q, load<F>(from + q));
                else store(to + q, width > q ? load_part(from + q, width - q) : splat<F>(0));
            }
    } else if (along == 1) {
        for (int64_t l = 0; l < depth; l += W)
            for (int64_t q = 0; q < panel; q += W) {
                const int64_t lines = least(W, width - q), columns = least(W, depth - l);
                F rows[W];
                for (int64_t i = 0; i < W; ++i) {
                    const float* line = from + (q + i) * across + l;
                    if (i < lines) __builtin_prefetch(line + 6 * W);  // more lines than the processor foresees
                    rows[i] = i >= lines ? splat<F>(0) : columns == W ? load<F>(line) : load_part(line, columns);
                }
                transpose(rows);
                for (int64_t i = 0; i < columns; ++i) store(to + (l + i) * panel + q, rows[i]);
            }
    } else {
        for (int64_t l = 0; l < depth; ++l)
            for (int64_t q = 0; q < panel; ++q) to[l * panel + q] = q < width ? from[l * along + q * across] : 0;
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
    for (; l + W <= g.k; l += W) add([l](const float* p) { return load<F>(p + l); });
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
    int64_t room_b() const { return panels ? 0 : depth * (once ? kColumns : parts(wide, kColumns) * kColumns); }
};
// Rows that lie one after another are read as they are, unless they are so many bytes apart that they displace each
// other in the nearest cache.
inline bool rows_in_place(const GemmBlock& g) { return g.a_col == 1 && g.a_row % 1024 != 0; }
inline int64_t portion(int64_t n, int64_t most, int64_t unit) {  // equal portions, none larger than `most`
    return n <= most ? n : parts(parts(n, parts(n, most)), unit) * unit;
}
Plan plan(const GemmBlock& g) {
    Plan p;
    p.dots = !g.b_panel && g.c_col == 1 && g.m <= kDotRows && g.b_row == 1 && g.b_col != 1 &&
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

// The heights of tiles differ by no more than one.
template <class Fn>
inline void each_tile(int64_t m, Fn f) {
    for (int64_t i = 0, left = parts(m, kRows); left > 0; --left) {
        const int64_t rows = parts(m - i, left);
        f(i, rows);
        i += rows;
    }
}

Tile choose(const Plan& p, bool turned, int64_t rows, int64_t width) {
    if (width > kColumns) return wide_tile(rows);
    if (turned) return (width > W ? tile_of<2, false, true> : tile_of<1, false, true>)(rows);
    if (p.direct_a) return (width > W ? tile_of<2, false> : tile_of<1, false>)(rows);
    return (width > W ? tile_of<2, true> : tile_of<1, true>)(rows);
}

void multiply(const GemmBlock& g, const Plan& p, float* room) {
    if (p.dots) return dot_rows<1>(g);
    float *panels_b = room, *panels_a = room + parts(p.room_b(), 16) * 16;
    const int64_t wide_step = p.direct_b && !g.b_panel && g.m <= 4 && g.c_col == 1 ? wide_vectors(g.m) * W : kColumns;
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

// Products of one tile: rows of B are read as they lie, a part of a vector.
template <int R>
void small(const GemmBlock& g, const GemmBatch& batch) {
    const Finish f{g.alpha, g.beta, g.bias};
    GemmBlock at = g;
    for (int64_t i = 0; i < batch.count; ++i, at.a += batch.a, at.b += batch.b, at.c += batch.c) {
        F sum[R];
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) sum[r] = splat<F>(0);
        for (int64_t l = 0; l < g.k; ++l) {
            const F row = load_part(at.b + l * g.b_row, g.n);
            const float* a = at.a + l * g.a_col;
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) sum[r] = fma(splat<F>(a[r * g.a_row]), row, sum[r]);
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) finish(f, at.c + r * g.c_row, g.bias, sum[r], g.n);
    }
}
template <int R = 1>
void small_rows(const GemmBlock& g, const GemmBatch& batch) {
    if (g.m == R) return small<R>(g, batch);
    if constexpr (R < kRows) small_rows<R + 1>(g, batch);
}

void run(const GemmBlock& g, const GemmBatch& batch, float* room) {
    if (kWidth == 64 && g.m <= kRows && g.n <= W && g.b_col == 1 && g.c_col == 1 && !g.b_panel)
        return small_rows(g, batch);
    const Plan p = plan(g);
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
