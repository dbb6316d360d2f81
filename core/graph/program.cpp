#include "graph/program.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include "graph/formula.h"
#include "graph/passes.h"

namespace fb::graph {

namespace {
struct NoModes {  // the operators are those below modes
    NoModes() : modes(tls.modes), grad(tls.grad), modules(tls.modules) {
        if (result_waits.load(std::memory_order_relaxed)) compute_waiting();
        tls.modules = 0;  // nothing waits for more: steps are called past `Op::call`
        tls.modes = 0;
        tls.grad = false;
    }
    ~NoModes() {
        tls.modes = modes;
        tls.grad = grad;
        tls.modules = modules;
    }
    const uint8_t modes;
    const bool grad;
    const int modules;
};
}  // namespace

// ---------------------------------------------------------------- running steps
Code::Code(const Graph& g, std::vector<Step> steps, const std::vector<bool>& live_after)
    : steps_(std::move(steps)), ends_(steps_.size()), dying_(steps_.size()) {
    std::vector<bool> later = live_after;
    for (size_t i = steps_.size(); i-- > 0;) {
        auto end = [&](int v) {
            if (later[size_t(v)]) return;
            later[size_t(v)] = true;
            const Origin o = g.slots[size_t(v)].origin;
            if (o == Origin::Made || o == Origin::Seed) ends_[i].push_back(v);
        };
        if (const auto& f = steps_[i].fusion)
            for (int v : f->inputs) dying_[i].push_back(!later[size_t(v)] && g.slots[size_t(v)].origin == Origin::Made);
        each_input(steps_[i], end);
        for (int v : steps_[i].results)
            if (v >= 0) end(v);
    }
}

static bool equal(const Scalar& a, const Scalar& b) {
    if (a.kind != b.kind) return false;
    return (a.kind == Scalar::Kind::Double || a.kind == Scalar::Kind::Complex)
               ? std::memcmp(&a.d, &b.d, sizeof a.d) == 0 &&
                     (a.kind == Scalar::Kind::Double || a.complex() == b.complex())
               : a.i == b.i;
}

// Sole owner: the memory may be taken over.
static bool alone(const Tensor& t) {
    return t->use_count() == 1 && t->storage->use_count() == 1 && !t->object && !t->grad_fn && !t->requires_grad;
}

static bool fits(const Tensor& t, const Slot& like) {
    return t.defined() && t.dtype() == like.dtype && same(t.sizes(), like.sizes) && same(t.strides(), like.strides);
}

static bool call_step(const Graph& g, const Step& s, std::vector<Tensor>& slots, bool recorded) {
    Value values[kMaxArgs];
    std::vector<Tensor> lists;
    size_t list_items = 0;
    for (const Argument& a : s.args)
        if (a.value.tag == Tag::Tensors) list_items += a.slots.size();
    lists.reserve(list_items);
    for (size_t i = 0; i < s.args.size(); ++i) {
        const Argument& a = s.args[i];
        if (a.value.tag == Tag::Tensor) {
            values[i] = a.slots[0] < 0 ? Value() : Value(slots[size_t(a.slots[0])]);
            if (recorded && values[i].is_none())
                check(s.op->schema.args[i].optional, "'", s.op->schema.name,
                      "' of a traced program lacks its argument '", s.op->schema.args[i].name, "'");
        } else if (a.value.tag == Tag::Tensors) {
            const size_t first = lists.size();
            for (int v : a.slots) lists.push_back(v < 0 ? Tensor() : slots[size_t(v)]);
            values[i] = Value(TensorSpan(lists.data() + first, a.slots.size()));
        } else {
            values[i] = a.value;
        }
    }
    if (s.formula) {
        Grads incoming;
        for (int v : s.args[0].slots) incoming.push_back(v < 0 ? Tensor() : slots[size_t(v)]);
        Grads out = s.formula->run(std::move(incoming), values[1].tensors());
        for (size_t i = 0; i < s.results.size(); ++i)
            if (s.results[i] >= 0) slots[size_t(s.results[i])] = std::move(out[i]);
        return true;
    }
    if (!s.op) return equal(values[0].tensor().item(), *s.expected);
    Frame f(*s.op, values);
    Tensor given[5];
    if (!s.given.empty()) {
        for (size_t i = 0; i < s.given.size(); ++i)
            if (s.given[i] >= 0) given[i] = slots[size_t(s.given[i])];
        f.given = given;
        f.inplace = s.inplace;
    }
    if (recorded) s.op->call(f);
    else s.op->run_kernel(f);
    if (s.expected) return equal(f.value.scalar(), *s.expected);
    if (s.list && f.list.size() != s.results.size()) return false;
    for (size_t i = 0; i < s.results.size(); ++i) {
        if (s.results[i] < 0) continue;
        Tensor& result = s.list ? f.list[i] : f.result[i];
        if (s.reads_shape && !fits(result, g.slots[size_t(s.results[i])])) {
            check(!s.must_fit, s.op->schema.full_name(),
                  ": its result is of another shape, stride or dtype than when the program was recorded, and the "
                  "program has drawn random numbers or written into tensors of its caller before");
            return false;
        }
        slots[size_t(s.results[i])] = std::move(result);
    }
    return true;
}

bool Code::run(const Graph& g, std::vector<Tensor>& slots) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
        const Step& s = steps_[i];
        if (const Fusion* f = s.fusion.get()) {
            Small<Tensor, 8> in;
            Small<bool, 8> dying = dying_[i];
            for (size_t k = 0; k < f->inputs.size(); ++k) {
                Tensor& t = slots[size_t(f->inputs[k])];
                dying[k] = dying[k] && alone(t);
                in.push_back(t);
            }
            Small<Tensor, 4> out(f->outputs.size());
            cpu::run_chain(f->chain, f->sizes, in.span(), dying.span(), {out.data(), out.size()});
            for (size_t k = 0; k < out.size(); ++k) slots[size_t(f->outputs[k])] = std::move(out[k]);
        } else if (!call_step(g, s, slots, false)) {
            return false;
        }
        for (int v : ends_[i]) slots[size_t(v)] = {};
    }
    return true;
}

std::vector<Tensor> replay(const Graph& g, TensorSpan inputs, TensorSpan held) {
    std::vector<Tensor> slots(g.slots.size());
    size_t h = 0;
    for (size_t i = 0; i < g.slots.size(); ++i) {
        const Slot& s = g.slots[i];
        if (s.origin == Origin::Input) slots[i] = inputs[size_t(s.index)];
        if (s.origin == Origin::Held) slots[i] = held.empty() ? s.held : held[h++];
    }
    for (const Step& s : g.steps)
        check(call_step(g, s, slots, true), "a number or shape that the traced program depends on has changed");
    std::vector<Tensor> r;
    for (int v : g.outputs) r.push_back(slots[size_t(v)]);
    return r;
}

std::vector<std::vector<bool>> reached_by(const Graph& g) {
    std::vector<std::vector<bool>> from(g.slots.size()), r;
    for (size_t k = 0; k < g.seeds.size(); ++k) {
        if (g.seeds[k] < 0) continue;
        auto& f = from[size_t(g.seeds[k])];
        f.assign(g.seeds.size(), false);
        f[k] = true;
    }
    for (size_t i = g.forward_steps; i < g.steps.size(); ++i) {
        std::vector<bool> seeds(g.seeds.size());
        each_input(g.steps[i], [&](int v) {
            const auto& f = from[size_t(v)];
            for (size_t k = 0; k < f.size(); ++k) seeds[k] = seeds[k] || f[k];
        });
        for (int v : g.steps[i].results)
            if (v >= 0) from[size_t(v)] = seeds;
    }
    for (int v : g.grads) r.push_back(v < 0 ? std::vector<bool>() : from[size_t(v)]);
    return r;
}

// ---------------------------------------------------------------- the program
Program::Program(Graph g) : graph_(std::move(g)) {
    operators_ = int(graph_.steps.size());
    optimize(graph_);
    for (const Step& s : graph_.steps)
        for (int w : s.writes) {
            const size_t memory = size_t(graph_.slots[size_t(w)].memory);
            for (const Slot& o : graph_.slots)
                writes_callers_ = writes_callers_ || (size_t(o.memory) == memory && !o.constant &&
                                                      (o.origin == Origin::Input || o.origin == Origin::Held));
        }
    std::vector<bool> seen(written_memories(graph_).size());
    for (const Slot& s : graph_.slots)
        if ((s.origin == Origin::Input || s.origin == Origin::Held) && !s.constant) seen[size_t(s.memory)] = true;
    for (int v : graph_.outputs) seen[size_t(graph_.slots[size_t(v)].memory)] = true;
    for (const Slot& s : graph_.slots) callers_see_.push_back(seen[size_t(s.memory)]);
    const size_t n = graph_.forward_steps;
    has_backward_ = std::any_of(graph_.grads.begin(), graph_.grads.end(), [](int v) { return v >= 0; });
    std::vector<bool> live(graph_.slots.size()), made_forward(graph_.slots.size());
    for (int v : graph_.outputs)
        if (v >= 0) live[size_t(v)] = true;
    for (size_t i = 0; i < graph_.slots.size(); ++i) {
        const Origin o = graph_.slots[i].origin;
        made_forward[i] = o == Origin::Input || (o == Origin::Held && !graph_.slots[i].constant);
    }
    for (size_t i = 0; i < n; ++i)
        for (int v : graph_.steps[i].results)
            if (v >= 0) made_forward[size_t(v)] = true;
    std::vector<bool> save(graph_.slots.size());
    for (size_t i = n; i < graph_.steps.size(); ++i)
        each_input(graph_.steps[i], [&](int v) {
            if (made_forward[size_t(v)]) save[size_t(v)] = true;
        });
    for (int v : graph_.grads)
        if (v >= 0 && made_forward[size_t(v)]) save[size_t(v)] = true;
    for (size_t i = 0; i < save.size(); ++i)
        if (save[i]) {
            saved_.push_back(int(i));
            live[i] = true;
        }
    const std::span<const Step> all(graph_.steps);
    forward_ = Code(graph_, fuse(graph_, all.first(n), live), live);
    std::vector<bool> live_end(graph_.slots.size());
    for (int v : graph_.grads)
        if (v >= 0) live_end[size_t(v)] = true;
    // What the forward saved outlives the backward's run only in the node.
    backward_ = Code(graph_, fuse(graph_, all.subspan(n), live_end), live_end);
    reached_by_ = graph::reached_by(graph_);
    for (Slot& s : graph_.slots) {
        if (s.origin == Origin::Held && !s.constant)
            held_.push_back({s.held, s.held.dtype(), s.held->needs_grad(), s.held.sizes(), s.held.strides()});
    }
}

// Of many numbers a sample is compared.
static bool near_floats(const float* a, const float* b, int64_t n, double noise) {
    constexpr double part = 1e-3;
    const int64_t step = (n / 65536) | 1;
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i += step) {
        const double x = a[i], y = b[i];
        if (std::isfinite(y)) largest = std::max(largest, std::abs(y));
        if (x == y || (std::isnan(x) && std::isnan(y))) continue;
        const double off = std::abs(x - y) - part * std::abs(y);
        if (!(off < HUGE_VAL)) return false;
        worst = std::max(worst, off);
    }
    return worst <= part * largest + noise;
}

static double largest(const Tensor& t) {
    return op<"max">(op<"nan_to_num">(op<"abs">(t), 0.0, 0.0, 0.0)).item().real();
}
static bool near(const Tensor& a, const Tensor& b, double noise = 1e-9) {
    if (!same(a.sizes(), b.sizes()) || a.dtype() != b.dtype()) return false;
    if (!a.numel()) return true;
    if (a.dtype() == DType::f32 && a.is_contiguous() && b.is_contiguous())
        return near_floats(a.data<float>(), b.data<float>(), a.numel(), noise);
    if (!is_floating(a.dtype()) && !is_complex(a.dtype())) return opn<"equal">(a, b).value.flag();
    const double part = is_low_precision(a.dtype()) ? 2e-2 : 1e-3;
    return opn<"allclose">(a, b, part, part * largest(b) + noise, true).value.flag();
}
// What rounding may leave of gradients that cancel, as those of a norm behind a mean of squares do.
static double noise_of(TensorSpan gradients) {
    double most = 0;
    for (const Tensor& t : gradients)
        if (t.defined() && t.numel() && is_floating(t.dtype())) most = std::max(most, largest(t.detach()));
    return 1e-9 + 1e-6 * most;
}

bool Program::agrees(TensorSpan inputs, TensorSpan outputs, TensorSpan gradients,
                     const Generator::State& numbers_before) {
    const NoModes none;
    // What the program writes of the caller's is put back afterwards.
    struct Saved {
        std::vector<std::pair<Tensor, Tensor>> tensors;
        ~Saved() {
            for (auto& [to, from] : tensors) cpu::copy_data(to, from);
        }
    } before;
    if (writes_callers_)
        for (const Slot& s : graph_.slots)
            if ((s.origin == Origin::Input || s.origin == Origin::Held) && !s.constant)
                for (const Step& step : graph_.steps)
                    for (int w : step.writes)
                        if (graph_.slots[size_t(w)].memory == s.memory)
                            before.tensors.emplace_back(s.sample.detach(), op<"clone">(s.sample.detach()));
    struct Numbers {
        explicit Numbers(const Generator::State& start) {
            const GeneratorLock lock(default_generator());
            now = default_generator().state();
            default_generator().set_state(start);
        }
        ~Numbers() {
            const GeneratorLock lock(default_generator());
            default_generator().set_state(now);
        }
        Generator::State now;
    };
    std::vector<Tensor> slots(graph_.slots.size());
    fill(slots, inputs);
    bool ok = false;
    {
        const Numbers numbers(numbers_before);
        ok = forward_.run(graph_, slots);
    }
    for (size_t i = 0; ok && i < graph_.outputs.size(); ++i) {
        const Slot& s = graph_.slots[size_t(graph_.outputs[i])];
        if (s.origin == Origin::Made) ok = near(slots[size_t(graph_.outputs[i])], outputs[i].detach());
    }
    if (ok && has_backward_) {
        Grads seeds(graph_.seeds.size());
        for (size_t k = 0; k < seeds.size(); ++k)
            if (graph_.seeds[k] >= 0) seeds[k] = graph_.slots[size_t(graph_.seeds[k])].sample;
        const std::vector<Tensor> found = backward(std::move(slots), seeds);
        const double noise = noise_of(gradients);
        for (size_t i = 0; ok && i < found.size(); ++i)
            ok = found[i].defined() == gradients[i].defined() &&
                 (!found[i].defined() || near(found[i], gradients[i].detach(), noise));
    }
    return ok;
}

void Program::forget_samples() {
    for (Slot& s : graph_.slots) s.sample = {};
}

bool Program::inputs_fit(TensorSpan inputs) const {
    if (!writes_callers_) return true;
    for (size_t i = 0; i < inputs.size(); ++i) {
        for (size_t k = 0; k < i; ++k)
            if (inputs[i]->storage.get() == inputs[k]->storage.get() && inputs[i].get() != inputs[k].get())
                return false;
        for (const Held& h : held_)
            if (inputs[i]->storage.get() == h.tensor->storage.get()) return false;
    }
    return true;
}

Program::Counts Program::counts() const {
    Counts c{operators_, int(forward_.steps().size() + backward_.steps().size()), 0};
    for (const Code* code : {&forward_, &backward_})
        for (const Step& s : code->steps()) c.fused += s.fusion != nullptr;
    return c;
}

bool Program::held_unchanged() const {
    for (const Held& h : held_) {
        const TensorImpl& t = *h.tensor.get();
        if (t.dtype != h.dtype || t.needs_grad() != h.needs_grad || !(t.sizes == h.sizes) || !(t.strides == h.strides))
            return false;
    }
    return true;
}

void Program::fill(std::vector<Tensor>& slots, TensorSpan inputs) const {
    for (size_t i = 0; i < graph_.inputs.size(); ++i)
        if (graph_.inputs[i] >= 0) slots[size_t(graph_.inputs[i])] = inputs[i];
    for (size_t i = 0; i < graph_.slots.size(); ++i)
        if (graph_.slots[i].origin == Origin::Held) slots[i] = graph_.slots[i].held;
}

bool Program::run(TensorSpan inputs, std::vector<Tensor>& outputs) const {
    std::vector<Tensor> slots(graph_.slots.size());
    fill(slots, inputs);
    const bool grad = tls.grad && has_backward_;
    {
        const NoModes none;
        if (!forward_.run(graph_, slots)) return false;
    }
    outputs.clear();
    for (int v : graph_.outputs) outputs.push_back(slots[size_t(v)]);
    if (!grad) return true;
    Ptr<Program> self(const_cast<Program*>(this));
    auto* node = new CompiledNode(std::move(self));
    const Ptr<Node> owner(node);
    for (int w : graph_.wanted) node->next.push_back(gradient_edge(slots[size_t(w)]));
    for (int v : saved_) {
        if (!callers_see_[size_t(v)]) {
            node->own_.push_back(slots[size_t(v)]);
            node->own_slots_.push_back(v);
        } else {
            node->kept_.push_back(SavedTensor(slots[size_t(v)], false));
            node->kept_slots_.push_back(v);
        }
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
        if (i >= graph_.seeds.size() || graph_.seeds[i] < 0) continue;
        // A result that is also kept for the backward must not own the node that keeps it.
        if (std::find(saved_.begin(), saved_.end(), graph_.outputs[i]) != saved_.end())
            outputs[i] = shallow_copy(outputs[i], true);
        const uint32_t nr = add_result(*node, outputs[i]);
        set_history(outputs[i], owner, nr);
        node->result_seed_.push_back(int(i));
    }
    return true;
}

std::vector<Tensor> Program::backward(std::vector<Tensor>&& slots, const Grads& incoming) const {
    for (size_t i = 0; i < graph_.slots.size(); ++i)
        if (graph_.slots[i].constant) slots[i] = graph_.slots[i].held;
    for (size_t k = 0; k < graph_.seeds.size(); ++k) {
        if (graph_.seeds[k] < 0) continue;
        Tensor& t = slots[size_t(graph_.seeds[k])];
        const Slot& s = graph_.slots[size_t(graph_.seeds[k])];
        if (incoming[k].defined()) {
            t = incoming[k].contiguous();
        } else {
            t = empty(s.sizes, s.dtype);
            (void)op<"zero_">(t);
        }
    }
    check(backward_.run(graph_, slots), "the compiled backward depends on a number that has changed");
    std::vector<Tensor> r(graph_.grads.size());
    for (size_t i = 0; i < r.size(); ++i) {
        if (graph_.grads[i] < 0) continue;
        bool any = false;
        for (size_t k = 0; k < reached_by_[i].size(); ++k) any = any || (reached_by_[i][k] && incoming[k].defined());
        if (any) r[i] = slots[size_t(graph_.grads[i])];
    }
    return r;
}

Grads CompiledNode::apply(Grads&& in) {
    if (tls.grad)
        fail(ErrorKind::Runtime,
             "torch.compile with aot_autograd does not currently support double backward\nthe backward of a compiled "
             "function is not recorded: call the function uncompiled where create_graph=True is needed");
    if (released_ && !(kept_.empty() && own_.empty())) fail_released();
    const NoModes none;
    Grads incoming(program_->graph_.seeds.size());
    for (size_t i = 0; i < result_seed_.size() && i < in.size(); ++i)
        incoming[size_t(result_seed_[i])] = std::move(in[i]);
    std::vector<Tensor> slots(program_->graph_.slots.size());
    for (size_t i = 0; i < kept_.size(); ++i) slots[size_t(kept_slots_[i])] = kept_[i].unpack(this, name());
    for (size_t i = 0; i < own_.size(); ++i) slots[size_t(own_slots_[i])] = own_[i];
    const auto start = std::chrono::steady_clock::now();
    std::vector<Tensor> found = program_->backward(std::move(slots), incoming);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (took < program_->backward_seconds.load()) program_->backward_seconds = took;
    Grads out(next.size());
    for (size_t i = 0; i < found.size(); ++i) out[i] = std::move(found[i]);
    return out;
}

void CompiledNode::release_saved() {
    for (SavedTensor& s : kept_) s.reset();
    for (Tensor& t : own_) t = {};
    released_ = true;
}

// ---------------------------------------------------------------- as text
static std::string name_of(const Graph& g, int v) {
    if (v < 0) return "None";
    const Slot& s = g.slots[size_t(v)];
    return str(s.origin == Origin::Input  ? "%input"
               : s.origin == Origin::Held ? (s.constant ? "%constant" : "%held")
               : s.origin == Origin::Seed ? "%grad"
                                          : "%",
               s.origin == Origin::Made ? "" : "_", v);
}
static void write_steps(std::string& to, const Graph& g, std::span<const Step> steps) {
    for (const Step& s : steps) {
        std::string left, right;
        for (int v : s.results) left += (left.empty() ? "" : ", ") + name_of(g, v);
        for (const Argument& a : s.args) {
            std::string one;
            if (a.value.tag == Tag::Tensors || s.fusion) {
                for (int v : a.slots) one += (one.empty() ? "" : ", ") + name_of(g, v);
                if (!s.fusion) one = "[" + one + "]";
            } else if (a.value.tag == Tag::Tensor) {
                one = name_of(g, a.slots[0]);
            } else {
                switch (a.value.tag) {
                    case Tag::None: one = "None"; break;
                    case Tag::Bool: one = a.value.b ? "True" : "False"; break;
                    case Tag::Int: one = str(a.value.i); break;
                    case Tag::Double: one = str(a.value.d); break;
                    case Tag::Ints: one = str(a.value.ints()); break;
                    case Tag::String: one = str("'", a.value.string(), "'"); break;
                    case Tag::DType: one = str(a.value.dt); break;
                    default: one = "…"; break;
                }
            }
            right += (right.empty() ? "" : ", ") + one;
        }
        const std::string what = s.fusion    ? "fused[" + s.fusion->names + "]"
                                 : s.formula ? "backward of aten::" + s.formula->op->schema.name
                                 : s.op      ? "aten::" + s.op->schema.name + (s.inplace ? "_" : "")
                                             : "check";
        to += "  " + (left.empty() ? "" : left + " = ") + what + "(" + right + ")\n";
    }
}
std::string Graph::text() const {
    std::string r;
    write_steps(r, *this, steps);
    return r;
}
std::string Program::text() const {
    std::string r = "forward:\n";
    write_steps(r, graph_, forward_.steps());
    if (has_backward_) {
        r += "backward:\n";
        write_steps(r, graph_, backward_.steps());
    }
    return r;
}

}  // namespace fb::graph
