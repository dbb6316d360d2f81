#include "cpu/after_attention.h"
#include <cstring>
#include "base/parallel.h"
#include "cpu/dnnl.h"
#include "cpu/linear_chain.h"
#include "cpu/norm.h"

namespace fb::cpu {
namespace {

void normalize(const LayerNormWeights& w, int64_t n, const float* from, float* to) {
    static const NormLoops& loops = *norm_loops(DType::f32);
    const Moments m = moments(loops, from, n, double(from[0]), w.eps);
    loops.normalize(from, to, n, m.mean, m.rstd, w.weight, w.bias);
}

// Rows [begin, end); `middle` holds what the norm between the two halves makes, `inside` the widest rows.
void run_rows(const AfterAttention& a, int64_t begin, int64_t end, FloatRows middle, FloatRows inside) {
    const int64_t width = a.project.out, m = end - begin;
    const FloatRows out{a.out + begin * width, width};
    const FloatRows sum = a.norm_first ? out : middle;
    for (int64_t i = 0; i < m; ++i)
        std::memcpy(sum.at(i), a.input + (begin + i) * width, size_t(width) * sizeof(float));
    linear_rows(m, a.attended + begin * a.project.in, a.project.in, a.project, true, sum.data, sum.step);
    for (int64_t i = 0; i < m; ++i) normalize(a.norm_first ? a.norm2 : a.norm1, width, sum.at(i), middle.at(i));
    linear_rows(m, middle.data, middle.step, a.up, false, inside.data, inside.step);
    activate_rows(a.activation, inside, m, a.up.out);
    if (!a.norm_first)
        for (int64_t i = 0; i < m; ++i) std::memcpy(out.at(i), middle.at(i), size_t(width) * sizeof(float));
    linear_rows(m, inside.data, inside.step, a.down, true, out.data, out.step);
    if (!a.norm_first)
        for (int64_t i = 0; i < m; ++i) normalize(a.norm2, width, out.at(i), out.at(i));
}

}  // namespace

void after_attention(const AfterAttention& a) {
    const int64_t middle_step = FloatRows::apart(a.project.out), inside_step = FloatRows::apart(a.up.out),
                  most = rows_at_once(a.up.out);
    const double products = double(a.project.out) * double(a.project.in + 2 * a.up.out);
    parallel_for(a.rows, std::max<int64_t>(1, int64_t(65536 / products)), [&](int64_t begin, int64_t end) {
        const int64_t blocks = (end - begin + most - 1) / most, high = (end - begin + blocks - 1) / blocks;
        const dnn::Scratch room(size_t(high * (middle_step + inside_step)) * sizeof(float));
        const FloatRows middle{room.as<float>(), middle_step}, inside{middle.at(high), inside_step};
        for (int64_t i = begin; i < end; i += high) run_rows(a, i, std::min(end, i + high), middle, inside);
    });
}

}  // namespace fb::cpu
