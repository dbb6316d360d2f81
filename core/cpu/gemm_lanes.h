// The product of two matrices of doubles or integers on one thread; chosen for this CPU. `gemm_types.cpp` divides the
// work among threads.
#pragma once
#include <cstdint>

namespace fb::cpu {

// C = alpha·A·B + beta·C; A and B have any strides (in elements), C has contiguous rows and is not read with beta 0.
// `alpha` and `beta` point at numbers of the element type.
struct LanesBlock {
    int64_t m, n, k;
    const void *alpha, *beta;
    const void* a;
    int64_t a_row, a_col;
    const void* b;
    int64_t b_row, b_col;
    void* c;
    int64_t c_row;
    const void* panels = nullptr;  // B, packed beforehand
    const LanesBlock at(int64_t size, int64_t row, int64_t column, int64_t rows, int64_t columns) const {
        LanesBlock part = *this;
        part.m = rows, part.n = columns;
        part.a = static_cast<const char*>(a) + row * a_row * size;
        part.b = static_cast<const char*>(b) + column * b_col * size;
        part.c = static_cast<char*>(c) + (row * c_row + column) * size;
        return part;
    }
};
// The same product over and over: what lies between two of the operands.
struct LanesBatch {
    int64_t count = 1, a = 0, b = 0, c = 0;
};
struct LanesKernel {
    int64_t size, columns;               // of an element; of a panel of B
    int64_t (*room)(const LanesBlock&);  // bytes that `run` wants to work in, aligned to 64
    void (*run)(const LanesBlock&, const LanesBatch&, void* room);
    int64_t (*panel)(int64_t k);                                            // bytes of a packed panel
    void (*pack)(const LanesBlock&, void* to, int64_t begin, int64_t end);  // panels [begin, end) of B
};
// Tables of five: doubles, then integers of 8, 4, 2 and 1 bytes, which wrap and so need no sign.
constexpr int kLanesKinds = 5;

// n complex numbers `step` apart, copied as they are and, elsewhere, times i. A table of two: float, double.
using TimesI = void (*)(int64_t n, const void* from, int64_t step, void* as_it_is, void* turned);

}  // namespace fb::cpu
