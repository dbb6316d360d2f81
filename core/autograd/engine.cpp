// Running backward: nodes in the order of their creation, newest first, each once, when all its gradients are in.
#include <algorithm>
#include <unordered_map>
#include <utility>
#include "autograd/node_name.h"
#include "autograd/back.h"
#include "autograd/formula_hook.h"
#include "autograd/sparse_gradient.h"
#include "tensor/watch.h"

namespace fb {
namespace {

// --- gradient bookkeeping that never touches the nodes, so that runs can nest and overlap
struct State {
    Node* node;
    int32_t waiting = 0;  // edges whose gradient has not come yet
    bool needed = true;
    Grads grads;
};

// Node* -> index. Small graphs are searched in a line, larger ones hashed.
class Index {
public:
    int find(const Node* n, const std::vector<State>& s) const {
        if (map_.empty()) {
            for (size_t i = s.size(); i-- > 0;)
                if (s[i].node == n) return int(i);
            return -1;
        }
        const auto i = map_.find(n);
        return i == map_.end() ? -1 : i->second;
    }
    void add(const Node* n, const std::vector<State>& s) {  // after the push
        if (!map_.empty()) map_.emplace(n, int(s.size() - 1));
        else if (s.size() > 12)
            for (size_t i = 0; i < s.size(); ++i) map_.emplace(s[i].node, int(i));
    }

private:
    std::unordered_map<const Node*, int> map_;
};

bool may_write_into(const Tensor& t) {
    // A view keeps the tensor it looks into, as the transposed product of a weight's gradient does.
    const TensorImpl* base = t->base.get();
    const bool alone = base ? t->storage->use_count() == 2 && base->use_count() == 1 && !base->object &&
                                  !base->requires_grad && !base->grad_fn
                            : t->storage->use_count() == 1;
    return alone && t->use_count() == 1 && !t->requires_grad && !t->grad_fn &&
           (t->contiguous || is_non_overlapping_and_dense(t.sizes(), t.strides()));
}

Tensor add_grads(const Tensor& a, const Tensor& b) {
    return is_sparse_gradient(a) || is_sparse_gradient(b) ? sparse_gradients.add(a, b) : op<"add">(a, b);
}

void accumulate(Tensor& into, Tensor&& g) {
    if (!g.defined()) return;
    if (!into.defined()) {
        into = std::move(g);
        return;
    }
    // A gradient nobody else can see is added to in place.
    if (!tls.grad && may_write_into(into) && into.dtype() == g.dtype() && same(into.sizes(), g.sizes()) &&
        !is_sparse_gradient(g) && !is_sparse_gradient(into)) {
        inplace<"add">(into, g);
    } else {
        into = add_grads(into, g);
    }
}

// A gradient is made to look like the forward result it belongs to.
void fit(Tensor& g, const Node& to, uint32_t input, const Node& from, size_t index) {
    if (input >= to.results.size()) return;
    const ResultMeta& m = to.results[input];
    if (is_sparse_gradient(g)) return;
    if (!same(g.sizes(), m.sizes)) {
        bool ok = g.dim() >= int64_t(m.sizes.size());
        for (size_t i = 0; ok && i < m.sizes.size(); ++i) {
            const int64_t have = g.sizes()[g.sizes().size() - 1 - i], want = m.sizes[m.sizes.size() - 1 - i];
            ok = have == want || want == 1;
        }
        if (!ok)
            fail(ErrorKind::Runtime, "Function ", node_name(from), " returned an invalid gradient at index ", index,
                 " - got ", g.sizes(), " but expected shape compatible with ", m.sizes);
        g = sum_to_size(g, m.sizes);
    }
    if (g.dtype() != m.dtype) {
        if (is_complex(g.dtype()) && !is_complex(m.dtype)) g = op<"real">(g);
        if (g.dtype() != m.dtype) g = g.to(m.dtype);
    }
}

void call_hooks(Node& n, Grads& in) {
    for (size_t i = 0; i < n.hooks->tensor.size(); ++i) {
        auto h = n.hooks->tensor[i];
        Grads one;
        one.push_back(in[h.input]);
        if (!one[0].defined()) continue;
        h.hook->pre(one);
        in[h.input] = one[0];
    }
    for (size_t i = 0; i < n.hooks->pre.size(); ++i) {
        auto h = n.hooks->pre[i];
        h->pre(in);
    }
    for (size_t i = 0; i < n.hooks->retain.size(); ++i) {
        auto h = n.hooks->retain[i];
        Grads one;
        one.push_back(in[h.input]);
        if (one[0].defined()) h.hook->pre(one);
    }
}

void check_nan(const Node& n, const Grads& out) {
    for (size_t i = 0; i < out.size(); ++i) {
        if (!out[i].defined() || out[i].is_meta()) continue;
        GradGuard off(false);
        if (op<"any">(op<"isnan">(out[i])).item().is_zero()) continue;
        std::string text = str("Function '", node_name(n), "' returned nan values in its ", i, "th output.");
        if (n.created_at) text += "\nThe forward call was made here:\n" + *n.created_at;
        fail(ErrorKind::Runtime, text);
    }
}

// Of the node whose formulas run: the edges behind which somebody waits for a gradient, a bit each; those beyond 64
// count as such. Formulas leave out what is for nobody (`Back::needs`), as the gradients of weights when inputs are
// asked for.
constinit thread_local uint64_t wanted_edges = ~uint64_t(0);

class Wanting {
public:
    explicit Wanting(uint64_t edges) : before_(std::exchange(wanted_edges, edges)) {}
    ~Wanting() { wanted_edges = before_; }
    Wanting(const Wanting&) = delete;
    Wanting& operator=(const Wanting&) = delete;

private:
    uint64_t before_;
};
bool is_wanted(const Node& n, size_t edge) { return n.next[edge] && (edge >= 64 || (wanted_edges >> edge & 1)); }

struct Later {  // heap order: the accumulators first, then the newest
    const std::vector<State>* s;
    bool operator()(int a, int b) const { return (*s)[size_t(a)].node->sequence < (*s)[size_t(b)].node->sequence; }
};

}  // namespace

std::vector<Tensor> run_backward(std::span<const Edge> roots, Grads root_grads, const BackwardOptions& opt,
                                 std::span<const Edge> inputs) {
    std::vector<State> states;
    Index index;
    const Wanting all(~uint64_t(0));  // whatever the formula wants that this run is part of
    states.reserve(16);
    auto visit = [&](Node* n) {
        states.push_back(State{n, 0, inputs.empty(), {}});
        index.add(n, states);
        return int(states.size() - 1);
    };
    // Which nodes are reached, how many gradients each waits for, and (given inputs) which lead to one of them.
    struct Visit {
        int state;
        size_t edge;
    };
    Small<Visit, 16> stack;
    auto is_input = [&](const Node* n) {
        return std::any_of(inputs.begin(), inputs.end(), [&](const Edge& e) { return e.node.get() == n; });
    };
    for (const Edge& r : roots) {
        if (!r) continue;
        int i = index.find(r.node.get(), states);
        if (i >= 0) continue;
        stack.push_back({visit(r.node.get()), 0});
        while (!stack.empty()) {
            auto& [s, e] = stack.back();
            Node* n = states[size_t(s)].node;
            if (e < n->next.size()) {
                Node* m = n->next[e++].node.get();
                if (!m) continue;
                int k = index.find(m, states);
                if (k < 0) {
                    k = visit(m);
                    ++states[size_t(k)].waiting;
                    stack.push_back({k, 0});
                } else {
                    ++states[size_t(k)].waiting;
                }
                continue;
            }
            if (!inputs.empty()) {
                bool need = is_input(n);
                for (const Edge& x : n->next)
                    need = need || (x && states[size_t(index.find(x.node.get(), states))].needed);
                states[size_t(s)].needed = need;
            }
            stack.pop_back();
        }
    }
    std::vector<Tensor> captured(inputs.size());
    Small<int, 16> ready;
    const Later later{&states};
    auto push = [&](int s) {
        ready.push_back(s);
        std::push_heap(ready.begin(), ready.end(), later);
    };
    auto receive = [&](int s, uint32_t input, Tensor&& g) {
        State& st = states[size_t(s)];
        if (st.grads.size() <= input) st.grads.resize(std::max<size_t>(input + 1, st.node->results.size()));
        accumulate(st.grads[input], std::move(g));
    };
    GradGuard mode(opt.create_graph);
    for (size_t i = 0; i < roots.size(); ++i)
        if (roots[i]) receive(index.find(roots[i].node.get(), states), roots[i].input, std::move(root_grads[i]));
    for (const Edge& r : roots) {
        if (!r) continue;
        const int s = index.find(r.node.get(), states);
        if (states[size_t(s)].waiting == 0) {
            states[size_t(s)].waiting = -1;  // queued
            push(s);
        }
    }
    while (!ready.empty()) {
        std::pop_heap(ready.begin(), ready.end(), later);
        const int s = ready.back();
        ready.pop_back();
        Ptr<Node> node(states[size_t(s)].node);
        Grads in = std::move(states[size_t(s)].grads);
        states[size_t(s)].grads.clear();
        if (!states[size_t(s)].needed) {
            // Its part of the graph leads to no input, but what waits behind it may be shared.
            for (const Edge& e : node->next) {
                if (!e) continue;
                const int k = index.find(e.node.get(), states);
                if (--states[size_t(k)].waiting == 0) push(k);
            }
            continue;
        }
        if (in.size() < std::max<size_t>(1, node->results.size())) in.resize(std::max<size_t>(1, node->results.size()));
        const bool some = std::any_of(in.begin(), in.end(), [](const Tensor& t) { return t.defined(); });
        if (node->hooks) [[unlikely]]
            call_hooks(*node, in);
        for (size_t i = 0; i < inputs.size(); ++i)
            if (inputs[i].node.get() == node.get() && inputs[i].input < in.size()) captured[i] = in[inputs[i].input];
        if (!inputs.empty() && !opt.accumulate && node->is_accumulate()) continue;
        if (!inputs.empty() && opt.accumulate && node->is_accumulate() && !is_input(node.get())) continue;
        uint64_t wanted = ~uint64_t(0);
        bool any = inputs.empty() || node->is_accumulate();
        for (size_t i = 0; !inputs.empty() && i < node->next.size(); ++i) {
            const Edge& e = node->next[i];
            const bool needed = e && states[size_t(index.find(e.node.get(), states))].needed;
            any = any || needed;
            if (!needed && i < 64) wanted &= ~(uint64_t(1) << i);
        }
        if (!any) {  // it only serves as an input
            for (const Edge& e : node->next) {
                if (!e) continue;
                const int k = index.find(e.node.get(), states);
                if (--states[size_t(k)].waiting == 0) push(k);
            }
            continue;
        }
        Grads before;
        const bool post = node->hooks && !node->hooks->post.empty();
        if (post) before = in;
        Grads out;
        if (some || node->is_accumulate()) {
            const Wanting only(wanted);
            out = node->apply(std::move(in));
        } else {
            out.resize(node->next.size());
        }
        if (post) [[unlikely]]
            for (size_t i = 0; i < node->hooks->post.size(); ++i) {
                auto h = node->hooks->post[i];
                h->post(out, before);
            }
        if (!opt.keep_graph) node->release_saved();
        if (AnomalyMode::on && AnomalyMode::check_nan) [[unlikely]]
            check_nan(*node, out);
        if (out.size() < node->next.size()) out.resize(node->next.size());
        for (size_t i = 0; i < node->next.size(); ++i) {
            const Edge& e = node->next[i];
            if (!e) continue;
            const int k = index.find(e.node.get(), states);
            if (out[i].defined() && states[size_t(k)].needed) {
                fit(out[i], *e.node, e.input, *node, i);
                receive(k, e.input, std::move(out[i]));
            }
            if (--states[size_t(k)].waiting == 0) push(k);
        }
    }
    return captured;
}

// ---------------------------------------------------------------- leaves
AccumulateGrad::AccumulateGrad(const Tensor& leaf) : variable(leaf) {
    sequence = UINT64_MAX;
    add_result(*this, leaf);
    AutogradMeta& m = need_meta(*leaf.get());
    if (!m.hooks.empty()) {
        auto& h = need_hooks();
        for (auto& hook : m.hooks) h.tensor.push_back({0, hook});
    }
    post_accumulate = m.post_accumulate;
}

Grads AccumulateGrad::apply(Grads&& in) {
    watch_leak("a backward inside wrote a .grad");
    Tensor g = std::move(in[0]);
    in.clear();
    if (!g.defined() || !variable.requires_grad()) return {};  // frozen since
    AutogradMeta& m = need_meta(*variable.get());
    if (!m.grad.defined()) {
        const bool mine = !tls.grad && may_write_into(g) && same(g.strides(), variable.strides());
        if (mine) g->base = {};
        if (mine || is_sparse_gradient(g)) m.grad = std::move(g);
        else if (tls.grad) m.grad = op<"clone">(g);
        else {
            Tensor copy = is_non_overlapping_and_dense(variable.sizes(), variable.strides())
                              ? empty_strided(variable.sizes(), variable.strides(), g.dtype(), g.device())
                              : empty(variable.sizes(), g.dtype(), g.device());
            inplace<"copy_">(copy, g);
            m.grad = std::move(copy);
        }
    } else if (tls.grad || is_sparse_gradient(m.grad) || is_sparse_gradient(g)) {
        m.grad = add_grads(m.grad, g);
    } else {
        inplace<"add">(m.grad, g);
    }
    for (size_t i = 0; i < post_accumulate.size(); ++i) {
        auto h = post_accumulate[i];
        Grads v;
        v.push_back(variable);
        h->pre(v);
    }
    return {};
}

// ---------------------------------------------------------------- derivative formulas
Tensor sum_to_size(const Tensor& g, IntSpan sizes) {
    if (same(g.sizes(), sizes)) return g;
    const int64_t lead = g.dim() - int64_t(sizes.size());
    Dims dims;
    for (int64_t d = 0; d < g.dim(); ++d)
        if (d < lead || (sizes[size_t(d - lead)] == 1 && g.sizes()[size_t(d)] != 1)) dims.push_back(d);
    Tensor r = dims.empty() ? g : op<"sum.dim_IntList">(g, dims, true);
    return lead > 0 ? op<"view">(op<"contiguous">(r), sizes) : r;
}

Tensor zeros_of(const ResultMeta& m) {
    Tensor t = empty(m.sizes, m.dtype, m.device);
    inplace<"zero_">(t);
    return t;
}

// The argument behind an edge, as far as its own gradient goes: its history and its shape.
static Tensor origin_of(const Edge& edge) {
    if (edge.node->is_accumulate()) return static_cast<const AccumulateGrad&>(*edge.node).variable;
    const ResultMeta& m = edge.node->results[edge.input];
    Tensor t = empty({}, m.dtype, m.device);
    t->set_shape(m.sizes, Dims(m.sizes.size(), 0));  // none of its values is read
    set_history(t, edge.node, edge.input);
    return t;
}

static Grads run_formulas(OpNode& node, Grads&& in) {
    Grads out(node.next.size());
    Back b{node, in, out, in[0], {}};
    if (node.released && !node.saved.empty())
        node.saved[0].unpack(&node, node.name());  // throws the error about the second time
    const Derivative& d = node.op->derivative;
    for (uint32_t bits = d.args & ~d.joint_args; bits; bits &= bits - 1) {
        const int i = __builtin_ctz(bits);
        if (!b.needs(i)) continue;
        const Derivative::Part& p = d.parts[size_t(i)];
        if (p.one) {
            if (!in[0].defined() && in.size() == 1) continue;
            out[node.first_edge[size_t(i)]] = p.one(b);
        } else if (p.list) {
            auto list = p.list(b);
            for (size_t k = 0; k < list.size(); ++k) out[size_t(node.first_edge[size_t(i)]) + k] = std::move(list[k]);
        }
    }
    if (d.joint) {
        bool any = false;
        for (uint32_t bits = d.joint_args; bits; bits &= bits - 1) any = any || b.needs(__builtin_ctz(bits));
        if (any) d.joint(b);
    }
    if (d.flat && tls.grad)
        for (size_t i = 0; i < out.size(); ++i)
            if (out[i].defined()) out[i] = op<"_tie">(out[i], origin_of(node.next[i]));
    return out;
}

Grads OpNode::apply(Grads&& in) {
    if (watcher && formula_hook) [[unlikely]]
        return formula_hook(*this, std::move(in), run_formulas);
    return run_formulas(*this, std::move(in));
}

bool Back::needs(int a) const {
    const uint16_t e = node.first_edge[size_t(a)];
    if (e == 0xffff) return false;
    for (int k = 0; k < items(a); ++k)
        if (is_wanted(node, size_t(e + k))) return true;
    return false;
}
bool Back::needs_item(int a, int i) const {
    return node.first_edge[size_t(a)] != 0xffff && is_wanted(node, size_t(node.first_edge[size_t(a)] + i));
}

Tensor Back::grad(int i) const { return has(i) ? incoming[size_t(i)] : zeros_of(node.results[size_t(i)]); }

const Tensor& Back::saved(size_t k) const {
    if (unpacked.size() < node.saved.size()) unpacked.resize(node.saved.size());
    if (!unpacked[k].defined()) unpacked[k] = node.saved[k].unpack(&node, node.name());
    return unpacked[k];
}
Tensor Back::arg(int a) const {
    for (size_t k = 0; k < node.saved.size(); ++k)
        if (node.saved_slot[k] == a) return saved(k);
    return {};
}
Tensor Back::result(int i) const { return arg(32 + i); }
std::vector<Tensor> Back::list(int a) const {
    std::vector<Tensor> r;
    for (size_t k = 0; k < node.saved.size(); ++k)
        if (node.saved_slot[k] == a) r.push_back(saved(k));
    return r;
}
Operand Back::operand(int a) const {
    if (node.attributes[size_t(a)].is_number()) return Operand(node.attributes[size_t(a)]);
    keep.push_back(arg(a));
    return Operand(keep.back());
}
const ResultMeta& Back::meta(int a, int item) const {
    const Edge& e = node.next[size_t(node.first_edge[size_t(a)] + item)];
    return e.node->results[e.input];
}
void Back::set(int a, Tensor g) const {
    if (needs(a)) outgoing[node.first_edge[size_t(a)]] = std::move(g);
}
void Back::set_item(int a, int i, Tensor g) const {
    if (needs_item(a, i)) outgoing[size_t(node.first_edge[size_t(a)] + i)] = std::move(g);
}

}  // namespace fb
