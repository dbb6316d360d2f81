#include "cpu/attention.h"
#include <algorithm>
#include <cmath>
#include "base/parallel.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/norm.h"

namespace fb::cpu {
namespace {

constexpr int64_t kQueries = 64, kKeys = 256;  // a block of scores stays in the nearest caches
constexpr int64_t kPackedKeys = 2048;          // so many keys of a head stay in the second cache

template <class T>
struct Head {
    T* data;
    int64_t row;
    T* at(int64_t i) const { return data + i * row; }
};
template <class T>
Head<T> head_of(const AttentionOperand& o, int64_t b, int64_t h) {
    return {static_cast<T*>(o.data) + b * o.batch + h * o.head, o.row};
}

// The rows of a head's keys or values as the right factor, transposed: in panels packed once for all blocks of queries,
// or as they lie.
template <class T>
struct Lines {
    Head<T> rows;
    int64_t width;
    const T* panels = nullptr;

    void pack(int64_t count, T* room) {
        if constexpr (std::is_same_v<T, float>) pack_rows(rows.data, rows.row, width, count, room);
        panels = room;
    }
    static int64_t room(int64_t width, int64_t count) {
        return std::is_same_v<T, float> ? panel_floats(width, count) : 0;
    }
    // c (m x n) = left · rows [j0, j0 + n)ᵀ
    void multiply(const T* left, int64_t step, int64_t m, int64_t j0, int64_t n, T* c) const {
        if constexpr (std::is_same_v<T, float>)
            if (panels)
                return linear_rows(m, left, step, {panels + panel_floats(width, j0), nullptr, width, n}, false, c, n);
        gemm(dtype_of<T>::value, m, n, width, 1, {left, step, 1}, {rows.at(j0), 1, rows.row}, 0, c, n);
    }
};
// Worth it where several blocks of queries meet all keys.
template <class T>
bool packs(const Attention& a) {
    return std::is_same_v<T, float> && a.queries > kQueries && a.width > 0 && a.value_width > 0 &&
           a.keys <= kPackedKeys;
}

template <class T>
struct Work {
    const Attention& a;
    int64_t b, h;
    Head<T> q = head_of<T>(a.q, b, h), k = head_of<T>(a.k, b, h / a.group), v = head_of<T>(a.v, b, h / a.group);
    const DType type = dtype_of<T>::value;

    // scores of scaled queries [i0, i0 + m) and keys [j0, j0 + n), masked
    void scores(T* s, int64_t i0, int64_t m, int64_t j0, int64_t n, const T* scaled, const Lines<T>& keys) const {
        keys.multiply(scaled, a.width, m, j0, n, s);
        if (a.mask) {
            const T* mask = static_cast<const T*>(a.mask) + b * a.mask_stride[0] + h * a.mask_stride[1];
            for (int64_t i = 0; i < m; ++i) {
                const T* row = mask + (i0 + i) * a.mask_stride[2] + j0 * a.mask_stride[3];
                for (int64_t j = 0; j < n; ++j) s[i * n + j] += row[j * a.mask_stride[3]];
            }
        }
        if (a.causal && j0 + n - 1 > i0)
            for (int64_t i = 0; i < m; ++i)
                for (int64_t j = std::max<int64_t>(0, i0 + i + 1 - j0); j < n; ++j)
                    s[i * n + j] = -std::numeric_limits<T>::infinity();
    }
    void scaled_queries(const NormLoops& loops, int64_t i0, int64_t m, T* to) const {
        if (q.row == a.width) return loops.scale(q.at(i0), to, m * a.width, a.scale, 0);
        for (int64_t i = 0; i < m; ++i) loops.scale(q.at(i0 + i), to + i * a.width, a.width, a.scale, 0);
    }
    int64_t last_key(int64_t i_end) const { return a.causal ? std::min(a.keys, i_end) : a.keys; }
};

template <class T>
void forward(const Attention& a, const AttentionOperand& out, T* logsumexp) {
    const NormLoops& loops = *norm_loops(dtype_of<T>::value);
    const int64_t blocks = (a.queries + kQueries - 1) / kQueries, d = a.value_width;
    const bool pack = packs<T>(a);
    parallel_for(a.batches * a.heads * blocks, 1, [&](int64_t begin, int64_t end) {
        const int64_t panels = pack ? Lines<T>::room(a.width, a.keys) : 0;
        const dnn::Scratch room(size_t(kQueries * (kKeys + d + a.width) + panels) * sizeof(T));
        T *s = room.as<T>(), *panels_k = s + kQueries * kKeys, *q = panels_k + panels, *sum = q + kQueries * a.width;
        T top[kQueries], total[kQueries];
        Lines<T> keys{};
        for (int64_t task = begin; task < end; ++task) {
            const int64_t head = task / blocks, i0 = task % blocks * kQueries, m = std::min(kQueries, a.queries - i0);
            const Work<T> w{a, head / a.heads, head % a.heads};
            if (keys.rows.data != w.k.data || !keys.panels) {
                keys = {w.k, a.width};
                if (pack) keys.pack(a.keys, panels_k);
            }
            w.scaled_queries(loops, i0, m, q);
            std::fill_n(top, m, -std::numeric_limits<T>::infinity());
            std::fill_n(total, m, T(0));
            if (w.last_key(i0 + m) == 0) std::fill_n(sum, m * d, T(0));
            for (int64_t j0 = 0; j0 < w.last_key(i0 + m); j0 += kKeys) {
                const int64_t n = std::min(kKeys, w.last_key(i0 + m) - j0);
                w.scores(s, i0, m, j0, n, q, keys);
                for (int64_t i = 0; i < m; ++i) {
                    T* row = s + i * n;
                    const T now = std::max(top[i], T(loops.row_max(row, n)));
                    if (now == -std::numeric_limits<T>::infinity()) {  // nothing but masked keys so far
                        std::fill_n(row, n, T(0));
                        continue;
                    }
                    const T before = j0 ? std::exp(top[i] - now) : T(1);  // there is nothing to scale yet
                    total[i] = total[i] * before + T(loops.exp_row(row, n, now));
                    if (before != 1) loops.scale(sum + i * d, sum + i * d, d, before, 0);
                    top[i] = now;
                }
                gemm(w.type, m, d, n, 1, {s, n, 1}, {w.v.at(j0), w.v.row, 1}, j0 ? 1 : 0, sum, d);
            }
            const Head<T> o = head_of<T>(out, w.b, w.h);
            for (int64_t i = 0; i < m; ++i) {
                const T times = total[i] > 0 ? 1 / total[i] : total[i] == 0 ? T(0) : total[i];
                loops.scale(sum + i * d, o.at(i0 + i), d, times, 0);
                logsumexp[head * a.queries + i0 + i] = top[i] + std::log(total[i]);
            }
        }
    });
}

template <class T>
void backward(const Attention& a, const AttentionOperand& out, const T* logsumexp, const AttentionOperand& dout,
              const AttentionOperand& dq, const AttentionOperand& dk, const AttentionOperand& dv) {
    const NormLoops& loops = *norm_loops(dtype_of<T>::value);
    const int64_t d = a.value_width;
    const bool pack = packs<T>(a);
    // Heads that share keys are worked on by one thread, which adds up the gradients of these.
    parallel_for(a.batches * a.heads / a.group, 1, [&](int64_t begin, int64_t end) {
        const int64_t panels = pack ? Lines<T>::room(a.width, a.keys) : 0;
        const dnn::Scratch room(
            size_t(kQueries * (2 * kKeys + a.width) + panels + (pack ? Lines<T>::room(d, a.keys) : 0)) * sizeof(T));
        T *p = room.as<T>(), *ds = p + kQueries * kKeys, *q = ds + kQueries * kKeys, *panels_k = q + kQueries * a.width;
        Lines<T> keys{}, values{};
        for (int64_t head = begin * a.group; head < end * a.group; ++head) {
            const Work<T> w{a, head / a.heads, head % a.heads};
            const Head<T> o = head_of<T>(out, w.b, w.h), g = head_of<T>(dout, w.b, w.h), gq = head_of<T>(dq, w.b, w.h),
                          gk = head_of<T>(dk, w.b, w.h / a.group), gv = head_of<T>(dv, w.b, w.h / a.group);
            if (w.h % a.group == 0) {
                keys = {w.k, a.width};
                values = {w.v, d};
                if (pack) {
                    keys.pack(a.keys, panels_k);
                    values.pack(a.keys, panels_k + panels);
                }
            }
            for (int64_t j = 0; j < a.keys && w.h % a.group == 0; ++j) {
                std::fill_n(gk.at(j), a.width, T(0));
                std::fill_n(gv.at(j), d, T(0));
            }
            for (int64_t i0 = 0; i0 < a.queries; i0 += kQueries) {
                const int64_t m = std::min(kQueries, a.queries - i0);
                T delta[kQueries];
                w.scaled_queries(loops, i0, m, q);
                for (int64_t i = 0; i < m; ++i) {
                    delta[i] = T(loops.dot(o.at(i0 + i), g.at(i0 + i), d));
                    if (w.last_key(i0 + m) == 0) std::fill_n(gq.at(i0 + i), a.width, T(0));
                }
                for (int64_t j0 = 0; j0 < w.last_key(i0 + m); j0 += kKeys) {
                    const int64_t n = std::min(kKeys, w.last_key(i0 + m) - j0);
                    w.scores(p, i0, m, j0, n, q, keys);
                    for (int64_t i = 0; i < m; ++i) {
                        const T sum = logsumexp[head * a.queries + i0 + i];
                        if (std::isinf(sum)) std::fill_n(p + i * n, n, T(0));
                        else loops.exp_row(p + i * n, n, sum);
                    }
                    gemm(w.type, n, d, m, 1, {p, 1, n}, {g.at(i0), g.row, 1}, 1, gv.at(j0), gv.row);
                    values.multiply(g.at(i0), g.row, m, j0, n, ds);
                    for (int64_t i = 0; i < m; ++i) {
                        T *row = ds + i * n, *prob = p + i * n;
                        const T less = delta[i], scale = T(a.scale);
#pragma omp simd
                        for (int64_t j = 0; j < n; ++j) row[j] = prob[j] * (row[j] - less) * scale;
                    }
                    gemm(w.type, m, a.width, n, 1, {ds, n, 1}, {w.k.at(j0), w.k.row, 1}, j0 ? 1 : 0, gq.at(i0), gq.row);
                    gemm(w.type, n, a.width, m, 1, {ds, 1, n}, {w.q.at(i0), w.q.row, 1}, 1, gk.at(j0), gk.row);
                }
            }
        }
    });
}

}  // namespace

void attention_forward(const Attention& a, const AttentionOperand& out, void* logsumexp) {
    if (a.type == DType::f64) forward<double>(a, out, static_cast<double*>(logsumexp));
    else forward<float>(a, out, static_cast<float*>(logsumexp));
}
void attention_backward(const Attention& a, const AttentionOperand& out, const void* logsumexp,
                        const AttentionOperand& dout, const AttentionOperand& dq, const AttentionOperand& dk,
                        const AttentionOperand& dv) {
    if (a.type == DType::f64) backward<double>(a, out, static_cast<const double*>(logsumexp), dout, dq, dk, dv);
    else backward<float>(a, out, static_cast<const float*>(logsumexp), dout, dq, dk, dv);
}

}  // namespace fb::cpu
