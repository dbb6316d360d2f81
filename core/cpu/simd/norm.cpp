// Loops of normalisations and softmax, compiled once for each instruction set.
#include "cpu/norm.h"
#include <utility>
#include "cpu/simd/math.h"
#include "cpu/simd/part.h"
#include "cpu/simd/turn.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class T>
using VecFor = decltype(load_as(static_cast<const T*>(nullptr)));
template <class T>
using Acc = Scalar<VecFor<T>>;
template <class T>
constexpr int kStep = int(sizeof(VecFor<T>) / sizeof(Acc<T>));

template <class V>
inline V load_numbers(const double* p, int64_t m) {
    V v{};
    for (int64_t i = 0; i < m; i++) v[i] = Scalar<V>(p[i]);
    return v;
}
template <class T, int bytes>
inline T add_halves(typename VecOf<T, bytes>::type v) {
    if constexpr (bytes == 16) {
        T s = 0;
        for (int i = 0; i < int(16 / sizeof(T)); i++) s += v[i];
        return s;
    } else {
        typename VecOf<T, bytes / 2>::type h[2];
        __builtin_memcpy(h, &v, sizeof v);
        return add_halves<T, bytes / 2>(h[0] + h[1]);
    }
}
inline double total(F v) {
    const D2 w = widen(v);
    return add_halves<double, kWidth>(w.lo + w.hi);
}
inline double total(D v) { return add_halves<double, kWidth>(v); }
// Lanes below m: all bits set.
template <class V>
inline Bits<V> lanes_below(int64_t m) {
    Bits<V> numbers{};
    for (int i = 0; i < int(sizeof(V) / sizeof(Scalar<V>)); i++) numbers[i] = i;
    return numbers < decltype(numbers[0] + 0)(m);
}
template <class V>
inline V keep(Bits<V> mask, V v) {
    return bitcast<V>(bitcast<Bits<V>>(v) & mask);
}

// f(offset, load) for whole vectors, then once for the rest: `load(p)` reads what there is.
template <class T>
struct Whole {
    static constexpr int64_t m = kStep<T>;
    static constexpr bool part = false;
    template <class U>
    auto get(const U* p) const {
        return load_as(p);
    }
    template <class U, class V>
    void put(U* p, V v) const {
        store_as(p, v);
    }
    template <class V>
    V mask(V v) const {
        return v;
    }
};
template <class T>
struct Part {
    int64_t m;
    static constexpr bool part = true;
    template <class U>
    auto get(const U* p) const {
        return load_first(p, m);
    }
    template <class U, class V>
    void put(U* p, V v) const {
        store_first(p, v, m);
    }
    template <class V>
    V mask(V v) const {
        return keep<V>(lanes_below<V>(m), v);
    }
};
template <class T, class F>
inline void each_vector(int64_t n, F&& f) {
    int64_t i = 0;
    for (; i + kStep<T> <= n; i += kStep<T>) f(i, Whole<T>{});
    if (i < n) f(i, Part<T>{n - i});
}

constexpr int64_t kFlush = 4096;  // elements that are added up in float before the sum goes to a double

// Σ of two expressions over n elements.
template <class T, class F>
inline void two_sums(int64_t n, double* out, F&& f) {
    using V = VecFor<T>;
    for (int64_t from = 0; from < n; from += kFlush) {
        const int64_t m = n - from < kFlush ? n - from : kFlush;
        V a[2] = {}, b[2] = {};
        int64_t i = 0;
        for (; i + 2 * kStep<T> <= m; i += 2 * kStep<T>) {
            f(from + i, Whole<T>{}, a[0], b[0]);
            f(from + i + kStep<T>, Whole<T>{}, a[1], b[1]);
        }
        for (; i + kStep<T> <= m; i += kStep<T>) f(from + i, Whole<T>{}, a[0], b[0]);
        if (i < m) f(from + i, Part<T>{m - i}, a[1], b[1]);
        out[0] += total(V(a[0] + a[1]));
        out[1] += total(V(b[0] + b[1]));
    }
}
template <class T>
void sums(const void* px, int64_t n, double shift, double* out) {
    const T* x = static_cast<const T*>(px);
    const auto s = splat<VecFor<T>>(Acc<T>(shift));
    two_sums<T>(n, out, [&](int64_t i, auto part, auto& a, auto& b) {
        const auto d = part.mask(VecFor<T>(part.get(x + i) - s));
        a += d;
        b += d * d;
    });
}
template <class T>
void dots(const void* pg, const void* px, int64_t n, double mean, double* out) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px);
    const auto s = splat<VecFor<T>>(Acc<T>(mean));
    two_sums<T>(n, out, [&](int64_t i, auto part, auto& a, auto& b) {
        const auto v = part.get(g + i);
        a += v;
        b += v * (part.get(x + i) - s);
    });
}

template <class T>
double dot(const void* pa, const void* pb, int64_t n) {
    const T *a = static_cast<const T*>(pa), *b = static_cast<const T*>(pb);
    double sum = 0;
    for (int64_t from = 0; from < n; from += kFlush) {
        const int64_t m = n - from < kFlush ? n - from : kFlush;
        VecFor<T> s[4] = {};
        int64_t i = from;
        for (; i + 4 * kStep<T> <= from + m; i += 4 * kStep<T>)
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                s[k] = fma(VecFor<T>(load_as(a + i + k * kStep<T>)), VecFor<T>(load_as(b + i + k * kStep<T>)), s[k]);
        each_vector<T>(from + m - i, [&](int64_t j, auto part) {
            s[0] = fma(VecFor<T>(part.get(a + i + j)), VecFor<T>(part.get(b + i + j)), s[0]);
        });
        sum += total(VecFor<T>(s[0] + s[1] + (s[2] + s[3])));
    }
    return sum;
}

// The same down the columns of rows: a column of vectors at a time, a few hundred rows before the float sums are
// flushed.
template <class T, class F>
inline void two_column_sums(int64_t rows, int64_t width, double* first, double* second, F&& f) {
    using V = VecFor<T>;
    constexpr int64_t kRows = 512;
    for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
        const int64_t r1 = r0 + kRows < rows ? r0 + kRows : rows;
        each_vector<T>(width, [&](int64_t c, auto part) {
            V a[2] = {}, b[2] = {};
            int64_t r = r0;
            for (; r + 2 <= r1; r += 2) {
                f(r, c, part, a[0], b[0]);
                f(r + 1, c, part, a[1], b[1]);
            }
            if (r < r1) f(r, c, part, a[0], b[0]);
            const V sa = a[0] + a[1], sb = b[0] + b[1];
            for (int64_t i = 0; i < part.m; i++) {
                first[c + i] += sa[i];
                second[c + i] += sb[i];
            }
        });
    }
}
template <class T>
void sums_rows(const void* px, int64_t rows, int64_t width, const double* shift, double* first, double* second) {
    const T* x = static_cast<const T*>(px);
    using V = VecFor<T>;
    two_column_sums<T>(rows, width, first, second, [&](int64_t r, int64_t c, auto part, auto& a, auto& b) {
        const V d = part.get(x + r * width + c) - load_numbers<V>(shift + c, part.m);
        a += d;
        b += d * d;
    });
}
template <class T>
void dots_rows(const void* pg, const void* px, int64_t rows, int64_t width, const double* mean, double* first,
               double* second) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px);
    using V = VecFor<T>;
    two_column_sums<T>(rows, width, first, second, [&](int64_t r, int64_t c, auto part, auto& a, auto& b) {
        const V v = part.get(g + r * width + c);
        a += v;
        b += v * (part.get(x + r * width + c) - load_numbers<V>(mean + c, part.m));
    });
}

template <class T>
void scale(const void* px, void* py, int64_t n, double a, double b) {
    const T* x = static_cast<const T*>(px);
    T* y = static_cast<T*>(py);
    using V = VecFor<T>;
    const V va = splat<V>(Acc<T>(a)), vb = splat<V>(Acc<T>(b));
    each_vector<T>(n, [&](int64_t i, auto part) { part.put(y + i, fma(V(part.get(x + i)), va, vb)); });
}
template <class T>
void scale_rows(const void* px, void* py, int64_t rows, int64_t width, const double* a, const double* b) {
    const T* x = static_cast<const T*>(px);
    T* y = static_cast<T*>(py);
    using V = VecFor<T>;
    constexpr int kTogether = sizeof(T) < sizeof(Acc<T>) ? 4 : 1;  // lines of the cache are visited once
    constexpr int64_t kWide = kTogether * kStep<T>;
    int64_t done = 0;
    for (; kTogether > 1 && done + kWide <= width; done += kWide) {
        V va[kTogether], vb[kTogether];
        for (int k = 0; k < kTogether; ++k) {
            va[k] = load_numbers<V>(a + done + k * kStep<T>, kStep<T>);
            vb[k] = load_numbers<V>(b + done + k * kStep<T>, kStep<T>);
        }
        for (int64_t at = done; at < rows * width; at += width)
#pragma GCC unroll 4
            for (int k = 0; k < kTogether; ++k)
                store_as(y + at + k * kStep<T>, fma(V(load_as(x + at + k * kStep<T>)), va[k], vb[k]));
    }
    each_vector<T>(width - done, [&](int64_t c, auto part) {
        c += done;
        const V va = load_numbers<V>(a + c, part.m), vb = load_numbers<V>(b + c, part.m);
        for (int64_t r = 0; r < rows; r++) part.put(y + r * width + c, fma(V(part.get(x + r * width + c)), va, vb));
    });
}
template <class T>
void combine(const void* pg, const void* px, void* po, int64_t n, double a, double b, double c) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px);
    T* o = static_cast<T*>(po);
    using V = VecFor<T>;
    const V va = splat<V>(Acc<T>(a)), vb = splat<V>(Acc<T>(b)), vc = splat<V>(Acc<T>(c));
    each_vector<T>(n, [&](int64_t i, auto part) {
        part.put(o + i, fma(V(part.get(g + i)), va, fma(V(part.get(x + i)), vb, vc)));
    });
}
template <class T>
void combine_rows(const void* pg, const void* px, void* po, int64_t rows, int64_t width, const double* a,
                  const double* b, const double* c) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px);
    T* o = static_cast<T*>(po);
    using V = VecFor<T>;
    each_vector<T>(width, [&](int64_t j, auto part) {
        const V va = load_numbers<V>(a + j, part.m), vb = load_numbers<V>(b + j, part.m),
                vc = load_numbers<V>(c + j, part.m);
        for (int64_t i = j; i < rows * width; i += width)
            part.put(o + i, fma(V(part.get(g + i)), va, fma(V(part.get(x + i)), vb, vc)));
    });
}

// ---- layer norm
template <class T>
void normalize(const void* px, void* py, int64_t n, double mean, double rstd, const void* pw, const void* pb) {
    const T *x = static_cast<const T*>(px), *w = static_cast<const T*>(pw), *b = static_cast<const T*>(pb);
    T* y = static_cast<T*>(py);
    using V = VecFor<T>;
    const V r = splat<V>(Acc<T>(rstd)), m = splat<V>(Acc<T>(mean));
    each_vector<T>(n, [&](int64_t i, auto part) {
        V v = (part.get(x + i) - m) * r;
        if (w && b) v = fma(v, V(part.get(w + i)), V(part.get(b + i)));
        else if (w) v *= part.get(w + i);
        else if (b) v += part.get(b + i);
        part.put(y + i, v);
    });
}
template <class T>
void row_dots(const void* pg, const void* px, int64_t n, double mean, double rstd, const void* pw, double* out,
              void* pdw, void* pdb) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px), *w = static_cast<const T*>(pw);
    Acc<T>*dw = static_cast<Acc<T>*>(pdw), *db = static_cast<Acc<T>*>(pdb);
    using V = VecFor<T>;
    const V r = splat<V>(Acc<T>(rstd)), m = splat<V>(Acc<T>(mean));
    out[0] = out[1] = 0;
    two_sums<T>(n, out, [&](int64_t i, auto part, auto& a, auto& b) {
        const V v = part.get(g + i), z = (part.get(x + i) - m) * r, h = w ? V(v * part.get(w + i)) : v;
        a += h;
        b += h * z;
        if (dw) part.put(dw + i, V(part.get(dw + i) + v * z));
        if (db) part.put(db + i, V(part.get(db + i) + v));
    });
}
template <class T>
void row_gradient(const void* pg, const void* px, void* po, int64_t n, double mean, double rstd, const void* pw,
                  double first, double second) {
    const T *g = static_cast<const T*>(pg), *x = static_cast<const T*>(px), *w = static_cast<const T*>(pw);
    T* o = static_cast<T*>(po);
    using V = VecFor<T>;
    const V r = splat<V>(Acc<T>(rstd)), m = splat<V>(Acc<T>(mean)), s = splat<V>(Acc<T>(first)),
            t = splat<V>(Acc<T>(second));
    each_vector<T>(n, [&](int64_t i, auto part) {
        const V v = part.get(g + i), z = (part.get(x + i) - m) * r, h = w ? V(v * part.get(w + i)) : v;
        part.put(o + i, V((h - s - z * t) * r));
    });
}

// ---- softmax
template <int step, class V, size_t... lane>
inline V swapped(V v, std::index_sequence<lane...>) {
    return __builtin_shufflevector(v, v, int(lane ^ size_t(step))...);
}
template <int step, class V>
inline V largest(V v) {  // in every lane
    if constexpr (step == 0) return v;
    else
        return largest<step / 2>(
            max_nan(v, swapped<step>(v, std::make_index_sequence<sizeof(V) / sizeof(Scalar<V>)>())));
}
template <class T>
double row_max(const void* px, int64_t n) {
    const T* x = static_cast<const T*>(px);
    using V = VecFor<T>;
    const V lowest = splat<V>(Acc<T>(-__builtin_inff()));
    V most = lowest;
    each_vector<T>(n, [&](int64_t i, auto part) {
        V v = part.get(x + i);
        if constexpr (part.part) v = lanes_below<V>(part.m) ? v : lowest;
        most = max_nan(v, most);
    });
    return largest<kStep<T> / 2>(most)[0];
}
template <class T>
double exp_row(void* px, int64_t n, double shift) {
    T* x = static_cast<T*>(px);
    using V = VecFor<T>;
    const V s = splat<V>(Acc<T>(shift));
    double out[2] = {0, 0};
    two_sums<T>(n, out, [&](int64_t i, auto part, auto& a, auto&) {
        const V e = exp(V(part.get(x + i) - s));
        part.put(x + i, e);
        a += part.mask(e);
    });
    return out[0];
}
template <class T>
constexpr bool kStoresExact = sizeof(T) == sizeof(Acc<T>);  // results may hold what is worked on meanwhile

// Room for what half types round only at the end: that of long rows is asked for once for all of them.
template <class T>
struct Held {
    static constexpr int64_t kMost = kStoresExact<T> ? 0 : 4096;
    using S = Acc<T>;
    alignas(64) S few[kMost + kStep<T>];
    S* more = nullptr;
    Held() {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { __builtin_free(more); }
    S* room(int64_t n) {  // may be null: then the numbers are computed twice
        if (n <= kMost) return few;
        if (!more) more = static_cast<S*>(__builtin_malloc(size_t(n + kStep<T>) * sizeof(S)));
        return more;
    }
};
template <class T>
void softmax_row(const T* x, T* y, int64_t n, bool log, Held<T>& room) {
    using V = VecFor<T>;
    using S = Acc<T>;
    const S top = S(row_max<T>(x, n));
    const V shift = splat<V>(top);
    double sum = 0, unused[2] = {0, 0};
    S* const held = kStoresExact<T> || log ? nullptr : room.room(n);
    two_sums<T>(n, unused, [&](int64_t i, auto part, auto& a, auto&) {
        const V e = exp(V(part.get(x + i) - shift));
        a += part.mask(e);
        if constexpr (kStoresExact<T>) {
            if (!log) part.put(y + i, e);
        } else {
            if (held) store(held + i, e);
        }
    });
    sum = unused[0];
    if (log) {
        const V less = splat<V>(S(__builtin_log(sum)));
        each_vector<T>(n, [&](int64_t i, auto part) { part.put(y + i, V(part.get(x + i) - shift - less)); });
    } else {
        const V times = splat<V>(S(1 / sum));
        each_vector<T>(n, [&](int64_t i, auto part) {
            if constexpr (kStoresExact<T>) part.put(y + i, V(part.get(y + i) * times));
            else part.put(y + i, V((held ? load<V>(held + i) : exp(V(part.get(x + i) - shift))) * times));
        });
    }
}

// Short rows, as many at a time as a register has lanes: turned, so that each has a lane. (Registers of AVX-512 hold
// them as they lie.)
template <class T>
constexpr int64_t kTurned = kWidth < 64 ? 64 : 0;
// f(first column) for squares of columns, those of the last one once more where they overlap; of less columns than a
// square has, only these count.
template <class T, class F>
inline void each_square(int64_t n, F&& f) {
    constexpr int64_t w = kStep<T>;
    for (int64_t j = 0;; j = j + 2 * w <= n ? j + w : n - w) {
        f(j);
        if (j + w >= n) return;
    }
}
template <class T>
inline void turn_in(const T* x, int64_t rows, int64_t n, VecFor<T>* columns) {
    constexpr int w = kStep<T>;
    const auto turn = [&](int64_t j, auto read) {
        VecFor<T> square[w];
#pragma GCC unroll 16
        for (int k = 0; k < w; ++k) square[k] = read(x + (k < rows ? k : rows - 1) * n + j);
        transpose(square);
#pragma GCC unroll 16
        for (int k = 0; k < w; ++k) columns[j + k] = square[k];
    };
    if (n < w) turn(0, [n](const T* p) { return load_first(p, n); });
    else each_square<T>(n, [&](int64_t j) { turn(j, [](const T* p) { return load_as(p); }); });
}
template <class T>
inline void turn_out(const VecFor<T>* columns, int64_t rows, int64_t n, T* y) {
    constexpr int w = kStep<T>;
    const auto turn = [&](int64_t j, auto write) {
        VecFor<T> square[w];
#pragma GCC unroll 16
        for (int k = 0; k < w; ++k) square[k] = columns[j + k];
        transpose(square);
#pragma GCC unroll 16
        for (int k = 0; k < w; ++k)
            if (k < rows) write(y + k * n + j, square[k]);
    };
    if (n < w) turn(0, [n](T* p, VecFor<T> v) { store_first(p, v, n); });
    else each_square<T>(n, [&](int64_t j) { turn(j, [](T* p, VecFor<T> v) { store_as(p, v); }); });
}
template <class T>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t n, bool log) {
    using V = VecFor<T>;
    V column[kTurned<T> + kStep<T>];
    turn_in(x, rows, n, column);
    V most = column[0];
    for (int64_t i = 1; i < n; ++i) most = max_nan(column[i], most);
    V sum{};
    for (int64_t i = 0; i < n; ++i) {
        const V d = column[i] - most, e = exp(d);
        sum += e;
        column[i] = log ? d : e;
    }
    if (log) {
        const V less = FB_ARCH::log(sum);
        for (int64_t i = 0; i < n; ++i) column[i] -= less;
    } else {
        const V times = 1 / sum;
        for (int64_t i = 0; i < n; ++i) column[i] *= times;
    }
    turn_out(column, rows, n, y);
}
template <class T>
void softmax(const void* px, void* py, int64_t outer, int64_t n, int64_t inner, bool log) {
    const T* x = static_cast<const T*>(px);
    T* y = static_cast<T*>(py);
    using V = VecFor<T>;
    if (inner == 1) {
        int64_t i = 0;
        if constexpr (kTurned<T> > 0)
            if (n && n <= kTurned<T>)
                for (; i + 2 < outer; i += kStep<T>)
                    softmax_rows(x + i * n, y + i * n, outer - i < kStep<T> ? outer - i : kStep<T>, n, log);
        Held<T> room;
        for (; i < outer; ++i) softmax_row(x + i * n, y + i * n, n, log, room);
        return;
    }
    if (outer != 1) {
        for (; outer; --outer, x += n * inner, y += n * inner) softmax<T>(x, y, 1, n, inner, log);
        return;
    }
    each_vector<T>(inner, [&](int64_t c, auto part) {
        V most = splat<V>(Acc<T>(-__builtin_inff()));
        for (int64_t i = 0; i < n; i++) most = max_nan(V(part.get(x + i * inner + c)), most);
        V sum{};
        const bool kept = kStoresExact<T> && !log;
        for (int64_t i = 0; i < n; i++) {
            const V e = exp(V(part.get(x + i * inner + c) - most));
            sum += e;
            if (kept) part.put(y + i * inner + c, e);
        }
        const V end = log ? V(FB_ARCH::log(sum)) : V(1 / sum);
        for (int64_t i = 0; i < n; i++) {
            if (kept) {
                part.put(y + i * inner + c, V(part.get(y + i * inner + c) * end));
                continue;
            }
            const V d = part.get(x + i * inner + c) - most;
            part.put(y + i * inner + c, log ? V(d - end) : V(exp(d) * end));
        }
    });
}
template <class T>
void softmax_gradient_rows(const T* g, const T* y, T* o, int64_t rows, int64_t n, bool log) {
    using V = VecFor<T>;
    V a[kTurned<T> + kStep<T>], b[kTurned<T> + kStep<T>], sum{};
    turn_in(g, rows, n, a);
    turn_in(y, rows, n, b);
    for (int64_t i = 0; i < n; ++i) sum += log ? a[i] : V(a[i] * b[i]);
    if (log)
        for (int64_t i = 0; i < n; ++i) a[i] -= exp(b[i]) * sum;
    else
        for (int64_t i = 0; i < n; ++i) a[i] = b[i] * (a[i] - sum);
    turn_out(a, rows, n, o);
}
template <class T>
void softmax_gradient(const void* pg, const void* py, void* po, int64_t outer, int64_t n, int64_t inner, bool log) {
    const T *g = static_cast<const T*>(pg), *y = static_cast<const T*>(py);
    T* o = static_cast<T*>(po);
    if constexpr (kTurned<T> > 0)
        for (; inner == 1 && n && n <= kTurned<T> && outer > 2;
             g += kStep<T> * n, y += kStep<T> * n, o += kStep<T> * n) {
            const int64_t rows = outer < kStep<T> ? outer : kStep<T>;
            softmax_gradient_rows(g, y, o, rows, n, log);
            outer -= rows;
        }
    if (outer != 1) {
        for (; outer; --outer, g += n * inner, y += n * inner, o += n * inner)
            softmax_gradient<T>(g, y, o, 1, n, inner, log);
        return;
    }
    using V = VecFor<T>;
    const auto one = [&](int64_t i, auto part, V sum) {
        const V v = part.get(g + i), r = part.get(y + i);
        part.put(o + i, log ? V(v - exp(r) * sum) : V(r * (v - sum)));
    };
    if (inner == 1) {
        double out[2] = {0, 0};
        two_sums<T>(n, out, [&](int64_t i, auto part, auto& a, auto&) {
            a += log ? V(part.get(g + i)) : V(part.get(g + i) * part.get(y + i));
        });
        const V sum = splat<V>(Acc<T>(out[0]));
        return each_vector<T>(n, [&](int64_t i, auto part) { one(i, part, sum); });
    }
    each_vector<T>(inner, [&](int64_t c, auto part) {
        V sum{};
        for (int64_t i = c; i < n * inner; i += inner)
            sum += log ? V(part.get(g + i)) : V(part.get(g + i) * part.get(y + i));
        for (int64_t i = c; i < n * inner; i += inner) one(i, part, sum);
    });
}
template <class T>
void exp_rows(const void* py, void* po, const double* times, const double* plus, int64_t outer, int64_t n,
              int64_t inner) {
    const T* y = static_cast<const T*>(py);
    T* o = static_cast<T*>(po);
    using V = VecFor<T>;
    int64_t rows = 1;
    for (; outer > 0;
         outer -= rows, y += rows * n * inner, o += rows * n * inner, times += rows * inner, plus += rows * inner) {
        if (inner > 1) {
            rows = 1;
            each_vector<T>(inner, [&](int64_t c, auto part) {
                const V a = load_numbers<V>(times + c, part.m), b = load_numbers<V>(plus + c, part.m);
                for (int64_t i = c; i < n * inner; i += inner) part.put(o + i, fma(exp(V(part.get(y + i))), a, b));
            });
            continue;
        }
        if constexpr (kTurned<T> > 0) {
            if (n <= kTurned<T> && outer >= kStep<T>) {
                rows = kStep<T>;
                const V a = load_numbers<V>(times, rows), b = load_numbers<V>(plus, rows);
                V column[kTurned<T> + kStep<T>];
                turn_in(y, rows, n, column);
                for (int64_t i = 0; i < n; ++i) column[i] = fma(exp(column[i]), a, b);
                turn_out(column, rows, n, o);
                continue;
            }
        }
        rows = 1;
        const V a = splat<V>(Acc<T>(*times)), b = splat<V>(Acc<T>(*plus));
        each_vector<T>(n, [&](int64_t i, auto part) { part.put(o + i, fma(exp(V(part.get(y + i))), a, b)); });
    }
}

template <class T>
constexpr NormLoops loops() {
    return {sums<T>,         sums_rows<T>, dots<T>,     dots_rows<T>,    scale<T>,   scale_rows<T>,       combine<T>,
            combine_rows<T>, normalize<T>, row_dots<T>, row_gradient<T>, softmax<T>, softmax_gradient<T>, exp_rows<T>,
            dot<T>,          row_max<T>,   exp_row<T>};
}

}  // namespace

extern constexpr NormTable norm_table = {loops<float>(), loops<double>(), loops<Half>(), loops<BHalf>()};

}  // namespace fb::cpu::FB_ARCH
