#include "op/op.h"
#include <cctype>
#include <unordered_map>
#include "op/dispatch.h"
#include "op/out_types.h"
#include "op/write_note.h"
#include "tensor/bytes.h"

namespace fb {

constinit thread_local ThreadState tls;
constinit thread_local const Frame* let_through = nullptr;
void (*python_mode)(const Op&, Frame&) = nullptr;
void (*trace_mode)(const Op&, Frame&) = nullptr;
void (*autocast_mode)(const Op&, Frame&) = nullptr;
bool (*join_waiting)(const Op&, Frame&) = nullptr;

// ---------------------------------------------------------------- calls
bool Op::any_requires_grad(const Value* args) const {
    for (uint32_t bits = derivative.args; bits; bits &= bits - 1) {
        const Value& v = args[__builtin_ctz(bits)];
        if (v.tag == Tag::Tensor) {
            if (v.tensor_ptr->needs_grad()) return true;
        } else if (v.tag == Tag::Tensors) {
            for (const Tensor& t : v.tensors())
                if (t.defined() && t->needs_grad()) return true;
        }
    }
    return false;
}

// Comparisons too write into any tensor that is given as out=.
static bool writes_into_any(const Op& op) {
    static constexpr std::string_view all[] = {"eq", "ne", "ge", "gt", "le", "lt"};
    return op.logical || std::ranges::find(all, op.schema.name) != std::end(all);
}

static void refuse_grad_of_out(const Frame& f) {
    const Schema& s = f.op->schema;
    if (writes_into_any(*f.op)) return;
    for (size_t i = 0; i < s.return_kinds.size(); ++i)
        if (f.given[i].defined() && f.given[i]->needs_grad())
            fail(ErrorKind::Runtime,
                 f.op->derivative.args ? "" : "aten::", s.space.empty() || s.space == "nn" ? "" : s.space + "_", s.name,
                 "(): functions with out=... arguments don't support automatic differentiation, "
                 "but one of the arguments requires grad.");
}

static void refuse_inference(const Frame& f) {
    const auto refuse = [](const Tensor& t) {
        if (t.defined() && t->inference)
            fail(
                ErrorKind::Runtime,
                "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
                "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more "
                "details.");
    };
    if (f.given)
        for (size_t i = 0; i < f.op->schema.return_kinds.size(); ++i) refuse(f.given[i]);
    else if (f.args[0].is_tensor()) refuse(f.args[0].tensor());
}

void Op::run(Frame& f) const {
    if ((f.given || only_inplace) && !tls.inference) refuse_inference(f);
    if (tls.grad && (derivative.args || f.inplace || only_inplace || is_view)) {
        if (any_requires_grad(f.args) ||
            (f.inplace || only_inplace ? f.args[0].is_tensor() && f.args[0].tensor_ptr->needs_grad() : false))
            return call_recorded(*this, f);
    }
    if (f.given && !f.inplace && tls.grad) refuse_grad_of_out(f);
    if (derivative.shown_as && tls.grad) return call_recorded(*this, f);
    run_kernel(f);
}

static void copy_results(Frame& f) {
    for (int i = 0; i < f.n; ++i) {
        const Tensor& to = f.given[i];
        if (!to.defined()) continue;
        Tensor& from = f.result[i];
        if (from.get() != to.get()) {
            if (f.inplace) {
                if (!same(to.sizes(), from.sizes()))
                    fail(ErrorKind::Runtime, "output with shape ", to.sizes(), " doesn't match the broadcast shape ",
                         from.sizes());
            }
            const DType a = from.dtype(), b = to.dtype();
            const Schema& s = f.op->schema;
            if (a != b)
                check_out_type(f.inplace                            ? s.name + "_"
                               : s.space.empty() || s.space == "nn" ? s.name
                                                                    : s.space + "_" + s.name,
                               f.n, a, b);
            if (!f.inplace && !same(to.sizes(), from.sizes())) {
                Frame dummy(*f.op, nullptr);
                dummy.given = &to;
                (void)Out(dummy).result(from.sizes(), to.dtype(), to.device());
            }
            if (!(from.device() == to.device()))
                fail(ErrorKind::Runtime, "Attempting to copy from device ", from.device(), " to device ", to.device(),
                     ", but cross-device copies are not allowed!");
            GradGuard off(false);
            op<"copy_">(to, from);  // bumps the version
            from = to;
        } else {
            to->bump_version();
        }
    }
}

// Every view remembers what it looks into, even without gradients: a later write through it may need one.
static void note_view(const Tensor& view, TensorImpl* self) {
    TensorImpl* v = view.get();
    if (!v || v == self || v->base || v->storage.get() != self->storage.get()) return;
    if (is_integral(v->dtype, true) != is_integral(self->dtype, true))
        return;  // the bytes read as integers: no gradient passes
    v->base = self->base ? self->base : Ptr<TensorImpl>(self);
    v->view_of_no_grad = !tls.grad || self->view_of_no_grad;
}

void Op::run_kernel(Frame& f) const {
    if (tls.modes & kPythonMode) [[unlikely]] {
        if (let_through != &f) return python_mode(*this, f);
        let_through = nullptr;
    }
    kernel(f);
    if (f.given) copy_results(f);
    if (note_write && (f.inplace || only_inplace) && f.args[0].is_tensor()) [[unlikely]]
        note_write(f.args[0].tensor(), schema.name);
    if (is_view && f.args[0].is_tensor()) {
        for (const Tensor& t : f.list) note_view(t, f.args[0].tensor_ptr);
        if (f.list.empty() && f.n) note_view(f.result[0], f.args[0].tensor_ptr);
    }
}

void Op::call_with_modes(Frame& f) const {
    if (result_waits.load(std::memory_order_relaxed) && join_waiting(*this, f)) return;
    // Outermost first. Each mode clears its bit while it works and calls `op.call(f)` again for the next; that of
    // Python stands below autograd, in `run_kernel`.
    if (tls.modes & kAutocastMode) return autocast_mode(*this, f);
    call_below_autocast(*this, f);
}

void call_below_autocast(const Op& op, Frame& f) {
    if (call_unusual(op, f)) return;  // what is traced are the plain copies, and operators on them
    if (tls.modes & kTraceMode) return trace_mode(op, f);
    op.run(f);
}

Tensor Out::result(IntSpan sizes, DType dtype, Device device) const {
    const Tensor* g = given();
    if (!g || (*g).dtype() != dtype || !((*g).device() == device)) return empty(sizes, dtype, device);
    if (same((*g).sizes(), sizes)) return *g;
    if (f_->inplace) return empty(sizes, dtype, device);  // the mismatch is reported when the result is copied back
    if ((*g).numel() != 0)
        warn(str("An output with one or more elements was resized since it had shape ", (*g).sizes(),
                 ", which does not match the required output shape ", sizes,
                 ". This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless "
                 "they have zero "
                 "elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements with "
                 "t.resize_(0)."));
    (void)checked_bytes(sizes, dtype);
    const size_t bytes = size_t(storage_size(sizes, contiguous_strides(sizes), (*g)->offset)) * itemsize(dtype);
    if (bytes > (*g)->storage->nbytes()) (*g)->storage->resize(bytes);
    (*g)->set_contiguous(sizes);
    return *g;
}

// ---------------------------------------------------------------- calls from C++
Frame::Frame(Frame&&) noexcept = default;
Frame::~Frame() = default;

const Op& OpName::look_up() {
    const Op& op = require_op(name_);
    op_.store(&op, std::memory_order_release);
    return op;
}

void invoke(Frame& f, Value* args, int given_args) {
    const auto& a = f.op->schema.args;
    for (size_t i = size_t(given_args); i < a.size(); ++i) args[i] = a[i].fallback;
    f.op->call(f);
}
static void call(Frame& f, Value* args, Values given) {
    std::copy(given.begin(), given.end(), args);
    invoke(f, args, int(given.size()));
}
Tensor call_one(OpName& name, Values given) {
    Value args[kMaxArgs];
    Frame f(name.get(), args);
    call(f, args, given);
    return std::move(f.result[0]);
}
std::vector<Tensor> call_list(OpName& name, Values given) {
    Value args[kMaxArgs];
    Frame f(name.get(), args);
    call(f, args, given);
    return std::move(f.list);
}
Frame call_all(OpName& name, Values given) {
    Value args[kMaxArgs];
    Frame f(name.get(), args);
    call(f, args, given);
    f.args = nullptr;
    return f;
}
void call_inplace(OpName& name, const Tensor& self, Values given) {
    Value args[kMaxArgs];
    Frame f(name.get(), args);
    f.given = &self;
    f.inplace = true;
    call(f, args, given);
}

// ---------------------------------------------------------------- registration
static std::unordered_map<std::string_view, const Op*>& by_name() {
    static auto* m = new std::unordered_map<std::string_view, const Op*>;
    return *m;
}

Registry& Registry::get() {
    static auto* r = new Registry;
    return *r;
}

static std::string camel(std::string_view name) {
    std::string r;
    bool up = true;
    for (char c : name) {
        if (c == '_') {
            up = true;
            continue;
        }
        r += up ? char(std::toupper((unsigned char)c)) : c;
        up = std::isdigit((unsigned char)c);  // Log1PBackward0
    }
    return r;
}

OpBuilder Registry::add(const char* schema, const char* variants) {
    auto op = std::make_unique<Op>();
    op->schema = parse_schema(schema);
    const std::string_view v = variants;
    op->as_function = v.find('f') != v.npos;
    op->as_method = v.find('m') != v.npos;
    op->has_inplace = v.find('i') != v.npos;
    op->logical = op->schema.name.starts_with("logical_");
    op->has_out = v.find('o') != v.npos;
    op->only_inplace = op->schema.name.ends_with("_") && !op->schema.name.starts_with("_");
    const Schema& s = op->schema;
    op->derivative.node_name =
        camel(s.space == "nn" || s.space.empty() ? s.name : s.space + "_" + s.name) + "Backward0";
    auto* name = new std::string(s.full_name());
    if (!by_name().emplace(*name, op.get()).second)
        fail(ErrorKind::Runtime, "operator ", *name, " is registered twice");
    // `op<"add">` means the first overload that was registered.
    if (!s.overload.empty())
        by_name().emplace(*new std::string((s.space.empty() ? "" : s.space + "::") + s.name), op.get());
    ops_.push_back(std::move(op));
    return OpBuilder(*ops_.back());
}

const Op* Registry::find(std::string_view name) const {
    const auto i = by_name().find(name);
    return i == by_name().end() ? nullptr : i->second;
}

const Op& require_op(const char* name) {
    const Op* o = Registry::get().find(name);
    if (!o) fail(ErrorKind::NotImplemented, "flambeau has no operator '", name, "' yet");
    return *o;
}

static std::vector<std::string> split(const char* names) {
    std::vector<std::string> r;
    std::string w;
    for (const char* p = names;; ++p) {
        if (*p == ',' || *p == ' ' || !*p) {
            if (!w.empty()) r.push_back(std::move(w));
            w.clear();
            if (!*p) return r;
        } else {
            w += *p;
        }
    }
}

uint64_t OpBuilder::uses_mask(const char* names) const {
    uint64_t m = 0;
    for (const std::string& n : split(names)) {
        if (n == "result") {
            m |= uint64_t(1) << 32;
            continue;
        }
        if (n.starts_with("result") && n.size() == 7) {
            m |= uint64_t(1) << (32 + n[6] - '0');
            continue;
        }
        const int i = op_.schema.index_of(n);
        if (i < 0) fail(ErrorKind::Runtime, op_.schema.full_name(), ": no argument '", n, "'");
        m |= uint64_t(1) << i;
    }
    return m;
}

OpBuilder& OpBuilder::grad(const char* arg, const char* uses, GradFn fn) {
    Derivative& d = op_.derivative;
    d.parts.resize(op_.schema.args.size());
    const int i = __builtin_ctzll(uses_mask(arg));
    d.parts[size_t(i)] = {fn, nullptr, uses_mask(uses)};
    d.args |= 1u << i;
    return *this;
}
OpBuilder& OpBuilder::grad_list(const char* arg, const char* uses, GradListFn fn) {
    Derivative& d = op_.derivative;
    d.parts.resize(op_.schema.args.size());
    const int i = __builtin_ctzll(uses_mask(arg));
    d.parts[size_t(i)] = {nullptr, fn, uses_mask(uses)};
    d.args |= 1u << i;
    return *this;
}
OpBuilder& OpBuilder::grads(const char* args, const char* uses, JointFn fn) {
    Derivative& d = op_.derivative;
    d.parts.resize(op_.schema.args.size());
    d.joint = fn;
    d.joint_args |= uint32_t(uses_mask(args));
    d.joint_uses |= uses_mask(uses);
    d.args |= d.joint_args;
    return *this;
}

}  // namespace fb
