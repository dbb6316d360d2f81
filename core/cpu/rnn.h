// One direction of one recurrent layer over a whole sequence, for float and double.
//
// Rows of all time steps lie one after another: step t has batch[t] of them (for padded input always the same number;
// packed sequences never grow), beginning at row offset[t]. States have as many rows as the largest step.
#pragma once
#include <cstdint>
#include "base/dtype.h"
#include "base/small.h"
#include "tensor/tensor.h"

namespace fb::cpu {

enum class Cell : uint8_t { Lstm, Gru, Tanh, Relu };
constexpr int gates_of(Cell c) { return c == Cell::Lstm ? 4 : c == Cell::Gru ? 3 : 1; }

struct RnnSteps {
    Cell cell;
    DType type;
    IntSpan batch;
    int64_t hidden;
    bool reverse;
};

// In: `gates`, what the input contributes with its biases (rows × gates·hidden). Out: `out`, and the last state in h
// (and c of an LSTM), which hold the first one at the start. `gates` becomes what the gradient needs: activations.
// `before` gets the state each step started from: h (rows × hidden), of an LSTM followed by c, of a GRU by the hidden
// part of the new gate. It may be null.
struct RnnForward {
    void *gates, *out, *h, *c, *before;
    const void *w_hh, *b_hh;
    const Tensor* answering = nullptr;  // w_hh once more, where its packed form may be kept for the next call
};
void rnn_forward(const RnnSteps& s, const RnnForward& a);

// The whole layer for answering, in float: x (rows × inputs) and the weights are contiguous, those stay packed. `bias`
// is what is added to the gates, of a GRU without the state's share `b_hh`; either may be null. False, and nothing
// done, where the product of all inputs at once is better.
struct RnnAnswer {
    const float* x;
    Tensor w_ih, w_hh;
    const float *bias, *b_hh;
    float *out, *h, *c;
};
bool rnn_answer(const RnnSteps& s, const RnnAnswer& a);

// In: activations and `before` of the forward pass, the gradient of `out`, and in dh (and dc) that of the last state.
// Out: in `gates` the gradient of what the input contributed, in `hidden_gates` (GRU only, else the same) that of what
// the state contributed, in dh and dc the gradient of the first state.
struct RnnBackward {
    void *gates, *hidden_gates, *dh, *dc;
    const void *before, *dout, *w_hh;
};
void rnn_backward(const RnnSteps& s, const RnnBackward& a);

}  // namespace fb::cpu
