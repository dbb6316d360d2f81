#include "graph/trace.h"
#include <cstring>
#include "graph/formula.h"

namespace fb::graph {

static thread_local Tracer* running = nullptr;
constexpr int kToCome = -2;  // a seed before the backward

static void on_call(const Op& op, Frame& f) {
    if (running) running->call(op, f);
    else op.run(f);
}

static Grads on_formula(OpNode& node, Grads&& in, RunFormulas run) {
    return running ? running->formula(node, std::move(in), run) : run(node, std::move(in));
}

Tracer::Tracer() {
    trace_mode = on_call;
    formula_hook = on_formula;
}
Tracer::~Tracer() {
    if (on_) stop();
}

bool Tracer::one_is_running() { return running; }
int64_t Tracer::steps_so_far() { return running ? int64_t(running->graph.steps.size()) : -1; }
bool Tracer::one_must_be_readable() { return running && running->lenient; }

static Generator::State generator_state() {
    const GeneratorLock lock(default_generator());
    return default_generator().state();
}

void Tracer::start() {
    check(!running, "a trace is running in this thread already");
    if (graph.steps.empty()) numbers_before_ = generator_state();
    running = this;
    outer_ = watcher;
    watcher = this;
    tls.modes |= kTraceMode;
    started_ = std::chrono::steady_clock::now();
    on_ = true;
}
void Tracer::stop() {
    tls.modes = uint8_t(tls.modes & ~kTraceMode);
    watcher = outer_;
    running = nullptr;
    on_ = false;
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

namespace {
struct Quiet {  // a kernel that is one step runs unrecorded
    explicit Quiet(int& leaf) : leaf(leaf), modes(tls.modes) {
        tls.modes = uint8_t(tls.modes & ~kTraceMode);
        ++leaf;
    }
    ~Quiet() {
        --leaf;
        tls.modes = modes;
    }
    int& leaf;
    const uint8_t modes;
};
}  // namespace

// ---------------------------------------------------------------- slots
size_t Tracer::ViewHash::operator()(const View& v) const {
    size_t h = reinterpret_cast<size_t>(v.storage) * 31 + size_t(v.offset) * 7 + size_t(v.dtype);
    for (int64_t s : v.sizes) h = h * 1000003 + size_t(s);
    for (int64_t s : v.strides) h = h * 1000003 + size_t(s);
    return h;
}
Tracer::View Tracer::view_of(const TensorImpl& t) {
    return {t.storage.get(), t.offset, t.dtype, t.conj, t.neg, t.needs_grad(), t.sizes, t.strides};
}

int Tracer::add_slot(Slot s) {
    const int id = int(graph.slots.size());
    const Tensor t = s.sample;
    graph.slots.push_back(std::move(s));
    by_impl_[t.get()] = id;
    by_view_.emplace(view_of(*t.get()), id);  // the first keeps its place
    kept_.push_back(t);
    return id;
}
int Tracer::add_input(const Tensor& t) {
    if (const auto i = by_impl_.find(t.get()); i != by_impl_.end()) {
        graph.inputs.push_back(-1);
        return i->second;
    }
    Slot s;
    s.origin = Origin::Input;
    s.index = int(graph.inputs.size());
    s.sample = t;
    histories_.emplace(t.get(), t->grad_fn);
    graph.inputs.push_back(add_slot(std::move(s)));
    return graph.inputs.back();
}
void Tracer::know(const Tensor& t) {
    if (known_.emplace(t.get(), t).second) histories_.emplace(t.get(), t->grad_fn);
}

int Tracer::find(const Tensor& t) const {
    if (const auto i = by_impl_.find(t.get()); i != by_impl_.end()) return i->second;
    if (known_.contains(t.get())) return -1;  // a tensor of the program's own, seen for the first time
    View view = view_of(*t.get());
    auto v = by_view_.find(view);
    if (v == by_view_.end()) {  // `.data`, or made where nothing is recorded
        view.grad = !view.grad;
        v = by_view_.find(view);
    }
    return v == by_view_.end() ? -1 : v->second;
}

// What was found by its memory alone has, or lacks, the history of what lies there.
int Tracer::detached(int found, const Tensor& t) {
    if (t->needs_grad() || !graph.slots[size_t(found)].sample->needs_grad()) return found;
    Step s;
    s.op = &op_ref<"detach">();
    Argument a;
    a.value = Value(t);
    a.slots.push_back(found);
    s.args.push_back(std::move(a));
    s.results.push_back(add_result(t));
    graph.steps.push_back(std::move(s));
    return graph.steps.back().results[0];
}

int Tracer::slot_of(const Tensor& t, const Op& operation, bool overwritten) {
    if (const int s = find(t); s >= 0) return lenient || by_impl_.contains(t.get()) ? s : detached(s, t);
    if (known_.contains(t.get())) {
        Slot s;
        s.origin = Origin::Held;
        s.sample = s.held = t;
        return add_slot(std::move(s));
    }
    View view = view_of(*t.get());
    for (const auto& [impl, k] : known_) {  // `.data` and the like of such a tensor
        view.grad = impl->needs_grad();
        if (view_of(*impl) == view) return slot_of(k, operation, false);
    }
    if (lenient && !overwritten) {
        Slot s;
        s.origin = Origin::Held;
        s.constant = true;
        s.sample = t;
        if (keeps_constants) {
            s.held = t;
        } else {
            const Quiet quiet(leaf_);
            s.held = op<"clone">(t.detach());
        }
        if (baked_.empty() && !keeps_constants)
            baked_ = str("a tensor that no operation made, used by `", operation.schema.name, "`");
        return add_slot(std::move(s));
    }
    if (!born_.contains(t.get())) {
        fail(str("`", operation.schema.name, "` used a tensor that is reached in a way that is not watched"));
        return -1;
    }
    if (!overwritten) {
        fail(str("`", operation.schema.name, "` used a tensor that no recorded operation made"));
        return -1;
    }
    Slot s;
    s.sample = t;
    const int id = add_slot(std::move(s));
    add_creation(id, t);
    return id;
}

// A tensor that kernels made bare and then fill: `empty_strided` stands for that.
void Tracer::add_creation(int slot, const Tensor& like) {
    Step s;
    s.op = &op_ref<"empty_strided">();
    struct Shape {
        Dims sizes, strides;
    };
    const auto shape = std::make_shared<Shape>(Shape{like.sizes(), like.strides()});
    for (const Arg& a : s.op->schema.args) {
        Argument g;
        g.value = a.fallback;
        g.held = shape;
        s.args.push_back(std::move(g));
    }
    s.args[0].value = Value(shape->sizes);
    s.args[1].value = Value(shape->strides);
    for (size_t i = 2; i < s.args.size(); ++i)
        if (s.op->schema.args[i].kind == Kind::DType) s.args[i].value = Value(like.dtype());
    s.results.push_back(slot);
    graph.steps.push_back(std::move(s));
}

int Tracer::add_result(const Tensor& t) {
    if (const auto i = by_impl_.find(t.get()); i != by_impl_.end()) return i->second;
    Slot s;
    s.sample = t;
    return add_slot(std::move(s));
}

void Tracer::drop_from(size_t step, size_t slot) {
    graph.steps.resize(step);
    std::erase_if(by_impl_, [&](const auto& e) { return size_t(e.second) >= slot; });
    std::erase_if(by_view_, [&](const auto& e) { return size_t(e.second) >= slot; });
    graph.slots.resize(slot);
}

void Tracer::set_outputs(TensorSpan outputs) {
    std::unordered_map<const Storage*, int> owners;  // of memories that the caller has, or gets with a history
    for (const Slot& s : graph.slots)
        if (s.origin != Origin::Made) owners.emplace(s.sample->storage.get(), -1);
    for (const Tensor& t : outputs) {
        int slot = -1;
        if (const auto i = by_impl_.find(t.get()); i != by_impl_.end()) slot = i->second;
        else if (known_.contains(t.get())) slot = slot_of(t, op_ref<"alias">(), false);
        else if (lenient) slot = slot_of(t, op_ref<"alias">(), false);
        if (slot < 0) return fail("a result that no recorded operation made");
        const bool made = graph.slots[size_t(slot)].origin == Origin::Made;
        if (made && !lenient && t->needs_grad()) {
            if (!t->grad_fn && !t->base) return fail("a result is a new leaf that requires a gradient");
            const auto [at, fresh] = owners.try_emplace(t->storage.get(), slot);
            if (!fresh && at->second != slot)
                return fail("a result that requires a gradient shares its memory with another tensor the caller has");
        }
        graph.outputs.push_back(slot);
    }
}

// ---------------------------------------------------------------- calls
static bool needs_any_grad(const Op& op, const Frame& f) {
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        const Value& v = f.args[i];
        if (v.is_tensor() && v.tensor_ptr->needs_grad()) return true;
        if (v.tag == Tag::Tensors)
            for (const Tensor& t : v.tensors())
                if (t.defined() && t->needs_grad()) return true;
    }
    return false;
}

void Tracer::call(const Op& op, Frame& f) {
    if (!failure_.empty()) {
        const Quiet quiet(leaf_);
        op.run(f);
        return;
    }
    const bool composite = !lenient && tls.grad && !op.derivative.exists() && !f.inplace && !op.only_inplace &&
                           !f.given && needs_any_grad(op, f);
    if (composite) {
        // Its derivative comes from what it is made of. If that is not all operators, it may still be a step of its
        // own, given that no gradient passes.
        const size_t steps = graph.steps.size(), slots = graph.slots.size();
        ++depth_;
        try {
            op.run(f);
        } catch (...) {
            --depth_;
            throw;
        }
        --depth_;
        bool known = true, passes_grad = false;
        auto look = [&](const Tensor& t) {
            if (!t.defined()) return;
            known = known && find(t) >= 0;
            passes_grad = passes_grad || t->needs_grad();
        };
        for (int i = 0; i < f.n && f.list.empty(); ++i) look(f.result[i]);
        for (const Tensor& t : f.list) look(t);
        if (failure_.empty() && known && f.value.is_none()) return;
        if (passes_grad) {
            fail(str("`", op.schema.name, "` is made of more than operators"));
            return;
        }
        failure_.clear();
        drop_from(steps, slots);
        bool random = false;  // it may have been: it is not run twice to find out
        for (const Arg& a : op.schema.args) random = random || a.kind == Kind::Generator;
        record(op, f, {}, random);
        return;
    }
    std::vector<std::pair<Tensor, uint32_t>> versions;
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        const Value& v = f.args[i];
        if (v.is_tensor()) versions.emplace_back(v.tensor(), v.tensor_ptr->version());
        if (v.tag == Tag::Tensors)
            for (const Tensor& t : v.tensors())
                if (t.defined()) versions.emplace_back(t, t->version());
    }
    struct Form {  // of a tensor that is written
        Tensor t;
        Dims sizes, strides;
    };
    std::vector<Form> forms;
    auto keep_form = [&](const Tensor& t) {
        if (t.defined() && find(t) >= 0) forms.push_back({t, t->sizes, t->strides});
    };
    if ((f.inplace || op.only_inplace) && !op.schema.args.empty() && f.args[0].is_tensor())
        keep_form(f.args[0].tensor());
    for (int i = 0; f.given && i < f.n; ++i) keep_form(f.given[i]);
    const Generator::State before = generator_state();
    notes_.clear();
    {
        const Quiet quiet(leaf_);
        op.run(f);
    }
    for (const Form& k : forms)
        if (!same(k.t->sizes, k.sizes) || !same(k.t->strides, k.strides))
            fail(str("`", op.schema.name, "` changes the shape of a tensor in place"));
    record(op, f, versions, generator_state() != before);
    notes_.clear();
}

// Is every result reached from an incoming gradient by the steps since `first_step`? If not, something else computed
// it.
bool Tracer::depends_on(const Grads& incoming, const Grads& results, size_t first_step) const {
    std::unordered_set<int> reached;
    for (const Tensor& g : incoming)
        if (g.defined()) reached.insert(find(g));
    for (size_t i = first_step; i < graph.steps.size(); ++i) {
        bool any = false;
        each_input(graph.steps[i], [&](int v) { any = any || reached.contains(v); });
        if (any)
            for (int v : graph.steps[i].results) reached.insert(v);
    }
    for (const Tensor& t : results)
        if (t.defined() && !reached.contains(find(t))) return false;
    return true;
}

// Formulas made of operators are recorded as these; others as one step that runs them again.
Grads Tracer::formula(OpNode& node, Grads&& in, RunFormulas run) {
    if (!failure_.empty() || leaf_) return run(node, std::move(in));
    const size_t steps = graph.steps.size(), slots = graph.slots.size();
    const Grads incoming = in;
    Grads out = run(node, std::move(in));
    bool known = failure_.empty();
    for (const Tensor& t : out) known = known && (!t.defined() || find(t) >= 0);
    for (size_t i = steps; i < graph.steps.size(); ++i) known = known && !graph.steps[i].expected;
    if (known && depends_on(incoming, out, steps)) return out;
    failure_.clear();
    drop_from(steps, slots);
    Step s;
    s.args.resize(2);
    s.args[0].value.tag = s.args[1].value.tag = Tag::Tensors;
    for (const Tensor& g : incoming) s.args[0].slots.push_back(g.defined() ? slot_of(g, *node.op, false) : -1);
    for (const SavedTensor& saved : node.saved) {
        const Tensor t = saved.unpack(&node, node.name());
        s.args[1].slots.push_back(t.defined() ? slot_of(t, *node.op, false) : -1);
    }
    if (!failure_.empty()) return out;
    s.formula = std::make_shared<Formula>(node);
    for (const Tensor& t : out) s.results.push_back(t.defined() ? add_result(t) : -1);
    graph.steps.push_back(std::move(s));
    return out;
}

// In-place operators that leave nothing of what was there.
static bool overwrites(const Op& op, const Frame& f) {
    static const std::unordered_set<std::string_view> names{"zero_",      "fill_",       "copy_",   "bernoulli_",
                                                            "uniform_",   "normal_",     "random_", "exponential_",
                                                            "geometric_", "log_normal_", "cauchy_"};
    return (op.only_inplace || f.inplace) && names.contains(op.schema.name);
}

std::unordered_set<const Op*>& users_operators() {
    static std::unordered_set<const Op*> all;
    return all;
}

static bool shape_depends_on_values(const Op& op, const Frame& f) {
    static const std::unordered_set<std::string_view> names{"nonzero",
                                                            "argwhere",
                                                            "masked_select",
                                                            "unique",
                                                            "_unique2",
                                                            "unique_dim",
                                                            "unique_consecutive",
                                                            "unique_consecutive_dim",
                                                            "bincount",
                                                            "nonzero_numpy",
                                                            "one_hot",
                                                            "repeat_interleave",
                                                            "where"};
    const std::string& name = op.schema.name;
    if (users_operators().contains(&op)) return true;
    if (name == "index") {
        for (const Tensor& t : f.args[1].tensors())
            if (t.defined() && (t.dtype() == DType::b1 || t.dtype() == DType::u8)) return true;
        return false;
    }
    if (name == "where") return op.schema.args.size() == 1;
    return names.contains(name);
}

void Tracer::record(const Op& op, Frame& f, const std::vector<std::pair<Tensor, uint32_t>>& versions, bool random) {
    Step s;
    s.op = &op;
    s.inplace = f.inplace;
    s.random = random;
    s.reads_shape = shape_depends_on_values(op, f);
    const bool fresh = overwrites(op, f);
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        const Value& v = f.args[i];
        Argument a;
        a.value = v;
        switch (v.tag) {
            case Tag::Tensor: a.slots.push_back(slot_of(v.tensor(), op, fresh && i == 0)); break;
            case Tag::Tensors:
                for (const Tensor& t : v.tensors()) a.slots.push_back(t.defined() ? slot_of(t, op, false) : -1);
                break;
            case Tag::Ints: {
                auto held = std::make_shared<std::vector<int64_t>>(v.ints().begin(), v.ints().end());
                a.value = Value(IntSpan(*held));
                a.held = held;
                break;
            }
            case Tag::Doubles: {
                auto held = std::make_shared<std::vector<double>>(v.doubles().begin(), v.doubles().end());
                a.value = Value(std::span<const double>(*held));
                a.held = held;
                break;
            }
            case Tag::Bools: {
                auto held = std::make_shared<Small<bool, 8>>(v.bools());
                a.value = Value(held->span());
                a.held = held;
                break;
            }
            case Tag::Scalars: {
                auto held = std::make_shared<std::vector<Scalar>>(v.scalars().begin(), v.scalars().end());
                a.value = Value(std::span<const Scalar>(*held));
                a.held = held;
                break;
            }
            case Tag::String: {
                auto held = std::make_shared<std::string>(v.string());
                a.value = Value(std::string_view(*held));
                a.held = held;
                break;
            }
            case Tag::Generator: fail(str("`", op.schema.name, "` draws from a generator of its own")); break;
            default: break;
        }
        s.args.push_back(std::move(a));
    }
    if (f.given) {
        for (int i = 0; i < f.n; ++i) {
            s.given.push_back(f.given[i].defined() ? slot_of(f.given[i], op, !f.inplace || fresh) : -1);
            if (s.given.back() >= 0) s.writes.push_back(s.given.back());
        }
    }
    auto writes = [&](int slot) {
        if (slot >= 0 && std::find(s.writes.begin(), s.writes.end(), slot) == s.writes.end()) s.writes.push_back(slot);
    };
    for (const auto& [t, version] : versions)
        if (t->version() != version) writes(find(t));
    for (size_t i = 0; i < op.schema.args.size(); ++i)
        if (op.schema.args[i].mutated || (i == 0 && op.only_inplace))
            for (int slot : s.args[i].slots) writes(slot);
    // Batch norm keeps its statistics without counting versions.
    static const std::unordered_set<std::string_view> keeps_statistics{"batch_norm", "native_batch_norm",
                                                                       "instance_norm"};
    if (keeps_statistics.contains(op.schema.name))
        for (size_t i = 0; i < op.schema.args.size(); ++i)
            if (op.schema.args[i].name.starts_with("running_"))
                for (int slot : s.args[i].slots) writes(slot);
    if (!failure_.empty()) return;
    if (!f.text.empty()) return fail(str("`", op.schema.name, "` gives a text"));
    if (!f.value.is_none()) {
        if (!f.value.is_number()) return fail(str("`", op.schema.name, "` gives neither a tensor nor a number"));
        if (lenient) {
            if (baked_.empty()) baked_ = str("the number that `", op.schema.name, "` gave");
            return;
        }
        s.expected = f.value.scalar();
        const std::string& name = op.schema.name;
        if (name == "equal" || name == "allclose" || name == "is_nonzero") note("branch");
    } else if (op.schema.return_kinds.size() == 1 && op.schema.return_kinds[0] == Kind::Tensors) {
        s.list = true;
        for (const Tensor& t : f.list) s.results.push_back(t.defined() ? add_result(t) : -1);
    } else {
        for (int i = 0; i < f.n; ++i) s.results.push_back(f.result[i].defined() ? add_result(f.result[i]) : -1);
    }
    if (!lenient && s.results.size() == 1 && !s.list && !random && !s.expected) {
        // `contiguous`, `conj` or `to` that had nothing to do gave back what it got: that is no step.
        const auto is_result = [&](const Argument& arg) {
            return arg.value.tag == Tag::Tensor && arg.slots[0] >= 0 && arg.slots[0] == s.results[0];
        };
        if (s.writes.empty() && std::ranges::any_of(s.args, is_result)) return;
        if (!s.reads_shape && f.result[0].defined() && !f.result[0].is_meta()) s.passes = passes_for(f, s);
    }
    graph.steps.push_back(std::move(s));
}

// From here on `t` is what the view is; the slot that it was keeps a tensor of the shape it had.
void Tracer::reshaped(const Tensor& t, const Tensor& view) {
    if (leaf_ || !failure_.empty()) return;
    const int before = find(t), now = find(view);
    if (before < 0 || now < 0) return leak("the shape of a tensor was changed in place");
    // A program's reader sees the new shape, its caller does not.
    if (graph.slots[size_t(before)].origin != Origin::Made) leak("the shape of an argument was changed in place");
    if (!failure_.empty()) return;
    Tensor was = shallow_copy(t, true);
    if (t->needs_grad())
        if (const Edge from = gradient_edge(t)) set_history(was, from.node, from.input);
    graph.slots[size_t(before)].sample = was;
    by_impl_[was.get()] = before;
    kept_.push_back(std::move(was));
    by_impl_[t.get()] = now;
}

// ---------------------------------------------------------------- what the kernels tell
void Tracer::pointwise(const Pointwise& p, const Tensor& r) {
    if (!leaf_ || !failure_.empty()) return;
    Note n;
    n.pass.loop = p.loop;
    n.pass.result = p.result;
    n.pass.has_params = p.params;
    if (p.params) std::memcpy(n.pass.params.data(), p.params, size_t(p.param_bytes));
    for (size_t i = 0; i < p.inputs.size(); ++i) {
        const Operand& o = p.inputs[i];
        Pass::In in;
        in.type = p.condition_first && i == 0 ? DType::b1 : p.common;
        if (!o.is_tensor()) in.number = o.scalar();
        n.pass.in.push_back(in);
        n.inputs.push_back(o.is_tensor() ? o.tensor() : Tensor());
    }
    n.result = r;
    notes_.push_back(std::move(n));
}

// The passes that make the step's result, if they are all there is to it.
std::vector<Pass> Tracer::passes_for(const Frame& f, const Step& s) const {
    if (notes_.empty() || !f.result[0].is_contiguous() || f.result[0]->storage->device().type != DeviceType::CPU)
        return {};
    int last = int(notes_.size()) - 1;
    while (last >= 0 && notes_[size_t(last)].result.get() != f.result[0].get()) --last;
    if (last < 0) return {};
    std::vector<Pass> r;
    std::vector<int> place(notes_.size(), -1);
    std::vector<int> wanted{last};
    std::vector<bool> use(notes_.size());
    auto earlier = [&](const Tensor& t, int before) {
        for (int k = before - 1; k >= 0; --k)
            if (notes_[size_t(k)].result.get() == t.get()) return k;
        return -1;
    };
    while (!wanted.empty()) {
        const int k = wanted.back();
        wanted.pop_back();
        if (use[size_t(k)]) continue;
        use[size_t(k)] = true;
        for (const Tensor& t : notes_[size_t(k)].inputs)
            if (t.defined())
                if (const int e = earlier(t, k); e >= 0) wanted.push_back(e);
    }
    for (int k = 0; k <= last; ++k) {
        if (!use[size_t(k)]) continue;
        const Note& n = notes_[size_t(k)];
        if (!same(n.result.sizes(), f.result[0].sizes())) return {};
        Pass p = n.pass;
        for (size_t i = 0; i < n.inputs.size(); ++i) {
            const Tensor& t = n.inputs[i];
            if (!t.defined()) continue;
            if (const int e = earlier(t, k); e >= 0) {
                p.in[i].pass = place[size_t(e)];
                continue;
            }
            for (size_t a = 0; a < s.args.size(); ++a)
                if (f.args[a].is_tensor() && f.args[a].tensor_ptr == t.get()) p.in[i].slot = s.args[a].slots[0];
            if (p.in[i].slot < 0) return {};
        }
        place[size_t(k)] = int(r.size());
        r.push_back(std::move(p));
    }
    return r;
}

void Tracer::item(const Tensor& t, const Scalar& value) {
    if (leaf_ || !failure_.empty()) return;
    if (lenient) {
        if (!depth_ && baked_.empty()) baked_ = "a number that was read from a tensor";
        return;
    }
    if (depth_) return fail("a composite operator looks at values");
    const int slot = find(t);
    if (slot < 0 && !known_.contains(t.get())) {
        if (!born_.contains(t.get())) fail("a number was read from a tensor that is not watched");
        else fail("a number was read from a tensor that no recorded operation made");
        return;
    }
    Step s;
    Argument a;
    if (value.kind == Scalar::Kind::Bool) note("branch");
    a.value = Value(t);
    a.slots.push_back(slot_of(t, op_ref<"alias">(), false));
    s.args.push_back(std::move(a));
    s.expected = value;
    graph.steps.push_back(std::move(s));
}
void Tracer::copied(const Tensor& from, const Tensor& copy) {
    if (!failure_.empty()) return;
    Step s;
    s.op = &op_ref<"clone">();
    const int source = slot_of(from, *s.op, false);
    if (source < 0) return;
    for (const Arg& a : s.op->schema.args) {
        Argument g;
        g.value = a.fallback;
        s.args.push_back(std::move(g));
    }
    s.args[0].value = Value(from);
    s.args[0].slots.push_back(source);
    s.results.push_back(add_result(copy));
    graph.steps.push_back(std::move(s));
}
void Tracer::leak(const char* how) {
    if (leaf_) return;
    if (!lenient) fail(how);
    else if (baked_.empty()) baked_ = how;
}
void Tracer::constant(const Tensor& t) {
    if (leaf_ || !failure_.empty() || find(t) >= 0) return;
    Slot s;
    s.origin = Origin::Held;
    s.constant = true;
    s.sample = t;
    const int id = add_slot(std::move(s));
    const Tensor copy = empty_strided(t.sizes(), t.strides(), t.dtype(), t.device());
    if (t.numel() && !t.is_meta())
        std::memcpy(copy->data(), t->data(), size_t(storage_size(t.sizes(), t.strides(), 0)) * itemsize(t.dtype()));
    graph.slots[size_t(id)].held = copy;  // the program may write into its own
}

// ---------------------------------------------------------------- backward
void Tracer::end_forward(TensorSpan outputs, std::vector<Edge>& roots, std::vector<Edge>& ends) {
    graph.forward_steps = graph.steps.size();
    for (const Slot& s : graph.slots)
        if (const auto i = histories_.find(s.sample.get()); i != histories_.end() && i->second != s.sample->grad_fn)
            return fail("it writes into a tensor of the caller in a way that a gradient passes");
    for (const Tensor& t : outputs) {
        const int slot = tls.grad && t->needs_grad() ? find(t) : -1;
        const bool result = slot >= 0 && graph.slots[size_t(slot)].origin == Origin::Made;
        graph.seeds.push_back(result ? kToCome : -1);
        if (result) roots.push_back(gradient_edge(t));
    }
    if (roots.empty()) return;
    for (size_t i = 0; i < graph.slots.size(); ++i) {
        const Slot& s = graph.slots[i];
        if ((s.origin != Origin::Input && s.origin != Origin::Held) || s.constant || !s.sample->needs_grad()) continue;
        ends.push_back(gradient_edge(s.sample));
        graph.wanted.push_back(int(i));
    }
}

void Tracer::trace_backward(std::span<const Edge> roots, std::span<const Edge> ends, const Grads& incoming) {
    // Gradients that arrive may be any tensors, one of them twice: each becomes one of its own.
    Grads seeds;
    for (size_t k = 0; k < graph.seeds.size(); ++k) {
        if (graph.seeds[k] != kToCome) continue;
        GradGuard off(false);
        Tensor g = empty(incoming[seeds.size()].sizes(), incoming[seeds.size()].dtype());
        (void)op<"copy_">(g, incoming[seeds.size()]);
        Slot s;
        s.origin = Origin::Seed;
        s.index = int(k);
        s.sample = g;
        graph.seeds[k] = add_slot(std::move(s));
        seeds.push_back(std::move(g));
    }
    BackwardOptions options;
    options.keep_graph = true;
    options.accumulate = false;
    start();
    try {
        gradients = run_backward(roots, std::move(seeds), options, ends);
    } catch (...) {
        stop();
        throw;
    }
    stop();
    for (const Tensor& g : gradients) {
        const int slot = g.defined() ? find(g) : -1;
        if (g.defined() && slot < 0) fail("a gradient that no recorded operation made");
        graph.grads.push_back(slot);
    }
}

void Tracer::finish() {
    std::unordered_map<const Storage*, int> memories;
    for (Slot& s : graph.slots) {
        const TensorImpl& t = *s.sample.get();
        s.sizes = t.sizes;
        s.strides = t.strides;
        s.dtype = t.dtype;
        s.memory = memories.try_emplace(t.storage.get(), int(memories.size())).first->second;
    }
    if (!trusted_)
        for (Slot& s : graph.slots) s.sample = {};
    // A path that turns out wrong is left for another one: nothing may have happened by then.
    std::vector<bool> callers(memories.size());
    for (const Slot& s : graph.slots)
        if ((s.origin == Origin::Input || s.origin == Origin::Held) && !s.constant) callers[size_t(s.memory)] = true;
    bool happened = false;
    for (Step& s : graph.steps) {
        if (lenient) break;
        s.must_fit = happened && s.op && users_operators().contains(s.op);
        if (happened && !s.must_fit && (s.expected || s.reads_shape))
            return fail("it looks at values after it drew random numbers or wrote into tensors of the caller");
        happened = happened || s.random;
        for (int w : s.writes) happened = happened || callers[size_t(graph.slots[size_t(w)].memory)];
    }
}

}  // namespace fb::graph
