// Weighted sums of chosen rows of a table, compiled once for each instruction set.
#include "cpu/bags.h"
#include <type_traits>
#include "cpu/simd/strip.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class T>
using Sum = std::conditional_t<sizeof(T) == 8, double, float>;

// Single numbers: four sums side by side, because one waits for the addition before.
template <class T, bool weighted, bool padded>
Sum<T> sum_numbers(const Bag& bag) {
    const T* const table = static_cast<const T*>(bag.table);
    const Sum<T>* const factors = static_cast<const Sum<T>*>(bag.factors);
    const int64_t *const at = bag.at, n = bag.n, padding = bag.padding;
    const auto term = [=](int64_t i) -> Sum<T> {
        if (padded && at[i] == padding) return 0;
        const Sum<T> value = to_float(table[at[i]]);
        return weighted ? factors[i] * value : value;
    };
    Sum<T> a = 0, b = 0, c = 0, d = 0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) a += term(i), b += term(i + 1), c += term(i + 2), d += term(i + 3);
    for (; i < n; ++i) a += term(i);
    return (a + b) + (c + d);
}

// `registers` registers of the columns from `column` on stay where they are for all rows; `rest`: the last of them
// holds only so many columns.
template <int registers, bool rest, class T>
void sum_columns(const Bag& b, int64_t column, int64_t last) {
    using V = std::conditional_t<sizeof(T) == 8, D, F>;
    constexpr int64_t w = kLanes<Sum<T>>, kLine = 64, kAhead = 8, kBytes = registers * w * int64_t(sizeof(T));
    const T* const table = static_cast<const T*>(b.table) + column;
    const Sum<T>* const factors = static_cast<const Sum<T>*>(b.factors);
    const int64_t end = b.n + b.ahead;
    V sum[registers] = {};
    const int64_t* const at = b.at;
    const int64_t n = b.n, width = b.width, padding = b.padding;
    for (int64_t i = 0; i < n; ++i) {
        if (i + kAhead < end) {  // no processor foresees where the next row lies
            const char* const next = reinterpret_cast<const char*>(table + at[i + kAhead] * width);
#pragma GCC unroll 8
            for (int64_t k = 0; k < kBytes; k += kLine) __builtin_prefetch(next + k);
        }
        if (at[i] == padding) continue;
        const T* const row = table + at[i] * width;
        const V factor = splat<V>(factors ? factors[i] : 1);
#pragma GCC unroll 8
        for (int k = 0; k < registers; ++k)
            sum[k] = fma(factor, V(rest && k + 1 == registers ? load_first(row + k * w, last) : load_as(row + k * w)),
                         sum[k]);
    }
    T* const to = static_cast<T*>(b.to) + column;
#pragma GCC unroll 8
    for (int k = 0; k < registers; ++k) {
        const V mean = b.by == 1 ? sum[k] : sum[k] / Sum<T>(b.by);
        if (rest && k + 1 == registers) store_first(to + k * w, mean, last);
        else store_as(to + k * w, mean);
    }
}

template <class T>
void sum_bag(const Bag& b) {
    constexpr int64_t w = kLanes<Sum<T>>;
    if (b.width == 1) {
        const Sum<T> sum = b.padding >= 0 ? b.factors ? sum_numbers<T, true, true>(b) : sum_numbers<T, false, true>(b)
                           : b.factors    ? sum_numbers<T, true, false>(b)
                                          : sum_numbers<T, false, false>(b);
        *static_cast<T*>(b.to) = from_float<T>(sum / Sum<T>(b.by));
        return;
    }
    int64_t c = 0;
    for (; c + 8 * w <= b.width; c += 8 * w) sum_columns<8, false, T>(b, c, 0);
    if (c + 4 * w <= b.width) sum_columns<4, false, T>(b, c, 0), c += 4 * w;
    for (; c + 2 * w <= b.width; c += 2 * w) sum_columns<2, false, T>(b, c, 0);
    if (b.width - c >= w) sum_columns<1, false, T>(b, c, 0), c += w;
    if (c < b.width) sum_columns<1, true, T>(b, c, b.width - c);
}

// The products of a thousand places at a time, however long the runs are, then as many runs as a register has lanes.
template <class T>
bool sum_runs(const void* values, int64_t size, const void* weights, const int64_t* at, const int64_t* start,
              int64_t runs, void* sums) {
    using V = Vec<T>;
    constexpr int64_t w = kLanes<T>, kBlock = 1024;
    const T *const table = static_cast<const T*>(values), *const factors = static_cast<const T*>(weights);
    T* const to = static_cast<T*>(sums);
    T room[kBlock];
    const int64_t all = start[runs];
    int64_t i = start[0], begin = i, end = i;  // the products of [begin, end) are there
    for (int64_t r = 0; r < runs; r += w) {
        const int64_t many = runs - r < w ? runs - r : w;
        V sum[w];
        for (int64_t k = many; k < w; ++k) sum[k] = V{};
        for (int64_t k = 0; k < many; ++k) {
            V s{};
            for (const int64_t last = start[r + k + 1]; i < last;) {
                if (i == end) {
                    begin = i, end = all - i < kBlock ? all : i + kBlock;
                    int64_t signs = 0;
#pragma omp simd reduction(| : signs)
                    for (int64_t j = begin; j < end; ++j) signs |= at[j] | (size - 1 - at[j]);
                    if (signs < 0) return false;
#pragma GCC unroll 4
                    for (int64_t j = begin; j < end; ++j) room[j - begin] = factors[j] * table[at[j]];
                }
                const int64_t stop = last < end ? last : end;
                for (; i + w <= stop; i += w) s += load<V>(room + (i - begin));
                if (i < stop) s += load_first(room + (i - begin), stop - i);
                i = stop;
            }
            sum[k] = s;
        }
        const V joined = join_rows(sum, [](V a, V b) { return a + b; });
        if (many == w) store(to + r, joined);
        else store_first(to + r, joined, many);
    }
    return true;
}

}  // namespace

extern constexpr BagLoops bag_loops = {sum_bag<float>, sum_bag<double>, sum_bag<Half>,
                                       sum_bag<BHalf>, sum_runs<float>, sum_runs<double>};

}  // namespace fb::cpu::FB_ARCH
