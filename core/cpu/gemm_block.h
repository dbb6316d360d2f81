// The product of two float matrices on one thread; chosen for this CPU. `gemm.cpp` divides the work among threads.
#pragma once
#include <cstdint>

namespace fb {
struct BF16;
}
namespace fb::cpu {

// C = alpha·A·B + beta·C + bias; A and B have any strides (in elements), C contiguous rows (c_col 1) or columns (c_row
// 1). With beta 0, C is not read. `bias` may be null: one number for each column, or for each row when C has contiguous
// columns.
struct GemmBlock {
    int64_t m, n, k;
    float alpha, beta;
    const float* a;
    int64_t a_row, a_col;
    const float* b;
    int64_t b_row, b_col;
    float* c;
    int64_t c_row, c_col = 1;
    const float* bias = nullptr;
    int64_t b_panel = 0;  // not 0: B was packed beforehand, and this lies between its panels
    // One more product of as many rows and columns may be added before anything is stored: its A with contiguous rows,
    // its B packed as well.
    struct Also {
        int64_t k = 0;
        const float* a = nullptr;
        int64_t a_row = 0;
        const float* b = nullptr;
        int64_t b_panel = 0;
    } also{};
};

// The same product over and over: what lies between two of the operands.
struct GemmBatch {
    int64_t count = 1, a = 0, b = 0, c = 0;
};
struct GemmKernel {
    int64_t rows, columns;                                    // of the block of C that is kept in registers
    int64_t (*room)(const GemmBlock&);                        // floats that `run` wants to work in
    void (*run)(const GemmBlock&, const GemmBatch&, float*);  // that room is aligned to 64 bytes
    // Packs panels [begin, end) of B, each `columns` wide; together they take k x n floats, n rounded up to `columns`.
    void (*pack)(const GemmBlock&, float*, int64_t begin, int64_t end);
};
const GemmKernel& gemm_kernel();

// The product of two bfloat16 matrices, summed in float and rounded once, for CPUs that multiply pairs of them.
struct PairsBlock {
    int64_t m, n, k;
    float alpha, beta;
    const BF16* a;
    int64_t a_row, a_col;
    const BF16* b;
    int64_t b_row, b_col;
    BF16* c;
    int64_t c_row;
    const BF16* bias = nullptr;
    const float* panels = nullptr;  // B was packed beforehand, as a float matrix of half the rows
};
struct PairsKernel {
    int64_t (*room)(const PairsBlock&);      // floats that `run` wants to work in
    void (*run)(const PairsBlock&, float*);  // that room is aligned to 64 bytes
};

}  // namespace fb::cpu
