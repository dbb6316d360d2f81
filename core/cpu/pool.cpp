#include "cpu/pool.h"
#include <limits>
#include <vector>
#include "base/error.h"
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/iter.h"
#include "cpu/visit.h"

namespace fb::cpu {
namespace baseline {
extern const PoolLoops pool_table;
}
namespace avx2 {
extern const PoolLoops pool_table;
}
namespace avx512 {
extern const PoolLoops pool_table;
}

const PoolLoops& pool_loops() { return for_this_cpu<baseline::pool_table, avx2::pool_table, avx512::pool_table>(); }

namespace {

// body(output, window, coordinates) for a row of a plane's outputs
template <class B>
void each_of_row(const PoolShape& s, int64_t row, B&& body) {
    const int64_t z = row / s.out[1], y = row % s.out[1];
    const PoolRange rz = pool_range(s, 0, z), ry = pool_range(s, 1, y);
    for (int64_t x = 0; x < s.out[2]; x++) {
        const PoolRange r[3] = {rz, ry, pool_range(s, 2, x)};
        const int64_t o[3] = {z, y, x};
        body(row * s.out[2] + x, r, o);
    }
}
template <class B>
void each_output(const PoolShape& s, B&& body) {
    for (int64_t row = 0; row < s.out[0] * s.out[1]; ++row) each_of_row(s, row, body);
}
template <class B>
void each_input(const PoolShape& s, const PoolRange* r, B&& body) {
    for (int64_t a = r[0].begin; a < r[0].end; a++)
        for (int64_t b = r[1].begin; b < r[1].end; b++) {
            const int64_t row =
                ((r[0].first + a * s.dilation[0]) * s.in[1] + r[1].first + b * s.dilation[1]) * s.in[2] + r[2].first;
            for (int64_t c = r[2].begin; c < r[2].end; c++) body(row + c * s.dilation[2]);
        }
}
template <class F>
void each_plane(int64_t planes, int64_t work, F&& body) {
    parallel_for(planes, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)), [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) body(p);
    });
}

template <class T>
struct Wide {
    using type = T;
};
template <>
struct Wide<F16> {
    using type = float;
};
template <>
struct Wide<BF16> {
    using type = float;
};

template <class F>
void visit_averaged(DType t, const char* name, F&& f) {
    if (!visit_one_of<float, double, F16, BF16, int64_t>(t, f)) no_kernel(name, t);
}
template <class F>
void visit_compared(DType t, const char* name, F&& f) {
    if (!visit_one_of<int8_t, uint8_t, int16_t, int32_t>(t, f)) visit_averaged(t, name, f);
}

// One row of averages: `line` adds up the inputs that lie one below the other, `sums` the neighbours in it.
template <class T, class A>
void average_row(const PoolShape& s, int64_t row, const T* x, T* y, A* line, A* sums) {
    int64_t o[3] = {row / s.out[1], row % s.out[1], 0};
    PoolRange r[3] = {pool_range(s, 0, o[0]), pool_range(s, 1, o[1]), {}};
    std::fill_n(line, s.in[2], A(0));
    for (int64_t a = r[0].begin; a < r[0].end; a++)
        for (int64_t b = r[1].begin; b < r[1].end; b++) {
            const T* from = x + ((r[0].first + a) * s.in[1] + r[1].first + b) * s.in[2];
            for (int64_t i = 0; i < s.in[2]; i++) line[i] += A(from[i]);
        }
    // Windows that no border cuts lie side by side and have one divisor.
    int64_t begin = 0, end = 0;
    if (!s.adaptive && s.in[2] >= s.kernel[2]) {
        begin = std::min(s.out[2], (s.pad[2] + s.stride[2] - 1) / s.stride[2]);
        end = std::clamp((s.in[2] - s.kernel[2] + s.pad[2]) / s.stride[2] + 1, begin, s.out[2]);
    }
    std::fill(sums + begin, sums + end, A(0));
    for (int64_t c = 0; c < s.kernel[2] && begin < end; c++) {
        const A* from = line + begin * s.stride[2] - s.pad[2] + c;
        if (s.stride[2] == 1)
            for (int64_t i = 0; i < end - begin; i++) sums[begin + i] += from[i];
        else
            for (int64_t i = 0; i < end - begin; i++) sums[begin + i] += from[i * s.stride[2]];
    }
    const auto divisor = [&](int64_t at) {
        o[2] = at;
        r[2] = pool_range(s, 2, at);
        return A(pool_divisor(s, r, o));
    };
    const A inside = begin < end ? divisor(begin) : A(1);
    for (int64_t i = begin; i < end; i++) y[i] = T(sums[i] / inside);
    for (int64_t i = begin ? 0 : end; i < s.out[2]; i = i + 1 == begin ? end : i + 1) {
        const A by = divisor(i);
        A sum{};
        for (int64_t c = r[2].begin; c < r[2].end; c++) sum += line[r[2].first + c];
        y[i] = T(sum / by);
    }
}

// The largest of nothing.
template <class T>
T nothing() {
    using A = typename Wide<T>::type;
    return T(std::numeric_limits<A>::has_infinity ? -std::numeric_limits<A>::infinity()
                                                  : std::numeric_limits<A>::lowest());
}

// The largest of neighbours side by side and its place (where that is given, or how far from the first): of equal ones
// the first, of NaN the last.
constexpr int64_t kWide = 32;
template <class A, class P>
std::pair<A, P> largest_of(const A* v, const P* place, int64_t n, bool want_place) {
    constexpr int kTogether = 8;
    A most[kTogether];
    P nan[kTogether] = {};
    std::fill_n(most, kTogether, v[0]);
    int64_t i = 0;
    for (; i + kTogether <= n; i += kTogether)
#pragma omp simd
        for (int k = 0; k < kTogether; ++k) {
            most[k] = v[i + k] > most[k] ? v[i + k] : most[k];
            nan[k] |= v[i + k] != v[i + k];
        }
    for (; i < n; ++i) {
        most[0] = v[i] > most[0] ? v[i] : most[0];
        nan[0] |= v[i] != v[i];
    }
    const bool any_nan = std::any_of(nan, nan + kTogether, [](P x) { return x; });
    const A found = any_nan ? std::numeric_limits<A>::quiet_NaN() : *std::max_element(most, most + kTogether);
    if (!want_place) return {found, P(-1)};
    P where = any_nan ? P(-1) : std::numeric_limits<P>::max();
    if (any_nan) {
        for (i = 0; i < n; ++i)
            if (v[i] != v[i]) where = std::max(where, place ? place[i] : P(i));
    } else if (!place) {
        where = P(std::find(v, v + n, found) - v);
    } else {
#pragma omp simd reduction(min : where)
        for (i = 0; i < n; ++i) {
            const P at = v[i] == found ? place[i] : std::numeric_limits<P>::max();
            where = at < where ? at : where;
        }
    }
    return {found, where};
}
// A row whose windows are neighbours in memory: of one row of the input, or of whole ones.
template <class T, class P>
bool largest_in_place(const PoolShape& s, const PoolRange* r, const T* x, T* y, int64_t* index, P) {
    if (r[0].end - r[0].begin != 1 || r[1].begin >= r[1].end || s.dilation[2] != 1) return false;
    const int64_t rows = r[1].end - r[1].begin, width = s.in[2];
    const PoolRange one = pool_range(s, 2, 0);
    const bool whole = one.first + one.begin == 0 && one.end - one.begin == width;
    if (rows > 1 && (s.out[2] != 1 || !whole || s.dilation[1] != 1)) return false;
    if (rows * (one.end - one.begin) < kWide) return false;
    const int64_t start =
        ((r[0].first + r[0].begin * s.dilation[0]) * s.in[1] + r[1].first + r[1].begin * s.dilation[1]) * width;
    for (int64_t o = 0; o < s.out[2]; ++o) {
        const PoolRange c = pool_range(s, 2, o);
        if (c.begin >= c.end) {  // a window of borders alone
            y[o] = nothing<T>();
            if (index) index[o] = -1;
            continue;
        }
        const int64_t from = start + c.first + c.begin;
        const auto [most, where] =
            largest_of<T, P>(x + from, nullptr, rows > 1 ? rows * width : c.end - c.begin, index != nullptr);
        y[o] = most;
        if (index) index[o] = from + where;
    }
    return true;
}

// One row of the largest: `line` has those of the inputs that lie one below the other, `place` where they are. Of equal
// values the first counts, of NaN the last.
template <class T, class A, class P>
void largest_row(const PoolShape& s, int64_t row, const T* x, T* y, int64_t* index, A* line, P* place) {
    const PoolRange r[2] = {pool_range(s, 0, row / s.out[1]), pool_range(s, 1, row % s.out[1])};
    const int64_t width = s.in[2];
    if constexpr (std::is_same_v<T, A>)
        if (largest_in_place(s, r, x, y, index, P{})) return;
    const bool none = r[0].begin >= r[0].end || r[1].begin >= r[1].end;
    bool first = true;
    for (int64_t a = r[0].begin; a < r[0].end; a++)
        for (int64_t b = r[1].begin; b < r[1].end; b++, first = false) {
            const int64_t start = ((r[0].first + a * s.dilation[0]) * s.in[1] + r[1].first + b * s.dilation[1]) * width;
            const T* from = x + start;
            if (first)
                for (int64_t i = 0; i < width; i++) line[i] = A(from[i]);
            else if (!index)
#pragma GCC ivdep
                for (int64_t i = 0; i < width; i++) {
                    const A v = A(from[i]);
                    line[i] = ((v > line[i]) | (v != v)) ? v : line[i];
                }
            if (!index) continue;
            if (first)
                for (int64_t i = 0; i < width; i++) place[i] = P(start + i);
            else
#pragma GCC ivdep
                for (int64_t i = 0; i < width; i++) {
                    const A v = A(from[i]);
                    const bool beats = (v > line[i]) | (v != v);
                    line[i] = beats ? v : line[i];
                    place[i] = beats ? P(start + i) : place[i];
                }
        }
    // Windows that no border cuts.
    int64_t begin = 0, end = 0;
    if (!index && !none && !s.adaptive && s.dilation[2] == 1 && width >= s.kernel[2]) {
        begin = std::min(s.out[2], (s.pad[2] + s.stride[2] - 1) / s.stride[2]);
        end = std::clamp((width - s.kernel[2] + s.pad[2]) / s.stride[2] + 1, begin, s.out[2]);
    }
    if (s.kernel[2] >= kWide) end = begin = 0;
    for (int64_t o = begin; o < end; o++) {
        const A* const window = line + o * s.stride[2] - s.pad[2];
        A most = window[0];
        bool nan = most != most;
        for (int64_t k = 1; k < s.kernel[2]; k++) {  // one instruction, and no branch that nobody could guess
            const A v = window[k];
            most = most > v ? most : v;
            nan |= v != v;
        }
        y[o] = T(nan ? std::numeric_limits<A>::quiet_NaN() : most);
    }
    for (int64_t o = begin < end && !begin ? end : 0; o < s.out[2]; o = o + 1 == begin && begin < end ? end : o + 1) {
        const PoolRange c = pool_range(s, 2, o);
        if (none || c.begin >= c.end) {  // a window of borders alone
            y[o] = nothing<T>();
            if (index) index[o] = -1;
            continue;
        }
        int64_t i = c.first + c.begin * s.dilation[2];
        if (s.dilation[2] == 1 && c.end - c.begin >= kWide) {
            const auto [most, where] =
                largest_of(line + i, index ? place + i : nullptr, c.end - c.begin, index != nullptr);
            y[o] = T(most);
            if (index) index[o] = where;
            continue;
        }
        A most = line[i];
        if (!index) {
            for (int64_t k = c.begin + 1; k < c.end; k++) {
                const A v = line[i += s.dilation[2]];
                most = ((v > most) | (v != v)) ? v : most;
            }
        } else {
            P where = place[i];
            for (int64_t k = c.begin + 1; k < c.end; k++) {
                const A v = line[i += s.dilation[2]];
                const P at = place[i];
                const bool beats =
                    (v > most) | ((v == most) & (at < where)) | ((v != v) & ((most == most) | (at > where)));
                most = beats ? v : most;
                where = beats ? at : where;
            }
            index[o] = where;
        }
        y[o] = T(most);
    }
}

}  // namespace

void max_pool(DType t, const PoolShape& s, int64_t planes, const void* px, void* py, int64_t* indices) {
    const int64_t rows = s.out[0] * s.out[1], work = s.inputs() / std::max<int64_t>(1, rows);
    visit_compared(t, s.deep ? "max_pool3d" : "max_pool2d", [&]<class T>(T) {
        using A = typename Wide<T>::type;
        using P = std::conditional_t<sizeof(A) == 8, int64_t, int32_t>;  // as wide: they share registers
        if (sizeof(P) == 4 && s.inputs() > INT32_MAX) fail(ErrorKind::Runtime, "pooling: the planes are too large");
        parallel_for(planes * rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)),
                     [&](int64_t i, int64_t e) {
                         std::vector<A> line(size_t(s.in[2]));
                         std::vector<P> place(indices ? size_t(s.in[2]) : 0);
                         for (; i < e; ++i)
                             largest_row(s, i % rows, static_cast<const T*>(px) + i / rows * s.inputs(),
                                         static_cast<T*>(py) + i * s.out[2], indices ? indices + i * s.out[2] : nullptr,
                                         line.data(), place.data());
                     });
    });
}

void max_lines(const PoolShape& s, int64_t planes, DType t, const void* x, void* y) {
    const auto run = [&]<class T>(T, void (*line)(const PoolShape&, const T*, T*)) {
        each_plane(planes, s.in[2], [&](int64_t p) {
            line(s, static_cast<const T*>(x) + p * s.in[2], static_cast<T*>(y) + p * s.out[2]);
        });
    };
    if (t == DType::f32) run(0.f, pool_loops().max_line);
    else run(0., pool_loops().max_line_double);
}

void max_lines_gradient(const PoolShape& s, int64_t planes, DType t, const void* g, const void* x, void* dx) {
    const auto run = [&]<class T>(T, void (*line)(const PoolShape&, const T*, const T*, T*)) {
        each_plane(planes, s.in[2], [&](int64_t p) {
            line(s, static_cast<const T*>(g) + p * s.out[2], static_cast<const T*>(x) + p * s.in[2],
                 static_cast<T*>(dx) + p * s.in[2]);
        });
    };
    if (t == DType::f32) run(0.f, pool_loops().max_line_gradient);
    else run(0., pool_loops().max_line_gradient_double);
}

void avg_pool(DType t, const PoolShape& s, int64_t planes, const void* px, void* py) {
    const int64_t rows = s.out[0] * s.out[1], work = s.inputs() / std::max<int64_t>(1, rows);
    visit_averaged(t, s.adaptive ? "adaptive_avg_pool2d" : "avg_pool2d", [&]<class T>(T) {
        using A = typename Wide<T>::type;
        parallel_for(planes * rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)),
                     [&](int64_t i, int64_t e) {
                         std::vector<A> line(size_t(s.in[2])), sums(size_t(s.out[2]));
                         for (; i < e; ++i) {
                             const T* x = static_cast<const T*>(px) + i / rows * s.inputs();
                             average_row(s, i % rows, x, static_cast<T*>(py) + i * s.out[2], line.data(), sums.data());
                         }
                     });
    });
}

void avg_pool_gradient(DType t, const PoolShape& s, int64_t planes, const void* pg, void* pdx) {
    visit_averaged(t, "avg_pool2d_backward", [&]<class T>(T) {
        using A = typename Wide<T>::type;
        each_plane(planes, s.inputs(), [&](int64_t p) {
            const T* g = static_cast<const T*>(pg) + p * s.outputs();
            T* dx = static_cast<T*>(pdx) + p * s.inputs();
            std::fill_n(dx, s.inputs(), T(0));
            each_output(s, [&](int64_t at, const PoolRange* r, const int64_t* o) {
                const A v = A(g[at]) / A(pool_divisor(s, r, o));
                each_input(s, r, [&](int64_t i) { dx[i] = T(A(dx[i]) + v); });
            });
        });
    });
}

void scatter_planes(DType t, int64_t planes, int64_t outputs, int64_t inputs, const void* pg, const int64_t* indices,
                    void* pdx) {
    visit_averaged(t, "max_pool2d_backward", [&]<class T>(T) {
        each_plane(planes, inputs, [&](int64_t p) {
            const T* g = static_cast<const T*>(pg) + p * outputs;
            T* dx = static_cast<T*>(pdx) + p * inputs;
            std::fill_n(dx, inputs, T(0));
            for (int64_t i = 0; i < outputs; ++i) {
                T& to = dx[indices[p * outputs + i]];
                to = T(to + g[i]);
            }
        });
    });
}

}  // namespace fb::cpu
