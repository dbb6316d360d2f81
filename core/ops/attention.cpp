// Scaled dot-product attention: fused where it can be, otherwise written with operators.
#include <algorithm>
#include <array>
#include <cmath>
#include "autograd/composite.h"
#include "cpu/attention.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

double scale_of(const Tensor& q, std::optional<double> scale) {
    return scale ? *scale : 1 / std::sqrt(double(q.sizes().back()));
}

// A mask of bools becomes one to add: nothing where true, minus infinity elsewhere.
Tensor additive(const Tensor& mask, DType t) {
    if (!mask.defined() || mask.dtype() != DType::b1) return mask;
    return op<"masked_fill">(op<"zeros">(mask.sizes(), t, nullptr, mask.device()), op<"logical_not">(mask),
                             -__builtin_inf());
}
Tensor causal_mask(int64_t rows, int64_t columns, DType t, Device device) {
    const int64_t sizes[] = {rows, columns};
    return additive(op<"tril">(op<"ones">(IntSpan(sizes), DType::b1, nullptr, device)), t);
}

Tensor weights_of(const Tensor& q, const Tensor& k, const Tensor& mask, bool causal, double scale) {
    // The root of the scale on either side keeps the products of half types in range.
    const double root = std::sqrt(std::abs(scale));
    Tensor s = op<"matmul">(q * (scale < 0 ? -root : root), op<"transpose">(k, -2, -1) * root);
    Tensor m = additive(mask, q.dtype());
    if (causal) {
        const Tensor triangle = causal_mask(s.size(-2), s.size(-1), q.dtype(), q.device());
        m = m.defined() ? m + triangle : triangle;
    }
    if (!m.defined()) return op<"softmax.int">(s, -1);
    s = s + m;
    const Tensor empty_rows =
        op<"all.dim">(op<"eq">(s, -__builtin_inf()), -1, true);  // rows without any key give zero, not NaN
    return masked(op<"softmax.int">(masked(s, empty_rows), -1), empty_rows);
}
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout,
                       bool causal, double scale) {
    if (is_low_precision(q.dtype())) {  // in float, rounded once at the end
        const auto wide = [](const Tensor& t) { return t.to(DType::f32); };
        const Tensor m = mask.defined() && is_low_precision(mask.dtype()) ? wide(mask) : mask;
        return plain_attention(wide(q), wide(k), wide(v), m, dropout, causal, scale).to(q.dtype());
    }
    Tensor w = weights_of(q, k, mask, causal, scale);
    if (dropout > 0) w = op<"dropout">(w, dropout, true);
    return op<"matmul">(w, v);
}

Tensor repeated_heads(const Tensor& t, int64_t times) {
    if (times == 1) return t;
    Dims wide = t.sizes(), flat = t.sizes();
    wide.insert(wide.size() - 2, times);
    flat[flat.size() - 3] *= times;
    return op<"reshape">(op<"expand">(op<"unsqueeze">(t, -3), wide), flat);
}
// ---------------------------------------------------------------- the fused operator
Tensor in_rows(const Tensor& t) { return t.strides()[3] == 1 || t.sizes()[3] <= 1 ? t : dense(t); }
AttentionOperand operand(const Tensor& t) { return {t.data(), t.strides()[0], t.strides()[1], t.strides()[2]}; }
// A result lies in memory as the tensor it belongs to, except for the size of its rows; these are always whole, as the
// loops write them.
Tensor laid_out_as(const Tensor& like, int64_t width, DType t, Device device) {
    const bool whole_rows = like.strides()[3] == 1 || like.sizes()[3] <= 1;
    if (like.sizes()[3] == width && like.device() == device && whole_rows) return empty_like(like, t);
    Dims sizes = like.sizes();
    sizes[3] = width;
    std::array<int, 3> order{2, 1, 0};  // innermost first
    if (!like.is_contiguous() && whole_rows)
        std::stable_sort(order.begin(), order.end(),
                         [&](int a, int b) { return like.strides()[a] < like.strides()[b]; });
    int64_t strides[4], step = width;
    strides[3] = 1;
    for (const int d : order) {
        strides[d] = step;
        step *= sizes[d];
    }
    return empty_strided(sizes, strides, t, device);
}
Attention describe(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, double scale, const Tensor& mask) {
    Attention a{q.dtype(),    q.sizes()[0], q.sizes()[1], q.sizes()[2],
                k.sizes()[2], q.sizes()[3], v.sizes()[3], q.sizes()[1] / k.sizes()[1],
                scale,        causal,       operand(q),   operand(k),
                operand(v)};
    if (mask.defined()) {
        const Tensor wide = op<"expand">(mask, Dims{a.batches, a.heads, a.queries, a.keys});
        a.mask = wide.data();
        std::copy_n(wide.strides().begin(), 4, a.mask_stride);
    }
    return a;
}
DType wide_type(DType t) { return t == DType::f64 ? t : DType::f32; }
Tensor wide_mask(const Tensor& mask, DType t) {
    if (!mask.defined()) return mask;
    const Tensor m = additive(mask, t);
    return m.dtype() == t ? m : convert(m, t);
}

std::tuple<Tensor, Tensor> fused(const Tensor& q, const Tensor& k, const Tensor& v, double, bool causal,
                                 const Tensor& mask, std::optional<double> scale) {
    const GradGuard off(false);
    check(q.dim() == 4 && k.dim() == 4 && v.dim() == 4 && q.sizes()[0] == k.sizes()[0] &&
              q.sizes()[0] == v.sizes()[0] && k.sizes()[1] > 0 && q.sizes()[1] % k.sizes()[1] == 0 &&
              k.sizes()[1] == v.sizes()[1] && q.sizes()[3] == k.sizes()[3] && k.sizes()[2] == v.sizes()[2] &&
              q.dtype() == k.dtype() && q.dtype() == v.dtype() && is_floating(q.dtype()),
          "attention expects 4-D tensors of one type whose sizes fit, got ", q.sizes(), ", ", k.sizes(), " and ",
          v.sizes());
    const DType t = q.dtype(), wide = wide_type(t);
    const int64_t width = v.sizes()[3], rows[] = {q.sizes()[0], q.sizes()[1], q.sizes()[2]};
    if (q.is_meta()) return {laid_out_as(q, width, t, kMeta), empty(rows, wide, kMeta)};
    const Tensor out = laid_out_as(q, width, wide, kCPU), sums = empty(rows, wide);
    const Tensor qw = in_rows(q.to(wide)), kw = in_rows(k.to(wide)), vw = in_rows(v.to(wide)),
                 m = wide_mask(mask, wide);
    attention_forward(describe(qw, kw, vw, causal, scale_of(q, scale), m), operand(out), sums.data());
    return {out.to(t), sums};
}

void fused_gradients(Back& b) {
    const Tensor q = b.arg(0), k = b.arg(1), v = b.arg(2), mask = b.arg(5);
    const bool causal = b.flag(4);
    const double scale = scale_of(q, b.attr(6).is_none() ? std::nullopt : std::optional<double>(b.real(6)));
    if (tls.grad) {
        const Tensor inputs[] = {q, k, v}, grads[] = {b.g};
        const auto r = composite_gradients(inputs, grads, [&](const std::vector<Tensor>& x) {
            const int64_t group = q.sizes()[1] / k.sizes()[1];
            return std::vector<Tensor>{plain_attention(x[0], repeated_heads(x[1], group), repeated_heads(x[2], group),
                                                       mask, 0, causal, scale)};
        });
        for (int i = 0; i < 3; ++i)
            if (b.needs(i)) b.set(i, r[size_t(i)]);
        return;
    }
    const DType t = q.dtype(), wide = wide_type(t);
    const Tensor qw = in_rows(q.to(wide)), kw = in_rows(k.to(wide)), vw = in_rows(v.to(wide)),
                 m = wide_mask(mask, wide);
    const Tensor out = in_rows(b.result(0).to(wide)), g = in_rows(b.g.to(wide)), sums = b.result(1);
    const auto gradient_of = [&](const Tensor& x) { return laid_out_as(x, x.sizes()[3], wide, kCPU); };
    const Tensor dq = gradient_of(q), dk = gradient_of(k), dv = gradient_of(v);
    attention_backward(describe(qw, kw, vw, causal, scale, m), operand(out), sums.data(), operand(g), operand(dq),
                       operand(dk), operand(dv));
    const Tensor* all[] = {&dq, &dk, &dv};
    for (int i = 0; i < 3; ++i)
        if (b.needs(i)) b.set(i, all[i]->to(t));
}

// ---------------------------------------------------------------- the public form
void check_operands(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
    check(q.dtype() == k.dtype() && q.dtype() == v.dtype(),
          "Expected query, key, and value to have the same dtype, but got query.dtype: ", cpp_name(q.dtype()),
          " key.dtype: ", cpp_name(k.dtype()), " and value.dtype: ", cpp_name(v.dtype()), " instead.");
    check(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2,
          "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: ", q.dim(),
          " key.dim: ", k.dim(), " and value.dim: ", v.dim(), " instead.");
    if (!mask.defined()) return;
    check(mask.dtype() == DType::b1 || mask.dtype() == q.dtype() || mask.dtype() == DType::f32,
          "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: ",
          cpp_name(mask.dtype()), " and  query.dtype: ", cpp_name(q.dtype()), " instead.");
    check(mask.dim() >= 2, "Expected attn_mask to be at least 2 dimensional, but got attn_mask.dim: ", mask.dim(),
          " instead.");
    if (q.dim() == k.dim() && q.size(-1) == k.size(-1)) {
        Dims scores = q.sizes();
        scores.back() = k.size(-2);
        broadcast_shapes(scores, mask.sizes());
    }
}
bool can_fuse(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout) {
    if (q.dim() != 4 || k.dim() != 4 || v.dim() != 4 || dropout > 0 || !is_floating(q.dtype())) return false;
    if (mask.defined() && (mask.requires_grad() || mask.dim() > 4)) return false;
    const auto &a = q.sizes(), &b = k.sizes(), &c = v.sizes();
    if (!q.numel() || !k.numel() || !v.numel()) return false;
    return a[0] == b[0] && a[0] == c[0] && a[1] % b[1] == 0 && b[1] == c[1] && a[3] == b[3] && b[2] == c[2];
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout, bool causal,
                 std::optional<double> scale, bool gqa) {
    check_operands(q, k, v, mask);
    int64_t group_k = 1, group_v = 1;
    if (gqa) {  // groups of query heads share a key head
        const int64_t heads = q.size(-3), kh = k.size(-3), vh = v.size(-3);
        check(kh > 0 && vh > 0 && heads % kh == 0 && heads % vh == 0,
              "Number of heads in key and value must divide the number of heads in query");
        group_k = heads / kh;
        group_v = heads / vh;
    }
    const bool both = mask.defined() && causal;  // taken by PyTorch's fused kernel alone, which wants equal widths
    if (can_fuse(q, k, v, mask, dropout) && (gqa || q.sizes()[1] == k.sizes()[1]) &&
        !(both && q.size(-1) != v.size(-1)))
        return std::move(
            opn<"_scaled_dot_product_flash_attention_for_cpu">(q, k, v, 0.0, causal, mask, scale).result[0]);
    check(!both, "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True");
    return plain_attention(q, repeated_heads(k, group_k), repeated_heads(v, group_v), mask, dropout, causal,
                           scale_of(q, scale));
}

const Family family([](Registry& r) {
    r.add(
         "_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, "
         "bool is_causal=False, *, "
         "Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor logsumexp)",
         "f")
        .kernel<fused>()
        .differentiable_results(1)
        .grads("query, key, value", "query, key, value, attn_mask, result0, result1", fused_gradients);
    r.add(
         "nn::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float "
         "dropout_p=0.0, bool is_causal=False, *, "
         "float? scale=None, bool enable_gqa=False) -> Tensor",
         "f")
        .kernel<attention>()
        .autocast(1);
});

}  // namespace
}  // namespace fb
