"""Attention of a whole layer in one call: what transformer layers call where no gradient is asked for."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb

from .registry import composite


def _heads(x: Any, count: int) -> Any:
    batch, length, width = x.shape
    return x.view(batch, length, count, width // count).transpose(1, 2)


def _mask_of(mask: Any, kind: int | None, scores_shape: tuple) -> Any:
    """The mask as it applies to scores of (batch, heads, queries, keys)."""
    if mask is None:
        return None
    if kind == 1:  # True where a key is padding
        return mask.view(mask.shape[0], 1, 1, mask.shape[1]).expand(scores_shape)
    return mask.expand(scores_shape)


@composite(
    "_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, "
    "Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask=None, "
    "bool need_weights=True, bool average_attn_weights=True, int? mask_type=None) -> (Tensor, Tensor)"
)
def _native_multi_head_attention(
    query: Any, key: Any, value: Any, embed_dim: int, num_head: int, qkv_weight: Any, qkv_bias: Any,
    proj_weight: Any,
    proj_bias: Any, mask: Any = None, need_weights: bool = True, average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> Any:  # fmt: skip
    linear = fb.nn.functional.linear
    if query is key and key is value:
        q, k, v = linear(query, qkv_weight, qkv_bias).chunk(3, -1)
    else:
        parts = zip((query, key, value), qkv_weight.chunk(3), qkv_bias.chunk(3))
        q, k, v = (linear(x, w, b) for x, w, b in parts)
    q, k, v = (_heads(x, num_head) for x in (q, k, v))
    shape = (q.shape[0], num_head, q.shape[2], k.shape[2])
    mask = _mask_of(mask, mask_type, shape)
    if not need_weights:
        attend = fb.nn.functional.scaled_dot_product_attention
        keep = ~mask if mask is not None and mask.dtype == fb.bool else mask
        out, weights = attend(q, k, v, keep), None
    else:
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
        if mask is not None and mask.dtype == fb.bool:
            scores = scores.masked_fill(mask, -math.inf)
        elif mask is not None:
            scores = scores + mask
        weights = scores.softmax(-1)
        out = weights @ v
        weights = weights.mean(1) if average_attn_weights else weights
    out = out.transpose(1, 2).reshape(query.shape[0], query.shape[1], embed_dim)
    return linear(out, proj_weight, proj_bias), weights


@composite(
    "_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, "
    "Tensor qkv_bias, "
    "Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, Tensor norm_weight_1, "
    "Tensor norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, "
    "Tensor ffn_weight_2, Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor",
    python=True,  # more arguments than the parser takes
)
def _transformer_encoder_layer_fwd(
    src: Any, embed_dim: int, num_heads: int, qkv_weight: Any, qkv_bias: Any, proj_weight: Any, proj_bias:
    Any,
    use_gelu: bool, norm_first: bool, eps: float, norm_weight_1: Any, norm_bias_1: Any, norm_weight_2: Any,
    norm_bias_2: Any, ffn_weight_1: Any, ffn_bias_1: Any, ffn_weight_2: Any, ffn_bias_2: Any,
    mask: Any = None,
    mask_type: int | None = None,
) -> Any:  # fmt: skip
    functional = fb.nn.functional

    def norm(x: Any, weight: Any, bias: Any) -> Any:
        return functional.layer_norm(x, (embed_dim,), weight, bias, eps)

    def attend(x: Any) -> Any:
        parts = (embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias)
        return fb._native_multi_head_attention(x, x, x, *parts, mask, False, True, mask_type)[0]

    def feed_forward(x: Any) -> Any:
        inner = functional.linear(x, ffn_weight_1, ffn_bias_1)
        inner = functional.gelu(inner) if use_gelu else inner.relu_()
        return functional.linear(inner, ffn_weight_2, ffn_bias_2)

    if norm_first:
        src = src + attend(norm(src, norm_weight_1, norm_bias_1))
        return src + feed_forward(norm(src, norm_weight_2, norm_bias_2))
    src = norm(src + attend(src), norm_weight_1, norm_bias_1)
    return norm(src + feed_forward(src), norm_weight_2, norm_bias_2)
