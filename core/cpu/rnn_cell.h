// The elementwise part of recurrent cells for one row of n units, in float and double; chosen for this CPU. The gates
// of a row lie `gate` elements apart, in PyTorch's order.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

// Forward: sums of gates become activations, states are renewed, `out` gets the new h. Backward: activations become
// gradients of the sums; dh is the gradient of the new h but for that of `out` (which may be null).
struct RnnCells {
    void (*lstm)(void* gates, int64_t gate, void* c, void* h, void* out, int64_t n);
    // The same where nobody needs the activations: the gates stay what they are.
    void (*lstm_answer)(const void* gates, int64_t gate, void* c, void* h, void* out, int64_t n);
    // dc becomes the gradient of the former c.
    void (*lstm_back)(void* gates, int64_t gate, const void* c, const void* dh, void* dc, const void* dout, int64_t n);
    // `part` holds what the state contributes to the gates; its third gate is stored in `keep`.
    void (*gru)(void* gates, int64_t gate, const void* part, void* keep, void* h, void* out, int64_t n);
    // `part_gates` gets the gradient of what the state contributed, dh that of the former h past the gates.
    void (*gru_back)(void* gates, int64_t gate, void* part_gates, const void* h, const void* keep, void* dh,
                     const void* dout, int64_t n);
    void (*tanh)(void* gates, void* h, void* out, int64_t n);
    void (*tanh_back)(void* gates, const void* dh, const void* dout, int64_t n);
    void (*relu)(void* gates, void* h, void* out, int64_t n);
    void (*relu_back)(void* gates, const void* dh, const void* dout, int64_t n);
};
struct RnnCellTable {
    RnnCells f32, f64;
};
const RnnCells& rnn_cells(DType type);

}  // namespace fb::cpu
