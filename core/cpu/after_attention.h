// What follows the attention in a layer of a transformer, for answering, in float: projection, residual sum, norm, the
// two linear layers with an activation between them, residual sum, norm. A thread takes some rows through all of it,
// so that nothing but the result leaves its caches.
#pragma once
#include "cpu/gemm.h"
#include "cpu/pointwise.h"

namespace fb::cpu {

struct LayerNormWeights {
    const float *weight, *bias;  // either may be null
    double eps;
};
struct AfterAttention {
    int64_t rows;
    const float *attended, *input;
    float* out;
    LinearRows project, up, down;
    LayerNormWeights norm1, norm2;
    bool norm_first;  // the second norm comes before the linear layers and the first one came before the attention
    Unary activation;
};
void after_attention(const AfterAttention& a);

}  // namespace fb::cpu
