// Layer norms written by hand, found again: they have a kernel that reads its rows once.
#include <memory>
#include "graph/passes.h"

namespace fb::graph {
namespace {

class Finder {
public:
    Finder(Graph& g)
        : g_(g),
          written_(written_memories(g)),
          maker_(g.slots.size(), -1),
          readers_(g.slots.size()),
          read_late_(g.slots.size()) {
        for (size_t i = 0; i < g.steps.size(); ++i) {
            each_input(g.steps[i], [&](int v) {
                if (i < g.forward_steps) readers_[size_t(v)].push_back(int(i));
                else read_late_[size_t(v)] = true;
            });
            for (int v : g.steps[i].results)
                if (v >= 0) maker_[size_t(v)] = int(i);
        }
        for (const auto* kept : {&g.outputs, &g.grads})
            for (int v : *kept)
                if (v >= 0) readers_[size_t(v)].push_back(-1);
    }

    void run() {
        for (size_t i = 0; i < g_.forward_steps; ++i) {
            Found f;
            if (!match(int(i), f)) continue;
            Step norm = step_for(f);
            if (!agrees(norm, f) || (has_late_readers(f) && !replace_gradient(f))) continue;
            g_.steps[size_t(f.last)] = std::move(norm);  // what it was made of is dead now
        }
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

    // ---- the gradient
    bool has_late_readers(const Found& f) const {
        return std::any_of(f.steps.begin(), f.steps.end(),
                           [&](int s) { return s != f.last && read_late_[size_t(result(s))]; });
    }
    bool is_inside(const Found& f, int v) const {
        return v == f.weight || std::any_of(f.steps.begin(), f.steps.end(), [&](int s) { return result(s) == v; });
    }
    // Slots that may hold the gradient of the result: of its shape, read beside the weight or something of the norm.
    std::vector<int> incoming(const Found& f) const {
        std::vector<int> r;
        for (size_t i = g_.forward_steps; i < g_.steps.size(); ++i) {
            bool inside = false;
            each_input(g_.steps[i], [&](int v) { inside = inside || is_inside(f, v); });
            if (!inside) continue;
            each_input(g_.steps[i], [&](int v) {
                const bool late = slot(v).origin == Origin::Seed || maker_[size_t(v)] >= int(g_.forward_steps);
                if (late && slot(v).sizes == slot(f.x).sizes && slot(v).dtype == slot(f.x).dtype &&
                    !written_[size_t(slot(v).memory)] && std::find(r.begin(), r.end(), v) == r.end())
                    r.push_back(v);
            });
        }
        return r;
    }
    // Numbers without a pattern, and none of the generator's.
    static Tensor numbers(const Slot& like, double step) {
        const Tensor n = op<"arange">(Value(product(like.sizes)), like.dtype, nullptr, kCPU);
        const Tensor r = op<"sin">(op<"add">(op<"mul">(n, step), 0.5 * step));
        return op<"view">(op<"mul">(op<"add">(r, 0.1), 1.5), IntSpan(like.sizes));
    }
    // What a step makes of the values there are; nothing where it needs others or does more than compute.
    std::vector<Tensor> run_step(const Step& s, std::vector<Tensor>& values) const {
        constexpr std::string_view kHarmless[] = {"sum", "mean", "expand", "view", "unsqueeze", "_layer_norm_gradient"};
        if (!s.op || (s.passes.empty() &&
                      std::find(std::begin(kHarmless), std::end(kHarmless), s.op->schema.name) == std::end(kHarmless)))
            return {};
        if (s.list || !s.given.empty() || !s.writes.empty() || s.random || s.expected || s.reads_shape) return {};
        Value args[kMaxArgs];
        for (size_t i = 0; i < s.args.size(); ++i) {
            args[i] = s.args[i].value;
            if (s.args[i].slots.empty()) continue;
            if (s.args[i].value.tag != Tag::Tensor) return {};
            const int v = s.args[i].slots[0];
            if (v < 0) {
                args[i] = Value();
                continue;
            }
            Tensor& t = values[size_t(v)];
            if (!t.defined() && slot(v).constant) t = slot(v).held;
            if (!t.defined()) return {};
            args[i] = Value(t);
        }
        Frame frame(*s.op, args);
        s.op->run_kernel(frame);
        return std::vector<Tensor>(frame.result, frame.result + s.results.size());
    }

    // Steps of the backward that give on any numbers what the norm's gradient gives become that.
    bool replace_gradient(const Found& f) {
        constexpr int64_t kMost = int64_t(1) << 23;
        constexpr size_t kTries = 4;
        if (product(slot(f.x).sizes) > kMost) return false;
        const GradGuard off(false);
        std::vector<int> candidates = incoming(f), steps = f.steps;
        candidates.resize(std::min(candidates.size(), kTries));
        std::sort(steps.begin(), steps.end());
        for (int g : candidates) {
            std::vector<Tensor> values(g_.slots.size());
            values[size_t(f.x)] = numbers(slot(f.x), 1.7);
            values[size_t(g)] = numbers(slot(g), 0.77);
            for (int v : {f.weight, f.bias})
                if (v >= 0) values[size_t(v)] = numbers(slot(v), 2.3);
            for (int s : steps) {
                const std::vector<Tensor> made = run_step(g_.steps[size_t(s)], values);
                if (made.empty()) return false;
                values[size_t(result(s))] = made[0];
            }
            Step norm = gradient_step(f, g);
            const std::vector<Tensor> wanted = run_step(norm, values);
            norm.results = {-1, -1, -1};
            for (size_t i = g_.forward_steps; i < g_.steps.size(); ++i) {
                const Step& s = g_.steps[i];
                if (s.results.size() != 1 || s.results[0] < 0 || values[size_t(s.results[0])].defined() ||
                    written_[size_t(slot(s.results[0]).memory)])
                    continue;
                const std::vector<Tensor> made = run_step(s, values);
                if (made.empty()) continue;
                const int v = s.results[0];
                values[size_t(v)] = made[0];
                if (equal(made[0], wanted[0])) norm.results[0] = v;
                else if (f.weight >= 0 && equal(made[0], wanted[1])) norm.results[1] = v;
            }
            if (place(std::move(norm))) return true;
        }
        return false;
    }
    static bool equal(const Tensor& a, const Tensor& b) {
        const double near = b.dtype() == DType::f64 ? 1e-9 : 1e-4;
        return a.dtype() == b.dtype() && same(a.sizes(), b.sizes()) &&
               opn<"allclose">(a, b, near, near, true).value.flag();
    }
    Step gradient_step(const Found& f, int g) const {
        Step s = step_for(f);
        s.op = &op_ref<"_layer_norm_gradient">();
        s.args.erase(s.args.begin() + 3);  // the bias
        Argument incoming;
        incoming.value = Value(slot(f.x).sample);
        incoming.slots.push_back(g);
        s.args.insert(s.args.begin(), std::move(incoming));
        for (bool wanted : {true, f.weight >= 0}) {
            s.args.emplace_back();
            s.args.back().value = Value(wanted);
        }
        return s;
    }
    // In the place of the first step that made one of its results; false if there is none.
    bool place(Step norm) {
        int first = -1;
        for (size_t i = 0; i < 2; ++i) {
            const int v = norm.results[i];
            norm.args[5 + i].value = Value(v >= 0);
            if (v < 0) continue;
            const int m = maker_[size_t(v)];
            g_.steps[size_t(m)].results[0] = -1;
            first = first < 0 ? m : std::min(first, m);
        }
        if (first < 0) return false;
        for (size_t i = 0; i < 2; ++i)
            if (norm.results[i] >= 0) maker_[size_t(norm.results[i])] = first;
        g_.steps[size_t(first)] = std::move(norm);
        return true;
    }

    Graph& g_;
    const std::vector<bool> written_;
    std::vector<int> maker_;
    std::vector<std::vector<int>> readers_;  // in the forward; -1 for the caller
    std::vector<bool> read_late_;            // in the backward
};

}  // namespace

void find_norms(Graph& g) { Finder(g).run(); }

}  // namespace fb::graph
