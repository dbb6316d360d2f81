#include "graph/fuse.h"
#include <cstring>
#include <map>
#include <queue>
#include "graph/passes.h"

namespace fb::graph {
namespace {

using cpu::ChainStep;
using cpu::Reach;

Dims row_shape(Dims d) {
    if (!d.empty()) d.back() = 1;
    return d;
}

// A fold of the last dimension that keeps it.
struct RowFold {
    cpu::Fold fold = cpu::Fold::count;
    bool mean = false;
};
std::optional<RowFold> row_fold(const Graph& g, const Step& s) {
    if (!s.op || s.results.size() != 1 || s.args.size() < 3 || s.args[0].slots.size() != 1) return {};
    const std::string& n = s.op->schema.name;
    RowFold r;
    if (n == "sum" || n == "mean") {
        r.fold = cpu::Fold::sum;
        r.mean = n == "mean";
        if (s.args.size() < 4 || !s.args[3].value.is_none()) return {};
    } else if (n == "amax") {
        r.fold = cpu::Fold::max;
    } else if (n == "amin") {
        r.fold = cpu::Fold::min;
    } else {
        return {};
    }
    const Slot& x = g.slots[size_t(s.args[0].slots[0])];
    if (s.args[1].value.tag != Tag::Ints || s.args[1].value.len != 1 || !s.args[2].value.flag()) return {};
    const int64_t d = s.args[1].value.ints()[0], rank = int64_t(x.sizes.size());
    if (!rank || (d != -1 && d != rank - 1) || (x.dtype != DType::f32 && x.dtype != DType::f64)) return {};
    if (x.sizes.back() < 2 || x.sizes.back() > cpu::kLongestRow) return {};
    return r;
}

// Memories whose readers and writers must keep their order. Where a tensor of the program's own is filled before anyone
// else reads it, that follows from the results alone.
std::vector<bool> unsettled_memories(const Graph& g) {
    std::vector<bool> r = written_memories(g);
    std::vector<int> sharing(r.size()), first_read(r.size(), int(g.steps.size())), last_write(r.size(), -1);
    std::vector<bool> made(r.size(), true);
    for (const Slot& s : g.slots) {
        ++sharing[size_t(s.memory)];
        if (s.origin != Origin::Made) made[size_t(s.memory)] = false;
    }
    for (size_t i = 0; i < g.steps.size(); ++i) {
        const Step& s = g.steps[i];
        auto writes = [&](int v) { return std::find(s.writes.begin(), s.writes.end(), v) != s.writes.end(); };
        for (int w : s.writes) last_write[size_t(g.slots[size_t(w)].memory)] = int(i);
        each_input(s, [&](int v) {
            int& first = first_read[size_t(g.slots[size_t(v)].memory)];
            if (!writes(v)) first = std::min(first, int(i));
        });
        for (int w : s.writes)
            if (std::find(s.results.begin(), s.results.end(), w) == s.results.end())
                made[size_t(g.slots[size_t(w)].memory)] = false;
    }
    for (size_t m = 0; m < r.size(); ++m)
        if (made[m] && sharing[m] == 1 && last_write[m] < first_read[m]) r[m] = false;
    return r;
}

struct Group {
    std::vector<int> members;
    Dims domain;
    bool rows = false;
    int first = 0, last = 0;
};

class Fuser {
public:
    Fuser(const Graph& g, std::span<const Step> steps, const std::vector<bool>& live)
        : g_(g), steps_(steps), live_(live), written_(unsettled_memories(g)) {}
    std::vector<Step> run();

private:
    void find_dependencies();
    bool fusable(const Step& s) const;
    bool path(int from_group, const std::vector<int>& start, int except) const;
    bool join_domains(const Group& a, const Group& b, Group& r) const;
    void form_groups();
    std::shared_ptr<Fusion> build(const Group& grp) const;
    const Dims& sizes(int slot) const { return g_.slots[size_t(slot)].sizes; }

    const Graph& g_;
    std::span<const Step> steps_;
    const std::vector<bool>& live_;
    const std::vector<bool> written_;
    std::vector<std::vector<int>> before_;  // by step: the steps it needs
    std::vector<int> maker_;                // by slot
    std::vector<Group> groups_;
    std::vector<int> group_of_;
};

bool touches(const Graph& g, const Step& s, const std::vector<bool>& written) {
    bool r = !s.writes.empty() || s.random || s.expected || s.reads_shape;
    each_input(s, [&](int v) { r = r || written[size_t(g.slots[size_t(v)].memory)]; });
    for (int v : s.results)
        if (v >= 0) r = r || written[size_t(g.slots[size_t(v)].memory)];
    return r;
}

void Fuser::find_dependencies() {
    maker_.assign(g_.slots.size(), -1);
    before_.resize(steps_.size());
    int ordered = -1;  // the last step whose place in the order counts
    for (size_t i = 0; i < steps_.size(); ++i) {
        each_input(steps_[i], [&](int v) {
            if (maker_[size_t(v)] >= 0) before_[i].push_back(maker_[size_t(v)]);
        });
        if (touches(g_, steps_[i], written_)) {
            if (ordered >= 0) before_[i].push_back(ordered);
            ordered = int(i);
        }
        for (int v : steps_[i].results)
            if (v >= 0) maker_[size_t(v)] = int(i);
    }
}

bool Fuser::fusable(const Step& s) const {
    if (!s.op || touches(g_, s, written_) || s.results.size() != 1 || s.results[0] < 0) return false;
    const Slot& r = g_.slots[size_t(s.results[0])];
    if (r.origin != Origin::Made || !same(r.strides, contiguous_strides(r.sizes)) || !product(r.sizes)) return false;
    if (row_fold(g_, s)) return true;
    if (s.passes.empty()) return false;
    for (const Pass& p : s.passes)
        for (const Pass::In& in : p.in)
            if (in.slot >= 0 && !same(broadcast_shapes(sizes(in.slot), r.sizes), r.sizes)) return false;
    return true;
}

// Does a way lead from group `from` to one of `start` through steps outside `from` and `except`?
bool Fuser::path(int from, const std::vector<int>& start, int except) const {
    std::vector<bool> seen(steps_.size());
    std::vector<int> waiting = start;
    const int first = groups_[size_t(from)].first;
    while (!waiting.empty()) {
        const int s = waiting.back();
        waiting.pop_back();
        if (seen[size_t(s)]) continue;
        const int grp = group_of_[size_t(s)];
        if (grp == from) return true;
        auto look = [&](int m) {
            seen[size_t(m)] = true;
            for (int b : before_[size_t(m)]) waiting.push_back(b);
        };
        if (grp >= 0 && grp != except) {
            if (groups_[size_t(grp)].last < first) continue;
            for (int m : groups_[size_t(grp)].members) look(m);
        } else if (s >= first) {
            look(s);
        }
    }
    return false;
}

bool Fuser::join_domains(const Group& a, const Group& b, Group& r) const {
    if (a.domain == b.domain) {
        r.domain = a.domain;
        r.rows = a.rows || b.rows;
        return true;
    }
    const Group& large = product(a.domain) >= product(b.domain) ? a : b;
    const Group& small = &large == &a ? b : a;
    if (!(row_shape(large.domain) == small.domain) || large.domain.back() > cpu::kLongestRow || small.rows)
        return false;
    r.domain = large.domain;
    r.rows = true;
    return true;
}

void Fuser::form_groups() {
    constexpr size_t kMost = 48;
    group_of_.assign(steps_.size(), -1);
    for (size_t i = 0; i < steps_.size(); ++i) {
        const Step& s = steps_[i];
        if (!fusable(s)) continue;
        Group mine;
        mine.members = {int(i)};
        mine.first = mine.last = int(i);
        mine.rows = row_fold(g_, s).has_value();
        mine.domain = mine.rows ? sizes(s.args[0].slots[0]) : sizes(s.results[0]);
        const int id = int(groups_.size());
        groups_.push_back(std::move(mine));
        group_of_[i] = id;
        // Join the groups of the operands, as long as nothing outside lies between.
        std::vector<int> candidates;
        for (int b : before_[i])
            if (const int c = group_of_[size_t(b)];
                c >= 0 && std::find(candidates.begin(), candidates.end(), c) == candidates.end())
                candidates.push_back(c);
        int now = id;
        for (int c : candidates) {
            Group& a = groups_[size_t(c)];
            Group& b = groups_[size_t(now)];
            Group joined;
            if (a.members.size() + b.members.size() > kMost || !join_domains(a, b, joined)) continue;
            // Of what the members of b need from outside, nothing may need a; and the other way round.
            auto outside = [&](const Group& x, int one, int two) {
                std::vector<int> r;
                for (int m : x.members)
                    for (int p : before_[size_t(m)])
                        if (group_of_[size_t(p)] != one && group_of_[size_t(p)] != two) r.push_back(p);
                return r;
            };
            if (path(c, outside(b, c, now), now) || path(now, outside(a, c, now), c)) continue;
            joined.members = a.members;
            joined.members.insert(joined.members.end(), b.members.begin(), b.members.end());
            std::sort(joined.members.begin(), joined.members.end());
            joined.first = joined.members.front();
            joined.last = joined.members.back();
            for (int m : b.members) group_of_[size_t(m)] = c;
            b = Group{};
            groups_[size_t(c)] = std::move(joined);
            now = c;
        }
    }
}

// Values of a chain while it is built.
class Builder {
public:
    Builder(const Graph& g, Fusion& f) : g_(g), f_(f) {}

    int input(int slot, bool row_value) {
        f_.inputs.push_back(slot);
        return value_of_slot_[slot] = add(g_.slots[size_t(slot)].dtype, row_value ? Reach::Row : Reach::Full);
    }
    bool knows(int slot) const { return value_of_slot_.contains(slot); }
    int of_slot(int slot) const { return value_of_slot_.at(slot); }
    int number(const Scalar& s, DType t) {
        const int v = add(t, Reach::One);
        std::array<char, 16> bytes{};
        visit_dtype(t, [&](auto z) {
            const auto x = s.to<decltype(z)>();
            std::memcpy(bytes.data(), &x, sizeof x);
        });
        f_.chain.constants.emplace_back(v, bytes);
        return v;
    }
    // `v` as the loop wants it: converted, and spread along the row for a full operation.
    int ready(int v, DType t, bool full) {
        auto once = [&](int kind, DType to, auto make) {
            const auto [at, fresh] = made_.try_emplace({v, kind, int(to)}, -1);
            if (fresh) {
                const int r = make();
                made_[{v, kind, int(to)}] = r;
                return r;
            }
            return at->second;
        };
        if (value(v).dtype != t)
            v = once(0, t, [&] {
                ChainStep s;
                s.loop = cpu::convert_loop(value(v).dtype, t);
                return step(s, {v}, t, value(v).reach);
            });
        if (full && value(v).reach == Reach::Row)
            v = once(1, t, [&] {
                ChainStep s;
                s.spread = true;
                s.loop = cpu::convert_loop(t, t);
                return step(s, {v}, t, Reach::Full);
            });
        return v;
    }
    int step(ChainStep s, std::initializer_list<int> from, DType type, Reach reach) {
        return step(s, std::span<const int>(from.begin(), from.size()), type, reach);
    }
    int step(ChainStep s, std::span<const int> from, DType type, Reach reach) {
        std::copy(from.begin(), from.end(), s.from.begin());
        s.to = add(type, reach);
        f_.chain.steps.push_back(s);
        return s.to;
    }
    void add_step(const Step& s, bool full) {
        const int result = s.results[0];
        if (const auto fold = row_fold(g_, s)) {
            const int x = of_slot(s.args[0].slots[0]);
            const DType t = value(x).dtype, sum = cpu::fold_type(fold->fold, t);
            ChainStep c;
            c.fold = cpu::fold_loop(fold->fold, t);
            int v = step(c, {ready(x, t, true)}, sum, Reach::Row);
            if (fold->mean) {
                ChainStep d;
                d.loop = cpu::binary_loop(cpu::Binary::div, sum);
                v = step(d, {v, number(Scalar(g_.slots[size_t(s.args[0].slots[0])].sizes.back()), sum)}, sum,
                         Reach::Row);
            }
            value_of_slot_[result] = ready(v, g_.slots[size_t(result)].dtype, false);
            return;
        }
        std::vector<int> passes;
        for (const Pass& p : s.passes) {
            ChainStep c;
            c.loop = p.loop;
            const bool by_row = full && takes_single_values(p);
            Small<int, 4> from;
            for (const Pass::In& in : p.in) {
                if (in.slot < 0 && in.pass < 0) {
                    from.push_back(number(in.number, in.type));
                    continue;
                }
                const int v = in.slot >= 0 ? of_slot(in.slot) : passes[size_t(in.pass)];
                c.by_row = c.by_row || (by_row && value(v).reach == Reach::Row);
                from.push_back(ready(v, in.type, full && !by_row));
            }
            if (p.has_params) {
                c.params = int(f_.chain.params.size());
                f_.chain.params.push_back(p.params);
            }
            passes.push_back(step(c, from.span(), p.result, full ? Reach::Full : Reach::Row));
        }
        value_of_slot_[result] = ready(passes.back(), g_.slots[size_t(result)].dtype, full);
    }
    void output(int slot) {
        f_.outputs.push_back(slot);
        f_.chain.outputs.push_back(of_slot(slot));
    }

private:
    // Loops as fast with one operand that stays as with two that move, on rows long enough for a call each.
    bool takes_single_values(const Pass& p) const {
        constexpr int64_t kLong = 128;
        if (p.in.size() != 2 || f_.sizes.empty() || f_.sizes.back() < kLong) return false;
        for (cpu::Binary b : {cpu::Binary::add, cpu::Binary::sub, cpu::Binary::mul, cpu::Binary::div})
            if (p.loop == cpu::binary_loop(b, DType::f32)) return true;
        return false;
    }
    cpu::ChainValue& value(int v) { return f_.chain.values[size_t(v)]; }
    int add(DType t, Reach r) {
        f_.chain.values.push_back({t, r, -1});
        return int(f_.chain.values.size()) - 1;
    }
    const Graph& g_;
    Fusion& f_;
    std::map<int, int> value_of_slot_;
    std::map<std::array<int, 3>, int> made_;
};

std::shared_ptr<Fusion> Fuser::build(const Group& grp) const {
    auto f = std::make_shared<Fusion>();
    f->sizes = grp.domain;
    Builder b(g_, *f);
    const Dims row = row_shape(grp.domain);
    const int self = group_of_[size_t(grp.members[0])];
    auto is_full = [&](int slot) { return !grp.rows || same(sizes(slot), grp.domain); };
    auto outside = [&](int slot) {
        const int m = maker_[size_t(slot)];
        return m < 0 || group_of_[size_t(m)] != self;
    };
    // Inputs come first. One that some step takes as a row's value is that for all.
    std::map<int, bool> inputs;
    for (int m : grp.members) {
        const Step& s = steps_[size_t(m)];
        const bool full = row_fold(g_, s) || is_full(s.results[0]);
        auto take = [&](int slot) {
            if (!outside(slot)) return;
            const bool row_value = grp.rows && !full;
            inputs[slot] = inputs[slot] || row_value;
        };
        if (row_fold(g_, s)) take(s.args[0].slots[0]);
        for (const Pass& p : s.passes)
            for (const Pass::In& in : p.in)
                if (in.slot >= 0) take(in.slot);
    }
    for (const auto& [slot, row_value] : inputs) b.input(slot, row_value);
    f->chain.inputs = int(inputs.size());
    std::vector<int> outputs;
    for (int m : grp.members) {
        const Step& s = steps_[size_t(m)];
        b.add_step(s, is_full(s.results[0]));
        f->names += (f->names.empty() ? "" : " ") + s.op->schema.name;
        const int r = s.results[0];
        bool needed = live_[size_t(r)];
        for (size_t i = 0; i < steps_.size() && !needed; ++i)
            if (group_of_[i] != self) each_input(steps_[i], [&](int v) { needed = needed || v == r; });
        if (needed) outputs.push_back(r);
    }
    for (int r : outputs) b.output(r);
    f->chain.finish();
    return f;
}

// Once, on what the trace saw: a fusion must give what its steps gave. A slice of large ones is enough.
bool agrees(const Graph& g, const Fusion& f) {
    constexpr int64_t kMost = 1 << 16;
    Dims sizes = f.sizes;
    const size_t last = sizes.size() - size_t(f.chain.rows);  // rows stay whole
    for (size_t d = 0; d < last && product(sizes) > kMost; ++d)
        sizes[d] = std::max<int64_t>(1, sizes[d] / std::max<int64_t>(1, product(sizes) / kMost));
    auto slice = [&](Tensor t) {
        for (int64_t d = 0; d < t.dim(); ++d) {
            const size_t at = sizes.size() - size_t(t.dim() - d);
            if (t.sizes()[size_t(d)] > sizes[at]) t = op<"narrow">(t, d, int64_t(0), sizes[at]);
        }
        return t;
    };
    GradGuard off(false);
    Small<Tensor, 8> in;
    for (int v : f.inputs) {
        const Slot& s = g.slots[size_t(v)];
        if (!s.sample.defined()) return true;
        in.push_back(slice(s.constant ? s.held : s.sample));
    }
    for (int v : f.outputs)
        if (!g.slots[size_t(v)].sample.defined()) return true;
    Small<Tensor, 4> out(f.outputs.size());
    const Small<bool, 8> dying(in.size(), false);
    cpu::run_chain(f.chain, sizes, in.span(), dying.span(), {out.data(), out.size()});
    for (size_t i = 0; i < out.size(); ++i) {
        const Tensor want = slice(g.slots[size_t(f.outputs[i])].sample.detach());
        if (!same(out[i].sizes(), want.sizes()) || out[i].dtype() != want.dtype()) return false;
        const double near = want.dtype() == DType::f64 ? 1e-9 : is_low_precision(want.dtype()) ? 1e-2 : 1e-4;
        if (!opn<"allclose">(out[i], want, near, near, true).value.flag()) return false;
    }
    return true;
}

std::vector<Step> Fuser::run() {
    find_dependencies();
    form_groups();
    struct Unit {
        std::vector<int> members;
        std::shared_ptr<Fusion> fusion;
    };
    std::vector<Unit> units;
    std::vector<int> unit_of(steps_.size(), -1);
    for (size_t i = 0; i < steps_.size(); ++i) {
        if (unit_of[i] >= 0) continue;
        const int grp = group_of_[i];
        Unit u;
        if (grp >= 0 && groups_[size_t(grp)].members.size() > 1) {
            u.fusion = build(groups_[size_t(grp)]);
            if (!u.fusion->outputs.empty() && agrees(g_, *u.fusion)) u.members = groups_[size_t(grp)].members;
            else u.fusion.reset();
        }
        if (!u.fusion) {
            u.members = {int(i)};
            if (grp >= 0)
                for (int m : groups_[size_t(grp)].members) group_of_[size_t(m)] = -1;
        }
        for (int m : u.members) unit_of[size_t(m)] = int(units.size());
        units.push_back(std::move(u));
    }
    // Units in the order of their first step, each after those it needs.
    std::vector<std::vector<int>> after(units.size());
    std::vector<int> waits(units.size());
    for (size_t i = 0; i < steps_.size(); ++i)
        for (int b : before_[i]) {
            const int u = unit_of[i], v = unit_of[size_t(b)];
            if (u == v) continue;
            after[size_t(v)].push_back(u);
            ++waits[size_t(u)];
        }
    std::priority_queue<std::pair<int, int>, std::vector<std::pair<int, int>>, std::greater<>> ready;
    for (size_t u = 0; u < units.size(); ++u)
        if (!waits[u]) ready.emplace(units[u].members[0], int(u));
    std::vector<Step> r;
    size_t done = 0;
    while (!ready.empty()) {
        Unit& u = units[size_t(ready.top().second)];
        const int id = ready.top().second;
        ready.pop();
        ++done;
        if (u.fusion) {
            Step s;
            s.fusion = u.fusion;
            Argument inputs;
            for (int v : u.fusion->inputs) inputs.slots.push_back(v);
            s.args.push_back(std::move(inputs));
            for (int v : u.fusion->outputs) s.results.push_back(v);
            r.push_back(std::move(s));
        } else {
            r.push_back(steps_[size_t(u.members[0])]);
        }
        for (int n : after[size_t(id)])
            if (!--waits[size_t(n)]) ready.emplace(units[size_t(n)].members[0], n);
    }
    check(done == units.size(), "the fused program has a cycle");
    return r;
}

}  // namespace

std::vector<Step> fuse(const Graph& g, std::span<const Step> steps, const std::vector<bool>& live) {
    return Fuser(g, steps, live).run();
}

}  // namespace fb::graph
