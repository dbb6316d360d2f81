// What transformer layers of PyTorch's archives call where no gradient is asked for. The same in Python:
// flambeau/ops/attention.py; one of them has more arguments than an operator of the table may have.
#include <cmath>
#include "runtime/words.h"

namespace fb::runtime {
namespace {

Tensor optional(const Arguments& a, size_t i, const char* name) {
    const Any* v = a.find(i, name);
    return v && as<Tensor>(*v) ? *as<Tensor>(*v) : Tensor();
}
bool flag(const Arguments& a, size_t i, const char* name, bool other) {
    return a.given(i, name) ? truth(*a.find(i, name)) : other;
}

struct Layer {
    int64_t width, heads;
    Tensor qkv, qkv_bias, out, out_bias, mask;
    int64_t mask_kind;  // 1: by batch and key; else as it is
};

Tensor in_heads(const Tensor& x, const Layer& l) {
    check(x.dim() == 3 && l.heads > 0 && x.size(2) % l.heads == 0, "attention: a query of shape ", x.sizes(), " for ",
          l.heads, " heads");
    return op<"transpose">(op<"view">(x, Dims{x.size(0), x.size(1), l.heads, x.size(2) / l.heads}), 1, 2);
}

std::pair<Tensor, Tensor> attend(const Tensor& query, const Tensor& key, const Tensor& value, const Layer& l,
                                 bool need_weights, bool average) {
    const std::vector<Tensor> w = op_list<"chunk">(l.qkv, 3), b = op_list<"chunk">(l.qkv_bias, 3);
    check(w.size() == 3 && b.size() == 3, "attention: weights of shape ", l.qkv.sizes());
    const Tensor q = in_heads(op<"nn::linear">(query, w[0], b[0]), l),
                 k = in_heads(op<"nn::linear">(key, w[1], b[1]), l),
                 v = in_heads(op<"nn::linear">(value, w[2], b[2]), l);
    const Dims shape{q.size(0), l.heads, q.size(2), k.size(2)};
    Tensor mask = l.mask, out, weights;
    if (mask.defined()) {
        if (l.mask_kind == 1) mask = op<"view">(mask, Dims{mask.size(0), 1, 1, mask.size(1)});
        mask = op<"expand">(mask, shape);
    }
    const bool hides = mask.defined() && mask.dtype() == DType::b1;
    if (need_weights) {
        Tensor scores = op<"matmul">(op<"div">(q, std::sqrt(double(q.size(-1)))), op<"transpose">(k, -2, -1));
        if (hides) scores = op<"masked_fill">(scores, mask, -HUGE_VAL);
        else if (mask.defined()) scores = op<"add">(scores, mask);
        weights = op<"softmax">(scores, -1);
        out = op<"matmul">(weights, v);
        if (average) weights = op<"mean.dim">(weights, Dims{1});
    } else {
        out = op<"nn::scaled_dot_product_attention">(q, k, v, hides ? op<"logical_not">(mask) : mask);
    }
    out = op<"reshape">(op<"transpose">(out, 1, 2), Dims{query.size(0), query.size(1), l.width});
    return {op<"nn::linear">(out, l.out, l.out_bias), weights};
}

Any native_multi_head_attention(const Arguments& a) {
    const Layer l{integer(a[3]), integer(a[4]), tensor(a, 5),           tensor(a, 6),
                  tensor(a, 7),  tensor(a, 8),  optional(a, 9, "mask"), a.integer_or(12, "mask_type", 0)};
    const auto [out, weights] = attend(tensor(a, 0), tensor(a, 1), tensor(a, 2), l, flag(a, 10, "need_weights", true),
                                       flag(a, 11, "average_attn_weights", true));
    return tuple({out, weights.defined() ? Any(weights) : Any(None{})});
}

Any transformer_encoder_layer(const Arguments& a) {
    const Layer l{integer(a[1]),
                  integer(a[2]),
                  tensor(a, 3),
                  tensor(a, 4),
                  tensor(a, 5),
                  tensor(a, 6),
                  optional(a, 18, "mask"),
                  a.integer_or(19, "mask_type", 0)};
    const bool gelu = truth(a[7]), norm_first = truth(a[8]);
    const double eps = real(a[9]);
    auto norm = [&](const Tensor& x, size_t i) {
        return op<"layer_norm">(x, Dims{l.width}, tensor(a, i), tensor(a, i + 1), eps);
    };
    auto self_attention = [&](const Tensor& x) { return attend(x, x, x, l, false, true).first; };
    auto feed_forward = [&](const Tensor& x) {
        const Tensor inner = op<"nn::linear">(x, tensor(a, 14), tensor(a, 15));
        return op<"nn::linear">(gelu ? op<"nn::gelu">(inner) : op<"relu">(inner), tensor(a, 16), tensor(a, 17));
    };
    const Tensor& x = tensor(a, 0);
    if (norm_first) {
        const Tensor y = op<"add">(x, self_attention(norm(x, 10)));
        return op<"add">(y, feed_forward(norm(y, 12)));
    }
    const Tensor y = norm(op<"add">(x, self_attention(x)), 10);
    return norm(op<"add">(y, feed_forward(y)), 12);
}

}  // namespace

void add_attention_words(Words& w) {
    w.emplace("_native_multi_head_attention", Word{native_multi_head_attention, true});
    w.emplace("_transformer_encoder_layer_fwd", Word{transformer_encoder_layer, true});
}

}  // namespace fb::runtime
