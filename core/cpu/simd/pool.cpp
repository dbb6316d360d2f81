// Pooling over rows of channels, compiled once for each instruction set.
#include "cpu/pool.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int kN = kLanes<float>;
using I = Vec<int32_t>;

inline F load_some(const float* p, int64_t m) {
    if (m >= kN) return load<F>(p);
    F v{};
    for (int64_t i = 0; i < m; i++) v[i] = p[i];
    return v;
}
inline void store_some(float* p, F v, int64_t m) {
    if (m >= kN) return store(p, v);
    for (int64_t i = 0; i < m; i++) p[i] = v[i];
}

// body(output, ranges, output coordinates) for every output position.
template <class B> inline void each_output(const PoolShape& s, B&& body) {
    int64_t at = 0;
    for (int64_t z = 0; z < s.out[0]; z++)
        for (int64_t y = 0; y < s.out[1]; y++)
            for (int64_t x = 0; x < s.out[2]; x++, at++) {
                const PoolRange r[3] = {pool_range(s, 0, z), pool_range(s, 1, y), pool_range(s, 2, x)};
                const int64_t o[3] = {z, y, x};
                body(at, r, o);
            }
}
// body(input position) for every input of a window.
template <class B> inline void each_input(const PoolShape& s, const PoolRange* r, B&& body) {
    for (int64_t a = r[0].begin; a < r[0].end; a++)
        for (int64_t b = r[1].begin; b < r[1].end; b++)
            for (int64_t c = r[2].begin; c < r[2].end; c++)
                body(((r[0].first + a * s.dilation[0]) * s.in[1] + r[1].first + b * s.dilation[1]) * s.in[2] + r[2].first + c * s.dilation[2]);
}

void max_rows(const PoolShape& s, const float* x, float* y, int64_t width) {
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t*) {
        for (int64_t c = 0; c < width; c += kN) {
            const int64_t m = width - c;
            F most = splat<F>(-__builtin_inff());
            each_input(s, r, [&](int64_t i) { most = max_nan(load_some(x + i * width + c, m), most); });
            store_some(y + at * width + c, most, m);
        }
    });
}

// Finds the largest input again (the first of equal ones) instead of keeping its index.
void max_rows_gradient(const PoolShape& s, const float* g, const float* x, float* dx, int64_t width) {
    for (int64_t i = 0; i < s.inputs() * width; i++) dx[i] = 0;
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t*) {
        for (int64_t c = 0; c < width; c += kN) {
            const int64_t m = width - c;
            F most = splat<F>(-__builtin_inff());
            I where = I{} - 1, k{};
            each_input(s, r, [&](int64_t i) {
                const F v = load_some(x + i * width + c, m);
                const auto better = (v > most) | (v != v) | (where < 0);
                most = better ? v : most;
                where = better ? k : where;
                k += 1;
            });
            const F v = load_some(g + at * width + c, m);
            k = I{};
            each_input(s, r, [&](int64_t i) {
                float* p = dx + i * width + c;
                store_some(p, F(load_some(p, m) + bitcast<F>(bitcast<I>(v) & (where == k))), m);
                k += 1;
            });
        }
    });
}

void avg_rows(const PoolShape& s, const float* x, float* y, int64_t width) {
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t* o) {
        const F times = splat<F>(1.f / float(pool_divisor(s, r, o)));
        for (int64_t c = 0; c < width; c += kN) {
            const int64_t m = width - c;
            F sum{};
            each_input(s, r, [&](int64_t i) { sum += load_some(x + i * width + c, m); });
            store_some(y + at * width + c, F(sum * times), m);
        }
    });
}
void avg_rows_gradient(const PoolShape& s, const float* g, float* dx, int64_t width) {
    for (int64_t i = 0; i < s.inputs() * width; i++) dx[i] = 0;
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t* o) {
        const F times = splat<F>(1.f / float(pool_divisor(s, r, o)));
        for (int64_t c = 0; c < width; c += kN) {
            const int64_t m = width - c;
            const F v = load_some(g + at * width + c, m) * times;
            each_input(s, r, [&](int64_t i) {
                float* p = dx + i * width + c;
                store_some(p, F(load_some(p, m) + v), m);
            });
        }
    });
}

}  // namespace

extern constexpr PoolLoops pool_table = {max_rows, max_rows_gradient, avg_rows, avg_rows_gradient};

}  // namespace fb::cpu::FB_ARCH
