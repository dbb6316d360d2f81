// A tile of C in registers and the packing around it: what products of floats and of bfloat16 have in common.
#pragma once
#include <utility>
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {

constexpr int64_t W = kLanes<float>;
constexpr int64_t kRows = kWidth == 64 ? 12 : kWidth == 32 ? 6 : 4, kColumns = 2 * W;  // kRows <= W: see `pack`

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

template <int step, class V, size_t... x>
inline void exchange(V& a, V& b, std::index_sequence<x...>) {
    constexpr int lanes = sizeof...(x);
    const V low = __builtin_shufflevector(a, b, int(x & step ? lanes + x - step : x)...);
    b = __builtin_shufflevector(a, b, int(x & step ? lanes + x : x + step)...);
    a = low;
}
template <int step = 1, class V>
inline void transpose(V* rows) {
    constexpr int lanes = kLanes<Scalar<V>>;
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i)
        if (!(i & step)) exchange<step>(rows[i], rows[i + step], std::make_index_sequence<size_t(lanes)>());
    if constexpr (2 * step < lanes) transpose<2 * step>(rows);
}

// a·b + c; of pairs of bfloat16 both products. Only its one caller knows whether the CPU has that instruction.
template <bool pairs>
inline F add_products(F a, F b, F c) {
#if FB_AVX512
    if constexpr (pairs) {
        asm("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b));
        return c;
    }
#endif
    return fma(a, b, c);
}

// R rows and V vectors of C. A is packed (R numbers for each step along k) or has strides. C is `turned` when its
// columns are contiguous: `c_step` lies between two of the other direction.
template <int R, int V, bool packed, bool turned, bool pairs>
void tile(int64_t k, const float* a, int64_t a_row, int64_t a_col, const float* b, int64_t b_row, const Finish& f,
          float* c, int64_t c_step, const float* bias, int64_t width, const More* more) {
    F sum[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sum[r][v] = splat<F>(0);
    if constexpr (!turned) {  // the rows of C come while the products are added up
        if (k >= 16)
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) __builtin_prefetch(c + r * c_step + v * W, 1);
    }
    while (true) {
        const float *a3 = a + 3 * a_row, *a6 = a3 + 3 * a_row, *a9 = a6 + 3 * a_row;
        const float* next = a + R * a_row;  // the tile below
        for (; k > 0; --k) {
            F row[V];
#pragma GCC unroll 16
            for (int v = 0; v < V; ++v) {
                row[v] = load<F>(b + v * W);
                if constexpr (V > 2) __builtin_prefetch(b + v * W + 8 * b_row);  // B is read once, from afar
            }
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r) {
                const float* from = r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9;
                const F x = splat<F>(packed ? a[r] : from[r % 3 * a_row]);
#pragma GCC unroll 16
                for (int v = 0; v < V; ++v) sum[r][v] = add_products<pairs>(x, row[v], sum[r][v]);
            }
            b += b_row;
            if constexpr (!packed && R >= 8) __builtin_prefetch(next), next += R;
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
template <int V, bool packed, bool turned, bool pairs, class Rows>
struct Tiles;
template <int V, bool packed, bool turned, bool pairs, size_t... r>
struct Tiles<V, packed, turned, pairs, std::index_sequence<r...>> {
    static constexpr Tile by_rows[] = {nullptr, tile<int(r) + 1, V, packed, turned, pairs>...};
};
template <int V, bool packed, bool turned = false, bool pairs = false>
inline Tile tile_of(int64_t rows) {
    return Tiles<V, packed, turned, pairs, std::make_index_sequence<size_t(kRows)>>::by_rows[rows];
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

// ---------------------------------------------------------------- packing
// to[l·panel + q] = from[l·along + q·across], zero from `width` to the end of a panel. A panel that is narrower than a
// vector is written over its neighbour, which comes after it: W more numbers of room.
template <class T>
inline void pack(T* to, int64_t panel, const T* from, int64_t along, int64_t across, int64_t depth, int64_t width) {
    using F = Vec<T>;
    constexpr int64_t W = kLanes<T>;
    if (across == 1) {
        for (int64_t l = 0; l < depth; ++l, from += along, to += panel)
            for (int64_t q = 0; q < panel; q += W) {
                if (width - q >= W) store(to + q, load<F>(from + q));
                else store(to + q, width > q ? load_part(from + q, width - q) : splat<F>(0));
            }
    } else if (along == 1) {
        // More lines than the processor foresees; behind short ones the next panel.
        const int64_t ahead = depth > 8 * W ? 6 * W : panel * across;
        for (int64_t l = 0; l < depth; l += W)
            for (int64_t q = 0; q < panel; q += W) {
                const int64_t lines = least(W, width - q), columns = least(W, depth - l);
                F rows[W];
                for (int64_t i = 0; i < W; ++i) {
                    const T* line = from + (q + i) * across + l;
                    if (i < lines) __builtin_prefetch(line + ahead);
                    rows[i] = i >= lines ? splat<F>(0) : columns == W ? load<F>(line) : load_part(line, columns);
                }
                transpose(rows);
                if (kRows > W && q && panel - q < W) {  // the neighbour is there already
                    for (int64_t i = 0; i < columns; ++i) store_part(to + (l + i) * panel + q, rows[i], panel - q);
                    continue;
                }
                for (int64_t i = 0; i < columns; ++i) store(to + (l + i) * panel + q, rows[i]);
            }
    } else {
        for (int64_t l = 0; l < depth; ++l)
            for (int64_t q = 0; q < panel; ++q) to[l * panel + q] = q < width ? from[l * along + q * across] : 0;
    }
}

}  // namespace fb::cpu::FB_ARCH
