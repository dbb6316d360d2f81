// Recording: what a call leaves behind when something in it requires a gradient.
#include <deque>
#include <mutex>
#include "autograd/node_name.h"
#include "autograd/anomaly.h"
#include "autograd/back.h"
#include "base/pool.h"
#include "base/shown_type.h"
#include "op/write_note.h"
#include "tensor/watch.h"

namespace fb {

bool AnomalyMode::on = false;
bool AnomalyMode::check_nan = true;
std::string (*AnomalyMode::traceback)() = nullptr;
thread_local int SavedHooks::active = 0;
thread_local const char* SavedHooks::disabled = nullptr;
std::shared_ptr<void> (*SavedHooks::pack)(const Tensor&) = nullptr;
Tensor (*SavedHooks::unpack)(void*) = nullptr;

// ---------------------------------------------------------------- nodes
static std::atomic<uint64_t> next_sequence{0};

Node::Node() : sequence(next_sequence.fetch_add(1, std::memory_order_relaxed)) {
    if (AnomalyMode::on && AnomalyMode::traceback) [[unlikely]]
        created_at = std::make_shared<std::string>(AnomalyMode::traceback());
}

void Node::destroy(Node* n) {
    // Destroying a node drops its edges, which may destroy the next: a queue instead of recursion.
    static thread_local std::vector<Node*>* waiting = nullptr;
    if (waiting) {
        waiting->push_back(n);
        return;
    }
    std::vector<Node*> queue;
    waiting = &queue;
    delete n;
    while (!queue.empty()) {
        Node* m = queue.back();
        queue.pop_back();
        delete m;
    }
    waiting = nullptr;
}
void destroy_node(Node* n) {
    if (n->release()) Node::destroy(n);
}

void* AccumulateGrad::operator new(size_t) { return Pool<sizeof(AccumulateGrad)>::take(); }
void AccumulateGrad::operator delete(void* p) { Pool<sizeof(AccumulateGrad)>::give(p); }
void* OpNode::operator new(size_t) { return Pool<sizeof(OpNode)>::take(); }
void OpNode::operator delete(void* p) { Pool<sizeof(OpNode)>::give(p); }

uint64_t next_node() { return next_sequence.load(std::memory_order_relaxed); }
void show_as(const Tensor& result, const char* name, uint64_t since) {
    if (result.defined() && result->grad_fn && result->grad_fn->sequence >= since) result->grad_fn->shown = name;
}

std::string node_name(const Node& n) {
    if (n.shown) return n.shown;
    const auto* node = dynamic_cast<const OpNode*>(&n);
    if (!node) return n.name();
    const std::string& label = node->op->derivative.node_name;
    const size_t end = label.find(' ');
    std::string r = label.substr(0, end);
    for (size_t at = end; at != label.npos;) {
        const size_t next = label.find(' ', at + 1);
        const std::string_view rule = std::string_view(label).substr(at + 1, next == label.npos ? next : next - at - 1);
        const int i = node->op->schema.index_of(rule.substr(2));
        if (i >= 0 && size_t(i) < node->attributes.size() && node->attributes[size_t(i)].is_number()) {
            if (rule[0] == '*') return "MulBackward0";  // 1 / x: the reciprocal is multiplied
            r.back() = rule[0];
            break;
        }
        at = next;
    }
    return r;
}
bool shows(const OpNode& n, size_t i) {
    const std::string& label = n.op->derivative.node_name;
    if (label.find(' ') == label.npos || !n.attributes[i].is_number()) return true;
    return (" " + label + " ").find(":" + std::string(n.op->schema.args[i].name) + " ") == label.npos;
}
void no_derivative(Back& b) {
    const std::string& name = b.node.op->schema.name;
    if (b.node.name() == "NotImplemented")
        fail(ErrorKind::Runtime, "derivative for aten::", b.node.op->schema.space == "linalg" ? "linalg_" : "", name,
             " is not implemented");
    fail(ErrorKind::NotImplemented, "the derivative for '", name.starts_with("_unique_") ? name.substr(1) : name,
         "' is not implemented.");
}
void OpNode::release_saved() {
    for (auto& s : saved) s.reset();
    released = true;
}

void destroy_meta(AutogradMeta* m) { delete m; }
AutogradMeta& need_meta(TensorImpl& t) {
    if (!t.meta) t.meta.reset(new AutogradMeta);
    return *t.meta;
}

// ---------------------------------------------------------------- who wrote last
// In anomaly mode every in-place operation leaves its name and the Python stack, by storage. Kept for the latest
// thousand.
struct Writes {
    std::mutex mutex;
    std::deque<std::pair<const Storage*, std::string>> latest;
};
static Writes& writes() {
    static auto* w = new Writes;
    return *w;
}

void set_anomaly_mode(bool enabled) {
    AnomalyMode::on = enabled;
    note_write = !enabled ? nullptr : +[](const Tensor& t, const std::string& operation) {
        std::string text = "\nIt was changed by the in-place " + operation;
        if (AnomalyMode::traceback) text += " here:\n" + AnomalyMode::traceback();
        std::lock_guard lock(writes().mutex);
        writes().latest.emplace_back(t->storage.get(), std::move(text));
        if (writes().latest.size() > 1000) writes().latest.pop_front();
    };
}
static std::string last_write(const Tensor& t) {
    if (!AnomalyMode::on)
        return "\nUnder torch.autograd.set_detect_anomaly(True) this message also shows the line that saved it and the "
               "line that changed it";
    std::lock_guard lock(writes().mutex);
    for (auto i = writes().latest.rbegin(); i != writes().latest.rend(); ++i)
        if (i->first == t->storage.get()) return i->second;
    return "";
}

// ---------------------------------------------------------------- saved tensors
// Of a result, without its history. A wrapper written in Python (it has no data of its own) makes that copy itself.
static Tensor result_copy(const Tensor& t) {
    if (!(tls.modes & kPythonMode) || !t.is_meta()) [[likely]]
        return shallow_copy(t, true);
    GradGuard off(false);
    return op<"detach">(t);
}

SavedTensor::SavedTensor(const Tensor& t, bool is_result) {
    if (SavedHooks::disabled) [[unlikely]]
        fail(ErrorKind::Runtime, SavedHooks::disabled);
    if (!t.defined()) return;
    if (t->inference && !tls.inference) [[unlikely]]
        fail(ErrorKind::Runtime,
             "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
             "computation "
             "tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
             "autograd, or use "
             "`torch.no_grad()` instead of `torch.inference_mode()`.");
    version_ = t->version();
    is_result_ = is_result;
    output_nr_ = t->output_nr;
    is_leaf_ = !t->grad_fn;
    if (SavedHooks::active) [[unlikely]] {
        GradGuard off(false);
        packed_ = SavedHooks::pack(is_result ? t.detach() : t);
        if (!is_result) tensor_ = {};
        unpack_ = SavedHooks::unpack;
        if (is_result || (is_leaf_ && !t->requires_grad)) return;
        // gradients of what is unpacked must still reach where the tensor came from
        if (is_leaf_) tensor_ = t;
        else {
            const Edge from = gradient_edge(t);
            tensor_ = empty(Dims{0}, t.dtype());
            set_history(tensor_, from.node, from.input);
        }
        return;
    }
    tensor_ = is_result ? result_copy(t) : t;
    version_ = tensor_->version();
}

// "Mul" of MulBackward0, "Clamp1" of ClampBackward1.
static std::string operation_of(std::string node) {
    for (const char* own : {"CopySlices", "CopyBackwards"})
        if (node == own) return "torch::autograd::" + node;
    const size_t at = node.rfind("Backward");
    if (at == node.npos) return node;
    node.erase(at, std::string_view("Backward").size());
    if (node.back() == '0') node.pop_back();
    return node;
}
void fail_released() {
    fail(ErrorKind::Runtime,
         "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
         "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
         "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
         "saved tensors after calling backward.");
}
static void set_result_history(const Tensor& t, Node* owner, uint32_t output_nr);
Tensor SavedTensor::unpack(Node* owner, const std::string& who) const {
    if (released_) fail_released();
    if (packed_) {
        Tensor t = unpack_(packed_.get());
        if (is_result_ && owner) {
            t = shallow_copy(t, false);
            if (!is_leaf_) set_result_history(t, owner, output_nr_);
        } else if (tensor_.defined() && t.defined()) {
            const Edge from = gradient_edge(tensor_);
            t = shallow_copy(t, false);
            set_history(t, from.node, from.input);
        }
        return t;
    }
    if (!tensor_.defined()) return {};
    if (tensor_->version() != version_) {
        const std::string saver = owner ? node_name(*owner) : who;
        std::string text =
            str("one of the variables needed for gradient computation has been modified by an inplace operation: [",
                shown_type(tensor_.dtype()), " ", tensor_.sizes(), "]");
        if (tensor_->grad_fn || is_result_)
            text += str(", which is output ", output_nr_, " of ",
                        operation_of(is_result_ ? saver : node_name(*tensor_->grad_fn)), ",");
        text += str(" is at version ", tensor_->version(), "; expected version ", version_, " instead.");
        if (!AnomalyMode::on)
            text +=
                " Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
                "torch.autograd.set_detect_anomaly(True, check_nan=False).";
        else
            text +=
                " Hint: the backtrace further above shows the operation that failed to compute its gradient. The "
                "variable in "
                "question was changed in there or anywhere later. Good luck!";
        text += str("\nThe tensor was saved by ", saver, " for its backward pass");
        if (owner && owner->created_at) text += ", recorded here:\n" + *owner->created_at;
        text += last_write(tensor_);
        fail(ErrorKind::Runtime, text);
    }
    if (is_result_ && owner) {
        Tensor t = result_copy(tensor_);
        if (!is_leaf_) set_result_history(t, owner, output_nr_);  // indices and such have no history
        return t;
    }
    return tensor_;
}

// ---------------------------------------------------------------- history
void set_history(const Tensor& t, const Ptr<Node>& node, uint32_t output_nr) {
    Node* before = t->grad_fn;
    node->retain();
    t->grad_fn = node.get();
    t->output_nr = uint16_t(output_nr);
    if (before) destroy_node(before);
}

uint32_t add_result(Node& node, const Tensor& t) {
    node.results.push_back(ResultMeta{t.sizes(), t.dtype(), t.device()});
    return uint32_t(node.results.size() - 1);
}

Edge gradient_edge(const Tensor& t) {
    if (Ptr<Node> n = grad_fn(t)) return {std::move(n), t->output_nr};
    if (!t->requires_grad) return {};
    AutogradMeta& m = need_meta(*t.get());
    if (!m.accumulator) {
        Ptr<Node> n(new AccumulateGrad(t));
        m.accumulator = static_cast<AccumulateGrad*>(n.get());
        return {std::move(n), 0};
    }
    return {Ptr<Node>(m.accumulator), 0};
}

static std::shared_ptr<Dims> geometry_of(const TensorImpl& t) {
    auto g = std::make_shared<Dims>(t.strides);
    g->insert(0, t.offset);
    return g;
}

// Where a view lies in its base. A complex tensor seen as pairs of numbers, or the other way, goes through the memory
// of real numbers: both places are those of these.
static bool crosses(const Tensor& base, const Tensor& view) { return base.dtype() != view.dtype(); }
static bool can_cross(const TensorImpl& base, const TensorImpl& view) {
    return is_complex(base.dtype) != is_complex(view.dtype) && to_real(base.dtype) == to_real(view.dtype) &&
           !base.lazy() && !view.lazy();
}
static Tensor in_reals(const Tensor& t) {
    if (!is_complex(t.dtype())) return t;
    Dims sizes = t.sizes(), strides = t.strides();
    for (int64_t& s : strides) s *= 2;
    sizes.push_back(2);
    strides.push_back(1);
    Tensor r = make_view(t, sizes, strides, 2 * t->offset);
    r->dtype = to_real(t.dtype());
    return r;
}
static Ptr<OpNode> view_step(const Op& op, Edge from, const ResultMeta& result) {
    Ptr<OpNode> n(new OpNode(op));
    n->next.push_back(std::move(from));
    n->first_edge = {0, 0xffff, 0xffff, 0xffff};
    n->edge_count = {1, 0, 0, 0};
    n->attributes = {Value()};
    n->results.push_back(result);
    return n;
}
struct Place {
    ResultMeta base, memory, strided, view;  // memory: the base, strided: the view, both as as_strided knows them
    Dims memory_strides, strides;
    int64_t memory_offset, offset;
    bool pairs, conj;  // the view reads the base as pairs of numbers or pairs of it; conjugated

    static ResultMeta meta(const Tensor& t) { return {t.sizes(), t.dtype(), t.device()}; }
    Place(const Tensor& from, const Tensor& to) : pairs(crosses(from, to)), conj(from->conj != to->conj) {
        const Tensor m = pairs ? in_reals(from) : from, v = pairs ? in_reals(to) : to;
        base = meta(from), memory = meta(m), strided = meta(v), view = meta(to);
        memory_strides = m.strides(), strides = v.strides();
        memory_offset = m->offset, offset = v->offset;
    }
    // The view of a tensor that lies in its memory as the base does, and from there on is seen as the base is.
    Tensor of(const Tensor& whole) const {
        const Tensor m = pairs && is_complex(base.dtype) ? op<"view_as_real">(whole) : whole;
        const Tensor v = op<"as_strided">(m, strided.sizes, strides, offset - memory_offset + m->offset);
        return pairs && is_complex(view.dtype) ? op<"view_as_complex">(v) : v;
    }
    // The history of the view, given that of the base.
    Ptr<Node> history(Edge edge) const {
        if (pairs && is_complex(base.dtype)) edge = {view_step(op_ref<"view_as_real">(), std::move(edge), memory), 0};
        Ptr<OpNode> n = view_step(op_ref<"as_strided">(), std::move(edge), strided);
        auto geometry = std::make_shared<Dims>(memory_strides), sizes = std::make_shared<Dims>(strided.sizes),
             steps = std::make_shared<Dims>(strides);
        geometry->insert(0, memory_offset);
        n->attributes = {Value(*geometry), Value(*sizes), Value(*steps), Value(offset)};
        n->held = {sizes, steps, geometry};
        if (pairs && is_complex(view.dtype)) return view_step(op_ref<"view_as_complex">(), {std::move(n), 0}, view);
        if (!conj) return n;
        return view_step(op_ref<"_conj">(), {std::move(n), 0},
                         view);  // as_strided sees the memory, this how it is read
    }
};

// A write through a view, seen from the base: the gradient of the written region goes to `fn`, the rest passes by.
class CopySlices final : public Node {
public:
    CopySlices(const Tensor& base, const Tensor& view, Ptr<Node> fn)
        : place(base, view), base_strides(base.strides()), fn(std::move(fn)) {}
    std::string name() const override { return "CopySlices"; }
    void release_saved() override {
        if (fn) fn->release_saved();
        released = true;
    }
    Grads apply(Grads&& in) override;

    Place place;
    Dims base_strides;
    Ptr<Node> fn;
    bool released = false;

    static thread_local CopySlices* running;  // whose `fn` is at work: that is no node of the graph itself
};
thread_local CopySlices* CopySlices::running = nullptr;

// What was written through a view is a part of the base after the write.
static void set_result_history(const Tensor& t, Node* owner, uint32_t output_nr) {
    CopySlices* write = CopySlices::running;
    if (write && write->fn.get() == owner) set_history(t, write->place.history({Ptr<Node>(write), 0}), 0);
    else set_history(t, Ptr<Node>(owner), output_nr);
}

// Regenerated when the base was written to: the view's history is then that of the base, seen through as_strided.
static Ptr<Node> view_node(const Tensor& view, const Tensor& base) {
    return Place(base, view).history(gradient_edge(base));
}

const Ptr<Node> grad_fn(const Tensor& t) {
    TensorImpl& v = *t.get();
    if (v.base && v.base->needs_grad()) {
        // Views made by an operator have its node until somebody writes to the shared memory.
        const bool stale =
            v.view_version ? v.view_version - 1 != v.version() : !v.grad_fn && !v.requires_grad && !v.view_of_no_grad;
        if (stale && (v.base->dtype == v.dtype || can_cross(*v.base, v))) {
            set_history(t, view_node(t, Tensor(v.base)), 0);
            v.view_version = v.version() + 1;
        }
    }
    return Ptr<Node>(v.grad_fn);
}

// Refuses writes to a view that was made inside a custom function and is its result.
static void check_custom_view(const Tensor& t) {
    const Node* made = t->grad_fn;
    if (!made || dynamic_cast<const OpNode*>(made) || dynamic_cast<const CopySlices*>(made)) return;
    const std::string start =
        str("Output ", t->output_nr, " of ", operation_of(made->name()), " is a view and is being modified inplace. ");
    if (made->results.size() > 1)
        fail(ErrorKind::Runtime, start,
             "This view is the output of a function that returns multiple views. Such functions do not allow the "
             "output views to be modified inplace. You should replace the inplace operation by an out-of-place one.");
    fail(ErrorKind::Runtime, start,
         "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
         "logic to handle view+inplace would override the custom backward associated with the custom Function, "
         "leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the "
         "custom Function.");
}

void check_inplace(const Tensor& t) {
    if (!tls.grad) return;
    if (t->base) {
        if (t->needs_grad() || t->base->needs_grad()) {
            if (t->view_of_no_grad) {
                check_custom_view(t);
                fail(ErrorKind::Runtime,
                     "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given "
                     "that this "
                     "use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
                     "the view and the "
                     "inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or "
                     "both outside (if you "
                     "want the inplace to be tracked).");
            }
            const auto* made = dynamic_cast<const OpNode*>(t->grad_fn);
            if (made && made->op->is_view && made->op->schema.return_kinds[0] == Kind::Tensors)
                fail(ErrorKind::Runtime, "Output ", t->output_nr, " of ", operation_of(node_name(*made)),
                     " is a view and is being modified inplace. This view is the output "
                     "of a function that returns multiple views. Such functions do not allow the output views to be "
                     "modified inplace. You should replace "
                     "the inplace operation by an out-of-place one.");
            if (t->base->requires_grad && !t->base->grad_fn)
                fail(ErrorKind::Runtime,
                     "a view of a leaf Variable that requires grad is being used in an in-place operation.");
        }
    } else if (t->requires_grad && !t->grad_fn) {
        fail(ErrorKind::Runtime, "a leaf Variable that requires grad is being used in an in-place operation.",
             "\nWrap the update in `with torch.no_grad():`, or work on `x.data` or a clone.");
    }
}

Grads CopySlices::apply(Grads&& in) {
    if (released) fail_released();
    Grads out(next.size());
    if (!in[0].defined()) return out;
    // A copy of the gradient in the base's own geometry, whose slice is replaced by what fn makes of it.
    Tensor whole;
    {
        Tensor room = empty_strided(place.base.sizes, base_strides, in[0].dtype(), in[0].device());
        inplace<"copy_">(room, in[0]);
        whole = room;
    }
    Tensor slice = place.of(whole);
    Grads g;
    g.push_back(place.conj ? op<"conj_physical">(slice) : op<"clone">(slice));
    struct Running {
        CopySlices* outer;
        explicit Running(CopySlices* now) : outer(std::exchange(running, now)) {}
        ~Running() { running = outer; }
    };
    Grads r;
    {
        const Running here(this);
        r = fn->apply(std::move(g));
    }
    for (size_t i = 0; i < r.size() && i < out.size(); ++i) {
        if (i == 0) {
            if (next[0]) {
                if (r[0].defined()) inplace<"copy_">(slice, place.conj ? op<"conj_physical">(r[0]) : r[0]);
                else inplace<"zero_">(slice);
                out[0] = whole;
            }
        } else if (next[i]) {
            out[i] = r[i];
        }
    }
    return out;
}

void rebase_history(const Tensor& t, const Ptr<Node>& node) {
    if (!t->base) {
        set_history(t, node, 0);
        return;
    }
    Tensor base(t->base);
    if (crosses(base, t) && !can_cross(*base.get(), *t.get()))
        fail(
            ErrorKind::NotImplemented,
            "flambeau cannot yet follow an in-place write through a view of another dtype than the real or complex one "
            "of the same size, or of a conjugated tensor: write to the tensor itself");
    Ptr<Node> copy(new CopySlices(base, t, node));
    copy->next.push_back(gradient_edge(base));
    for (size_t i = 1; i < node->next.size(); ++i) copy->next.push_back(node->next[i]);
    add_result(*copy, base);
    set_history(base, copy, 0);
    set_history(t, view_node(t, base), 0);
    t->view_version = t->version() + 1;
}

// ---------------------------------------------------------------- the call
static void hold_attribute(OpNode& n, const Value& v) {
    switch (v.tag) {
        case Tag::Ints: {
            auto p = std::make_shared<Dims>(v.ints());
            n.attributes.push_back(Value(*p));
            n.held.push_back(std::move(p));
            return;
        }
        case Tag::Doubles: {
            auto p = std::make_shared<std::vector<double>>(v.doubles().begin(), v.doubles().end());
            n.attributes.push_back(Value(std::span<const double>(*p)));
            n.held.push_back(std::move(p));
            return;
        }
        case Tag::Bools: {
            auto p = std::make_shared<Small<bool, 4>>(v.bools());
            n.attributes.push_back(Value(p->span()));
            n.held.push_back(std::move(p));
            return;
        }
        case Tag::Scalars: {
            auto p = std::make_shared<std::vector<Scalar>>(v.scalars().begin(), v.scalars().end());
            n.attributes.push_back(Value(std::span<const Scalar>(*p)));
            n.held.push_back(std::move(p));
            return;
        }
        case Tag::String: {
            auto p = std::make_shared<std::string>(v.string());
            n.attributes.push_back(Value(std::string_view(*p)));
            n.held.push_back(std::move(p));
            return;
        }
        case Tag::Tensor:
        case Tag::Tensors:
        case Tag::Generator: n.attributes.push_back(Value()); return;
        default: n.attributes.push_back(v);
    }
}

static bool needs(const Value& v) {
    if (v.tag == Tag::Tensor) return v.tensor_ptr->needs_grad();
    if (v.tag == Tag::Tensors)
        for (const Tensor& t : v.tensors())
            if (t.defined() && t->needs_grad()) return true;
    return false;
}

static void save_value(OpNode& n, const Value& v, int slot, bool clone) {
    if (v.tag == Tag::Tensor) {
        Tensor t = v.tensor();
        if (clone) {
            t = op<"clone">(t);
            if (watcher) [[unlikely]]
                watcher->copied(v.tensor(), t);
        }
        n.saved.push_back(SavedTensor(t, false));
        n.saved_slot.push_back(uint8_t(slot));
    } else if (v.tag == Tag::Tensors) {
        for (const Tensor& t : v.tensors()) {
            n.saved.push_back(SavedTensor(t, false));
            n.saved_slot.push_back(uint8_t(slot));
        }
    }
}

void call_recorded(const Op& op, Frame& f) {
    const Derivative& d = op.derivative;
    const bool inplace = f.inplace || op.only_inplace;
    if (inplace && f.args[0].is_tensor() && !op.logical) check_inplace(f.args[0].tensor());
    if (!d.args) {  // composite: its parts record themselves
        const uint64_t since = next_node();
        op.run_kernel(f);
        if (!d.shown_as) return;
        for (const Tensor& t : f.list) show_as(t, d.shown_as, since);
        for (int i = 0; i < f.n && f.list.empty(); ++i) show_as(f.result[i], d.shown_as, since);
        return;
    }
    if (f.given && !f.inplace) {
        for (int i = 0; i < int(op.schema.return_kinds.size()); ++i)
            if (f.given[i].defined())
                fail(ErrorKind::Runtime, op.schema.name,
                     "(): functions with out=... arguments don't support automatic differentiation, "
                     "but one of the arguments requires grad.");
    }
    const size_t n_args = op.schema.args.size();
    Ptr<OpNode> node(new OpNode(op));
    uint64_t uses = 0;
    uint32_t needed = 0;
    for (size_t i = 0; i < n_args; ++i) {
        const Value& v = f.args[i];
        if (i == 0 && op.keeps_geometry) {
            auto g = geometry_of(*v.tensor_ptr);
            node->attributes.push_back(Value(*g));
            node->held.push_back(std::move(g));
        } else if (i == 0 && op.remembers_lengths) {
            auto lengths = std::make_shared<Dims>();
            for (const Tensor& t : v.tensors()) {
                const bool skipped = t.dim() == 1 && t.sizes()[0] == 0;
                lengths->push_back(skipped || !t.dim() ? -1 : t.size(f.args[1].integer()));  // of none: refused later
            }
            node->attributes.push_back(Value(*lengths));
            node->held.push_back(std::move(lengths));
        } else {
            hold_attribute(*node, v);
        }
        if (!(d.args >> i & 1) || (v.tag != Tag::Tensor && v.tag != Tag::Tensors)) {
            node->first_edge.push_back(0xffff);
            node->edge_count.push_back(0);
            continue;
        }
        node->first_edge.push_back(uint16_t(node->next.size()));
        if (v.tag == Tag::Tensor) {
            node->next.push_back(gradient_edge(v.tensor()));
            node->edge_count.push_back(1);
        } else {
            for (const Tensor& t : v.tensors()) node->next.push_back(t.defined() ? gradient_edge(t) : Edge());
            node->edge_count.push_back(uint16_t(v.tensors().size()));
        }
        if (!needs(v)) continue;
        needed |= 1u << i;
        if (d.parts[i].one || d.parts[i].list) uses |= d.parts[i].uses;
    }
    if (d.joint_args & needed) uses |= d.joint_uses;
    for (size_t i = 0; i < n_args; ++i)
        if (uses >> i & 1) save_value(*node, f.args[i], int(i), inplace && i == 0);
    {
        GradGuard off(false);
        op.run_kernel(f);
    }
    if (!needed) return;
    if (inplace) {
        const Tensor& self = f.args[0].tensor();
        if (!is_floating(self.dtype()) && !is_complex(self.dtype())) return;
        add_result(*node, self);
        // The node must hold its own result before the tensor's history moves on.
        rebase_history(self, node);
        if (uses >> 32 & 1) {
            node->saved.push_back(SavedTensor(self, true));
            node->saved_slot.push_back(32);
        }
        return;
    }
    auto attach = [&](const Tensor& t, int i) {
        if (!t.defined()) {
            node->results.push_back(ResultMeta{});
            return;
        }
        const uint32_t nr = add_result(*node, t);
        if (!(d.results >> i & 1) || (!is_floating(t.dtype()) && !is_complex(t.dtype()))) return;
        set_history(t, node, nr);
        if (t->base) {
            t->view_version = t->version() + 1;
            t->view_of_no_grad = false;
        }
    };
    if (!f.list.empty()) {
        for (const Tensor& t : f.list) attach(t, 0);
    }
    for (int i = 0; i < f.n; ++i) {
        if (!f.list.empty()) break;
        attach(f.result[i], i);
        if (uses >> (32 + i) & 1) {
            node->saved.push_back(SavedTensor(f.result[i], true));
            node->saved_slot.push_back(uint8_t(32 + i));
        }
    }
}

}  // namespace fb
