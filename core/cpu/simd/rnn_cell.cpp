// Recurrent cells, compiled once for each instruction set.
#include "cpu/rnn_cell.h"
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

// Calls f(i, load, store) for every vector of n elements, the last one a part.
template <class T, class Fn>
inline void each(int64_t n, Fn f) {
    constexpr int64_t step = kStep<T>;
    int64_t i = 0;
    for (; i + step <= n; i += step)
        f([i](const T* p) { return load<VecFor<T>>(p + i); }, [i](T* p, VecFor<T> v) { store(p + i, v); });
    if (i < n)
        f([i, n](const T* p) { return load_part(p + i, n - i); },
          [i, n](T* p, VecFor<T> v) { store_part(p + i, v, n - i); });
}

template <class T, class Gates>
void lstm(Gates* gates, int64_t gate, void* cv, void* hv, void* outv, int64_t n) {
    constexpr bool answer = std::is_const_v<Gates>;
    auto* g = static_cast<std::conditional_t<answer, const T, T>*>(gates);
    T *c = static_cast<T*>(cv), *h = static_cast<T*>(hv), *out = static_cast<T*>(outv);
    each<T>(n, [&](auto get, auto put) {
        const auto i = sigmoid(get(g)), f = sigmoid(get(g + gate)), u = tanh(get(g + 2 * gate)),
                   o = sigmoid(get(g + 3 * gate)), now = fma(f, get(c), i * u), y = o * tanh(now);
        if constexpr (!answer) {
            put(g, i);
            put(g + gate, f);
            put(g + 2 * gate, u);
            put(g + 3 * gate, o);
        }
        put(c, now);
        put(h, y);
        put(out, y);
    });
}
template <class T>
void lstm_back(void* gates, int64_t gate, const void* cv, const void* dhv, void* dcv, const void* doutv, int64_t n) {
    T *g = static_cast<T*>(gates), *dc = static_cast<T*>(dcv);
    const T *c = static_cast<const T*>(cv), *dh = static_cast<const T*>(dhv), *dout = static_cast<const T*>(doutv);
    const auto one = splat<VecFor<T>>(1);
    each<T>(n, [&](auto get, auto put) {
        const auto i = get(g), f = get(g + gate), u = get(g + 2 * gate), o = get(g + 3 * gate), before = get(c);
        const auto t = tanh(fma(f, before, i * u)), d = dout ? get(dh) + get(dout) : get(dh);
        const auto e = get(dc) + d * o * (one - t * t);
        put(g, e * u * i * (one - i));
        put(g + gate, e * before * f * (one - f));
        put(g + 2 * gate, e * i * (one - u * u));
        put(g + 3 * gate, d * t * o * (one - o));
        put(dc, e * f);
    });
}
template <class T>
void gru(void* gates, int64_t gate, const void* partv, void* keepv, void* hv, void* outv, int64_t n) {
    T *g = static_cast<T*>(gates), *keep = static_cast<T*>(keepv), *h = static_cast<T*>(hv),
      *out = static_cast<T*>(outv);
    const T* part = static_cast<const T*>(partv);
    each<T>(n, [&](auto get, auto put) {
        const auto r = sigmoid(get(g) + get(part)), z = sigmoid(get(g + gate) + get(part + gate));
        const auto k = get(part + 2 * gate), u = tanh(fma(r, k, get(g + 2 * gate))), y = fma(z, get(h) - u, u);
        put(g, r);
        put(g + gate, z);
        put(g + 2 * gate, u);
        put(keep, k);
        put(h, y);
        put(out, y);
    });
}
template <class T>
void gru_back(void* gates, int64_t gate, void* part_gates, const void* hv, const void* keepv, void* dhv,
              const void* doutv, int64_t n) {
    T *g = static_cast<T*>(gates), *p = static_cast<T*>(part_gates), *dh = static_cast<T*>(dhv);
    const T *h = static_cast<const T*>(hv), *keep = static_cast<const T*>(keepv), *dout = static_cast<const T*>(doutv);
    const auto one = splat<VecFor<T>>(1);
    each<T>(n, [&](auto get, auto put) {
        const auto r = get(g), z = get(g + gate), u = get(g + 2 * gate), d = dout ? get(dh) + get(dout) : get(dh);
        const auto du = d * (one - z) * (one - u * u), dr = du * get(keep) * r * (one - r),
                   dz = d * (get(h) - u) * z * (one - z);
        put(g, dr);
        put(p, dr);
        put(g + gate, dz);
        put(p + gate, dz);
        put(g + 2 * gate, du);
        put(p + 2 * gate, du * r);
        put(dh, d * z);
    });
}
template <class T, bool relu>
void plain(void* gates, void* hv, void* outv, int64_t n) {
    T *g = static_cast<T*>(gates), *h = static_cast<T*>(hv), *out = static_cast<T*>(outv);
    each<T>(n, [&](auto get, auto put) {
        VecFor<T> y = get(g);
        if constexpr (relu) y = y < splat<VecFor<T>>(0) ? splat<VecFor<T>>(0) : y;
        else y = tanh(y);
        put(g, y);
        put(h, y);
        put(out, y);
    });
}
template <class T, bool relu>
void plain_back(void* gates, const void* dhv, const void* doutv, int64_t n) {
    T* g = static_cast<T*>(gates);
    const T *dh = static_cast<const T*>(dhv), *dout = static_cast<const T*>(doutv);
    each<T>(n, [&](auto get, auto put) {
        const auto y = get(g), d = dout ? get(dh) + get(dout) : get(dh), zero = splat<VecFor<T>>(0);
        if constexpr (relu) put(g, y > zero ? d : zero);
        else put(g, d * (splat<VecFor<T>>(1) - y * y));
    });
}

template <class T>
constexpr RnnCells cells = {lstm<T, void>,      lstm<T, const void>, lstm_back<T>,         gru<T>,
                            gru_back<T>,        plain<T, false>,     plain_back<T, false>, plain<T, true>,
                            plain_back<T, true>};

}  // namespace

extern constexpr RnnCellTable rnn_cell_table = {cells<float>, cells<double>};

}  // namespace fb::cpu::FB_ARCH
