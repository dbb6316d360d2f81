// Pooling over rows of channels and over planes in pairs, compiled once for each instruction set.
#include "cpu/pool.h"
#include <utility>
#include "cpu/simd/loop.h"

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

// ---- planes in pairs: two vectors of a row are taken apart into the first and the second of each pair
inline F load_some(const float* p, int64_t m) { return m >= kN ? load<F>(p) : load_part(p, m > 0 ? m : 0); }
inline void store_some(float* p, F v, int64_t m) {
    if (m >= kN) store(p, v);
    else store_part(p, v, m > 0 ? m : 0);
}
template <int... l>
inline F every_second(F a, F b, int from, std::integer_sequence<int, l...>) {
    return from ? __builtin_shufflevector(a, b, (2 * l + 1)...) : __builtin_shufflevector(a, b, (2 * l)...);
}
template <int... l>
inline F zipped(F a, F b, int half, std::integer_sequence<int, l...>) {
    return half ? __builtin_shufflevector(a, b, (kN / 2 + l / 2 + (l & 1) * kN)...)
                : __builtin_shufflevector(a, b, (l / 2 + (l & 1) * kN)...);
}
using Lanes = std::make_integer_sequence<int, kN>;
struct Pairs {
    F first, second;
};
inline Pairs load_pairs(const float* p, int64_t m) {
    const F a = load_some(p, 2 * m), b = load_some(p + kN, 2 * m - kN);
    return {every_second(a, b, 0, Lanes()), every_second(a, b, 1, Lanes())};
}
inline void store_pairs(float* p, Pairs v, int64_t m) {
    store_some(p, zipped(v.first, v.second, 0, Lanes()), 2 * m);
    store_some(p + kN, zipped(v.first, v.second, 1, Lanes()), 2 * m - kN);
}
// body(output, its window's first input, how many outputs): a vector of them or what is left of a row
template <class B>
inline void each_vector_of_pairs(const PoolShape& s, B&& body) {
    for (int64_t z = 0; z < s.out[0]; z++)
        for (int64_t y = 0; y < s.out[1]; y++) {
            const int64_t to = (z * s.out[1] + y) * s.out[2],
                          from = (z * s.kernel[0] * s.in[1] + y * s.kernel[1]) * s.in[2];
            for (int64_t x = 0; x < s.out[2]; x += kN)
                body(to + x, from + 2 * x, s.out[2] - x < kN ? s.out[2] - x : kN);
        }
}
// body(input) for the rows of a window
template <class B>
inline void each_pair(const PoolShape& s, int64_t from, B&& body) {
    for (int64_t a = 0; a < s.kernel[0]; a++)
        for (int64_t b = 0; b < s.kernel[1]; b++) body(from + (a * s.in[1] + b) * s.in[2]);
}
inline F one_share(const PoolShape& s) {
    return splat<F>(1.f / float(s.divisor ? s.divisor : s.kernel[0] * s.kernel[1] * s.kernel[2]));
}
// Inputs behind the last window.
inline void clear_rest(const PoolShape& s, float* dx) {
    bool rest = false;
    for (int d = 0; d < 3; d++) rest = rest || s.out[d] * s.kernel[d] < s.in[d];
    for (int64_t i = 0; rest && i < s.inputs(); i++) dx[i] = 0;
}

void max_pairs(const PoolShape& s, const float* x, float* y) {
    each_vector_of_pairs(s, [&](int64_t at, int64_t from, int64_t m) {
        F most = splat<F>(-__builtin_inff());
        each_pair(s, from, [&](int64_t i) {
            const Pairs v = load_pairs(x + i, m);
            most = max_nan(v.second, max_nan(v.first, most));
        });
        store_some(y + at, most, m);
    });
}
void max_pairs_gradient(const PoolShape& s, const float* g, const float* x, float* dx) {
    clear_rest(s, dx);
    each_vector_of_pairs(s, [&](int64_t at, int64_t from, int64_t m) {
        F most = splat<F>(-__builtin_inff());
        I where = I{} - 1, k{};
        const auto meet = [&](F v) {
            const auto better = (v > most) | (v != v) | (where < 0);
            most = better ? v : most;
            where = better ? k : where;
            k += 1;
        };
        each_pair(s, from, [&](int64_t i) {
            const Pairs v = load_pairs(x + i, m);
            meet(v.first);
            meet(v.second);
        });
        const I v = bitcast<I>(load_some(g + at, m));
        k = I{};
        each_pair(s, from, [&](int64_t i) {
            store_pairs(dx + i, {bitcast<F>(v & (where == k)), bitcast<F>(v & (where == k + 1))}, m);
            k += 2;
        });
    });
}
void avg_pairs(const PoolShape& s, const float* x, float* y) {
    const F times = one_share(s);
    each_vector_of_pairs(s, [&](int64_t at, int64_t from, int64_t m) {
        F sum{};
        each_pair(s, from, [&](int64_t i) {
            const Pairs v = load_pairs(x + i, m);
            sum += v.first;
            sum += v.second;
        });
        store_some(y + at, F(sum * times), m);
    });
}
void avg_pairs_gradient(const PoolShape& s, const float* g, float* dx) {
    const F times = one_share(s);
    clear_rest(s, dx);
    each_vector_of_pairs(s, [&](int64_t at, int64_t from, int64_t m) {
        const F v = load_some(g + at, m) * times;
        each_pair(s, from, [&](int64_t i) { store_pairs(dx + i, {v, v}, m); });
    });
}

}  // namespace

extern constexpr PoolLoops pool_table = {max_rows,  max_rows_gradient,  avg_rows,  avg_rows_gradient,
                                         max_pairs, max_pairs_gradient, avg_pairs, avg_pairs_gradient};

}  // namespace fb::cpu::FB_ARCH
