// Linear layers with activations between them, for answering, in float: a thread takes some rows through all of them,
// so that what lies between stays in its caches.
#pragma once
#include <span>
#include "cpu/gemm.h"
#include "cpu/pointwise.h"

namespace fb::cpu {

struct ChainLink {
    LinearRows linear;
    Unary activation = Unary::copy;  // copy: none
};
void linear_chain(int64_t rows, const float* x, std::span<const ChainLink> links, float* out);

// Rows of floats in memory of one's own. `apart`: rows a multiple of 4 kB from each other would displace each other in
// the nearest cache.
struct FloatRows {
    float* data;
    int64_t step;
    float* at(int64_t i) const { return data + i * step; }
    static int64_t apart(int64_t width) { return width + 16; }
};
void activate_rows(Unary activation, FloatRows rows, int64_t count, int64_t width);

// So many rows of this width stay in the second cache between two products.
inline int64_t rows_at_once(int64_t width) { return std::max<int64_t>(24, (128 << 10) / FloatRows::apart(width)); }

}  // namespace fb::cpu
