// softmax(scale·Q·Kᵀ + mask)·V in blocks, so that the matrix of all scores never exists. Float and double.
#pragma once
#include "base/dtype.h"

namespace fb::cpu {

struct AttentionOperand {
    void* data;
    int64_t batch, head, row;
};  // strides in elements; neighbours along the last dimension

struct Attention {
    DType type;
    int64_t batches, heads, queries, keys, width, value_width;
    int64_t group;  // so many heads of queries share a head of keys and values
    double scale;
    bool causal;
    AttentionOperand q, k, v;
    const void* mask = nullptr;  // added to the scores
    int64_t mask_stride[4] = {0, 0, 0, 0};
};

void attention_forward(const Attention& a, const AttentionOperand& out,
                       void* logsumexp);  // logsumexp: batches·heads·queries
void attention_backward(const Attention& a, const AttentionOperand& out, const void* logsumexp,
                        const AttentionOperand& dout, const AttentionOperand& dq, const AttentionOperand& dk,
                        const AttentionOperand& dv);

}  // namespace fb::cpu
