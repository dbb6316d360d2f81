"""A layer of a transformer for answering: what follows its attention in one pass over the rows.

Only where nobody can tell: no gradients, no hooks, no modes that watch the calls, modules of exactly these
classes.
"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F
from flambeau.nn.functional.attention import scaled_dot_product_attention
from flambeau.nn.modules import activation, dropout, linear, normalization
from flambeau.nn.parameter import Parameter

_PARTS = {
    "self_attn": activation.MultiheadAttention,
    "linear1": linear.Linear,
    "linear2": linear.Linear,
    "norm1": normalization.LayerNorm,
    "norm2": normalization.LayerNorm,
    "dropout": dropout.Dropout,
    "dropout1": dropout.Dropout,
    "dropout2": dropout.Dropout,
}
_TENSORS = (Parameter, Tensor)


# What is called as long as nobody puts something else in its place.
_FORWARD = {kind: kind.forward for kind in _PARTS.values()}
_CALLED = (F.linear, F.layer_norm, F.multi_head_attention_forward)
_GELU, _RELU = F.gelu, F.relu


def _activation_of(layer: Any) -> str | None:
    if layer.activation is _GELU:
        return "gelu"
    return "relu" if layer.activation is _RELU else None


def _parts_of(layer: Any, width: int) -> list[Any] | None:
    """The modules of `layer`, if calling them is no more than computing what their classes say."""
    if (F.linear, F.layer_norm, F.multi_head_attention_forward) != _CALLED:
        return None
    parts = [layer._modules.get(name) for name in _PARTS]
    for part, kind in zip(parts, _PARTS.values(), strict=True):
        if type(part) is not kind or not part._runs(_FORWARD[kind]):
            return None
    attention, linear1, linear2, norm1, norm2, *dropouts = parts
    if attention.training or any(d.training for d in dropouts):
        return None
    if not (
        attention.batch_first
        and attention._qkv_same_embed_dim
        and attention.embed_dim == width
        and attention.bias_k is None
        and attention.bias_v is None
        and not attention.add_zero_attn
        and norm1.normalized_shape == norm2.normalized_shape == (width,)
    ):
        return None
    return [attention, linear1, linear2, norm1, norm2]


def _is_float(t: Any) -> bool:
    return t is None or (type(t) in _TENSORS and t.dtype is fb.float32)


def _merged(
    mask: Tensor | None, padding: Tensor | None, batch: int, heads: int, length: int
) -> tuple[bool, Tensor | None]:
    """Whether the masks have the right shapes, and both in one for all heads."""
    if mask is not None:
        if mask.shape == (length, length):
            mask = mask.view(1, 1, length, length)
        elif mask.shape == (batch * heads, length, length):
            mask = mask.view(batch, heads, length, length)
        else:
            return False, None
    if padding is not None:
        if padding.shape != (batch, length):
            return False, None
        padding = padding.view(batch, 1, 1, length)
        mask = padding if mask is None else mask + padding
    return True, mask


def run(layer: Any, x: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool) -> Tensor | None:
    """What `layer` makes of `x`, or None where it has to call its modules one by one."""
    if type(x) not in _TENSORS or x.dim() != 3 or x.dtype is not fb.float32 or (is_causal and mask is None):
        return None
    batch, length, width = x.shape
    parts, kind = _parts_of(layer, width), _activation_of(layer)
    if parts is None or kind is None:
        return None
    attention, linear1, linear2, norm1, norm2 = parts
    projection = attention.out_proj
    first, second = (norm1.weight, norm1.bias), (norm2.weight, norm2.bias)
    up, down = (linear1.weight, linear1.bias), (linear2.weight, linear2.bias)
    project, inner = (projection.weight, projection.bias), (attention.in_proj_weight, attention.in_proj_bias)
    if not all(map(_is_float, (*first, *second, *up, *down, *project, *inner))):
        return None
    heads = attention.num_heads
    causal = is_causal and padding is None
    fits, merged = _merged(mask, padding, batch, heads, length)
    if not fits:
        return None
    y = F.layer_norm(x, norm1.normalized_shape, *first, norm1.eps) if layer.norm_first else x
    q, k, v = F.linear(y, *inner).view(batch, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    attended = scaled_dot_product_attention(q, k, v, None if causal else merged, 0.0, causal)
    attended = attended.transpose(1, 2).reshape(batch, length, width)
    eps = (norm1.eps, norm2.eps)
    return fb._after_attention(
        attended, x, *project, *first, *up, *down, *second, *eps, layer.norm_first, kind
    )
