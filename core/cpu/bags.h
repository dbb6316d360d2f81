// Weighted sums of chosen rows of a table: bags of embeddings, sparse matrices by dense ones.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

// The sum over i < n of factors[i] · (row at[i] of `table`, which has rows of `width` elements), in this order, divided
// by `by`, into `to`. Rows at[i] == padding do not count. `factors` (nullptr: ones) and the sums are doubles for
// doubles, else floats. `ahead` more places may be read behind the n, only to fetch their rows in time; -n: a
// table that is near, nothing is fetched.
struct Bag {
    const void* table;
    int64_t width;
    const int64_t* at;
    int64_t n, ahead, padding;
    const void* factors;
    double by;
    void* to;
};
using SumBag = void (*)(const Bag&);
// Sums over runs of factors[i] · table[at[i]]: run r, which ends at start[r + 1], into to[r]. A call for all of them,
// because runs of few would take most of their time to begin and to end. False if a place is outside [0, size).
using SumRuns = bool (*)(const void* table, int64_t size, const void* factors, const int64_t* at, const int64_t* start,
                         int64_t runs, void* to);
struct BagLoops {
    SumBag f32, f64, f16, bf16;
    SumRuns runs_f32, runs_f64;
    SumBag of(DType t) const { return t == DType::f32 ? f32 : t == DType::f64 ? f64 : t == DType::f16 ? f16 : bf16; }
};
const BagLoops& bag_loops();  // for this CPU

}  // namespace fb::cpu
