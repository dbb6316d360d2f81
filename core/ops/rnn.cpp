// Recurrent layers. The input's share of all gates is one matrix product; what is left is one fused operator a
// direction.
#include "autograd/composite.h"
#include "cpu/rnn.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;
using Five = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

// ---------------------------------------------------------------- one step, written with operators
struct State {
    Tensor h, c;
};
Tensor product(const Tensor& x, const Tensor& w, const Tensor& bias) { return op<"nn::linear">(x, w, bias); }

State step(Cell cell, const Tensor& gates, const State& s, const Tensor& w_hh, const Tensor& b_hh,
           const Tensor& w_hr = {}) {
    const Tensor from_state = product(s.h, w_hh, b_hh);
    if (cell == Cell::Tanh) return {tanh(gates + from_state), {}};
    if (cell == Cell::Relu) return {op<"relu">(gates + from_state), {}};
    if (cell == Cell::Lstm) {
        const auto g = op_list<"chunk">(gates + from_state, 4, -1);
        const Tensor c = sigmoid(g[1]) * s.c + sigmoid(g[0]) * tanh(g[2]), h = sigmoid(g[3]) * tanh(c);
        return {w_hr.defined() ? product(h, w_hr, Tensor()) : h, c};
    }
    const auto g = op_list<"chunk">(gates, 3, -1), k = op_list<"chunk">(from_state, 3, -1);
    const Tensor r = sigmoid(g[0] + k[0]), z = sigmoid(g[1] + k[1]), n = tanh(g[2] + r * k[2]);
    return {n + z * (s.h - n), {}};
}

// A sequence, step by step: for projections, and for gradients of gradients.
std::vector<Tensor> sequence_by_steps(Cell cell, const Tensor& gates, const Tensor& h0, const Tensor& c0,
                                      const Tensor& w_hh, const Tensor& b_hh, const Tensor& w_hr, IntSpan batch,
                                      bool reverse) {
    const int64_t steps = int64_t(batch.size()), most = h0.sizes()[0];
    std::vector<Tensor> outs(static_cast<size_t>(steps));
    std::vector<int64_t> start{0};
    for (int64_t n : batch) start.push_back(start.back() + n);
    State all{h0, c0};
    const auto rows = [](const Tensor& t, int64_t from, int64_t n) {
        return t.defined() ? op<"narrow">(t, 0, from, n) : t;
    };
    const auto renewed = [&](const Tensor& old, const Tensor& now, int64_t n) {
        if (!old.defined() || n == most) return now;
        const Tensor parts[] = {now, rows(old, n, most - n)};
        return op<"cat">(TensorSpan(parts), 0);
    };
    for (int64_t i = 0; i < steps; ++i) {
        const size_t t = size_t(reverse ? steps - 1 - i : i);
        const int64_t n = batch[t];
        const State now =
            step(cell, rows(gates, start[t], n), {rows(all.h, 0, n), rows(all.c, 0, n)}, w_hh, b_hh, w_hr);
        outs[t] = now.h;
        all = {renewed(all.h, now.h, n), renewed(all.c, now.c, n)};
    }
    const Tensor out = op<"cat">(TensorSpan(outs), 0);
    return {out, all.h, all.c};
}

// ---------------------------------------------------------------- the fused operator
// Results: output, last h, last c (of an LSTM), activations, states before each step. Gates that nobody needs
// afterwards may be spent: the activations take their place, and the states are not kept.
Five sequence(const Tensor& gates, const Tensor& h0, const Tensor& c0, const Tensor& w_hh, const Tensor& b_hh,
              int64_t kind, IntSpan batch, bool reverse, bool spend) {
    const Cell cell = Cell(kind);
    const int64_t parts = gates_of(cell);
    bool fits = kind >= 0 && kind <= 3 && gates.dim() == 2 && h0.dim() == 2 && is_floating(gates.dtype());
    if (fits) {
        const Dims state = h0.sizes(), weights{parts * state[1], state[1]};
        fits = gates.size(1) == weights[0] && same(w_hh.sizes(), weights) &&
               (cell != Cell::Lstm || (c0.defined() && same(c0.sizes(), state))) &&
               (!b_hh.defined() || same(b_hh.sizes(), Dims{weights[0]}));
        int64_t left = gates.size(0), most = state[0];
        for (int64_t n : batch) {
            fits = fits && n >= 0 && n <= most;
            most = n;
            left -= n;
        }
        fits = fits && left == 0;
    }
    check(fits, "a sequence of gates of shape ", gates.sizes(), " does not fit a state of shape ", h0.sizes(),
          ", weights of shape ", w_hh.sizes(), " and batches of ", batch);
    const DType t = gates.dtype(), wide = t == DType::f64 ? t : DType::f32;
    const int64_t rows = gates.sizes()[0], H = h0.sizes()[1], extra = cell == Cell::Lstm || cell == Cell::Gru ? 2 : 1;
    const int64_t out_sizes[] = {rows, H}, before_sizes[] = {extra, rows, H};
    const Tensor out = empty(out_sizes, wide, gates.device()),
                 before = spend ? Tensor() : empty(before_sizes, wide, gates.device());
    const bool lstm = cell == Cell::Lstm;
    if (out.is_meta())
        return {empty(out_sizes, t, kMeta), empty_like(h0), lstm ? empty_like(c0) : Tensor(), empty_like(gates),
                before};
    const GradGuard off(false);
    const auto copy = [&](const Tensor& x) { return op<"clone">(x.to(wide), MemoryFormat::Contiguous); };
    const Tensor g = spend && t == wide ? dense(gates) : copy(gates), h = copy(h0), c = lstm ? copy(c0) : Tensor(),
                 w = dense(w_hh.to(wide)), b = b_hh.defined() ? dense(b_hh.to(wide)) : b_hh;
    rnn_forward({cell, wide, batch, H, reverse},
                {g.data(), out.data(), h.data(), lstm ? c.data() : nullptr, spend ? nullptr : before.data(), w.data(),
                 b.defined() ? b.data() : nullptr, spend ? &w : nullptr});
    return {out.to(t), h.to(t), lstm ? c.to(t) : c, g, before};
}

void sequence_gradients(Back& b) {
    const Tensor gates = b.arg(0), h0 = b.arg(1), c0 = b.arg(2), w = b.arg(3), bias = b.arg(4);
    const Cell cell = Cell(b.integer(5));
    const IntSpan batch = b.ints(6);
    const bool reverse = b.flag(7), lstm = cell == Cell::Lstm, gru = cell == Cell::Gru;
    const Tensor dout = b.has(0) ? b.grad(0) : Tensor(), dhn = b.has(1) ? b.grad(1) : Tensor(),
                 dcn = lstm && b.has(2) ? b.grad(2) : Tensor();
    if (tls.grad) {
        const Tensor inputs[] = {gates, h0, c0, w, bias}, grads[] = {dout, dhn, dcn};
        const auto r = composite_gradients(inputs, grads, [&](const std::vector<Tensor>& x) {
            return sequence_by_steps(cell, x[0], x[1], x[2], x[3], x[4], Tensor(), batch, reverse);
        });
        for (int i = 0; i < 5; ++i)
            if (b.needs(i) && r[size_t(i)].defined()) b.set(i, r[size_t(i)]);
        return;
    }
    const DType t = gates.dtype(), wide = t == DType::f64 ? t : DType::f32;
    const auto copy = [&](const Tensor& x) { return op<"clone">(x.to(wide), MemoryFormat::Contiguous); };
    const Tensor d = copy(b.result(3)), before = b.result(4),
                 dh = dhn.defined() ? copy(dhn) : op<"zeros_like">(h0.to(wide));
    const Tensor dc = !lstm ? Tensor() : dcn.defined() ? copy(dcn) : op<"zeros_like">(c0.to(wide));
    const Tensor hidden = gru ? empty(d.sizes(), wide) : d, g = dout.defined() ? dense(dout.to(wide)) : dout,
                 wd = dense(w.to(wide));
    rnn_backward({cell, wide, batch, h0.sizes()[1], reverse},
                 {d.data(), hidden.data(), dh.data(), lstm ? dc.data() : nullptr, before.data(),
                  g.defined() ? g.data() : nullptr, wd.data()});
    if (b.needs(0)) b.set(0, d.to(t));
    if (b.needs(1)) b.set(1, dh.to(t));
    if (lstm && b.needs(2)) b.set(2, dc.to(t));
    if (b.needs(3)) b.set(3, op<"mm">(op<"t">(hidden), op<"select.int">(before, 0, 0)).to(t));
    if (b.needs(4)) b.set(4, op<"sum.dim_IntList">(hidden, Dims{0}).to(t));
}

// ---------------------------------------------------------------- layers
struct Settings {
    Cell cell;
    bool biases;
    int64_t layers;
    double dropout;
    bool train, both;
};

// Weights of one direction as they stand in the list of parameters.
struct Weights {
    Tensor w_ih, w_hh, b_ih, b_hh, w_hr;
};

class Parameters {
public:
    Parameters(TensorSpan all, const Settings& s) : all_(all), biases_(s.biases) {
        const int64_t directions = s.layers * (s.both ? 2 : 1);
        const size_t plain = size_t(directions) * (s.biases ? 4 : 2);
        projected_ = s.cell == Cell::Lstm && all.size() == plain + size_t(directions);
        check(all.size() == plain + (projected_ ? size_t(directions) : 0), "got an incorrect number of RNN parameters");
    }
    Weights next() {
        Weights w;
        w.w_ih = take();
        w.w_hh = take();
        if (biases_) {
            w.b_ih = take();
            w.b_hh = take();
        }
        if (projected_) w.w_hr = take();
        return w;
    }

private:
    Tensor take() { return all_[at_++]; }
    TensorSpan all_;
    size_t at_ = 0;
    bool biases_, projected_ = false;
};

struct Result {
    Tensor out, h, c;
};

// Answering: the weights stay packed between calls, and no sums of gates are kept.
Result answer_of(Cell cell, const Tensor& x, const Weights& w, const Tensor& bias, const Tensor& h0, const Tensor& c0,
                 IntSpan batch, bool reverse) {
    const auto plain = [](const Tensor& t) {
        return !t.defined() ||
               (t.dtype() == DType::f32 && t.device() == kCPU && !t->unusual() && t.is_contiguous() && t.numel() > 0);
    };
    if (tls.grad || tls.modes || w.w_hr.defined()) return {};
    for (const Tensor* t : {&x, &w.w_ih, &w.w_hh, &bias, &w.b_hh, &h0, &c0})
        if (!plain(*t)) return {};
    const bool gru = cell == Cell::Gru, lstm = cell == Cell::Lstm;
    const int64_t H = h0.sizes()[1], out_sizes[] = {x.sizes()[0], H};
    if (w.w_ih.sizes()[1] != x.sizes()[1]) return {};
    const auto copy = [](const Tensor& t) { return op<"clone">(t, MemoryFormat::Contiguous); };
    const Tensor out = empty(out_sizes, DType::f32), h = copy(h0), c = lstm ? copy(c0) : Tensor();
    const auto data = [](const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; };
    if (!rnn_answer({cell, DType::f32, batch, H, reverse},
                    {x.data<float>(), w.w_ih, w.w_hh, data(bias), gru ? data(w.b_hh) : nullptr, out.data<float>(),
                     h.data<float>(), data(c)}))
        return {};
    return {out, h, c};
}

Result direction(const Settings& s, const Tensor& x, const Weights& w, const Tensor& h0, const Tensor& c0,
                 IntSpan batch, bool reverse) {
    // Both biases may be added beforehand, except that a GRU's reset gate acts on the state's share alone.
    const bool gru = s.cell == Cell::Gru;
    const int64_t g = gates_of(s.cell);
    check(w.w_ih.dim() == 2 && w.w_hh.dim() == 2 && w.w_hh.sizes()[0] == w.w_ih.sizes()[0] &&
              w.w_hh.sizes()[0] % g == 0 &&
              (w.w_hr.defined() ? w.w_hr.dim() == 2 && w.w_hr.sizes()[1] == w.w_hh.sizes()[0] / g &&
                                      w.w_hr.sizes()[0] == w.w_hh.sizes()[1]
                                : w.w_hh.sizes()[1] == w.w_hh.sizes()[0] / g) &&
              h0.sizes().back() == w.w_hh.sizes()[1] && (!c0.defined() || c0.sizes().back() == w.w_hh.sizes()[0] / g),
          "RNN weights do not fit each other or the hidden state: ", w.w_ih.sizes(), ", ", w.w_hh.sizes(), " and ",
          h0.sizes());
    for (const Tensor& b : {w.b_ih, w.b_hh})
        check(!b.defined() || (b.dim() == 1 && b.sizes()[0] == w.w_hh.sizes()[0]),
              "RNN biases must have one element a gate");
    const Tensor bias = gru || !w.b_ih.defined() ? w.b_ih : w.b_ih + w.b_hh;
    if (Result r = answer_of(s.cell, x, w, bias, h0, c0, batch, reverse); r.out.defined()) return r;
    const Tensor gates = product(x, w.w_ih, bias);
    if (w.w_hr.defined()) {
        auto r = sequence_by_steps(s.cell, gates, h0, c0, w.w_hh, Tensor(), w.w_hr, batch, reverse);
        return {r[0], r[1], r[2]};
    }
    Frame f = opn<"_rnn_sequence">(gates, h0, c0, w.w_hh, gru ? w.b_hh : Tensor(), int64_t(s.cell), batch, reverse,
                                   !tls.grad);
    return {f.result[0], f.result[1], f.result[2]};
}

// x: rows of all steps, one after another.
Result layers(const Settings& s, Tensor x, const Tensor& h0, const Tensor& c0, TensorSpan parameters, IntSpan batch) {
    Parameters p(parameters, s);
    std::vector<Tensor> hs, cs;
    const int64_t directions = s.both ? 2 : 1;
    check(s.layers > 0, "num_layers must be greater than zero");
    check(x.dim() == 2, "RNN data must be 2-D, got ", x.sizes());
    int64_t rows = 0;
    for (int64_t b : batch) {
        check(b > 0 && b <= batch[0], "batch sizes must be positive and not grow, got ", batch);
        rows += b;
    }
    check(rows == x.sizes()[0], "batch sizes ", batch, " do not add up to the ", x.sizes()[0], " rows of the data");
    for (const Tensor& h : {h0, c0})
        check(!h.defined() ||
                  (h.dim() == 3 && h.sizes()[0] == s.layers * directions && !batch.empty() && h.sizes()[1] >= batch[0]),
              "Expected hidden size (", s.layers * directions, ", ", batch.empty() ? 0 : batch[0], ", *), got ",
              h.defined() ? h.sizes() : Dims());
    for (const Tensor& w : parameters)
        check(w.defined() && (w.dim() == 1 || w.dim() == 2), "RNN parameters must be 1-D or 2-D");
    for (int64_t layer = 0; layer < s.layers; ++layer) {
        Tensor outs[2];
        for (int64_t d = 0; d < directions; ++d) {
            const int64_t i = layer * directions + d;
            const Weights w = p.next();
            const Result r = direction(s, x, w, op<"select.int">(h0, 0, i),
                                       c0.defined() ? op<"select.int">(c0, 0, i) : c0, batch, d == 1);
            outs[d] = r.out;
            hs.push_back(r.h);
            if (r.c.defined()) cs.push_back(r.c);
        }
        x = s.both ? op<"cat">(TensorSpan(outs, 2), 1) : outs[0];
        if (s.dropout > 0 && s.train && layer + 1 < s.layers) x = op<"dropout">(x, s.dropout, true);
    }
    if (s.cell == Cell::Gru && x.dtype() != h0.dtype()) {  // under autocast only the products are in lower precision
        x = op<"to.dtype">(x, h0.dtype());
        for (Tensor& h : hs) h = op<"to.dtype">(h, h0.dtype());
    }
    return {x, op<"stack">(TensorSpan(hs), 0), cs.empty() ? Tensor() : op<"stack">(TensorSpan(cs), 0)};
}

Result padded(const Settings& s, const Tensor& input, const Tensor& h0, const Tensor& c0, TensorSpan parameters,
              bool batch_first) {
    check(input.dim() == 3, "RNN input must be 3-D, got ", input.sizes());
    const Tensor x = batch_first ? op<"transpose">(input, 0, 1) : input;
    const int64_t steps = x.sizes()[0], n = x.sizes()[1], flat[] = {steps * n, x.sizes()[2]};
    check(steps > 0, "Expected sequence length to be larger than 0 in RNN");
    const Dims batch(size_t(steps), n);
    Result r = layers(s, op<"reshape">(x, IntSpan(flat)), h0, c0, parameters, batch);
    const int64_t sizes[] = {steps, n, r.out.sizes()[1]};
    r.out = op<"view">(r.out, IntSpan(sizes));
    if (batch_first) r.out = op<"transpose">(r.out, 0, 1);
    return r;
}
Dims batch_list(const Tensor& batch_sizes) {
    check(batch_sizes.dim() == 1 && !batch_sizes.is_meta(), "batch_sizes must be a 1-D tensor on the CPU");
    const Tensor d = dense(batch_sizes.to(DType::i64));
    return Dims(IntSpan(d.data<int64_t>(), size_t(d.numel())));
}

using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;
Three lstm_input(const Tensor& x, TensorSpan hx, TensorSpan p, bool biases, int64_t n, double dropout, bool train,
                 bool both, bool batch_first) {
    check(hx.size() == 2, "lstm expects two hidden states");
    const Result r = padded({Cell::Lstm, biases, n, dropout, train, both}, x, hx[0], hx[1], p, batch_first);
    return {r.out, r.h, r.c};
}
Three lstm_data(const Tensor& x, const Tensor& batch, TensorSpan hx, TensorSpan p, bool biases, int64_t n,
                double dropout, bool train, bool both) {
    check(hx.size() == 2, "lstm expects two hidden states");
    const Result r = layers({Cell::Lstm, biases, n, dropout, train, both}, x, hx[0], hx[1], p, batch_list(batch));
    return {r.out, r.h, r.c};
}
template <Cell cell>
Two other_input(const Tensor& x, const Tensor& hx, TensorSpan p, bool biases, int64_t n, double dropout, bool train,
                bool both, bool batch_first) {
    const Result r = padded({cell, biases, n, dropout, train, both}, x, hx, Tensor(), p, batch_first);
    return {r.out, r.h};
}
template <Cell cell>
Two other_data(const Tensor& x, const Tensor& batch, const Tensor& hx, TensorSpan p, bool biases, int64_t n,
               double dropout, bool train, bool both) {
    const Result r = layers({cell, biases, n, dropout, train, both}, x, hx, Tensor(), p, batch_list(batch));
    return {r.out, r.h};
}

// ---------------------------------------------------------------- cells
void check_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh, int64_t gates) {
    check(x.dim() >= 1 && x.dim() <= 2 && h.dim() == x.dim(), "input and hidden must be 1-D or 2-D, got ", x.sizes(),
          " and ", h.sizes());
    check(w_ih.dim() == 2 && w_hh.dim() == 2, "weights of a cell must be 2-D, got ", w_ih.sizes(), " and ",
          w_hh.sizes());
    check(x.dim() == 1 || x.sizes()[0] == h.sizes()[0], "Input batch size ", x.sizes()[0],
          " doesn't match hidden0 batch size ", h.sizes()[0]);
    check(x.sizes().back() == w_ih.sizes()[1], "input has inconsistent input_size: got ", x.sizes().back(),
          " expected ", w_ih.sizes()[1]);
    const int64_t hidden = w_hh.sizes()[1];
    const auto check_hidden = [&] {
        check(h.sizes().back() == hidden, "hidden0 has inconsistent hidden_size: got ", h.sizes().back(), ", expected ",
              hidden);
    };
    if (gates == 3) check_hidden();
    const auto check_rows = [&](const char* name, const Tensor& w) {
        check(w.sizes()[0] == gates * hidden, name, " first dim must be ", gates, " * hidden_size = ", gates * hidden,
              ", but got ", w.sizes()[0]);
    };
    check_rows("weight_ih", w_ih);
    check_rows("weight_hh", w_hh);
    check_hidden();
}
Two lstm_cell(const Tensor& x, TensorSpan hx, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
              const Tensor& b_hh) {
    check(hx.size() == 2, "lstm_cell expects two hidden states");
    check_cell(x, hx[0], w_ih, w_hh, 4);
    check(same(hx[0].sizes(), hx[1].sizes()), "hidden states must have one shape, got ", hx[0].sizes(), " and ",
          hx[1].sizes());
    const State s = step(Cell::Lstm, product(x, w_ih, b_ih), {hx[0], hx[1]}, w_hh, b_hh);
    return {s.h, s.c};
}
template <Cell cell>
Tensor other_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
                  const Tensor& b_hh) {
    check_cell(x, h, w_ih, w_hh, gates_of(cell));
    return step(cell, product(x, w_ih, b_ih), {h, {}}, w_hh, b_hh).h;
}

const Family family([](Registry& r) {
    r.add(
         "_rnn_sequence(Tensor gates, Tensor h0, Tensor? c0, Tensor w_hh, Tensor? b_hh, int cell, int[] batch_sizes, "
         "bool reverse, bool spend=False) "
         "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
         "")
        .kernel<sequence>()
        .differentiable_results(7)
        .grads("gates, h0, c0, w_hh, b_hh", "gates, h0, c0, w_hh, b_hh, result3, result4", sequence_gradients);
    const std::string options =
        "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, bool bidirectional";
    const auto padded_form = [&](const char* name, const char* hx, const char* results) {
        return str(name, ".input(Tensor input, ", hx, " hx, ", options, ", bool batch_first) -> ", results);
    };
    const auto packed_form = [&](const char* name, const char* hx, const char* results) {
        return str(name, ".data(Tensor data, Tensor batch_sizes, ", hx, " hx, ", options, ") -> ", results);
    };
    const char *two = "(Tensor, Tensor)", *three = "(Tensor, Tensor, Tensor)";
    r.add(packed_form("lstm", "Tensor[]", three).c_str(), "f").kernel<lstm_data>().autocast(1);
    r.add(padded_form("lstm", "Tensor[]", three).c_str(), "f").kernel<lstm_input>().autocast(1);
    r.add(packed_form("gru", "Tensor", two).c_str(), "f").kernel<other_data<Cell::Gru>>().autocast(1);
    r.add(padded_form("gru", "Tensor", two).c_str(), "f").kernel<other_input<Cell::Gru>>().autocast(1);
    r.add(packed_form("rnn_tanh", "Tensor", two).c_str(), "f").kernel<other_data<Cell::Tanh>>().autocast(1);
    r.add(padded_form("rnn_tanh", "Tensor", two).c_str(), "f").kernel<other_input<Cell::Tanh>>().autocast(1);
    r.add(packed_form("rnn_relu", "Tensor", two).c_str(), "f").kernel<other_data<Cell::Relu>>().autocast(1);
    r.add(padded_form("rnn_relu", "Tensor", two).c_str(), "f").kernel<other_input<Cell::Relu>>().autocast(1);
    r.add(
         "lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
         "(Tensor, Tensor)",
         "f")
        .kernel<lstm_cell>()
        .autocast(1);
    r.add("gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor",
          "f")
        .kernel<other_cell<Cell::Gru>>()
        .autocast(1);
    r.add(
         "rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
         "Tensor",
         "f")
        .kernel<other_cell<Cell::Tanh>>()
        .autocast(1);
    r.add(
         "rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
         "Tensor",
         "f")
        .kernel<other_cell<Cell::Relu>>()
        .autocast(1);
});

}  // namespace
}  // namespace fb
