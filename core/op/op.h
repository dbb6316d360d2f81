// The operator: one entry holds its signature, kernel and derivative; every way to call it comes from that.
// How to write one: docs/design/operator.md.
#pragma once
#include <atomic>
#include <initializer_list>
#include <tuple>
#include "base/warn.h"
#include "op/schema.h"

namespace fb {

class Op;
struct Back;  // autograd/back.h

// ---------------------------------------------------------------- thread state
enum Mode : uint8_t { kAutocastMode = 1, kTraceMode = 2, kPythonMode = 4 };
struct ThreadState {
    bool grad = true;
    bool inference = false;
    uint8_t modes = 0;  // anything here sends calls through `call_with_modes`
    int modules = 0;    // calls of modules this thread is in
};
extern constinit thread_local ThreadState tls;

class GradGuard {  // sets grad mode for a scope
public:
    explicit GradGuard(bool on) : before_(tls.grad) { tls.grad = on; }
    ~GradGuard() { tls.grad = before_; }
    GradGuard(const GradGuard&) = delete;
    GradGuard& operator=(const GradGuard&) = delete;

private:
    bool before_;
};

// ---------------------------------------------------------------- a call
// One call in flight: arguments in, results out. `given` are destinations (out= or the tensor of an in-place form).
struct Frame {
    const Op* op;
    const Value* args;
    const Tensor* given = nullptr;  // as many as the operator returns, some may be undefined
    bool inplace = false;           // given[0] is args[0]
    uint8_t n = 0;                  // results
    Tensor result[5];
    std::vector<Tensor> list;  // for a Tensor[] result
    Value value;               // for a number result
    std::string text;          // for a str result

    Frame(const Op& op, const Value* args) : op(&op), args(args) {}
    Frame(Frame&&) noexcept;
    ~Frame();
};

// The last parameter of a kernel that can write into a given tensor. Kernels without it are served by a copy.
class Out {
public:
    Out() = default;  // nothing given: always a fresh tensor
    explicit Out(Frame& f, int i = 0) : f_(&f), i_(i) {}
    // The tensor to write: the given one if its shape and dtype fit (an out= tensor is resized), else a fresh one.
    Tensor result(IntSpan sizes, DType dtype, Device device = kCPU) const;
    const Tensor* given() const { return f_ && f_->given && f_->given[i_].defined() ? &f_->given[i_] : nullptr; }
    bool inplace() const { return f_ && f_->inplace; }
    Out at(int i) const { return f_ ? Out(*f_, i) : Out(); }

private:
    Frame* f_ = nullptr;
    int i_ = 0;
};

using Kernel = void (*)(Frame&);

// ---------------------------------------------------------------- from C++ functions to kernels
namespace detail {
template <class T>
struct From;
template <>
struct From<const Tensor&> {
    static const Tensor& get(const Value& v) {
        static const Tensor none;
        return v.is_tensor() ? v.tensor() : none;
    }
};
template <>
struct From<TensorSpan> {
    static TensorSpan get(const Value& v) { return v.is_none() ? TensorSpan() : v.tensors(); }
};
template <>
struct From<Operand> {
    static Operand get(const Value& v) { return Operand(v); }
};
template <>
struct From<const Operand&> {
    static Operand get(const Value& v) { return Operand(v); }
};
template <>
struct From<Scalar> {
    static Scalar get(const Value& v) { return v.scalar(); }
};
template <>
struct From<int64_t> {
    static int64_t get(const Value& v) { return v.integer(); }
};
template <>
struct From<double> {
    static double get(const Value& v) { return v.real(); }
};
template <>
struct From<bool> {
    static bool get(const Value& v) { return v.flag(); }
};
template <>
struct From<IntSpan> {
    static IntSpan get(const Value& v) { return v.is_none() ? IntSpan() : v.ints(); }
};
template <>
struct From<std::span<const double>> {
    static std::span<const double> get(const Value& v) { return v.is_none() ? std::span<const double>() : v.doubles(); }
};
template <>
struct From<std::span<const bool>> {
    static std::span<const bool> get(const Value& v) { return v.bools(); }
};
template <>
struct From<std::span<const Scalar>> {
    static std::span<const Scalar> get(const Value& v) { return v.scalars(); }
};
template <>
struct From<std::string_view> {
    static std::string_view get(const Value& v) { return v.is_none() ? std::string_view() : v.string(); }
};
template <>
struct From<DType> {
    static DType get(const Value& v) { return v.is_none() ? DType::none : v.dt; }
};
template <>
struct From<MemoryFormat> {
    static MemoryFormat get(const Value& v) { return v.is_none() ? MemoryFormat::Contiguous : v.format_v; }
};
template <>
struct From<Generator*> {
    static Generator* get(const Value& v) { return v.is_none() ? nullptr : v.generator_v; }
};
template <>
struct From<const Value&> {
    static const Value& get(const Value& v) { return v; }
};
template <class T>
struct From<std::optional<T>> {
    static std::optional<T> get(const Value& v) {
        if (v.is_none()) return std::nullopt;
        if constexpr (std::is_same_v<T, Device>) return v.device_v;
        else if constexpr (std::is_same_v<T, MemoryFormat>) return v.format_v;
        else if constexpr (std::is_same_v<T, Layout>) return v.layout_v;
        else return From<T>::get(v);
    }
};

inline void put_result(Frame& f, Tensor t) {
    f.result[0] = std::move(t);
    f.n = 1;
}
inline void put_result(Frame& f, std::vector<Tensor> l) {
    f.list = std::move(l);
    f.n = 1;
}
inline void put_result(Frame& f, bool v) {
    f.value = Value(v);
    f.n = 1;
}
inline void put_result(Frame& f, int64_t v) {
    f.value = Value(v);
    f.n = 1;
}
inline void put_result(Frame& f, double v) {
    f.value = Value(v);
    f.n = 1;
}
inline void put_result(Frame& f, Scalar v) {
    f.value = Value(v);
    f.n = 1;
}
inline void put_result(Frame& f, DType v) {
    f.value = Value(v);
    f.n = 1;
}
template <class... T>
void put_result(Frame& f, std::tuple<T...> t) {
    f.n = 0;
    std::apply([&](auto&... x) { ((f.result[f.n++] = std::move(x)), ...); }, t);
}

template <auto F>
struct Boxed;
template <class R, class... A, R (*F)(A...)>
struct Boxed<F> {
    template <class T, size_t I>
    static decltype(auto) arg(Frame& f) {
        if constexpr (std::is_same_v<T, Out>) return Out(f);
        else return From<T>::get(f.args[I]);
    }
    static void call(Frame& f) {
        [&]<size_t... I>(std::index_sequence<I...>) {
            if constexpr (std::is_void_v<R>) F(arg<A, I>(f)...);
            else put_result(f, F(arg<A, I>(f)...));
        }(std::index_sequence_for<A...>{});
    }
};
}  // namespace detail

// ---------------------------------------------------------------- derivatives
using GradFn = Tensor (*)(Back&);                   // gradient of one argument
using GradListFn = std::vector<Tensor> (*)(Back&);  // of a Tensor[] argument
using JointFn = void (*)(Back&);                    // of several at once, through Back::set

struct Derivative {
    struct Part {
        GradFn one = nullptr;
        GradListFn list = nullptr;
        uint64_t uses = 0;  // bit i: argument i, bit 32 + i: result i; saved only if this gradient will be asked for
    };
    std::vector<Part> parts;  // by argument; empty: the operator has no derivative entry
    JointFn joint = nullptr;
    uint32_t joint_args = 0;
    uint64_t joint_uses = 0;
    uint32_t args = 0;               // bit i: argument i is differentiable
    uint32_t results = 0xffffffff;   // bit i: result i is (integers never are)
    std::string node_name;           // "MulBackward0"
    const char* shown_as = nullptr;  // of a composite: what the node of its last step is called
    bool flat = false;               // linear piece by piece: the gradients' own derivative is zero, not absent
    bool exists() const { return args != 0; }
};

// ---------------------------------------------------------------- the operator
class Op {
public:
    Schema schema;
    Kernel kernel = nullptr;
    Derivative derivative;
    bool as_function = false, as_method = false, has_inplace = false, has_out = false;
    bool is_view = false;       // result 0 is a view of argument 0
    bool only_inplace = false;  // schema name ends in '_': writes into argument 0
    uint8_t autocast = 0;       // 1 lower precision, 2 float32, 3 promote; see op/autocast.cpp
    bool remembers_lengths =
        false;  // attribute 0 holds the sizes of the listed tensors along argument 1 (-1: an empty vector)
    bool takes_lazy = false;      // works on lazily conjugated and negated tensors and on complex32 as they are
    bool logical = false;         // knows no gradient: also writes into tensors that require one
    bool keeps_geometry = false;  // the node remembers argument 0's offset and strides as its attribute 0

    void call(Frame& f) const {
        if (tls.modes | unusual_tensors | result_waits.load(std::memory_order_relaxed)) [[unlikely]]
            return call_with_modes(f);
        run(f);
    }
    void run(Frame& f) const;         // below the modes: records for autograd when asked to
    void run_kernel(Frame& f) const;  // below autograd: the kernel, then results moved into `given`
    bool any_requires_grad(const Value* args) const;

private:
    void call_with_modes(Frame& f) const;
};

// Defined by the autograd layer.
void call_recorded(const Op& op, Frame& f);
void check_inplace_allowed(const Op& op, Frame& f);
// Defined by the layers that own the modes; called innermost last.
extern void (*python_mode)(const Op&, Frame&);
extern void (*trace_mode)(const Op&, Frame&);
extern void (*autocast_mode)(const Op&, Frame&);
extern bool (*join_waiting)(const Op&, Frame&);  // ops/waiting.h: true if the call only prolongs what waits
bool call_unusual(const Op&, Frame&);            // op/lazy.cpp: false where no argument is one

// ---------------------------------------------------------------- registration
class OpBuilder {
public:
    explicit OpBuilder(Op& op) : op_(op) {}
    template <auto F>
    OpBuilder& kernel() {
        op_.kernel = &detail::Boxed<F>::call;
        return *this;
    }
    OpBuilder& boxed(Kernel k) {
        op_.kernel = k;
        return *this;
    }
    OpBuilder& view() {
        op_.is_view = op_.takes_lazy = true;
        return *this;
    }
    OpBuilder& takes_lazy(bool yes = true) {
        op_.takes_lazy = yes;
        return *this;
    }
    OpBuilder& remember_lengths() {
        op_.remembers_lengths = true;
        return *this;
    }
    OpBuilder& keep_geometry() {
        op_.keeps_geometry = true;
        return *this;
    }
    // grad("self", "other, result", fn): the gradient of `self` needs those arguments and results of the forward call.
    OpBuilder& grad(const char* arg, const char* uses, GradFn fn);
    OpBuilder& grad_list(const char* arg, const char* uses, GradListFn fn);
    OpBuilder& grads(const char* args, const char* uses, JointFn fn);
    OpBuilder& node(const char* name) {
        op_.derivative.node_name = name;
        return *this;
    }
    OpBuilder& shown_as(const char* name) {
        op_.derivative.shown_as = name;
        return *this;
    }
    // A recorded backward is also a function of the arguments, whose derivative is zero: asked for, it says so.
    OpBuilder& piecewise_linear() {
        op_.derivative.flat = true;
        return *this;
    }
    OpBuilder& differentiable_results(uint32_t bits) {
        op_.derivative.results = bits;
        return *this;
    }
    OpBuilder& autocast(uint8_t how) {
        op_.autocast = how;
        return *this;
    }

private:
    uint64_t uses_mask(const char* names) const;
    Op& op_;
};

class Registry {
public:
    // variants: f function, m method, i in-place form `name_`, o out= form
    OpBuilder add(const char* schema, const char* variants);
    const Op* find(std::string_view full_name) const;  // "add", "sum.dim", "nn::gelu"
    std::span<const std::unique_ptr<Op>> all() const { return ops_; }
    static Registry& get();

private:
    std::vector<std::unique_ptr<Op>> ops_;
};

// `static const Family arith([](Registry& r) { r.add(…)…; });` at the end of a file of the operator table.
struct Family {
    explicit Family(void (*fill)(Registry&)) { fill(Registry::get()); }
};

// ---------------------------------------------------------------- calling from C++
// op<"mul">(a, b): any operator, with trailing defaults left out. opn<…> gives the whole frame (several results).
template <size_t N>
struct Name {
    char text[N];
    constexpr Name(const char (&s)[N]) { std::copy_n(s, N, text); }
};
const Op& require_op(const char* name);  // throws when there is none

// An operator that is looked up when it is first asked for.
class OpName {
public:
    constexpr explicit OpName(const char* name) : name_(name) {}
    const Op& get() {
        const Op* op = op_.load(std::memory_order_acquire);
        return op ? *op : look_up();
    }

private:
    const Op& look_up();
    const char* name_;
    std::atomic<const Op*> op_ = nullptr;
};
template <Name N>
inline constinit OpName op_name{N.text};
template <Name N>
const Op& op_ref() {
    return op_name<N>.get();
}

inline constexpr int kMaxArgs = 16;
void invoke(Frame& f, Value* args, int given_args);  // fills defaults, then calls
using Values = std::initializer_list<Value>;         // the arguments that are given; the others take their defaults
Tensor call_one(OpName& name, Values given);
std::vector<Tensor> call_list(OpName& name, Values given);
Frame call_all(OpName& name, Values given);  // the argument pointer of the returned frame is null
void call_inplace(OpName& name, const Tensor& self, Values given);

template <Name N, class... A>
Tensor op(const A&... a) {
    return call_one(op_name<N>, {Value(a)...});
}
template <Name N, class... A>
std::vector<Tensor> op_list(const A&... a) {
    return call_list(op_name<N>, {Value(a)...});
}
template <Name N, class... A>
Frame opn(const A&... a) {
    return call_all(op_name<N>, {Value(a)...});
}
// inplace<"add">(a, b): the in-place form.
template <Name N, class... A>
void inplace(const Tensor& self, const A&... a) {
    call_inplace(op_name<N>, self, {Value(self), Value(a)...});
}

}  // namespace fb
