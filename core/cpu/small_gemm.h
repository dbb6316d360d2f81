// Products of small float matrices, where calling a library costs more than the multiplications.
#pragma once
#include <cstdint>

namespace fb::cpu {

// True where `small_gemm` is the faster way.
inline bool is_small_gemm(int64_t m, int64_t n, int64_t k) {
    return m * n * k <= 16384 && k * ((n + 15) & ~int64_t(15)) <= 4096;
}

// C = alpha·A·B + beta·C; C has contiguous rows, A and B any strides (in elements). With beta 0, C is not read.
struct SmallGemm {
    int64_t m, n, k;
    float alpha, beta;
    const float* a;
    int64_t a_row, a_col;
    const float* b;
    int64_t b_row, b_col;
    float* c;
    int64_t c_row;
};
using SmallGemmLoop = void (*)(const SmallGemm&);
SmallGemmLoop small_gemm();  // for this CPU

}  // namespace fb::cpu
