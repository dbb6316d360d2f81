#include "graph/passes.h"
#include <cstring>
#include <unordered_map>

namespace fb::graph {

std::vector<bool> written_memories(const Graph& g) {
    int most = 0;
    for (const Slot& s : g.slots) most = std::max(most, s.memory + 1);
    std::vector<bool> r(static_cast<size_t>(most));
    for (const Step& s : g.steps)
        for (int w : s.writes) r[size_t(g.slots[size_t(w)].memory)] = true;
    return r;
}

namespace {

bool has_effect(const Step& s) { return !s.writes.empty() || s.random || s.expected || s.reads_shape; }

template <class F>
void each_slot_reference(Step& s, F&& f) {
    for (Argument& a : s.args)
        for (int& v : a.slots)
            if (v >= 0) f(v);
    for (int& v : s.given)
        if (v >= 0) f(v);
    for (int& v : s.writes)
        if (v >= 0) f(v);
    for (Pass& p : s.passes)
        for (Pass::In& in : p.in)
            if (in.slot >= 0) f(in.slot);
}

std::vector<int> users_of_memory(const Graph& g, int n) {  // slots that share each memory
    std::vector<int> r(static_cast<size_t>(n));
    for (const Slot& s : g.slots) ++r[size_t(s.memory)];
    return r;
}

// x.add_(y) where x was made here and has no views: the result is a slot of its own from here on.
void make_functional(Graph& g) {
    int memories = 0;
    for (const Slot& s : g.slots) memories = std::max(memories, s.memory + 1);
    const std::vector<int> sharing = users_of_memory(g, memories);
    std::vector<int> now(g.slots.size());
    for (size_t i = 0; i < now.size(); ++i) now[i] = int(i);
    auto follow = [&](int& v) { v = now[size_t(v)]; };
    for (Step& s : g.steps) {
        const bool plain = s.inplace && s.writes.size() == 1 && s.results.size() == 1 && !s.list && !s.random;
        const int self = plain ? s.writes[0] : -1;
        each_slot_reference(s, follow);
        const Slot* const old = plain ? &g.slots[size_t(self)] : nullptr;
        if (!old || old->origin != Origin::Made || sharing[size_t(old->memory)] != 1 || s.results[0] != self) {
            for (int& v : s.results)  // an operator that only writes gives back what it wrote into
                if (v >= 0) follow(v);
            continue;
        }
        Slot fresh = *old;
        fresh.memory = memories++;
        fresh.sample = g.slots[size_t(self)].sample = {};  // written to since: no longer what it was here
        const int id = int(g.slots.size());
        g.slots.push_back(std::move(fresh));
        now.push_back(id);
        now[size_t(self)] = id;
        s.results[0] = id;
        s.inplace = false;
        s.given.clear();
        s.writes.clear();
    }
    for (int& v : g.outputs)
        if (v >= 0) follow(v);
    for (int& v : g.grads)
        if (v >= 0) follow(v);
}

// A constant that is written to, or that the caller may get hold of, is copied at each run.
void protect_constants(Graph& g) {
    const std::vector<bool> written = written_memories(g);
    std::vector<bool> seen(written.size());
    for (int v : g.outputs)
        if (v >= 0) seen[size_t(g.slots[size_t(v)].memory)] = true;
    std::vector<Step> copies;
    for (size_t i = 0, n = g.slots.size(); i < n; ++i) {  // not those it adds
        if (!g.slots[i].constant) continue;
        const size_t m = size_t(g.slots[i].memory);
        if (!written[m] && !seen[m]) continue;
        const int id = int(g.slots.size());
        Slot source = g.slots[i];
        source.memory = -1;
        g.slots[i].origin = Origin::Made;
        g.slots[i].constant = false;
        g.slots[i].held = {};
        Step s;
        s.op = &op_ref<"clone">();
        for (const Arg& a : s.op->schema.args) {
            Argument g2;
            g2.value = a.fallback;
            s.args.push_back(std::move(g2));
        }
        s.args[0].value = Value(source.held);
        s.args[0].slots.push_back(id);
        s.results.push_back(int(i));
        g.slots.push_back(std::move(source));
        copies.push_back(std::move(s));
    }
    int most = 0;
    for (const Slot& s : g.slots) most = std::max(most, s.memory + 1);
    for (Slot& s : g.slots)
        if (s.memory < 0) s.memory = most++;
    g.forward_steps += copies.size();
    g.steps.insert(g.steps.begin(), std::make_move_iterator(copies.begin()), std::make_move_iterator(copies.end()));
}

bool reads_written(const Graph& g, const Step& s, const std::vector<bool>& written) {
    bool r = false;
    each_input(s, [&](int v) { r = r || written[size_t(g.slots[size_t(v)].memory)]; });
    for (int v : s.results)
        if (v >= 0) r = r || written[size_t(g.slots[size_t(v)].memory)];
    return r;
}

std::vector<bool> visible(const Graph& g) {  // memories that the caller sees
    std::vector<bool> r(written_memories(g).size());
    for (const Slot& s : g.slots)
        if (s.origin == Origin::Input || (s.origin == Origin::Held && !s.constant)) r[size_t(s.memory)] = true;
    for (int v : g.outputs)
        if (v >= 0) r[size_t(g.slots[size_t(v)].memory)] = true;
    for (int v : g.grads)
        if (v >= 0) r[size_t(g.slots[size_t(v)].memory)] = true;
    return r;
}

// What depends on constants alone is computed now: its sample is the answer.
constexpr int64_t kLargestFolded = int64_t(16) << 20;
void fold_constants(Graph& g) {
    const std::vector<bool> written = written_memories(g), seen = visible(g);
    std::vector<Step> kept;
    size_t dropped_forward = 0;
    for (size_t i = 0; i < g.steps.size(); ++i) {
        Step& s = g.steps[i];
        bool fold = s.op && !has_effect(s) && !reads_written(g, s, written);
        each_input(s, [&](int v) { fold = fold && g.slots[size_t(v)].constant; });
        int64_t bytes = 0;
        for (int v : s.results) {
            if (v < 0) continue;
            const Slot& r = g.slots[size_t(v)];
            fold = fold && r.origin == Origin::Made && !seen[size_t(r.memory)] && r.sample.defined();
            bytes += product(r.sizes) * int64_t(itemsize(r.dtype));
        }
        if (!fold || bytes > kLargestFolded) {
            kept.push_back(std::move(s));
            continue;
        }
        for (int v : s.results)
            if (v >= 0) {
                g.slots[size_t(v)].origin = Origin::Held;
                g.slots[size_t(v)].constant = true;
                g.slots[size_t(v)].held = g.slots[size_t(v)].sample.detach();
            }
        if (i < g.forward_steps) ++dropped_forward;
    }
    g.forward_steps -= dropped_forward;
    g.steps = std::move(kept);
}

void write_bytes(std::string& to, const void* p, size_t n) { to.append(static_cast<const char*>(p), n); }

std::string key_of(const Step& s) {
    std::string k;
    write_bytes(k, &s.op, sizeof s.op);
    for (const Argument& a : s.args) {
        k += char(a.value.tag);
        if (a.value.tag == Tag::Tensor || a.value.tag == Tag::Tensors) {
            write_bytes(k, a.slots.data(), a.slots.size() * sizeof(int));
            k += '|';
            continue;
        }
        switch (a.value.tag) {
            case Tag::Ints: write_bytes(k, a.value.ints_ptr, a.value.len * sizeof(int64_t)); break;
            case Tag::Doubles: write_bytes(k, a.value.doubles_ptr, a.value.len * sizeof(double)); break;
            case Tag::Bools: write_bytes(k, a.value.bools_ptr, a.value.len); break;
            case Tag::String: k += a.value.string(); break;
            case Tag::Scalars:
                for (const Scalar& x : a.value.scalars()) k += str(int(x.kind), ' ', x.i, ' ', x.d, ';');
                break;
            case Tag::None: break;
            case Tag::Bool: k += a.value.b ? '1' : '0'; break;
            case Tag::Int: write_bytes(k, &a.value.i, 8); break;
            case Tag::Double: write_bytes(k, &a.value.d, 8); break;
            case Tag::Complex: write_bytes(k, &a.value.c, 16); break;
            case Tag::DType: k += char(a.value.dt); break;
            case Tag::Layout: k += char(a.value.layout_v); break;
            case Tag::Device: k += str(int(a.value.device_v.type), ' ', int(a.value.device_v.index)); break;
            case Tag::Format: k += char(a.value.format_v); break;
            default: k += '?'; break;
        }
        k += '|';
    }
    return k;
}

// Two equal steps on equal values: one is enough, unless the caller could tell.
void join_equal(Graph& g) {
    const std::vector<bool> written = written_memories(g), seen = visible(g);
    std::unordered_map<std::string, size_t> known;
    std::vector<int> now(g.slots.size());
    for (size_t i = 0; i < now.size(); ++i) now[i] = int(i);
    std::vector<Step> kept;
    size_t dropped_forward = 0;
    for (size_t i = 0; i < g.steps.size(); ++i) {
        Step& s = g.steps[i];
        each_slot_reference(s, [&](int& v) { v = now[size_t(v)]; });
        bool ok = s.op && !has_effect(s) && s.given.empty() && !reads_written(g, s, written);
        for (int v : s.results) ok = ok && (v < 0 || !seen[size_t(g.slots[size_t(v)].memory)]);
        if (ok) {
            const auto [at, fresh] = known.try_emplace(key_of(s), kept.size());
            if (!fresh) {
                const Step& first = kept[at->second];
                for (size_t k = 0; k < s.results.size(); ++k)
                    if (s.results[k] >= 0) now[size_t(s.results[k])] = first.results[k];
                if (i < g.forward_steps) ++dropped_forward;
                continue;
            }
        }
        kept.push_back(std::move(s));
    }
    for (int& v : g.outputs)
        if (v >= 0) v = now[size_t(v)];
    for (int& v : g.grads)
        if (v >= 0) v = now[size_t(v)];
    g.forward_steps -= dropped_forward;
    g.steps = std::move(kept);
}

// A copy of something that nobody writes to any more is that thing.
void drop_copies(Graph& g) {
    const std::vector<bool> written = written_memories(g), seen = visible(g);
    std::vector<int> now(g.slots.size());
    for (size_t i = 0; i < now.size(); ++i) now[i] = int(i);
    for (Step& s : g.steps) {
        each_slot_reference(s, [&](int& v) { v = now[size_t(v)]; });
        if (!s.op || s.op->schema.name != "clone" || s.args[0].slots.size() != 1) continue;
        const int from = s.args[0].slots[0], to = s.results[0];
        if (from < 0 || to < 0) continue;
        const Slot &a = g.slots[size_t(from)], &b = g.slots[size_t(to)];
        if (a.origin != Origin::Made || written[size_t(a.memory)] || written[size_t(b.memory)] ||
            seen[size_t(a.memory)] || seen[size_t(b.memory)] || !(a.strides == b.strides))
            continue;
        now[size_t(to)] = from;
    }
}

// Elementwise steps spread their operands themselves: one that is spread beforehand (the gradient of a mean) is read as
// it was, where the others have the whole shape.
void drop_expands(Graph& g) {
    const std::vector<bool> written = written_memories(g);
    std::vector<int> narrow(g.slots.size(), -1);  // by slot: what it was spread from
    for (Step& s : g.steps) {
        if (s.op && s.op->schema.name == "expand" && !has_effect(s) && s.results.size() == 1 && s.results[0] >= 0 &&
            s.args[0].slots.size() == 1 && s.args[0].slots[0] >= 0) {
            const int from = s.args[0].slots[0];
            if (!written[size_t(g.slots[size_t(from)].memory)])
                narrow[size_t(s.results[0])] = narrow[size_t(from)] >= 0 ? narrow[size_t(from)] : from;
            continue;
        }
        if (!s.op || s.passes.empty() || !s.given.empty() || has_effect(s) || s.results.size() != 1 || s.results[0] < 0)
            continue;
        const auto whole = [&](int v) { return same(g.slots[size_t(v)].sizes, g.slots[size_t(s.results[0])].sizes); };
        bool other = false, spread = false;  // one operand of the whole shape that stays, one that was spread
        each_input(s, [&](int v) {
            other = other || (narrow[size_t(v)] < 0 && whole(v));
            spread = spread || narrow[size_t(v)] >= 0;
        });
        if (other && spread)
            each_slot_reference(s, [&](int& v) { v = narrow[size_t(v)] >= 0 ? narrow[size_t(v)] : v; });
    }
}

void drop_dead(Graph& g) {
    std::vector<bool> live(g.slots.size());
    for (int v : g.outputs)
        if (v >= 0) live[size_t(v)] = true;
    for (int v : g.grads)
        if (v >= 0) live[size_t(v)] = true;
    std::vector<Step> kept;
    size_t forward = 0;
    for (size_t i = g.steps.size(); i-- > 0;) {
        Step& s = g.steps[i];
        bool needed = has_effect(s);
        for (int v : s.results) needed = needed || (v >= 0 && live[size_t(v)]);
        if (!needed) continue;
        each_input(s, [&](int v) { live[size_t(v)] = true; });
        if (i < g.forward_steps) ++forward;
        kept.push_back(std::move(s));
    }
    std::reverse(kept.begin(), kept.end());
    g.forward_steps = forward;
    g.steps = std::move(kept);
}

// Elementwise results that the backward needs are computed again there, where that keeps fewer bytes: reading the
// sources once is cheaper than writing and reading every step of a chain.
void recompute(Graph& g) {
    const size_t n = g.forward_steps;
    if (n == g.steps.size()) return;
    const std::vector<bool> written = written_memories(g);
    std::vector<int> maker(g.slots.size(), -1);
    auto cheap = [&](const Step& s) { return !s.passes.empty() && !has_effect(s) && !reads_written(g, s, written); };
    for (size_t i = 0; i < n; ++i)
        for (int v : g.steps[i].results)
            if (v >= 0) maker[size_t(v)] = int(i);
    std::vector<bool> output(g.slots.size()), wanted(g.slots.size());
    for (int v : g.outputs)
        if (v >= 0) output[size_t(v)] = true;
    for (size_t i = n; i < g.steps.size(); ++i) each_input(g.steps[i], [&](int v) { wanted[size_t(v)] = true; });
    auto bytes = [&](int v) { return product(g.slots[size_t(v)].sizes) * int64_t(itemsize(g.slots[size_t(v)].dtype)); };
    // Chains: cheap steps joined through their operands.
    std::vector<int> chain(n);
    for (size_t i = 0; i < n; ++i) chain[i] = int(i);
    auto root = [&](int i) {
        while (chain[size_t(i)] != i) i = chain[size_t(i)];
        return i;
    };
    for (size_t i = 0; i < n; ++i) {
        if (!cheap(g.steps[i])) continue;
        each_input(g.steps[i], [&](int v) {
            const int m = maker[size_t(v)];
            if (m >= 0 && cheap(g.steps[size_t(m)])) chain[size_t(root(m))] = root(int(i));
        });
    }
    std::unordered_map<int, std::vector<int>> members;
    for (size_t i = 0; i < n; ++i)
        if (cheap(g.steps[i])) members[root(int(i))].push_back(int(i));
    std::vector<bool> again(n);
    for (const auto& [r, steps] : members) {
        int64_t saved = 0, sources = 0;
        bool stuck = false;
        std::vector<bool> need(n);
        std::vector<int> outside;
        for (size_t k = steps.size(); k-- > 0;) {
            const Step& s = g.steps[size_t(steps[k])];
            const int v = s.results[0];
            if (wanted[size_t(v)] && !output[size_t(v)]) {
                saved += bytes(v);
                need[size_t(steps[k])] = true;
            }
            if (!need[size_t(steps[k])]) continue;
            each_input(s, [&](int in) {
                const int m = maker[size_t(in)];
                if (m >= 0 && root(m) == r && cheap(g.steps[size_t(m)]) && !output[size_t(in)]) {
                    need[size_t(m)] = true;
                } else if (!wanted[size_t(in)] && !output[size_t(in)] && !g.slots[size_t(in)].constant) {
                    // What belongs to the caller may be written to before the backward, unless eager would keep it too.
                    if (m < 0) stuck = true;
                    if (std::find(outside.begin(), outside.end(), in) == outside.end()) sources += bytes(in);
                    outside.push_back(in);
                }
            });
        }
        if (stuck || saved <= sources) continue;
        for (int i : steps)
            if (need[size_t(i)]) again[size_t(i)] = true;
    }
    std::vector<Step> copies;
    std::vector<int> now(g.slots.size());
    for (size_t i = 0; i < now.size(); ++i) now[i] = int(i);
    int memories = int(written.size());
    for (size_t i = 0; i < n; ++i) {
        if (!again[i]) continue;
        Step s = g.steps[i];
        each_slot_reference(s, [&](int& v) { v = now[size_t(v)]; });
        Slot fresh = g.slots[size_t(s.results[0])];
        const int id = int(g.slots.size());
        fresh.memory = memories++;
        g.slots.push_back(std::move(fresh));
        now.push_back(id);
        now[size_t(s.results[0])] = id;
        s.results[0] = id;
        copies.push_back(std::move(s));
    }
    for (size_t i = n; i < g.steps.size(); ++i) each_slot_reference(g.steps[i], [&](int& v) { v = now[size_t(v)]; });
    for (int& v : g.grads)
        if (v >= 0) v = now[size_t(v)];
    g.steps.insert(g.steps.begin() + int64_t(n), std::make_move_iterator(copies.begin()),
                   std::make_move_iterator(copies.end()));
}

}  // namespace

void optimize(Graph& g) {
    make_functional(g);
    protect_constants(g);
    fold_constants(g);
    join_equal(g);
    drop_copies(g);
    drop_dead(g);
    find_norms(g);
    drop_expands(g);
    drop_dead(g);
    recompute(g);
    drop_dead(g);
}

}  // namespace fb::graph
