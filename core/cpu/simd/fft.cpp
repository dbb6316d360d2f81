// Fourier transforms of several lines side by side and of single lines, compiled once for each instruction set.
#include "cpu/simd/fft.h"

namespace fb::cpu::FB_ARCH {
namespace {

// ---------------------------------------------------------------- passes
// Value k of butterfly q is at (q + j m) s + k and goes to (p q + j) s + k; s is a multiple of the lanes of V. The last
// pass of a line (`pairs`: m is 1, nothing turns) leaves working memory for pairs.
template <class T>
struct Pairs {
    T* to;
    bool swap;
    T scale;
};
template <int p, class V>
void pass(const FftStage<Scalar<V>>& stage, int64_t s, Split<Scalar<V>> x, Split<Scalar<V>> y) {
    const int64_t m = stage.m;
    for (int64_t q = 0; q < m; ++q) {
        const Scalar<V>* turn = stage.turns + q * (p - 1) * 2;
        for (int64_t k = 0; k < s; k += kLanesOf<V>) {
            Pair<V> a[p];
#pragma GCC unroll 8
            for (int j = 0; j < p; ++j) a[j] = get<V>(x, (q + j * m) * s + k);
            butterfly<p>(a);
            put(y, p * q * s + k, a[0]);
#pragma GCC unroll 8
            for (int j = 1; j < p; ++j)
                put(y, (p * q + j) * s + k,
                    q ? times(a[j], splat<V>(turn[2 * j - 2]), splat<V>(turn[2 * j - 1])) : a[j]);
        }
    }
}
template <int p, class V>
void last_pass(int64_t s, Split<Scalar<V>> x, const Pairs<Scalar<V>>& y) {
    for (int64_t k = 0; k < s; k += kLanesOf<V>) {
        Pair<V> a[p];
#pragma GCC unroll 8
        for (int j = 0; j < p; ++j) a[j] = get<V>(x, j * s + k);
        butterfly<p>(a);
#pragma GCC unroll 8
        for (int j = 0; j < p; ++j) {
            const Pair<V> v = scaled(a[j], y.scale);
            store_pairs(y.to + 2 * (j * s + k), y.swap ? Pair<V>{v.im, v.re} : v);
        }
    }
}
// An odd prime: values j and p - j share their cosine, and their sine up to its sign.
template <class V>
void prime_pass(const FftStage<Scalar<V>>& stage, int64_t s, Split<Scalar<V>> x, Split<Scalar<V>> y) {
    constexpr int kMost = 32;
    const int64_t p = stage.p, m = stage.m, half = p / 2;
    Pair<V> sum[kMost], gap[kMost];
    for (int64_t q = 0; q < m; ++q)
        for (int64_t k = 0; k < s; k += kLanesOf<V>) {
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
Split<T> passes(const FftStage<T>* stages, int64_t count, int64_t lanes, Split<T> a, Split<T> b) {
    using V = LineVec<T>;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t s = stages[i].s * lanes;
        switch (stages[i].p) {
            case 2: pass<2, V>(stages[i], s, a, b); break;
            case 3: pass<3, V>(stages[i], s, a, b); break;
            case 4: pass<4, V>(stages[i], s, a, b); break;
            case 5: pass<5, V>(stages[i], s, a, b); break;
            case 8: pass<8, V>(stages[i], s, a, b); break;
            default: prime_pass<V>(stages[i], s, a, b);
        }
        const Split<T> t = a;
        a = b;
        b = t;
    }
    return a;
}
template <class T>
Split<T> transform(const FftStage<T>* stages, int64_t count, Split<T> a, Split<T> b) {
    return passes(stages, count, kLanes<T>, a, b);
}

// ---------------------------------------------------------------- one line
// The first pass of a line: neighbouring butterflies in the lanes, squares of results turned before they are stored.
template <class T, class Get>
void first_pass(const FftLine<T>& plan, Split<T> y, Get&& from) {
    using V = LineVec<T>;
    constexpr int w = kLanesOf<V>;
    const int64_t m = plan.n / 8;
    for (int64_t i = 0; i < m; i += w) {
        const int64_t q = i + w <= m ? i : m - w;  // the last ones may be made twice
        Pair<V> a[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) a[j] = from(q + j * m);
        butterfly<8>(a);
        V re[8], im[8];
        re[0] = a[0].re;
        im[0] = a[0].im;
#pragma GCC unroll 8
        for (int j = 1; j < 8; ++j) {
            const T* turn = plan.first + (j - 1) * 2 * m + q;
            const Pair<V> v = times(a[j], load<V>(turn), load<V>(turn + m));
            re[j] = v.re;
            im[j] = v.im;
        }
#pragma GCC unroll 8
        for (int j = 0; j < 8; j += w) {
            transpose(re + j);
            transpose(im + j);
#pragma GCC unroll 8
            for (int l = 0; l < w; ++l) put(y, 8 * (q + l) + j, Pair<V>{re[j + l], im[j + l]});
        }
    }
}
template <class T>
void finish_line(const FftLine<T>& plan, Split<T> a, Split<T> b, const Pairs<T>& out) {
    using V = LineVec<T>;
    const FftStage<T>& last = plan.stages[plan.count - 1];
    const Split<T> x = passes(plan.stages, plan.count - 1, 1, a, b);
    switch (last.p) {
        case 2: return last_pass<2, V>(last.s, x, out);
        case 3: return last_pass<3, V>(last.s, x, out);
        case 4: return last_pass<4, V>(last.s, x, out);
        case 5: return last_pass<5, V>(last.s, x, out);
        case 8: return last_pass<8, V>(last.s, x, out);
    }
    const Split<T> y = x.re == a.re ? b : a;
    prime_pass<V>(last, last.s, x, y);
    for (int64_t i = 0; i < plan.n; i += kLanesOf<V>) {
        const Pair<V> v = scaled(get<V>(y, i), out.scale);
        store_pairs(out.to + 2 * i, out.swap ? Pair<V>{v.im, v.re} : v);
    }
}
template <class T>
void line(const FftLine<T>& plan, const T* in, T* out, bool swap, T scale, Split<T> a, Split<T> b) {
    using V = LineVec<T>;
    first_pass(plan, a, [=](int64_t i) {
        const Pair<V> v = load_pairs<V>(in + 2 * i);
        return swap ? Pair<V>{v.im, v.re} : v;
    });
    finish_line(plan, a, b, {out, swap, scale});
}
template <class T>
Split<T> line_split(const FftLine<T>& plan, Split<T> a, Split<T> b) {
    first_pass(plan, b, [=](int64_t i) { return get<LineVec<T>>(a, i); });
    return passes(plan.stages, plan.count, 1, b, a);
}

// Values k and h - k of a half spectrum belong together: both are made at once, the second ones in reverse.
template <class T>
void line_real(const FftLine<T>& plan, const T* in, const T* roots, T* out, T scale, Split<T> a, Split<T> b) {
    using V = LineVec<T>;
    constexpr int w = kLanesOf<V>;
    const int64_t h = plan.n;
    first_pass(plan, a, [=](int64_t i) { return load_pairs<V>(in + 2 * i); });
    const Split<T> z = passes(plan.stages, plan.count, 1, a, b);
    out[0] = scale * (z.re[0] + z.im[0]);
    out[2 * h] = scale * (z.re[0] - z.im[0]);
    out[1] = out[2 * h + 1] = 0;
    for (int64_t k = 1; k <= h / 2; k += w) {
        const int64_t mirror = h - k - w + 1;
        const Pair<V> x = scaled(get<V>(z, k), scale / 2), y = scaled(conj(reversed(get<V>(z, mirror))), scale / 2),
                      root = load_pairs<V>(roots + 2 * k), even = x + y, odd = times(turned(x - y), root.re, root.im);
        store_pairs(out + 2 * k, even + odd);
        store_pairs(out + 2 * mirror, reversed(conj(even - odd)));
    }
}
template <class T>
void line_to_real(const FftLine<T>& plan, const T* in, const T* roots, T* out, T scale, Split<T> a, Split<T> b) {
    using V = LineVec<T>;
    constexpr int w = kLanesOf<V>;
    const int64_t h = plan.n;
    const Split<T> z{b.im, b.re};  // backward: real and imaginary parts change places
    z.re[0] = in[0] + in[2 * h];   // what a real signal cannot have is ignored
    z.im[0] = in[0] - in[2 * h];
    for (int64_t k = 1; k <= h / 2; k += w) {
        const int64_t mirror = h - k - w + 1;
        const Pair<V> x = load_pairs<V>(in + 2 * k), y = conj(reversed(load_pairs<V>(in + 2 * mirror))),
                      root = load_pairs<V>(roots + 2 * k), even = x + y, odd = times(x - y, root.re, V(-root.im));
        put(z, k, even + Pair<V>{-odd.im, odd.re});
        put(z, mirror, reversed(conj(even) + Pair<V>{odd.im, odd.re}));
    }
    first_pass(plan, a, [=](int64_t i) { return get<V>(b, i); });
    finish_line(plan, a, b, {out, true, scale});
}
template <class T>
void multiply(Split<T> x, const T* by, int64_t n) {
    using V = LineVec<T>;
    int64_t i = 0;
    for (; i + kLanesOf<V> <= n; i += kLanesOf<V>) {
        const Pair<V> f = load_pairs<V>(by + 2 * i);
        put(x, i, times(get<V>(x, i), f.re, f.im));
    }
    for (; i < n; ++i) {
        const T re = x.re[i], im = x.im[i];
        x.re[i] = re * by[2 * i] - im * by[2 * i + 1];
        x.im[i] = re * by[2 * i + 1] + im * by[2 * i];
    }
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
void load_lines(const T* const* from, int64_t step, int64_t used, int64_t n, bool swap, Split<T> to) {
    constexpr int w = kLanes<T>, kRows = 8;
    const bool adjacent = side_by_side(from, used);
    const T* line[w];
    for (int l = 0; l < w; ++l) line[l] = from[l < used ? l : 0];
    if (swap) to = {to.im, to.re};
    alignas(64) Complex2<T> rows[kRows][w];
    for (int64_t i = 0; i < n; i += kRows) {
        const int count = n - i < kRows ? int(n - i) : kRows;
        if (!adjacent)
            for (int l = 0; l < w; ++l)
                for (int r = 0; r < count; ++r)
                    __builtin_memcpy(&rows[r][l], line[l] + 2 * (i + r) * step, 2 * sizeof(T));
        for (int r = 0; r < count; ++r)
            put(to, (i + r) * w, load_pairs<Vec<T>>(adjacent ? line[0] + 2 * (i + r) * step : &rows[r][0].re));
    }
}
template <class T>
void store_lines(Split<T> from, int64_t n, T* const* to, int64_t step, int64_t used, bool swap, T scale, const T* turn,
                 int64_t turn_step) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>, kRows = 8;
    const bool adjacent = side_by_side<T>(to, used);
    alignas(64) Complex2<T> rows[kRows][w], part[w] = {};
    for (int64_t i = 0; i < n; i += kRows) {
        const int count = n - i < kRows ? int(n - i) : kRows;
        for (int r = 0; r < count; ++r) {
            Pair<V> v = get<V>(from, (i + r) * w);
            if (turn) {
                const T* t = turn + 2 * (i + r) * turn_step;
                if (used < w) {
                    __builtin_memcpy(part, t, size_t(used) * sizeof part[0]);
                    t = &part[0].re;
                }
                const Pair<V> by = load_pairs<V>(t);
                v = times(v, by.re, by.im);
            }
            v = scaled(v, scale);
            store_pairs(adjacent ? to[0] + 2 * (i + r) * step : &rows[r][0].re, swap ? Pair<V>{v.im, v.re} : v);
        }
        if (!adjacent)
            for (int l = 0; l < used; ++l)
                for (int r = 0; r < count; ++r)
                    __builtin_memcpy(to[l] + 2 * (i + r) * step, &rows[r][l], 2 * sizeof(T));
    }
}

template <class T>
void to_half(Split<T> z, const T* roots, int64_t h, Split<T> to) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>;
    for (int64_t k = 0; k <= h; ++k) {
        const Pair<V> a = get<V>(z, k < h ? k * w : 0), b = conj(get<V>(z, k ? (h - k) * w : 0));
        const Pair<V> even = scaled(a + b, 0.5), odd = scaled(turned(a - b), 0.5);
        put(to, k * w, even + times(odd, splat<V>(roots[2 * k]), splat<V>(roots[2 * k + 1])));
    }
}
template <class T>
void from_half(Split<T> x, const T* roots, int64_t h, Split<T> to) {
    using V = Vec<T>;
    constexpr int w = kLanes<T>;
    for (int64_t k = 0; k < h; ++k) {
        Pair<V> a = get<V>(x, k * w), b = conj(get<V>(x, (h - k) * w));
        if (k == 0) a.im = b.im = V{};  // what a real signal cannot have is ignored
        const Pair<V> odd = times(a - b, splat<V>(roots[2 * k]), splat<V>(-roots[2 * k + 1]));
        put(to, k * w, a + b + Pair<V>{-odd.im, odd.re});
    }
}

template <class T>
constexpr FftLoops<T> loops = {kLanes<T>, transform<T>,  load_lines<T>, store_lines<T>,  to_half<T>, from_half<T>,
                               line<T>,   line_split<T>, line_real<T>,  line_to_real<T>, multiply<T>};

}  // namespace

extern const FftLoops<float> fft_loops_float;
extern const FftLoops<double> fft_loops_double;
constexpr FftLoops<float> fft_loops_float = loops<float>;
constexpr FftLoops<double> fft_loops_double = loops<double>;

}  // namespace fb::cpu::FB_ARCH
