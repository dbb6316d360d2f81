// Products of bytes less a zero point with packed 16-bit weights, added up exactly in 32 bits (quantized layers).
#pragma once
#include <cstdint>

namespace fb::cpu {

// Weights lie in panels of `panel` outputs, in each for every two inputs the pairs of all outputs; zeros fill both up.
struct ByteProducts {
    int64_t panel;
    void (*widen)(const uint8_t* from, int64_t n, int zero, int16_t* to);  // to[i] = from[i] - zero
    // Rows of 2·pairs inputs times one panel: `columns` <= panel results of each row, `stride` apart.
    void (*multiply)(const int16_t* a, int64_t rows, int64_t pairs, const int16_t* weights, float* to, int64_t stride,
                     int64_t columns);
};
const ByteProducts& byte_products();  // for this CPU

}  // namespace fb::cpu
