// Layer norms written by hand, found again: they have a kernel that reads its rows once.
#include <memory>
#include "graph/passes.h"

namespace fb::graph {
namespace {

class Finder {
public:
    Finder(Graph& g) : g_(g), written_(written_memories(g)), maker_(g.slots.size(), -1), readers_(g.slots.size()) {
        for (size_t i = 0; i < g.steps.size(); ++i) {
            each_input(g.steps[i], [&](int v) { readers_[size_t(v)].push_back(int(i)); });
            for (int v : g.steps[i].results)
                if (v >= 0) maker_[size_t(v)] = int(i);
        }
        for (const auto* kept : {&g.outputs, &g.grads})
            for (int v : *kept)
                if (v >= 0) readers_[size_t(v)].push_back(-1);
    }

    void run() {
        std::vector<bool> gone(g_.steps.size());
        for (size_t i = 0; i < g_.forward_steps; ++i) {
            Found f;
            if (!match(int(i), f)) continue;
            Step norm = step_for(f);
            if (!agrees(norm, f)) continue;
            for (int s : f.steps) gone[size_t(s)] = true;
            gone[size_t(f.last)] = false;
            g_.steps[size_t(f.last)] = std::move(norm);
        }
        std::vector<Step> kept;
        size_t forward = 0;
        for (size_t i = 0; i < g_.steps.size(); ++i) {
            if (gone[i]) continue;
            forward += i < g_.forward_steps;
            kept.push_back(std::move(g_.steps[i]));
        }
        g_.forward_steps = forward;
        g_.steps = std::move(kept);
    }

private:
    struct Found {
        int x = -1, weight = -1, bias = -1, result = -1, last = -1;
        double eps = 0;
        std::vector<int> steps;
    };

    const std::string& name(int step) const { return g_.steps[size_t(step)].op->schema.name; }
    const Slot& slot(int v) const { return g_.slots[size_t(v)]; }
    // Slot of an argument that is a tensor, or -1.
    int tensor(int step, size_t arg) const {
        const Step& s = g_.steps[size_t(step)];
        return arg < s.args.size() && s.args[arg].value.tag == Tag::Tensor && s.args[arg].slots.size() == 1
                   ? s.args[arg].slots[0]
                   : -1;
    }
    std::optional<double> number(int step, size_t arg) const {
        const Step& s = g_.steps[size_t(step)];
        if (arg >= s.args.size() || !s.args[arg].value.is_number()) return {};
        const Scalar x = s.args[arg].value.scalar();
        if (x.kind == Scalar::Kind::Complex) return {};
        return x.real();
    }
    // The step that made `v`: one of the forward, with that result alone, of memory nobody writes to.
    int plain_maker(int v) const {
        if (v < 0) return -1;
        const int m = maker_[size_t(v)];
        if (m < 0 || size_t(m) >= g_.forward_steps) return -1;
        const Step& s = g_.steps[size_t(m)];
        if (!s.op || s.results.size() != 1 || !s.writes.empty() || s.random || s.expected ||
            written_[size_t(slot(v).memory)])
            return -1;
        return m;
    }
    bool same_alpha(int step) const { return g_.steps[size_t(step)].args.size() < 3 || number(step, 2) == 1.0; }
    // The mean over the last dimension, which stays: of what, or -1.
    int mean_of(int v) const {
        const int m = plain_maker(v);
        if (m < 0 || name(m) != "mean") return -1;
        const Step& s = g_.steps[size_t(m)];
        const int x = tensor(m, 0);
        if (x < 0 || s.args.size() < 4 || s.args[1].value.tag != Tag::Ints || s.args[1].value.len != 1 ||
            !s.args[2].value.flag() || !s.args[3].value.is_none())
            return -1;
        const int64_t d = s.args[1].value.ints()[0], rank = int64_t(slot(x).sizes.size());
        const bool last = rank && (d == -1 || d == rank - 1);
        return last && (slot(x).dtype == DType::f32 || slot(x).dtype == DType::f64) ? x : -1;
    }
    bool squares(int v, int& of) const {
        const int m = plain_maker(v);
        if (m < 0) return false;
        of = tensor(m, 0);
        return of >= 0 && ((name(m) == "mul" && tensor(m, 1) == of) || name(m) == "square" ||
                           (name(m) == "pow" && number(m, 1) == 2.0));
    }
    // The one step that reads `v`, if it is of that name; -1 otherwise.
    int only_reader(int v, std::initializer_list<std::string_view> names) const {
        const auto& r = readers_[size_t(v)];
        if (r.size() != 1 || r[0] < 0 || size_t(r[0]) >= g_.forward_steps) return -1;
        const Step& s = g_.steps[size_t(r[0])];
        if (!s.op || s.results.size() != 1 || plain_maker(s.results[0]) != r[0]) return -1;
        return std::find(names.begin(), names.end(), s.op->schema.name) != names.end() ? r[0] : -1;
    }
    int result(int step) const { return g_.steps[size_t(step)].results[0]; }
    int other(int step, int v) const { return tensor(step, 0) == v ? tensor(step, 1) : tensor(step, 0); }
    bool is_row_vector(int v, int x) const {
        return v >= 0 && slot(v).sizes.size() == 1 && slot(v).sizes[0] == slot(x).sizes.back() &&
               slot(v).dtype == slot(x).dtype;
    }

    // mean(square(d)) at step `at`, with d = x - mean(x); then d over sqrt(… + eps), and weight and bias.
    bool match(int at, Found& f) const {
        const Step& s = g_.steps[size_t(at)];
        if (!s.op || s.op->schema.name != "mean" || s.results.size() != 1) return false;
        const int variance = s.results[0], square = mean_of(variance);
        int d = -1;
        if (square < 0 || !squares(square, d) || readers_[size_t(square)].size() != 1) return false;
        const int plus = only_reader(variance, {"add"});
        if (plus < 0 || !number(plus, 1) || !same_alpha(plus)) return false;
        f.eps = *number(plus, 1);
        const int root = only_reader(result(plus), {"sqrt", "rsqrt"});
        if (root < 0) return false;
        const bool inverse = name(root) == "rsqrt";
        const int scale = inverse ? only_reader(result(root), {"mul"}) : only_reader(result(root), {"div"});
        if (scale < 0 || other(scale, result(root)) != d || (!inverse && tensor(scale, 0) != d)) return false;
        if (!inverse && g_.steps[size_t(scale)].args.size() > 2) return false;  // a rounding mode
        const int minus = plain_maker(d);
        if (minus < 0 || name(minus) != "sub" || !same_alpha(minus)) return false;
        const int x = tensor(minus, 0), mean = tensor(minus, 1);
        const size_t inside = tensor(maker_[size_t(square)], 1) == d ? 3 : 2;  // d*d reads it twice
        if (x < 0 || mean < 0 || mean_of(mean) != x || readers_[size_t(mean)].size() != 1 ||
            readers_[size_t(d)].size() != inside)
            return false;
        f.x = x;
        f.steps = {maker_[size_t(square)], at, plus, root, scale, minus, maker_[size_t(mean)]};
        f.last = scale;
        if (const int w = only_reader(result(f.last), {"mul"}); w >= 0) {
            const int weight = other(w, result(f.last));
            if (is_row_vector(weight, f.x)) {
                f.weight = weight;
                f.last = w;
                f.steps.push_back(w);
            }
        }
        if (const int b = f.weight >= 0 ? only_reader(result(f.last), {"add"}) : -1; b >= 0) {
            const int bias = other(b, result(f.last));
            if (is_row_vector(bias, f.x) && same_alpha(b)) {
                f.bias = bias;
                f.last = b;
                f.steps.push_back(b);
            }
        }
        f.result = result(f.last);
        const Slot &from = slot(f.x), &to = slot(f.result);
        return from.sizes == to.sizes && from.dtype == to.dtype && !written_[size_t(from.memory)];
    }

    Step step_for(const Found& f) const {
        Step s;
        s.op = &op_ref<"native_layer_norm">();
        auto add = [&](Value v) -> Argument& {
            Argument a;
            a.value = v;
            s.args.push_back(std::move(a));
            return s.args.back();
        };
        auto add_slot = [&](int v) {
            if (v < 0) return void(add(Value()));
            const Slot& t = slot(v);
            add(Value(t.held.defined() ? t.held : t.sample)).slots.push_back(v);
        };
        add_slot(f.x);
        const auto shape = std::make_shared<Dims>(Dims{slot(f.x).sizes.back()});
        add(Value(IntSpan(*shape))).held = shape;
        add_slot(f.weight);
        add_slot(f.bias);
        add(Value(f.eps));
        s.results.push_back(f.result);
        s.results.resize(3, -1);
        return s;
    }

    // On what the trace saw; without it the steps stay as they are.
    bool agrees(const Step& norm, const Found& f) const {
        const Tensor want = slot(f.result).sample;
        Value values[kMaxArgs];
        for (size_t i = 0; i < norm.args.size(); ++i) {
            values[i] = norm.args[i].value;
            if (norm.args[i].slots.empty()) continue;
            const Tensor& t = slot(norm.args[i].slots[0]).sample;
            if (!t.defined()) return false;
            values[i] = Value(t);
        }
        if (!want.defined()) return false;
        GradGuard off(false);
        Frame frame(*norm.op, values);
        norm.op->run_kernel(frame);
        const double near = want.dtype() == DType::f64 ? 1e-9 : 1e-4;
        return opn<"allclose">(frame.result[0].detach(), want.detach(), near, near, true).value.flag();
    }

    Graph& g_;
    const std::vector<bool> written_;
    std::vector<int> maker_;
    std::vector<std::vector<int>> readers_;
};

}  // namespace

void find_norms(Graph& g) { Finder(g).run(); }

}  // namespace fb::graph
