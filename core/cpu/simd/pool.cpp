// Pooling over rows of channels, compiled once for each instruction set.
#include "cpu/pool.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

constexpr int kN = kLanes<float>;
using I = Vec<int32_t>;

// Whole vectors, or the last few channels of a row.
struct Full {
    static F get(const float* p) { return load<F>(p); }
    static void put(float* p, F v) { store(p, v); }
};
struct Rest {
    int64_t m;
    F get(const float* p) const {
        F v{};
        for (int64_t i = 0; i < m; i++) v[i] = p[i];
        return v;
    }
    void put(float* p, F v) const {
        for (int64_t i = 0; i < m; i++) p[i] = v[i];
    }
};
template <class B>
inline void each_column(int64_t width, B&& body) {
    int64_t c = 0;
    for (; c + kN <= width; c += kN) body(c, Full{});
    if (c < width) body(c, Rest{width - c});
}

// body(output, ranges, output coordinates) for every output position.
template <class B>
inline void each_output(const PoolShape& s, B&& body) {
    int64_t at = 0;
    for (int64_t z = 0; z < s.out[0]; z++) {
        const PoolRange rz = pool_range(s, 0, z);
        for (int64_t y = 0; y < s.out[1]; y++) {
            const PoolRange ry = pool_range(s, 1, y);
            for (int64_t x = 0; x < s.out[2]; x++, at++) {
                const PoolRange r[3] = {rz, ry, pool_range(s, 2, x)};
                const int64_t o[3] = {z, y, x};
                body(at, r, o);
            }
        }
    }
}
// body(input position) for every input of a window.
template <class B>
inline void each_input(const PoolShape& s, const PoolRange* r, B&& body) {
    const int64_t step = s.dilation[2], n = r[2].end - r[2].begin;
    for (int64_t a = r[0].begin; a < r[0].end; a++)
        for (int64_t b = r[1].begin; b < r[1].end; b++) {
            int64_t i = ((r[0].first + a * s.dilation[0]) * s.in[1] + r[1].first + b * s.dilation[1]) * s.in[2] +
                        r[2].first + r[2].begin * step;
            for (int64_t c = 0; c < n; c++, i += step) body(i);
        }
}

void max_rows(const PoolShape& s, const float* x, float* y, int64_t width) {
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t*) {
        each_column(width, [&](int64_t c, auto part) {
            F most = splat<F>(-__builtin_inff());
            each_input(s, r, [&](int64_t i) { most = max_nan(part.get(x + i * width + c), most); });
            part.put(y + at * width + c, most);
        });
    });
}

// Finds the largest input again (the first of equal ones) instead of keeping its index.
void max_rows_gradient(const PoolShape& s, const float* g, const float* x, float* dx, int64_t width) {
    for (int64_t i = 0; i < s.inputs() * width; i++) dx[i] = 0;
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t*) {
        each_column(width, [&](int64_t c, auto part) {
            F most = splat<F>(-__builtin_inff());
            I where = I{} - 1, k{};
            each_input(s, r, [&](int64_t i) {
                const F v = part.get(x + i * width + c);
                const auto better = (v > most) | (v != v) | (where < 0);
                most = better ? v : most;
                where = better ? k : where;
                k += 1;
            });
            const F v = part.get(g + at * width + c);
            k = I{};
            each_input(s, r, [&](int64_t i) {
                float* p = dx + i * width + c;
                part.put(p, F(part.get(p) + bitcast<F>(bitcast<I>(v) & (where == k))));
                k += 1;
            });
        });
    });
}

void avg_rows(const PoolShape& s, const float* x, float* y, int64_t width) {
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t* o) {
        const F times = splat<F>(1.f / float(pool_divisor(s, r, o)));
        each_column(width, [&](int64_t c, auto part) {
            F sum{};
            each_input(s, r, [&](int64_t i) { sum += part.get(x + i * width + c); });
            part.put(y + at * width + c, F(sum * times));
        });
    });
}
void avg_rows_gradient(const PoolShape& s, const float* g, float* dx, int64_t width) {
    for (int64_t i = 0; i < s.inputs() * width; i++) dx[i] = 0;
    each_output(s, [&](int64_t at, const PoolRange* r, const int64_t* o) {
        const F times = splat<F>(1.f / float(pool_divisor(s, r, o)));
        each_column(width, [&](int64_t c, auto part) {
            const F v = part.get(g + at * width + c) * times;
            each_input(s, r, [&](int64_t i) {
                float* p = dx + i * width + c;
                part.put(p, F(part.get(p) + v));
            });
        });
    });
}

}  // namespace

extern constexpr PoolLoops pool_table = {max_rows, max_rows_gradient, avg_rows, avg_rows_gradient};

}  // namespace fb::cpu::FB_ARCH
