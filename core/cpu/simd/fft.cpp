// Fourier transforms of as many lines as a register has lanes, compiled once for each instruction set.
#include "cpu/fft_loops.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class V>
struct Pair {
    V re, im;
};
template <class V>
inline Pair<V> operator+(Pair<V> a, Pair<V> b) {
    return {a.re + b.re, a.im + b.im};
}
template <class V>
inline Pair<V> operator-(Pair<V> a, Pair<V> b) {
    return {a.re - b.re, a.im - b.im};
}
template <class V>
inline Pair<V> times(Pair<V> a, V re, V im) {
    return {fma(a.re, re, V(-(a.im * im))), fma(a.re, im, V(a.im * re))};
}
template <class V>
inline Pair<V> scaled(Pair<V> a, Scalar<V> f) {
    return {a.re * f, a.im * f};
}
template <class V>
inline Pair<V> turned(Pair<V> a) {  // times -i
    return {a.im, -a.re};
}
template <class V>
inline Pair<V> conj(Pair<V> a) {
    return {a.re, -a.im};
}
template <class V>
inline Pair<V> get(const Scalar<V>* p, int64_t i) {
    constexpr int w = kLanes<Scalar<V>>;
    return {load<V>(p + 2 * i * w), load<V>(p + (2 * i + 1) * w)};
}
template <class V>
inline void put(Scalar<V>* p, int64_t i, Pair<V> v) {
    constexpr int w = kLanes<Scalar<V>>;
    store(p + 2 * i * w, v.re);
    store(p + (2 * i + 1) * w, v.im);
}

// ---------------------------------------------------------------- butterflies: the transform of p values, in place
template <class V>
inline void four(Pair<V>& a, Pair<V>& b, Pair<V>& c, Pair<V>& d) {
    const Pair<V> s = a + c, t = a - c, u = b + d, v = turned(b - d);
    a = s + u;
    b = t + v;
    c = s - u;
    d = t - v;
}
template <int p, class V>
inline void butterfly(Pair<V>* a) {
    if constexpr (p == 2) {
        const Pair<V> x = a[0], y = a[1];
        a[0] = x + y;
        a[1] = x - y;
    } else if constexpr (p == 3) {
        const Pair<V> s = a[1] + a[2], d = scaled(turned(a[1] - a[2]), 0.8660254037844386), mid = a[0] - scaled(s, 0.5);
        a[0] = a[0] + s;
        a[1] = mid + d;
        a[2] = mid - d;
    } else if constexpr (p == 4) {
        four(a[0], a[1], a[2], a[3]);
    } else if constexpr (p == 5) {
        constexpr double c1 = 0.30901699437494745, c2 = -0.8090169943749475, s1 = 0.9510565162951535,
                         s2 = 0.5877852522924731;
        const Pair<V> t1 = a[1] + a[4], t2 = a[2] + a[3], t3 = a[1] - a[4], t4 = a[2] - a[3];
        const Pair<V> m1 = a[0] + scaled(t1, c1) + scaled(t2, c2), m2 = a[0] + scaled(t1, c2) + scaled(t2, c1);
        const Pair<V> n1 = turned(scaled(t3, s1) + scaled(t4, s2)), n2 = turned(scaled(t3, s2) - scaled(t4, s1));
        a[0] = a[0] + t1 + t2;
        a[1] = m1 + n1;
        a[4] = m1 - n1;
        a[2] = m2 + n2;
        a[3] = m2 - n2;
    } else if constexpr (p == 8) {
        constexpr double r = 0.7071067811865476;
        four(a[0], a[2], a[4], a[6]);
        four(a[1], a[3], a[5], a[7]);
        // Now a[2k] holds the transform of the even values, a[2k + 1] that of the odd ones.
        const Pair<V> o1 = scaled(Pair<V>{a[3].re + a[3].im, a[3].im - a[3].re}, r), o2 = turned(a[5]),
                      o3 = scaled(Pair<V>{a[7].im - a[7].re, -(a[7].re + a[7].im)}, r);
        const Pair<V> e0 = a[0], e1 = a[2], e2 = a[4], e3 = a[6], o0 = a[1];
        a[0] = e0 + o0;
        a[1] = e1 + o1;
        a[2] = e2 + o2;
        a[3] = e3 + o3;
        a[4] = e0 - o0;
        a[5] = e1 - o1;
        a[6] = e2 - o2;
        a[7] = e3 - o3;
    }
}

template <int p, class V>
void pass(const FftStage<Scalar<V>>& stage, const Scalar<V>* x, Scalar<V>* y) {
    const int64_t m = stage.m, s = stage.s;
    for (int64_t q = 0; q < m; ++q) {
        const Scalar<V>* turn = stage.turns + q * (p - 1) * 2;
        for (int64_t k = 0; k < s; ++k) {
            Pair<V> a[p];
            for (int j = 0; j < p; ++j) a[j] = get<V>(x, (q + j * m) * s + k);
            butterfly<p>(a);
            put(y, p * q * s + k, a[0]);
            for (int j = 1; j < p; ++j)
                put(y, (p * q + j) * s + k,
                    q ? times(a[j], splat<V>(turn[2 * j - 2]), splat<V>(turn[2 * j - 1])) : a[j]);
        }
    }
}
// An odd prime: values j and p - j share their cosine, and their sine up to its sign.
template <class V>
void prime_pass(const FftStage<Scalar<V>>& stage, const Scalar<V>* x, Scalar<V>* y) {
    constexpr int kMost = 32;
    const int64_t p = stage.p, m = stage.m, s = stage.s, half = p / 2;
    Pair<V> sum[kMost], gap[kMost];
    for (int64_t q = 0; q < m; ++q)
        for (int64_t k = 0; k < s; ++k) {
            const Pair<V> first = get<V>(x, q * s + k);
            Pair<V> whole = first;
            for (int64_t j = 1; j <= half; ++j) {
                const Pair<V> a = get<V>(x, (q + j * m) * s + k), b = get<V>(x, (q + (p - j) * m) * s + k);
                sum[j] = a + b;
                gap[j] = a - b;
                whole = whole + sum[j];
            }
            put(y, p * q * s + k, whole);
            for (int64_t r = 1; r <= half; ++r) {
                Pair<V> even = first, odd = {};
                for (int64_t j = 1; j <= half; ++j) {
                    const Scalar<V>* root = stage.roots + 2 * (r * j % p);
                    const V c = splat<V>(root[0]), n = splat<V>(-root[1]);
                    even = {fma(sum[j].re, c, even.re), fma(sum[j].im, c, even.im)};
                    odd = {fma(gap[j].re, n, odd.re), fma(gap[j].im, n, odd.im)};
                }
                odd = turned(odd);
                const Scalar<V>* turn = stage.turns + q * (p - 1) * 2;
                const int64_t u = 2 * r - 2, v = 2 * (p - r) - 2;
                put(y, (p * q + r) * s + k, times(even + odd, splat<V>(turn[u]), splat<V>(turn[u + 1])));
                put(y, (p * q + p - r) * s + k, times(even - odd, splat<V>(turn[v]), splat<V>(turn[v + 1])));
            }
        }
}

template <class T>
T* transform(const FftStage<T>* stages, int64_t count, T* a, T* b) {
    using V = Vec<T>;
    for (int64_t i = 0; i < count; ++i) {
        switch (stages[i].p) {
            case 2: pass<2, V>(stages[i], a, b); break;
            case 3: pass<3, V>(stages[i], a, b); break;
            case 4: pass<4, V>(stages[i], a, b); break;
            case 5: pass<5, V>(stages[i], a, b); break;
            case 8: pass<8, V>(stages[i], a, b); break;
            default: prime_pass<V>(stages[i], a, b);
        }
        T* const t = a;
        a = b;
        b = t;
    }
    return a;
}

// ---------------------------------------------------------------- between lines and lanes
template <class T>
struct Complex2 {  // moved as a whole
    T re, im;
};
template <class T>
inline bool side_by_side(const T* const* line, int64_t used) {
    if (used != kLanes<T>) return false;
    for (int l = 1; l < kLanes<T>; ++l)
        if (line[l] != line[0] + 2 * l) return false;
    return true;
}
template <class T>
void load_lines(const T* const* from, int64_t step, int64_t used, int64_t n, bool swap, T* to) {
    constexpr int w = kLanes<T>, kRows = 8;
    const bool adjacent = side_by_side(from, used);
    const T* line[w];
    for (int l = 0; l < w; ++l) line[l] = from[l < used ? l : 0];
    T *re = to + (swap ? w : 0), *im = to + (swap ? 0 : w);
    alignas(64) Complex2<T> rows[kRows][w];
    for (int64_t i = 0; i < n; i += kRows) {
        const int count = n - i < kRows ? int(n - i) : kRows;
        if (!adjacent)
            for (int l = 0; l < w; ++l)
                for (int r = 0; r < count; ++r)
                    __builtin_memcpy(&rows[r][l], line[l] + 2 * (i + r) * step, 2 * sizeof(T));
        for (int r = 0; r < count; ++r, re += 2 * w, im += 2 * w) {
            const T* row = adjacent ? line[0] + 2 * (i + r) * step : &rows[r][0].re;
#pragma GCC ivdep
            for (int l = 0; l < w; ++l) {
                re[l] = row[2 * l];
                im[l] = row[2 * l + 1];
            }
        }
    }
}
template <class T>
void store_lines(const T* from, int64_t n, T* const* to, int64_t step, int64_t used, bool swap, T scale, const T* turn,
                 int64_t turn_step) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>, kRows = 8;
    const bool adjacent = side_by_side<T>(to, used);
    alignas(64) Complex2<T> rows[kRows][w];
    alignas(64) T re[w], im[w];
    for (int64_t i = 0; i < n; i += kRows) {
        const int count = n - i < kRows ? int(n - i) : kRows;
        for (int r = 0; r < count; ++r) {
            Pair<V> v = get<V>(from, i + r);
            if (turn) {
                const T* t = turn + 2 * (i + r) * turn_step;
                for (int l = 0; l < w; ++l) {
                    re[l] = l < used ? t[2 * l] : 0;
                    im[l] = l < used ? t[2 * l + 1] : 0;
                }
                v = times(v, load<V>(re), load<V>(im));
            }
            v = scaled(v, scale);
            if (swap) v = {v.im, v.re};
            store(re, v.re);
            store(im, v.im);
            T* row = adjacent ? to[0] + 2 * (i + r) * step : &rows[r][0].re;
#pragma GCC ivdep
            for (int l = 0; l < w; ++l) {
                row[2 * l] = re[l];
                row[2 * l + 1] = im[l];
            }
        }
        if (!adjacent)
            for (int l = 0; l < used; ++l)
                for (int r = 0; r < count; ++r)
                    __builtin_memcpy(to[l] + 2 * (i + r) * step, &rows[r][l], 2 * sizeof(T));
    }
}

template <class T>
void multiply(const T* from, const T* by, int64_t n, T* to, bool conj_from, bool conj_to) {
    using V = Vec<T>;
    for (int64_t i = 0; i < n; ++i) {
        Pair<V> v = get<V>(from, i);
        if (conj_from) v = conj(v);
        v = times(v, splat<V>(by[2 * i]), splat<V>(by[2 * i + 1]));
        put(to, i, conj_to ? conj(v) : v);
    }
}
template <class T>
void to_half(const T* z, const T* roots, int64_t h, T* to) {
    using V = Vec<T>;
    for (int64_t k = 0; k <= h; ++k) {
        const Pair<V> a = get<V>(z, k < h ? k : 0), b = conj(get<V>(z, k ? h - k : 0));
        const Pair<V> even = scaled(a + b, 0.5), odd = scaled(turned(a - b), 0.5);
        put(to, k, even + times(odd, splat<V>(roots[2 * k]), splat<V>(roots[2 * k + 1])));
    }
}
template <class T>
void from_half(const T* x, const T* roots, int64_t h, T* to) {
    using V = Vec<T>;
    for (int64_t k = 0; k < h; ++k) {
        Pair<V> a = get<V>(x, k), b = conj(get<V>(x, h - k));
        if (k == 0) a.im = b.im = V{};  // what a real signal cannot have is ignored
        const Pair<V> odd = times(a - b, splat<V>(roots[2 * k]), splat<V>(-roots[2 * k + 1]));
        put(to, k, a + b + Pair<V>{-odd.im, odd.re});
    }
}

template <class T>
constexpr FftLoops<T> loops = {kLanes<T>,   transform<T>, load_lines<T>, store_lines<T>,
                               multiply<T>, to_half<T>,   from_half<T>};

}  // namespace

extern const FftLoops<float> fft_loops_float;
extern const FftLoops<double> fft_loops_double;
constexpr FftLoops<float> fft_loops_float = loops<float>;
constexpr FftLoops<double> fft_loops_double = loops<double>;

}  // namespace fb::cpu::FB_ARCH
