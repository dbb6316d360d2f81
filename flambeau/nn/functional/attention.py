"""Attention with several heads."""

from __future__ import annotations

import math
import warnings

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.functional._core import core, op, publish

scaled_dot_product_attention = op("scaled_dot_product_attention")


def _expect(condition: bool, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def _check_dims(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether the inputs are batched; AssertionError where their numbers of dimensions disagree."""
    dim = query.dim()
    _expect(
        dim in (2, 3), f"query should be unbatched 2D or batched 3D tensor but received {dim}-D query tensor"
    )
    kind = "batched (3-D)" if dim == 3 else "unbatched (2-D)"
    _expect(
        key.dim() == value.dim() == dim,
        f"For {kind} `query`, expected `key` and `value` to be {dim}-D but found {key.dim()}-D and "
        f"{value.dim()}-D tensors respectively",
    )
    if key_padding_mask is not None:
        _expect(
            key_padding_mask.dim() == dim - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {dim - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead",
        )
    if attn_mask is not None:
        _expect(
            attn_mask.dim() in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.dim()}-D tensor instead",
        )
        if dim == 2 and attn_mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            _expect(
                attn_mask.shape == expected,
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape}",
            )
    return dim == 3


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: fb.dtype | None,
    other_name: str,
    target_type: fb.dtype,
    check_other: bool = True,
) -> Tensor | None:
    """`mask` as numbers to add: a boolean one becomes -inf where it is True."""
    if mask is None:
        return None
    is_float = mask.is_floating_point()
    _expect(mask.dtype == fb.bool or is_float, f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type for both "
            "instead.",
            stacklevel=3,
        )
    if is_float:
        return mask
    return fb.zeros_like(mask, dtype=target_type).masked_fill_(mask, float("-inf"))


def _by_batch(x: Tensor) -> bool:
    """Whether a sequence (length, batch, features) lies in memory batch by batch."""
    return not x.is_contiguous() and x.transpose(0, 1).is_contiguous()


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` that keeps the order in memory, so that nothing is copied."""
    if _by_batch(x):
        return core.linear(x.transpose(0, 1), weight, bias).transpose(0, 1)
    return core.linear(x, weight, bias)


def _project(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    separate: tuple,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values from the inputs, in as few products as their being the same allows."""
    linear = _linear
    if separate[0] is not None:
        biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
        return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), separate, biases, strict=True))
    size = query.size(-1)
    if key is value:
        if query is key:
            return linear(query, in_proj_weight, in_proj_bias).chunk(3, dim=-1)
        weight_q, weight_kv = in_proj_weight.split([size, 2 * size])
        bias_q, bias_kv = (None, None) if in_proj_bias is None else in_proj_bias.split([size, 2 * size])
        return linear(query, weight_q, bias_q), *linear(key, weight_kv, bias_kv).chunk(2, dim=-1)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    weights = in_proj_weight.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of `num_heads` heads with its projections (Vaswani et al. 2017).

    Parameters
    ----------
    query : Tensor of shape (L, N, E) or (L, E)
    key, value : Tensor of shape (S, N, ·) or (S, ·)
    embed_dim_to_check, num_heads : int
        E and the number of heads it is divided into.
    in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight : Tensor
        The three projections in one (3E, E), or apart with `use_separate_proj_weight`.
    bias_k, bias_v : Tensor of shape (1, 1, E), optional
        A position added to keys and values.
    add_zero_attn : bool
        Add a position of zeros.
    key_padding_mask : Tensor of shape (N, S) or (S,), optional
    attn_mask : Tensor of shape (L, S) or (N * num_heads, L, S), optional
        True, or a number that is added, where attention is not (or less) allowed.
    static_k, static_v : Tensor of shape (N * num_heads, S, E / num_heads), optional
        Used in place of the projected keys and values.
    is_causal : bool
        Says that `attn_mask` is the causal one.

    Returns
    -------
    Tensor of shape (L, N, E), and the attention weights (or None)
    """
    batched = _check_dims(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_key, same_value = key is query, value is key
        query = query.unsqueeze(1)
        key = query if same_key else key.unsqueeze(1)
        value = key if same_value else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed_dim = query.shape
    source = key.shape[0]
    key_padding_mask = _canonical_mask(
        key_padding_mask,
        "key_padding_mask",
        None if attn_mask is None else attn_mask.dtype,
        "attn_mask",
        query.dtype,
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        # the kernel makes the causal mask itself
        attn_mask = None
    else:
        attn_mask = _canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, check_other=False)
        is_causal = is_causal and key_padding_mask is None
    _expect(
        embed_dim == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}",
    )
    head_dim = embed_dim // num_heads
    _expect(
        head_dim * num_heads == embed_dim, f"embed_dim {embed_dim} not divisible by num_heads {num_heads}"
    )
    if use_separate_proj_weight:
        _expect(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
        for name, weight in (("q", q_proj_weight), ("k", k_proj_weight), ("v", v_proj_weight)):
            _expect(weight is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        _expect(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
        _expect(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        separate = (None, None, None)
    q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias, separate)

    if attn_mask is not None:
        if attn_mask.dim() == 2:
            expected = (length, source)
            if attn_mask.shape != expected:
                raise RuntimeError(
                    f"The shape of the 2D attn_mask is {attn_mask.shape}, but should be {expected}."
                )
            attn_mask = attn_mask.unsqueeze(0)
        else:
            expected = (batch * num_heads, length, source)
            if attn_mask.shape != expected:
                raise RuntimeError(
                    f"The shape of the 3D attn_mask is {attn_mask.shape}, but should be {expected}."
                )

    pad_shape = 0
    if bias_k is not None and bias_v is not None:
        _expect(static_k is None, "bias cannot be added to static key.")
        _expect(static_v is None, "bias cannot be added to static value.")
        k = fb.cat([k, bias_k.repeat(1, batch, 1)])
        v = fb.cat([v, bias_v.repeat(1, batch, 1)])
        pad_shape += 1
    else:
        _expect(bias_k is None, "bias_k is given but bias_v is not")
        _expect(bias_v is None, "bias_v is given but bias_k is not")

    heads = batch * num_heads
    apart = need_weights or add_zero_attn or static_k is not None or static_v is not None
    if apart:
        q = q.reshape(length, heads, head_dim).transpose(0, 1)
        k = _by_head(k, static_k, "static_k", heads, head_dim)
        v = _by_head(v, static_v, "static_v", heads, head_dim)
    else:  # views, which the kernel reads where they lie
        q, k, v = (x.view(x.shape[0], batch, num_heads, head_dim).permute(1, 2, 0, 3) for x in (q, k, v))
    if add_zero_attn:
        zeros = k.new_zeros(heads, 1, head_dim)
        k, v = fb.cat([k, zeros], dim=1), fb.cat([v, zeros], dim=1)
        pad_shape += 1
    if pad_shape:
        # the added positions are open to all
        attn_mask = None if attn_mask is None else core.pad(attn_mask, (0, pad_shape))
        key_padding_mask = None if key_padding_mask is None else core.pad(key_padding_mask, (0, pad_shape))
    source = k.size(-2)

    if key_padding_mask is not None:
        for d, expected in enumerate((batch, source)):
            found = key_padding_mask.shape[d]
            _expect(
                found == expected, f"Expected key_padded_mask.shape[{d}] to be {expected}, but got {found}"
            )
        padding = key_padding_mask.view(batch, 1, 1, source).expand(-1, num_heads, -1, -1)
        padding = padding.reshape(heads, 1, source)
        attn_mask = padding if attn_mask is None else attn_mask + padding

    if not training:
        dropout_p = 0.0
    if need_weights:
        return _with_weights(
            q, k, v, attn_mask, dropout_p, out_proj_weight, out_proj_bias, batched, batch, num_heads,
            average_attn_weights,
        )  # fmt: skip
    if attn_mask is not None:
        if attn_mask.size(0) == 1:
            attn_mask = attn_mask.unsqueeze(0)
        else:
            attn_mask = attn_mask.view(batch, num_heads, -1, source)
    if apart:
        q = q.view(batch, num_heads, length, head_dim)
        k = k.view(batch, num_heads, source, head_dim)
        v = v.view(batch, num_heads, source, head_dim)
    result = scaled_dot_product_attention(q, k, v, attn_mask, dropout_p, is_causal)
    if dropout_p == 0.0 and _by_batch(query):  # a dropout that follows draws its mask in the order of memory
        result = result.transpose(1, 2).reshape(batch, length, embed_dim)
        return core.linear(result, out_proj_weight, out_proj_bias).transpose(0, 1), None
    result = result.permute(2, 0, 1, 3).reshape(length * batch, embed_dim)
    result = core.linear(result, out_proj_weight, out_proj_bias).view(length, batch, -1)
    return (result if batched else result.squeeze(1)), None


def _by_head(projected: Tensor, static: Tensor | None, name: str, heads: int, head_dim: int) -> Tensor:
    if static is None:
        return projected.reshape(projected.shape[0], heads, head_dim).transpose(0, 1)
    _expect(static.size(0) == heads, f"expecting {name}.size(0) of {heads}, but got {static.size(0)}")
    _expect(static.size(2) == head_dim, f"expecting {name}.size(2) of {head_dim}, but got {static.size(2)}")
    return static


def _with_weights(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    batched: bool,
    batch: int,
    num_heads: int,
    average: bool,
) -> tuple[Tensor, Tensor]:
    """The attention whose weights are asked for: they exist as a tensor."""
    length, head_dim = q.shape[1:]
    q = q * math.sqrt(1.0 / head_dim)
    scores = fb.bmm(q, k.mT) if attn_mask is None else fb.baddbmm(attn_mask, q, k.mT)
    weights = scores.softmax(-1)
    if dropout_p > 0.0:
        weights = fb.dropout(weights, dropout_p, True)
    result = fb.bmm(weights, v).transpose(0, 1).reshape(length * batch, num_heads * head_dim)
    result = core.linear(result, out_proj_weight, out_proj_bias).view(length, batch, -1)
    weights = weights.view(batch, num_heads, length, -1)
    if average:
        weights = weights.mean(dim=1)
    return (result, weights) if batched else (result.squeeze(1), weights.squeeze(0))


publish(globals())


def _none_or_dtype(input: Tensor | None) -> fb.dtype | None:
    """The type of a tensor's elements, None of None."""
    if input is None:
        return None
    if isinstance(input, Tensor):
        return input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")
