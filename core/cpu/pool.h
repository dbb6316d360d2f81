// Pooling over up to three spatial dimensions.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::cpu {

struct PoolShape {  // missing dimensions come first, with size 1
    int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0},
            dilation[3] = {1, 1, 1};
    bool deep = false;          // three dimensions
    bool adaptive = false;      // windows divide the input evenly; kernel, stride … are not used
    bool count_padding = true;  // averages: the divisor counts padding
    int64_t divisor = 0;        // averages: given instead
    int64_t inputs() const { return in[0] * in[1] * in[2]; }
    int64_t outputs() const { return out[0] * out[1] * out[2]; }
};

// The window of output o along dimension d: `first`, and the inputs first + k·dilation for k in [begin, end).
struct PoolRange {
    int64_t first, begin, end;
};
constexpr PoolRange pool_range(const PoolShape& s, int d, int64_t o) {
    if (s.adaptive) {
        const int64_t first = o * s.in[d] / s.out[d], end = ((o + 1) * s.in[d] + s.out[d] - 1) / s.out[d];
        return {first, 0, end - first};
    }
    const int64_t first = o * s.stride[d] - s.pad[d], step = s.dilation[d];
    if (step == 1)
        return {first, first < 0 ? -first : 0, s.in[d] - first < s.kernel[d] ? s.in[d] - first : s.kernel[d]};
    const int64_t begin = first < 0 ? (-first + step - 1) / step : 0;
    const int64_t room = (s.in[d] - first + step - 1) / step;
    return {first, begin, room < s.kernel[d] ? room : s.kernel[d]};
}
// What the sum over a window is divided by.
constexpr int64_t pool_divisor(const PoolShape& s, const PoolRange* r, const int64_t* o) {
    if (s.divisor) return s.divisor;
    int64_t n = 1;
    for (int d = 0; d < 3; ++d) {
        int64_t reach = r[d].end - r[d].begin;
        if (s.count_padding && !s.adaptive) {
            const int64_t first = o[d] * s.stride[d] - s.pad[d], last = first + s.kernel[d], most = s.in[d] + s.pad[d];
            reach = (last < most ? last : most) - first;
        }
        n *= reach;
    }
    return n;
}
// Windows of two neighbours in a row, side by side and whole.
constexpr bool pool_in_pairs(const PoolShape& s) {
    bool r = !s.adaptive && s.kernel[2] == 2;
    for (int d = 0; d < 3; ++d)
        r = r && s.stride[d] == s.kernel[d] && s.pad[d] == 0 && s.dilation[d] == 1 && s.out[d] * s.kernel[d] <= s.in[d];
    return r;
}

// --- planes: N·C images one after another, any element type
// `indices` (positions in the plane) may be null.
void max_pool(DType t, const PoolShape& s, int64_t planes, const void* x, void* y, int64_t* indices);
void avg_pool(DType t, const PoolShape& s, int64_t planes, const void* x, void* y);
void avg_pool_gradient(DType t, const PoolShape& s, int64_t planes, const void* g, void* dx);
// dx[indices] += g; positions that are out of range are the caller's to exclude.
void scatter_planes(DType t, int64_t planes, int64_t outputs, int64_t inputs, const void* g, const int64_t* indices,
                    void* dx);

// Planes of one row without borders above and below.
constexpr bool pool_in_line(const PoolShape& s) {
    bool r = !s.adaptive;
    for (int d = 0; d < 2; ++d) r = r && s.in[d] == 1 && s.kernel[d] == 1 && s.pad[d] == 0 && s.out[d] == 1;
    return r;
}

// Planes of one row of floats or doubles.
void max_lines(const PoolShape& s, int64_t planes, DType t, const void* x, void* y);
void max_lines_gradient(const PoolShape& s, int64_t planes, DType t, const void* g, const void* x, void* dx);

// --- float: one image as rows of `width` neighbouring channels at each position, one plane in pairs, or one row
struct PoolLoops {
    void (*max_rows)(const PoolShape& s, const float* x, float* y, int64_t width);
    void (*max_rows_gradient)(const PoolShape& s, const float* g, const float* x, float* dx, int64_t width);
    void (*avg_rows)(const PoolShape& s, const float* x, float* y, int64_t width);
    void (*avg_rows_gradient)(const PoolShape& s, const float* g, float* dx, int64_t width);
    void (*max_pairs)(const PoolShape& s, const float* x, float* y);
    void (*max_pairs_gradient)(const PoolShape& s, const float* g, const float* x, float* dx);
    void (*avg_pairs)(const PoolShape& s, const float* x, float* y);
    void (*avg_pairs_gradient)(const PoolShape& s, const float* g, float* dx);
    void (*max_line)(const PoolShape& s, const float* x, float* y);
    void (*max_line_gradient)(const PoolShape& s, const float* g, const float* x, float* dx);
    void (*max_line_double)(const PoolShape& s, const double* x, double* y);
    void (*max_line_gradient_double)(const PoolShape& s, const double* g, const double* x, double* dx);
};
const PoolLoops& pool_loops();

}  // namespace fb::cpu
