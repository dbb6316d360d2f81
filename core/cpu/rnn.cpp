#include "cpu/rnn.h"
#include <cmath>
#include <vector>
#include "base/parallel.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace {

std::vector<int64_t> offsets(IntSpan batch) {
    std::vector<int64_t> r;
    int64_t at = 0;
    for (int64_t n : batch) {
        r.push_back(at);
        at += n;
    }
    return r;
}
template <class F>
void each_step(const RnnSteps& s, bool backwards, F&& f) {
    const auto start = offsets(s.batch);
    const int64_t steps = int64_t(s.batch.size());
    for (int64_t i = 0; i < steps; ++i) {
        const int64_t t = (s.reverse != backwards) ? steps - 1 - i : i;
        f(s.batch[size_t(t)], start[size_t(t)]);
    }
}
template <class F>
void each_row(int64_t rows, int64_t width, F&& f) {
    parallel_for(rows, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, width)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) f(i);
    });
}
template <class T>
struct Activations {
    Loop sigmoid = unary_loop(Unary::sigmoid, dtype_of<T>::value), tanh = unary_loop(Unary::tanh, dtype_of<T>::value);
    static void run(Loop f, const T* x, T* y, int64_t n) {
        char* p[] = {reinterpret_cast<char*>(y), reinterpret_cast<char*>(const_cast<T*>(x))};
        const int64_t strides[] = {sizeof(T), sizeof(T)};
        f(p, strides, n, nullptr);
    }
};

template <class T>
void forward(const RnnSteps& s, const RnnForward& a) {
    const int64_t H = s.hidden, G = gates_of(s.cell) * H;
    T *gates = static_cast<T*>(a.gates), *out = static_cast<T*>(a.out), *h = static_cast<T*>(a.h),
      *c = static_cast<T*>(a.c), *before = static_cast<T*>(a.before);
    const T *w = static_cast<const T*>(a.w_hh), *bias = static_cast<const T*>(a.b_hh);
    const DType type = dtype_of<T>::value;
    int64_t rows = 0;
    for (int64_t n : s.batch) rows += n;
    T* before_c = before + rows * H;  // or the hidden part of the new gate
    // The weights are read once a step: transposed beforehand they are read in order.
    const dnn::Scratch room(size_t(G * H) * sizeof(T));
    T* wt = room.as<T>();
    constexpr int64_t tile = 16;
    for (int64_t g0 = 0; g0 < G; g0 += tile)
        for (int64_t j0 = 0; j0 < H; j0 += tile)
            for (int64_t j = j0; j < std::min(H, j0 + tile); ++j)
                for (int64_t g = g0; g < std::min(G, g0 + tile); ++g) wt[j * G + g] = w[g * H + j];
    const Activations<T> act;
    std::vector<T> hidden_part(
        s.cell == Cell::Gru && !s.batch.empty() ? size_t(*std::max_element(s.batch.begin(), s.batch.end()) * G) : 0);

    each_step(s, false, [&](int64_t n, int64_t at) {
        std::copy_n(h, n * H, before + at * H);
        T* step = gates + at * G;
        if (s.cell != Cell::Gru) {
            gemm(type, n, G, H, 1, {h, H, 1}, {wt, G, 1}, 1, step, G);
        } else {
            for (int64_t i = 0; i < n; ++i) {
                if (bias) std::copy_n(bias, G, hidden_part.data() + i * G);
                else std::fill_n(hidden_part.data() + i * G, G, T(0));
            }
            gemm(type, n, G, H, 1, {h, H, 1}, {wt, G, 1}, 1, hidden_part.data(), G);
        }
        each_row(n, G * 4, [&](int64_t i) {
            T *g = step + i * G, *hi = h + i * H, *o = out + (at + i) * H;
            if (s.cell == Cell::Lstm) {
                T *ci = c + i * H, *f = g + H, *u = g + 2 * H, *og = g + 3 * H;
                std::copy_n(ci, H, before_c + (at + i) * H);
                act.run(act.sigmoid, g, g, 2 * H);
                act.run(act.tanh, u, u, H);
                act.run(act.sigmoid, og, og, H);
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) ci[j] = f[j] * ci[j] + g[j] * u[j];
                act.run(act.tanh, ci, hi, H);
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) o[j] = hi[j] = og[j] * hi[j];
            } else if (s.cell == Cell::Gru) {
                T *z = g + H, *u = g + 2 * H, *hg = hidden_part.data() + i * G, *keep = before_c + (at + i) * H;
#pragma omp simd
                for (int64_t j = 0; j < 2 * H; ++j) g[j] += hg[j];
                act.run(act.sigmoid, g, g, 2 * H);
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) {
                    keep[j] = hg[2 * H + j];
                    u[j] += g[j] * keep[j];
                }
                act.run(act.tanh, u, u, H);
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) o[j] = hi[j] = u[j] + z[j] * (hi[j] - u[j]);
            } else {
                if (s.cell == Cell::Tanh) act.run(act.tanh, g, g, H);
                else
                    for (int64_t j = 0; j < H; ++j) g[j] = g[j] < 0 ? T(0) : g[j];
                std::copy_n(g, H, hi);
                std::copy_n(g, H, o);
            }
        });
    });
}

template <class T>
void backward(const RnnSteps& s, const RnnBackward& a) {
    const int64_t H = s.hidden, G = gates_of(s.cell) * H;
    T *gates = static_cast<T*>(a.gates), *hidden_gates = static_cast<T*>(a.hidden_gates), *dh = static_cast<T*>(a.dh),
      *dc = static_cast<T*>(a.dc);
    const T *before = static_cast<const T*>(a.before), *dout = static_cast<const T*>(a.dout),
            *w = static_cast<const T*>(a.w_hh);
    int64_t rows = 0;
    for (int64_t n : s.batch) rows += n;
    const T* before_c = before + rows * H;
    const Activations<T> act;
    each_step(s, true, [&](int64_t n, int64_t at) {
        each_row(n, G * 4, [&](int64_t i) {
            T *g = gates + (at + i) * G, *d = dh + i * H;
            if (dout) {
                const T* more = dout + (at + i) * H;
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) d[j] += more[j];
            }
            if (s.cell == Cell::Lstm) {
                T *f = g + H, *u = g + 2 * H, *o = g + 3 * H, *e = dc + i * H;
                const T* c0 = before_c + (at + i) * H;
                static thread_local std::vector<T> now;
                now.resize(size_t(H));
                T* t = now.data();
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) t[j] = f[j] * c0[j] + g[j] * u[j];
                act.run(act.tanh, t, t, H);
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) {
                    const T gi = g[j], gf = f[j], gu = u[j], go = o[j];
                    const T de = e[j] + d[j] * go * (1 - t[j] * t[j]);
                    o[j] = d[j] * t[j] * go * (1 - go);
                    g[j] = de * gu * gi * (1 - gi);
                    f[j] = de * c0[j] * gf * (1 - gf);
                    u[j] = de * gi * (1 - gu * gu);
                    e[j] = de * gf;
                }
            } else if (s.cell == Cell::Gru) {
                T *z = g + H, *u = g + 2 * H, *hg = hidden_gates + (at + i) * G;
                const T *h0 = before + (at + i) * H, *part = before_c + (at + i) * H;
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) {
                    const T r = g[j], gz = z[j], gu = u[j];
                    const T du = d[j] * (1 - gz) * (1 - gu * gu);
                    hg[H + j] = z[j] = d[j] * (h0[j] - gu) * gz * (1 - gz);
                    hg[j] = g[j] = du * part[j] * r * (1 - r);
                    u[j] = du;
                    hg[2 * H + j] = du * r;
                    d[j] *= gz;
                }
            } else {
                const bool tanh = s.cell == Cell::Tanh;
#pragma omp simd
                for (int64_t j = 0; j < H; ++j) g[j] = tanh ? d[j] * (1 - g[j] * g[j]) : g[j] > 0 ? d[j] : T(0);
            }
        });
        gemm(dtype_of<T>::value, n, H, G, 1, {hidden_gates + at * G, G, 1}, {w, H, 1}, s.cell == Cell::Gru ? 1 : 0, dh,
             H);
    });
}

}  // namespace

void rnn_forward(const RnnSteps& s, const RnnForward& a) {
    if (s.type == DType::f64) forward<double>(s, a);
    else forward<float>(s, a);
}
void rnn_backward(const RnnSteps& s, const RnnBackward& a) {
    if (s.type == DType::f64) backward<double>(s, a);
    else backward<float>(s, a);
}

}  // namespace fb::cpu
