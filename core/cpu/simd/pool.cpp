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

// ---- one row each: windows of neighbours (or of every few), a vector of windows at a time
template <class V, class T, int... l>
inline V every_second_of(const T* p, std::integer_sequence<int, l...>) {  // p[0], p[2] …; reads nothing behind the last
    constexpr int n = sizeof...(l);
    return __builtin_shufflevector(load<V>(p), load<V>(p + n - 1), (2 * l < n ? 2 * l : 2 * l + 1)...);
}
template <int step, class T>  // 0: one window, the same in each lane, so that no branch hangs on the data
inline VecFor<T> window_inputs(const T* p) {
    if constexpr (step == 0) return splat<VecFor<T>>(*p);
    else if constexpr (step == 1) return load<VecFor<T>>(p);
    else return every_second_of<VecFor<T>>(p, std::make_integer_sequence<int, kLanes<T>>());
}
struct Largest {  // of inputs of which none is NaN
    template <int step, class T>
    static VecFor<T> run(const T* x, int64_t k, int64_t gap) {
        VecFor<T> most = window_inputs<step>(x);
        for (int64_t c = 1; c < k; c++) most = max(window_inputs<step>(x + c * gap), most);
        return most;
    }
};
struct LargestOrNan {
    template <int step, class T>
    static VecFor<T> run(const T* x, int64_t k, int64_t gap) {
        VecFor<T> most = window_inputs<step>(x);
        for (int64_t c = 1; c < k; c++) most = max_nan(window_inputs<step>(x + c * gap), most);
        return most;
    }
};
template <class T>
using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;  // as wide: they share registers
struct Where {  // which of the inputs: of equal ones the first, of NaN the last
    template <int step, class T>
    static Vec<Place<T>> run(const T* x, int64_t k, int64_t gap) {
        VecFor<T> most = window_inputs<step>(x);
        Vec<Place<T>> where{}, at{};
        for (int64_t c = 1; c < k; c++) {
            const VecFor<T> v = window_inputs<step>(x + c * gap);
            const auto better = (v > most) | (v != v);
            at += 1;
            most = better ? v : most;
            where = better ? at : where;
        }
        return where;
    }
};
// y[o]: what Of finds in k inputs, `gap` apart, from x[o · step]. Returns how many: all, or none if they fill no
// vector.
template <class Of, int step, class T, class R>
inline int64_t each_window(const T* x, R* y, int64_t count, int64_t k, int64_t gap) {
    constexpr int n = kLanes<T>;
    if (count < n) return 0;
    int64_t o = 0;
    for (; o + 2 * n <= count; o += 2 * n) {
        const auto a = Of::template run<step>(x + o * step, k, gap),
                   b = Of::template run<step>(x + (o + n) * step, k, gap);
        store(y + o, a);
        store(y + o + n, b);
    }
    for (; o < count; o += n) {
        if (o + n > count) o = count - n;  // the last ones once more with those before
        store(y + o, Of::template run<step>(x + o * step, k, gap));
    }
    return count;
}
// The same with any step and count.
template <class Of, class T, class R>
[[gnu::noinline]] void windows(const T* x, R* y, int64_t count, int64_t k, int64_t gap, int64_t step) {
    int64_t o = 0;
    if (step == 1) {
        o = each_window<Of, 1>(x, y, count, k, gap);
    } else if (step == 2) {
        o = each_window<Of, 2>(x, y, count, k, gap);
    } else {  // all of them, every few of which count
        constexpr int64_t room = 256;
        alignas(64) R all[room];
        const int64_t some = (room - 1) / step + 1;
        while ((count - o - 1) * step + 1 >= kLanes<T>) {
            const int64_t m = count - o < some ? count - o : some;
            each_window<Of, 1>(x + o * step, all, (m - 1) * step + 1, k, gap);
            for (int64_t i = 0; i < m; i++) y[o + i] = all[i * step];
            o += m;
        }
    }
    for (; o < count; o++) y[o] = Of::template run<0>(x + o * step, k, gap)[0];
}
// The windows of a row that no border cuts.
struct Inside {
    int64_t begin, end;
    explicit Inside(const PoolShape& s) {
        const int64_t step = s.stride[2], room = s.in[2] - 1 - (s.kernel[2] - 1) * s.dilation[2] + s.pad[2],
                      first = (s.pad[2] + step - 1) / step, last = room < s.pad[2] ? 0 : room / step + 1;
        begin = first < s.out[2] ? first : s.out[2];
        end = last > s.out[2] ? s.out[2] : last < begin ? begin : last;
    }
};
template <class T>
inline bool has_nan(const T* x, int64_t n) {
    using V = VecFor<T>;
    constexpr int step = kLanes<T>;
    V sum[2] = {};  // of zeros, or NaN where an input was NaN or infinite
    int64_t i = 0;
    for (; i + 2 * step <= n; i += 2 * step)
        for (int j = 0; j < 2; j++) sum[j] += load<V>(x + i + j * step) * V{};
    const V both = sum[0] + sum[1];
    T all = 0;
    for (int l = 0; l < step; l++) all += both[l];
    for (; i < n; i++) all += x[i] * 0;
    return all != all;
}
template <class T>
void max_line(const PoolShape& s, const T* x, T* y) {
    const int64_t k = s.kernel[2], step = s.stride[2], gap = s.dilation[2];
    const Inside inside(s);
    const auto cut = [&](int64_t o, int64_t end) {
        // Several: as windows of a row that goes on.
        constexpr int64_t room = 256;
        const int64_t first = o * step - s.pad[2], reach = (end - o - 1) * step + (k - 1) * gap + 1;
        if (end - o >= kLanes<T> && reach <= room) {
            alignas(64) T row[room];
            const int64_t left = first < 0 ? -first : 0, here = s.in[2] - first < reach ? s.in[2] - first : reach;
            for (int64_t i = 0; i < reach; i++) row[i] = -T(__builtin_inff());
            for (int64_t i = left; i < here; i++) row[i] = x[first + i];
            windows<LargestOrNan>(row, y + o, end - o, k, gap, step);
            return;
        }
        for (; o < end; o++) {
            const PoolRange r = pool_range(s, 2, o);
            const int64_t count = r.end - r.begin;
            y[o] = count <= 0 ? -T(__builtin_inff()) : LargestOrNan::run<0>(x + r.first + r.begin * gap, count, gap)[0];
        }
    };
    cut(0, inside.begin);
    const auto middle = [&]<class Of>(Of) {
        windows<Of>(x + inside.begin * step - s.pad[2], y + inside.begin, inside.end - inside.begin, k, gap, step);
    };
    if (s.in[2] < 128 || has_nan(x, s.in[2])) middle(LargestOrNan());
    else middle(Largest());
    cut(inside.end, s.out[2]);
}
// Of equal inputs the first gets the gradient, of NaN the last.
template <class T>
void max_line_gradient(const PoolShape& s, const T* g, const T* x, T* dx) {
    const int64_t k = s.kernel[2], step = s.stride[2], gap = s.dilation[2];
    const Inside inside(s);
    const auto cut = [&](int64_t o, int64_t end) {
        for (; o < end; o++) {
            const PoolRange r = pool_range(s, 2, o);
            const int64_t first = r.first + r.begin * gap, count = r.end - r.begin;
            if (count > 0) dx[first + Where::run<0>(x + first, count, gap)[0] * gap] += g[o];
        }
    };
    for (int64_t i = 0; i < s.in[2]; i++) dx[i] = 0;
    cut(0, inside.begin);
    constexpr int64_t room = 256;
    alignas(64) Place<T> where[room];
    for (int64_t o = inside.begin; o < inside.end; o += room) {
        const int64_t m = inside.end - o < room ? inside.end - o : room, from = o * step - s.pad[2];
        windows<Where>(x + from, where, m, k, gap, step);
        for (int64_t i = 0; i < m; i++) dx[from + i * step + where[i] * gap] += g[o + i];
    }
    cut(inside.end, s.out[2]);
}

}  // namespace

extern constexpr PoolLoops pool_table = {
    max_rows,        max_rows_gradient,        avg_rows,         avg_rows_gradient,
    max_pairs,       max_pairs_gradient,       avg_pairs,        avg_pairs_gradient,
    max_line<float>, max_line_gradient<float>, max_line<double>, max_line_gradient<double>};

}  // namespace fb::cpu::FB_ARCH
