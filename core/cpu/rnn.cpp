#include "cpu/rnn.h"
#include <algorithm>
#include <optional>
#include <vector>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/gemm_block.h"
#include "cpu/packed.h"
#include "cpu/rnn_cell.h"

namespace fb::cpu {

namespace baseline {
extern const RnnCellTable rnn_cell_table;
}
namespace avx2 {
extern const RnnCellTable rnn_cell_table;
}
namespace avx512 {
extern const RnnCellTable rnn_cell_table;
}
const RnnCells& rnn_cells(DType type) {
    const RnnCellTable& table = for_this_cpu<baseline::rnn_cell_table, avx2::rnn_cell_table, avx512::rnn_cell_table>();
    return type == DType::f64 ? table.f64 : table.f32;
}

namespace {

// What one thread does in every step: some rows with all units, or all rows with some units.
struct Part {
    int64_t row0, row1, unit0, unit1;
};

// Enough rows are divided: then no thread ever waits for another. Few are not, because each thread would read all the
// weights; their units are divided, and the threads meet once a step.
struct Division {
    int threads;
    bool by_rows;
    int64_t rows;  // of one thread
};
Division divide(const RnnSteps& s) {
    constexpr double kGrain = 50000;  // multiplications of a step that are worth a thread
    const int64_t most = s.batch.empty() ? 0 : *std::max_element(s.batch.begin(), s.batch.end());
    const double step = double(most) * double(gates_of(s.cell)) * double(s.hidden) * double(s.hidden);
    Division d{1, true, most};
    // Products of doubles are divided by the library.
    if (s.type == DType::f32 && !omp_in_parallel()) d.threads = int(std::min<double>(num_threads(), step / kGrain));
    d.threads = std::max(d.threads, 1);
    d.by_rows = most >= 4 * d.threads;
    if (d.by_rows) d.rows = (most + d.threads - 1) / d.threads;
    return d;
}

// Calls f(part, meet) on every thread; `meet` waits for the others.
template <class F>
void each_part(const Division& d, int64_t hidden, F&& f) {
    if (d.threads == 1) return f(Part{0, d.rows, 0, hidden}, [] {});
    const LongWork unlocked;
#pragma omp parallel num_threads(d.threads)
    {
        const int64_t me = omp_get_thread_num(), all = omp_get_num_threads();
        if (d.by_rows) {
            for (int64_t i = me; i < d.threads; i += all) f(Part{i * d.rows, (i + 1) * d.rows, 0, hidden}, [] {});
        } else {
            f(Part{0, d.rows, hidden * me / all, hidden * (me + 1) / all}, [] {
#pragma omp barrier
            });
        }
    }
}

// Calls f(rows of the step, where they begin) in the order of time, or against it.
template <class F>
void each_step(const RnnSteps& s, bool backwards, F&& f) {
    std::vector<int64_t> start;
    int64_t at = 0;
    for (int64_t n : s.batch) {
        start.push_back(at);
        at += n;
    }
    const int64_t steps = int64_t(s.batch.size());
    for (int64_t i = 0; i < steps; ++i) {
        const size_t t = size_t((s.reverse != backwards) ? steps - 1 - i : i);
        f(s.batch[t], start[t]);
    }
}
int64_t rows_of(const RnnSteps& s) {
    int64_t rows = 0;
    for (int64_t n : s.batch) rows += n;
    return rows;
}

// The product with the weights that every step repeats: C = A·B (+ C, + bias), a part of the columns at a time.
template <class T>
class StepProduct {
public:
    // B is k x n; when enough rows are to come it is packed once.
    StepProduct(int64_t n, int64_t k, Matrix b, int64_t rows, const Tensor* kept = nullptr) : n_(n), k_(k), b_(b) {
        if constexpr (std::is_same_v<T, float>) {
            block_ = {0, n, k, 1, 0, nullptr, 0, 1, static_cast<const float*>(b.data), b.row, b.col, nullptr, 0, 1};
            const int64_t columns = gemm_kernel().columns;
            if (rows < 4) return;
            if (kept) {
                kept_ = packed_panels(*kept);
                block_.b = kept_->as<const float>();
                block_.b_panel = columns * k;
                return;
            }
            const int64_t panels = (n + columns - 1) / columns;
            packed_.emplace(size_t(panels * columns * k) * sizeof(T));
            float* to = packed_->as<float>();
            parallel_for(panels, std::max<int64_t>(1, 50000 / (columns * k)),
                         [&](int64_t begin, int64_t end) { gemm_kernel().pack(block_, to, begin, end); });
            block_.b = to;
            block_.b_panel = columns * k;
        } else if (b.col != 1) {  // read once a step: in order
            packed_.emplace(size_t(n * k) * sizeof(T));
            T* to = packed_->as<T>();
            for (int64_t l = 0; l < k; ++l)
                for (int64_t j = 0; j < n; ++j) to[l * n + j] = static_cast<const T*>(b.data)[l * b.row + j * b.col];
            b_ = {to, n, 1};
        }
    }
    // Columns [begin, end) of `rows` rows.
    void run(int64_t rows, int64_t begin, int64_t end, const T* a, int64_t a_row, T beta, T* c, int64_t c_row,
             const T* bias = nullptr) const {
        if (rows <= 0 || begin >= end) return;
        if constexpr (std::is_same_v<T, float>) {
            GemmBlock g = block_;
            g.m = rows;
            g.n = end - begin;
            g.a = a;
            g.a_row = a_row;
            g.beta = beta;
            g.b += begin * g.b_col;  // packed products are not divided
            g.c = c + begin;
            g.c_row = c_row;
            g.bias = bias ? bias + begin : nullptr;
            const int64_t wanted = gemm_kernel().room(g);
            const dnn::Scratch room(size_t(wanted) * sizeof(float));
            gemm_kernel().run(g, {}, room.template as<float>());
        } else {
            gemm(dtype_of<T>::value, rows, end - begin, k_, 1, {a, a_row, 1},
                 {static_cast<const T*>(b_.data) + begin, b_.row, 1}, beta, c + begin, c_row,
                 bias ? bias + begin : nullptr);
        }
    }

private:
    int64_t n_, k_;
    Matrix b_;
    GemmBlock block_{};
    std::optional<dnn::Scratch> packed_;
    Packed kept_;
};

template <class T>
void forward(const RnnSteps& s, const RnnForward& a) {
    const int64_t H = s.hidden, count = gates_of(s.cell), G = count * H;
    T *gates = static_cast<T*>(a.gates), *out = static_cast<T*>(a.out), *h = static_cast<T*>(a.h),
      *c = static_cast<T*>(a.c), *before = static_cast<T*>(a.before);
    const T* bias = static_cast<const T*>(a.b_hh);
    const RnnCells& cells = rnn_cells(s.type);
    const Division d = divide(s);
    const bool gru = s.cell == Cell::Gru;
    // Without a gradient to come a thread that has rows of its own reads the state where it is.
    const bool in_place = !before && d.by_rows && !gru;
    const dnn::Scratch room_before(before || in_place ? 0 : size_t(2 * rows_of(s) * H) * sizeof(T));
    if (!before) before = room_before.as<T>();
    T* before_c = in_place ? nullptr : before + rows_of(s) * H;  // or the hidden part of the new gate
    const StepProduct<T> product(G, H, {a.w_hh, 1, H}, d.by_rows ? d.rows : 0, a.answering);
    const int64_t most = s.batch.empty() ? 0 : *std::max_element(s.batch.begin(), s.batch.end());
    const dnn::Scratch room(gru ? size_t(most * G) * sizeof(T) : 0);
    T* parts = room.as<T>();  // what the state contributes to the gates of a GRU

    each_part(d, H, [&](const Part& p, auto meet) {
        const int64_t width = p.unit1 - p.unit0;
        bool forwards = false;
        each_step(s, false, [&](int64_t n, int64_t at) {
            const int64_t rows = std::min(n, p.row1) - p.row0;
            at += p.row0;
            T* step = gates + at * G;
            for (int64_t i = 0; i < rows && !in_place; ++i)
                std::copy_n(h + (p.row0 + i) * H + p.unit0, width, before + (at + i) * H + p.unit0);
            meet();
            const T* state = in_place ? h + p.row0 * H : before + at * H;
            T* to = gru ? parts + p.row0 * G : step;
            const T beta = gru ? T(0) : T(1);
            if (d.by_rows) {
                product.run(rows, 0, G, state, H, beta, to, G, gru ? bias : nullptr);
            } else {
                // Forwards and backwards by turns: the weights that were read last are still in the second cache.
                forwards = !forwards;
                for (int64_t i = 0; i < count; ++i) {
                    const int64_t gate = forwards ? i : count - 1 - i;
                    product.run(rows, gate * H + p.unit0, gate * H + p.unit1, state, H, beta, to, G,
                                gru ? bias : nullptr);
                }
            }
            for (int64_t i = 0; i < rows; ++i) {
                T *g = step + i * G + p.unit0, *hi = h + (p.row0 + i) * H + p.unit0, *o = out + (at + i) * H + p.unit0;
                T* second = in_place ? nullptr : before_c + (at + i) * H + p.unit0;
                if (s.cell == Cell::Lstm) {
                    T* ci = c + (p.row0 + i) * H + p.unit0;
                    if (second) std::copy_n(ci, width, second);
                    cells.lstm(g, H, ci, hi, o, width);
                } else if (gru) {
                    cells.gru(g, H, to + i * G + p.unit0, second, hi, o, width);
                } else {
                    (s.cell == Cell::Tanh ? cells.tanh : cells.relu)(g, hi, o, width);
                }
            }
        });
    });
}

template <class T>
void backward(const RnnSteps& s, const RnnBackward& a) {
    const int64_t H = s.hidden, G = gates_of(s.cell) * H;
    T *gates = static_cast<T*>(a.gates), *part_gates = static_cast<T*>(a.hidden_gates), *dh = static_cast<T*>(a.dh),
      *dc = static_cast<T*>(a.dc);
    const T *before = static_cast<const T*>(a.before), *dout = static_cast<const T*>(a.dout);
    const T* before_c = before + rows_of(s) * H;
    const RnnCells& cells = rnn_cells(s.type);
    const Division d = divide(s);
    const StepProduct<T> product(H, G, {a.w_hh, H, 1}, d.by_rows ? d.rows : 0);

    each_part(d, H, [&](const Part& p, auto meet) {
        const int64_t width = p.unit1 - p.unit0;
        each_step(s, true, [&](int64_t n, int64_t at) {
            const int64_t rows = std::min(n, p.row1) - p.row0;
            at += p.row0;
            for (int64_t i = 0; i < rows; ++i) {
                const int64_t here = (at + i) * H + p.unit0, state = (p.row0 + i) * H + p.unit0;
                T *g = gates + (at + i) * G + p.unit0, *dhi = dh + state;
                const T* more = dout ? dout + here : nullptr;
                if (s.cell == Cell::Lstm) cells.lstm_back(g, H, before_c + here, dhi, dc + state, more, width);
                else if (s.cell == Cell::Gru)
                    cells.gru_back(g, H, part_gates + (at + i) * G + p.unit0, before + here, before_c + here, dhi, more,
                                   width);
                else (s.cell == Cell::Tanh ? cells.tanh_back : cells.relu_back)(g, dhi, more, width);
            }
            meet();
            product.run(rows, p.unit0, p.unit1, part_gates + at * G, G, s.cell == Cell::Gru ? T(1) : T(0),
                        dh + p.row0 * H, H);
        });
    });
}

// Rows that lie a multiple of 2 kB apart displace each other in the nearest cache.
int64_t apart(int64_t width) { return width % 512 == 0 ? width + 16 : width; }

}  // namespace

// A thread takes its rows through all steps. The input's share is added up in the same registers as the state's, so the
// gates are written once, to a place that stays in the cache.
bool rnn_answer(const RnnSteps& s, const RnnAnswer& a) {
    constexpr int64_t kFewestRows = 8;  // of a thread: with fewer, reading all weights at each step is what takes time
    const Division d = divide(s);
    const int64_t H = s.hidden, G = gates_of(s.cell) * H, inputs = a.w_ih.size(1), H_apart = apart(H),
                  X_apart = apart(inputs), most = d.rows * d.threads,
                  widest = *std::max_element(s.batch.begin(), s.batch.end());
    constexpr int64_t kMostWeights = int64_t(3) << 20;  // more do not stay in the cache from step to step
    if (s.type != DType::f32 || !d.by_rows || d.rows < kFewestRows || G * (H + inputs) > kMostWeights) return false;
    const bool gru = s.cell == Cell::Gru, copy_x = X_apart != inputs;
    const RnnCells& cells = rnn_cells(s.type);
    const GemmKernel& kernel = gemm_kernel();
    const Packed w_ih = packed_panels(a.w_ih), w_hh = packed_panels(a.w_hh);
    const dnn::Scratch room(size_t(most * (H_apart + (copy_x ? X_apart : 0) + (gru ? 2 * G : G))) * sizeof(float));
    float *states = room.as<float>(), *gates = states + most * H_apart, *parts = gates + most * G,
          *inputs_apart = parts + (gru ? most * G : 0);

    each_part(d, H, [&](const Part& p, auto) {
        float *state = states + p.row0 * H_apart, *g = gates + p.row0 * G, *part = parts + p.row0 * G,
              *x_apart = inputs_apart + p.row0 * X_apart;
        GemmBlock from_input{0, G,      inputs, 1, 0, nullptr, copy_x ? X_apart : inputs, 1, w_ih->as<const float>(),
                             1, inputs, g,      G, 1, a.bias};
        from_input.b_panel = kernel.columns * inputs;
        GemmBlock from_state{0, G, H, 1, 0, state, H_apart, 1, w_hh->as<const float>(), 1, H, part, G, 1, a.b_hh};
        from_state.b_panel = kernel.columns * H;
        if (!gru) from_input.also = {H, state, H_apart, w_hh->as<const float>(), kernel.columns * H};
        alignas(64) float none[64];  // nothing is packed
        for (int64_t i = p.row0; i < std::min(p.row1, widest); ++i) std::copy_n(a.h + i * H, H, states + i * H_apart);
        each_step(s, false, [&](int64_t n, int64_t at) {
            const int64_t rows = std::min(n, p.row1) - p.row0;
            if (rows <= 0) return;
            at += p.row0;
            GemmBlock sum = from_input;
            sum.m = rows;
            sum.a = a.x + at * inputs;
            for (int64_t i = 0; i < rows && copy_x; ++i) std::copy_n(sum.a + i * inputs, inputs, x_apart + i * X_apart);
            if (copy_x) sum.a = x_apart;
            kernel.run(sum, {}, none);
            if (gru) {
                sum = from_state;
                sum.m = rows;
                kernel.run(sum, {}, none);
            }
            for (int64_t i = 0; i < rows; ++i) {
                float *gi = g + i * G, *hi = state + i * H_apart, *o = a.out + (at + i) * H;
                if (s.cell == Cell::Lstm) cells.lstm_answer(gi, H, a.c + (p.row0 + i) * H, hi, o, H);
                else if (gru) cells.gru(gi, H, part + i * G, part + i * G + 2 * H, hi, o, H);
                else (s.cell == Cell::Tanh ? cells.tanh : cells.relu)(gi, hi, o, H);
            }
        });
        for (int64_t i = p.row0; i < std::min(p.row1, widest); ++i) std::copy_n(states + i * H_apart, H, a.h + i * H);
    });
    return true;
}

void rnn_forward(const RnnSteps& s, const RnnForward& a) {
    if (s.type == DType::f64) forward<double>(s, a);
    else forward<float>(s, a);
}
void rnn_backward(const RnnSteps& s, const RnnBackward& a) {
    if (s.type == DType::f64) backward<double>(s, a);
    else backward<float>(s, a);
}

}  // namespace fb::cpu
