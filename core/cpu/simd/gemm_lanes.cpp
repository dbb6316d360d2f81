// The product of two matrices of doubles or integers on one thread, compiled once for each instruction set.
//
// As in `gemm_block.cpp` a tile of C stays in registers while a column of A meets a row of B. Integers of one and two
// bytes lie in pairs: two steps along k are one word, and one instruction multiplies and adds both.
#include "cpu/gemm_lanes.h"
#include "cpu/simd/gemm_tile.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int64_t kHigh = kRows * 12;  // rows of A that are packed at a time

template <class In>
struct KindOf {
    using Word = In;
    static constexpr int64_t steps = 1;
};
template <>
struct KindOf<int16_t> {
    using Word = int32_t;
    static constexpr int64_t steps = 2;
};
template <>
struct KindOf<int8_t> : KindOf<int16_t> {};
template <class In>
using Word = typename KindOf<In>::Word;
template <class In>
constexpr int64_t kWord = kLanes<Word<In>>;
template <class In>
constexpr int64_t kPanel = 2 * kWord<In>;
template <class In>
int64_t steps(int64_t k) {
    return parts(k, KindOf<In>::steps);
}

template <class In>
constexpr bool kReal = std::is_same_v<In, double>;

template <class In, class V>
inline V add_products(V a, V b, V c) {
    if constexpr (kReal<In>) {
        return fma(a, b, c);
    } else if constexpr (KindOf<In>::steps == 1) {
        return c + a * b;
    } else {
#if FB_AVX512
        return c + V(_mm512_madd_epi16(__m512i(a), __m512i(b)));
#elif FB_AVX2
        return c + V(_mm256_madd_epi16(__m256i(a), __m256i(b)));
#else
        return c + (a >> 16) * (b >> 16) + ((a << 16) >> 16) * ((b << 16) >> 16);
#endif
    }
}

// R rows and U vectors of C, into `out`.
template <class In, int R, int U>
void tile(int64_t k, const Word<In>* a, int64_t a_row, int64_t a_col, const Word<In>* b, int64_t b_row, Word<In>* out,
          int64_t out_row) {
    using V = Vec<Word<In>>;
    V sum[R][U];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int u = 0; u < U; ++u) sum[r][u] = V{};
    const Word<In>*a3 = a + 3 * a_row, *a6 = a3 + 3 * a_row, *a9 = a6 + 3 * a_row;
    for (; k > 0; --k) {
        V row[U];
#pragma GCC unroll 16
        for (int u = 0; u < U; ++u) {
            row[u] = load<V>(b + u * kWord<In>);
            if constexpr (U > 2) __builtin_prefetch(b + u * kWord<In> + 8 * b_row);  // B is read once, from afar
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const Word<In>* from = r < 3 ? a : r < 6 ? a3 : r < 9 ? a6 : a9;
            const V x = from[r % 3 * a_row] - V{};
#pragma GCC unroll 16
            for (int u = 0; u < U; ++u) sum[r][u] = add_products<In>(x, row[u], sum[r][u]);
        }
        b += b_row, a += a_col;
        if constexpr (R > 3) a3 += a_col;
        if constexpr (R > 6) a6 += a_col;
        if constexpr (R > 9) a9 += a_col;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int u = 0; u < U; ++u) store(out + r * out_row + u * kWord<In>, sum[r][u]);
}
template <class In>
using Tile = void (*)(int64_t, const Word<In>*, int64_t, int64_t, const Word<In>*, int64_t, Word<In>*, int64_t);

// Integers on large registers: one row and every fourth height; lower tiles are filled up.
template <class In>
constexpr int kHeights = kReal<In>     ? 1
                         : kRows == 12 ? 4
                                       : 2;
template <class In>
int64_t height(int64_t rows) {
    return rows <= 1 ? 1 : parts(rows, kHeights<In>) * kHeights<In>;
}
template <class In, int U, class Index>
struct Tiles;
template <class In, int U, size_t... i>
struct Tiles<In, U, std::index_sequence<i...>> {
    static constexpr Tile<In> by_height[] = {tile<In, 1, U>, tile<In, int(i + 1) * kHeights<In>, U>...};
};
template <class In, int U>
Tile<In> tile_of(int64_t high) {
    return Tiles<In, U, std::make_index_sequence<size_t(kRows / kHeights<In>)>>::by_height[high / kHeights<In>];
}
constexpr int kWide = kWidth == 64 ? 8 : 4;  // vectors that one or two rows take of a B that is read where it lies

// ---------------------------------------------------------------- packing
// As `pack`; a pair are steps 2l and 2l + 1 of a line.
template <class In, bool lines_touch>
void pack_pairs(int32_t* to, int64_t panel, const In* from, int64_t along, int64_t across, int64_t k, int64_t width) {
    if constexpr (lines_touch) across = 1;
    const auto low = [&](int64_t q) { return uint16_t(int16_t(from[q * across])); };
    for (int64_t l = 0; l < k; l += 2, from += 2 * along, to += panel) {
        if (l + 1 < k)
            for (int64_t q = 0; q < width; ++q) to[q] = int32_t(low(q) | uint32_t(from[along + q * across]) << 16);
        else
            for (int64_t q = 0; q < width; ++q) to[q] = low(q);
        for (int64_t q = width; q < panel; ++q) to[q] = 0;
    }
}
template <class In>
void pack_panel(Word<In>* to, int64_t panel, const In* from, int64_t along, int64_t across, int64_t k, int64_t width) {
    if constexpr (KindOf<In>::steps == 2) {
        (across == 1 ? pack_pairs<In, true> : pack_pairs<In, false>)(to, panel, from, along, across, k, width);
    } else {  // only moved: what the numbers mean does not matter
        using Bits = std::conditional_t<sizeof(In) == sizeof(float), float, double>;
        pack(reinterpret_cast<Bits*>(to), panel, reinterpret_cast<const Bits*>(from), along, across, k, width);
    }
}

// ---------------------------------------------------------------- the whole block
template <class In>
struct Plan {
    int64_t depth;  // words along k
    bool direct_a, direct_b;
    bool once;  // a panel of B is packed, used and forgotten
    int64_t high, a_words, b_words;
};
template <class In>
Plan<In> plan(const LanesBlock& g) {
    constexpr bool plain = std::is_same_v<In, Word<In>>;
    Plan<In> p;
    p.depth = steps<In>(g.k);
    const bool few = g.n <= 4 * kPanel<In>;
    p.direct_a = plain && (few || (g.a_col == 1 && g.a_row % (4096 / int64_t(sizeof(In))) != 0));
    p.direct_b = plain && !g.panels && g.b_col == 1 && g.m <= 4 * kRows;
    p.high = few ? 2 * kRows : kHigh;
    p.once = g.m <= p.high;
    p.a_words = least(parts(g.m, kRows), p.high / kRows) * kRows * p.depth;
    p.b_words = g.panels ? 0 : p.depth * kPanel<In> * (p.once ? 1 : parts(g.n, kPanel<In>));
    return p;
}
template <class In>
int64_t room(const LanesBlock& g) {
    const Plan<In> p = plan<In>(g);
    return (p.a_words + p.b_words + kRows * kPanel<In> + 32) * int64_t(sizeof(Word<In>));
}
template <class In>
int64_t panel_bytes(int64_t k) {
    return steps<In>(k) * kPanel<In> * int64_t(sizeof(Word<In>));
}
template <class In>
void pack_panels(const LanesBlock& g, void* to, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
        const int64_t j = p * kPanel<In>;
        pack_panel<In>(reinterpret_cast<Word<In>*>(static_cast<char*>(to) + p * panel_bytes<In>(g.k)), kPanel<In>,
                       static_cast<const In*>(g.b) + j * g.b_col, g.b_row, g.b_col, g.k, least(kPanel<In>, g.n - j));
    }
}

template <class In>
void store_sums(In* c, int64_t c_row, const Word<In>* sums, int64_t sums_row, int64_t rows, int64_t width, In alpha,
                In beta) {
    for (int64_t r = 0; r < rows; ++r, c += c_row, sums += sums_row) {
        if (beta == 0) {
            for (int64_t q = 0; q < width; ++q) c[q] = In(alpha * In(sums[q]));
        } else {
            for (int64_t q = 0; q < width; ++q) c[q] = In(alpha * In(sums[q]) + beta * c[q]);
        }
    }
}

template <class In>
void multiply(const LanesBlock& g, void* space) {
    using To = Word<In>;
    constexpr bool plain = std::is_same_v<In, To>;
    constexpr int64_t wide = kWide * kWord<In>;
    const Plan<In> p = plan<In>(g);
    To *sums = static_cast<To*>(space), *panels_b = sums + kRows * kPanel<In>,
       *panels_a = panels_b + parts(p.b_words, 16) * 16;
    if (g.panels) panels_b = static_cast<To*>(const_cast<void*>(g.panels));
    const In alpha = *static_cast<const In*>(g.alpha), beta = *static_cast<const In*>(g.beta);
    const In *a = static_cast<const In*>(g.a), *b = static_cast<const In*>(g.b);
    In* c = static_cast<In*>(g.c);
    const bool as_it_is = plain && alpha == 1 && beta == 0;
    if (!p.once && !g.panels) pack_panels<In>(g, panels_b, 0, parts(g.n, kPanel<In>));
    for (int64_t i0 = 0; i0 < g.m; i0 += p.high) {
        const int64_t m = least(p.high, g.m - i0);
        const auto in_place = [&](int64_t rows) { return p.direct_a && height<In>(rows) == rows; };
        To* space_a = panels_a;  // a tile's rows may be filled up
        each_tile(m, [&](int64_t i, int64_t rows) {
            if (!in_place(rows))
                pack_panel<In>(space_a, height<In>(rows), a + (i0 + i) * g.a_row, g.a_col, g.a_row, g.k, rows);
            space_a += kRows * p.depth;
        });
        for (int64_t j = 0, width; j < g.n; j += width) {
            width = least(kPanel<In>, g.n - j);
            const To* panel = panels_b + (p.once && !g.panels ? 0 : j * p.depth);
            int64_t b_row = kPanel<In>;
            if (p.direct_b && width == kPanel<In>) {
                panel = reinterpret_cast<const To*>(b + j);
                b_row = g.b_row;
                if constexpr (kReal<In>) {
                    if (g.m <= 2 && p.direct_a && g.n - j >= wide) {
                        width = wide;
                        (g.m == 1 ? tile<In, 1, kWide> : tile<In, 2, kWide>)(p.depth, a, g.a_row, g.a_col, b + j, b_row,
                                                                             as_it_is ? c + j : sums,
                                                                             as_it_is ? g.c_row : wide);
                        if (!as_it_is) store_sums<In>(c + j, g.c_row, sums, wide, g.m, wide, alpha, beta);
                        continue;
                    }
                }
            } else if (p.once && !g.panels) {
                pack_panel<In>(panels_b, kPanel<In>, b + j * g.b_col, g.b_row, g.b_col, g.k, width);
            }
            const To* packed_a = panels_a;
            each_tile(m, [&](int64_t i, int64_t rows) {
                const int64_t high = height<In>(rows);
                const bool direct = in_place(rows), whole = as_it_is && width == kPanel<In> && high == rows;
                const To* from = direct ? reinterpret_cast<const To*>(a + (i0 + i) * g.a_row) : packed_a;
                packed_a += kRows * p.depth;
                In* to = c + (i0 + i) * g.c_row + j;
                for (int64_t r = 0; r < rows; ++r)  // C comes while the products are added up
                    for (int64_t q = 0; q < width; q += 64 / int64_t(sizeof(In)))
                        __builtin_prefetch(to + r * g.c_row + q, 1);
                To* out = whole ? reinterpret_cast<To*>(to) : sums;
                const int64_t out_row = whole ? g.c_row : kPanel<In>;
                const bool one = kReal<In> && width <= kWord<In>;
                (one ? tile_of<In, kReal<In> ? 1 : 2>(high) : tile_of<In, 2>(high))(
                    p.depth, from, direct ? g.a_row : 1, direct ? g.a_col : high, panel, b_row, out, out_row);
                if (!whole) store_sums<In>(to, g.c_row, sums, kPanel<In>, rows, width, alpha, beta);
            });
        }
    }
}

// ---------------------------------------------------------------- dot products, and doubles in small matrices
template <class In>
using Bits = std::conditional_t<sizeof(In) == sizeof(float), float, double>;
// R rows of A with N columns of B; both lie in order along k.
template <class In, int R, int N>
void dots(const LanesBlock& g, int64_t i, int64_t j) {
    using V = Vec<In>;
    constexpr int64_t lanes = kLanes<In>;
    const In *a = static_cast<const In*>(g.a) + i * g.a_row, *b = static_cast<const In*>(g.b) + j * g.b_col;
    V sum[R][N] = {};
    const auto add = [&](auto load_at) {
        V y[N];
#pragma GCC unroll 16
        for (int q = 0; q < N; ++q) y[q] = load_at(b + q * g.b_col);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const V x = load_at(a + r * g.a_row);
#pragma GCC unroll 16
            for (int q = 0; q < N; ++q) sum[r][q] = add_products<In>(x, y[q], sum[r][q]);
        }
    };
    int64_t l = 0;
    for (; l + lanes <= g.k; l += lanes) add([l](const In* p) { return load<V>(p + l); });
    if (l < g.k)
        add([l, n = g.k - l](const In* p) {
            return bitcast<V>(load_part(reinterpret_cast<const Bits<In>*>(p + l), n));
        });
    const In alpha = *static_cast<const In*>(g.alpha), beta = *static_cast<const In*>(g.beta);
    In* c = static_cast<In*>(g.c) + i * g.c_row + j;
    for (int r = 0; r < R; ++r)
        for (int q = 0; q < N; ++q) {
            In all = 0;
            for (int x = 0; x < lanes; ++x) all += sum[r][q][x];
            In& to = c[r * g.c_row + q];
            to = alpha * all + (beta == 0 ? 0 : beta * to);
        }
}
template <class In, int R>
void dot_rows(const LanesBlock& g, int64_t i) {
    constexpr int N = R == 1 ? 8 : kWidth == 64 ? 4 : 2;
    int64_t j = 0;
    for (; j + N <= g.n; j += N) dots<In, R, N>(g, i, j);
    for (; j < g.n; ++j) dots<In, R, 1>(g, i, j);
}
// Few columns: a row of B is a part of a vector.
constexpr int64_t kSmallDepth = 16;
void small(const LanesBlock& g, double alpha, double beta) {
    const double *a = static_cast<const double*>(g.a), *b = static_cast<const double*>(g.b);
    D rows[kSmallDepth];
    for (int64_t l = 0; l < g.k; ++l) {
        if (g.b_col == 1) rows[l] = load_part(b + l * g.b_row, g.n);
        else {
            rows[l] = D{};
            for (int64_t q = 0; q < g.n; ++q) rows[l][q] = b[l * g.b_row + q * g.b_col];
        }
    }
    for (int64_t i = 0; i < g.m; ++i) {
        D sum{};
        for (int64_t l = 0; l < g.k; ++l) sum = fma(splat<D>(a[i * g.a_row + l * g.a_col]), rows[l], sum);
        double* c = static_cast<double*>(g.c) + i * g.c_row;
        sum = sum * splat<D>(alpha);
        if (beta != 0) sum = fma(load_part(c, g.n), splat<D>(beta), sum);
        store_part(c, sum, g.n);
    }
}

template <class In>
void run(const LanesBlock& all, const LanesBatch& batch, void* room) {
    LanesBlock g = all;
    for (int64_t i = 0; i < batch.count; ++i) {
        const auto next = [&](const void* p, int64_t step) { return static_cast<const In*>(p) + i * step; };
        g.a = next(all.a, batch.a), g.b = next(all.b, batch.b), g.c = const_cast<In*>(next(all.c, batch.c));
        if constexpr (kReal<In>)
            if (!g.panels && g.n < kWord<In> && g.k <= kSmallDepth && g.m <= 2 * kRows) {
                small(g, *static_cast<const double*>(g.alpha), *static_cast<const double*>(g.beta));
                continue;
            }
        if constexpr (std::is_same_v<In, Word<In>>)
            if (!g.panels && g.m <= 4 && g.b_row == 1 && (g.b_col != 1 || g.n == 1) && (g.a_col == 1 || g.k == 1)) {
                int64_t row = 0;
                for (; row + 2 <= g.m; row += 2) dot_rows<In, 2>(g, row);
                if (row < g.m) dot_rows<In, 1>(g, row);
                continue;
            }
        multiply<In>(g, room);
    }
}

// Complex numbers and, below them, themselves times i.
template <class T>
void times_i(int64_t n, const void* row, int64_t step, void* as_it_is, void* turned) {
    const T* from = static_cast<const T*>(row);
    T *re = static_cast<T*>(as_it_is), *im = static_cast<T*>(turned);
    if (step == 1) {
        __builtin_memcpy(re, from, size_t(2 * n) * sizeof(T));
        for (int64_t j = 0; j < 2 * n; j += 2) im[j] = -from[j + 1], im[j + 1] = from[j];
    } else {
        for (int64_t j = 0; j < 2 * n; j += 2, from += 2 * step)
            re[j] = from[0], re[j + 1] = from[1], im[j] = -from[1], im[j + 1] = from[0];
    }
}

template <class In>
constexpr LanesKernel kernel = {int64_t(sizeof(In)), kPanel<In>, room<In>, run<In>, panel_bytes<In>, pack_panels<In>};

}  // namespace

extern constexpr LanesKernel gemm_lanes_kernels[kLanesKinds] = {kernel<double>, kernel<int64_t>, kernel<int32_t>,
                                                                kernel<int16_t>, kernel<int8_t>};

extern constexpr TimesI times_i_kernels[2] = {times_i<float>, times_i<double>};

}  // namespace fb::cpu::FB_ARCH
