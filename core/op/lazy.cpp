// Tensors that kernels cannot read as they lie: lazily conjugated or negated views, complex32, and float8 where an
// operator computes with it. Views and copies take them as they are (Op::takes_lazy); every other operator is called
// with plain copies, which autograd records, and what it writes goes back through `copy_`. Tensors of the meta device
// have nothing to read: beside real ones they are refused here, for all operators.
#include <algorithm>
#include "op/dispatch.h"
#include "op/float8.h"

namespace fb {
namespace {

DType wide(DType t) { return t == DType::c32 ? DType::c64 : is_float8(t) ? DType::f32 : t; }

// Recorded where gradients are; the copy conjugates and negates.
Tensor plain(const Tensor& t) {
    if (is_float8(t.dtype())) return op<"_to_copy">(t, DType::f32, t.device());
    if (t.dtype() == DType::c32) return op<"_to_copy">(t, DType::c64, t.device());
    return op<"clone">(t);
}
Tensor plain_outside_autograd(const Tensor& t) {
    GradGuard off(false);
    return plain(t);
}
const bool installed = (op_to_plain = plain_outside_autograd, true);

template <class F>
void each_tensor(const Op& op, const Value* args, F&& f) {
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        if (args[i].is_tensor()) f(args[i].tensor());
        else if (args[i].tag == Tag::Tensors)
            for (const Tensor& t : args[i].tensors())
                if (t.defined()) f(t);
    }
}

// What of a call has to be put aside until it is over.
struct Plain {
    std::vector<Value> args;
    std::vector<Tensor> tensors;             // copies; their places do not move
    std::vector<std::vector<Tensor>> lists;  // of Tensor[] arguments
    bool half = false;                       // complex32 came in and nothing wider did: results go back to it
    DType float8 = DType::none;              // this came in, to be computed in float32

    Plain(const Op& op, const Value* from, bool widen) : args(from, from + op.schema.args.size()) {
        const auto is_plain = [&](const Tensor& t) {
            if (!widen || !is_float8(t.dtype())) return !t->unusual();
            float8 = t.dtype();
            return false;
        };
        tensors.reserve(args.size());
        lists.reserve(args.size());
        bool wider = false, narrow = true;
        each_tensor(op, from, [&](const Tensor& t) {
            half |= t.dtype() == DType::c32;
            const DType d = t.dtype();
            wider |= t.dim() > 0 && (d == DType::f32 || d == DType::f64 || d == DType::c64 || d == DType::c128);
        });
        for (Value& v : args) {
            const bool chosen = v.tag == Tag::DType && v.dt != DType::none;
            if (chosen) wider = true;
            narrow &= !chosen || is_float8(v.dt);
            if (v.is_tensor() && !is_plain(v.tensor())) {
                v = tensors.emplace_back(plain(v.tensor()));
            } else if (v.tag == Tag::Tensors) {
                std::vector<Tensor>& l = lists.emplace_back(v.tensors().begin(), v.tensors().end());
                for (Tensor& t : l)
                    if (t.defined() && !is_plain(t)) t = plain(t);
                v = l;
            }
        }
        half &= !wider;
        if (!narrow) float8 = DType::none;
    }
    Tensor narrowed(Tensor t) const {
        if (float8 != DType::none && t.defined() && t.dtype() == DType::f32) return t.to(float8);
        if (!half || !t.defined()) return t;
        if (t.dtype() == DType::c64) return t.to(DType::c32);
        return t.dtype() == DType::f32 ? t.to(DType::f16) : t;
    }
};

// The destination of an in-place call, or of out=: written aside, then copied into the real one.
void write_back(const Tensor& to, const Tensor& from) {
    if (!same(to.sizes(), from.sizes())) {
        Value v[] = {to, from.sizes(), Value()};
        Frame f(require_op("resize_"), v);
        f.op->call(f);
    }
    inplace<"copy_">(to, from);
}

// Kernels of the CPU must not meet tensors without data, nor shapes without data real ones. What may mix: a number in a
// real tensor beside meta tensors, the indices of a meta tensor, and operators that look at a shape alone.
bool may_mix(const Op& op, const Frame& f) {
    static constexpr std::string_view shape_only[] = {"to", "type_as", "view_as", "reshape_as", "expand_as"},
                                      real_indices[] = {"copy_", "index", "index_put", "index_select", "embedding"};
    const std::string_view name = op.schema.name;
    if (std::ranges::find(shape_only, name) != std::end(shape_only)) return true;
    const bool writes = f.inplace || op.only_inplace,
               meta_first = f.args[0].is_tensor() && f.args[0].tensor().is_meta();
    if (meta_first && std::ranges::find(real_indices, name) != std::end(real_indices)) return true;
    bool numbers = true;
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        const Value& v = f.args[i];
        if (v.is_tensor()) {
            const bool number = v.tensor().dim() == 0 && (meta_first || op.schema.args[i].kind == Kind::Operand);
            numbers &= v.tensor().is_meta() || (number && !(i == 0 && writes));
        } else if (v.tag == Tag::Tensors) {
            for (const Tensor& t : v.tensors()) numbers &= !t.defined() || t.is_meta() || (meta_first && !t.dim());
        }
    }
    return numbers;
}

[[noreturn]] void refuse_mix(const Op& op, const Frame& f) {
    if (op.schema.name == "copy_") fail(ErrorKind::NotImplemented, "Cannot copy out of meta tensor; no data!");
    // PyTorch expects the device of the first tensor; a real number decides nothing.
    int seen = 0;
    bool meta_expected = false;
    each_tensor(op, f.args, [&](const Tensor& t) {
        if ((t.is_meta() || t.dim()) && !seen++) meta_expected = t.is_meta();
    });
    const Device expected = meta_expected ? kMeta : kCPU, found = meta_expected ? kCPU : kMeta;
    fail(ErrorKind::Runtime, "Tensor on device ", found, " is not on the expected device ", expected, "!\n",
         op.schema.name, " expects all tensors to be on the same device, but found at least two devices, ", expected,
         " and ", found, ".");
}

}  // namespace

void check_devices(const Op& op, const Frame& f) {
    bool meta = false, real = false;
    each_tensor(op, f.args, [&](const Tensor& t) { (t.is_meta() ? meta : real) = true; });
    if (meta && real && !may_mix(op, f)) refuse_mix(op, f);
}

bool call_unusual(const Op& op, Frame& f) {
    if (!unusual_tensors) return false;
    bool found = false, float8 = false, meta = false, real = false;
    each_tensor(op, f.args, [&](const Tensor& t) {
        found |= t->unusual();
        float8 |= is_float8(t.dtype());
        (t.is_meta() ? meta : real) = true;
    });
    // Wrappers have no data of their own either: with Python code below autograd it is looked at there.
    if (meta && real && !(tls.modes & kPythonMode) && !may_mix(op, f)) refuse_mix(op, f);
    const bool widen = float8 && float8_use(op, f) == Float8Use::widened;
    if (op.takes_lazy) return false;
    found |= widen;
    const int outputs = f.given && !f.inplace ? int(op.schema.return_kinds.size()) : 0;
    for (int i = 0; i < outputs; ++i) found |= f.given[i].defined() && f.given[i]->unusual();
    if (!found) return false;

    Plain p(op, f.args, widen);
    Frame inner(op, p.args.data());
    inner.inplace = f.inplace;
    std::vector<Tensor> given;
    if (f.inplace) given.push_back(p.args[0].tensor());
    for (int i = 0; i < outputs; ++i) {
        const Tensor& t = f.given[i];
        const bool plain = t.defined() && !t->unusual() && !(widen && is_float8(t.dtype()));
        given.push_back(!t.defined() || plain ? t : empty_like(t, wide(t.dtype())));
    }
    if (!given.empty()) inner.given = given.data();
    op.call(inner);

    f.n = inner.n;
    f.value = inner.value;
    f.text = std::move(inner.text);
    for (Tensor& t : inner.list) f.list.push_back(p.narrowed(std::move(t)));
    for (int i = 0; i < inner.n && inner.list.empty(); ++i) {
        const bool first_argument = i == 0 && (f.inplace || op.only_inplace) && f.args[0].is_tensor();
        const Tensor to = first_argument ? f.args[0].tensor() : i < outputs ? f.given[i] : Tensor();
        if (!to.defined()) {
            f.result[i] = p.narrowed(std::move(inner.result[i]));
            continue;
        }
        if (inner.result[i].get() != to.get()) write_back(to, inner.result[i]);
        f.result[i] = to;
    }
    return true;
}

}  // namespace fb
