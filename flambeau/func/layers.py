"""How layers and losses work on all samples of batched tensors at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from .._rules import given, noting
from ..utils._pytree import tree_flatten
from .batched import aligned, is_batched, levels_of, logical_dim, looped, make, physical, sizes, union
from .rules import _RULES, random

_rule = noting(_RULES)


def _folded(func: Callable, args: tuple, kwargs: dict, need: int) -> Any:
    """Samples become rows of the operator's own batch; only where nothing but the input is batched."""
    t = args[0]
    others = [x for x in tree_flatten((args[1:], kwargs))[0] if is_batched(x)]
    low = logical_dim(t)
    if others or not is_batched(t) or low not in (need, need - 1):
        return looped(func, args, kwargs)
    levels, n = levels_of(t), len(levels_of(t))
    data = physical(t)
    lead = data.shape[: n + 1] if low == need else data.shape[:n]
    result = func(data.reshape(-1, *data.shape[len(lead) :]), *args[1:], **kwargs)
    if isinstance(result, fb.Tensor):
        return make(result.reshape(*lead, *result.shape[1:]), levels)
    return tuple(make(r.reshape(*lead, *r.shape[1:]), levels) for r in result)


for _dims in (1, 2, 3):
    for _n in "conv_transpose{}d max_pool{}d avg_pool{}d adaptive_avg_pool{}d".split():
        _RULES[_n.format(_dims)] = lambda func, args, kwargs, need=_dims + 2: _folded(
            func, args, kwargs, need
        )
    _RULES[f"conv{_dims}d"] = lambda func, args, kwargs, need=_dims + 2: _convolution(
        func, args, kwargs, need
    )


def _convolution(func: Callable, args: tuple, kwargs: dict, need: int) -> Any:
    t, weight, bias, stride, padding, dilation, groups = given(
        args,
        kwargs,
        "input weight bias stride padding dilation groups",
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
    )
    if not is_batched(weight):
        return _folded(func, args, kwargs, need)
    levels = union((t, weight, bias))
    if logical_dim(t) not in (need, need - 1) or levels_of(weight) != levels:
        return looped(func, args, kwargs)
    # every sample has weights of its own: samples are groups of one convolution
    n, single = len(levels), logical_dim(t) < need
    data = aligned(t, levels, full=True)
    data = (data.unsqueeze(n) if single else data).flatten(0, n - 1).transpose(0, 1).flatten(1, 2)
    kernels = physical(weight).flatten(0, n)
    added = None if bias is None else aligned(bias, levels, full=True).flatten()
    count = kernels.shape[0] // physical(weight).shape[n]
    result = func(data, kernels, added, stride, padding, dilation, groups * count)
    result = result.unflatten(1, (count, -1)).transpose(0, 1).unflatten(0, sizes(levels))
    return make(result.squeeze(n) if single else result, levels)


@_rule("convolution_backward")
def _convolution_backward(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Only what the input gets: cotangents become rows of the batch."""
    g, t, weight, bias_sizes, *options, mask = args
    if not mask[0] or mask[1] or mask[2] or is_batched(t) or is_batched(weight) or not is_batched(g):
        return looped(func, args, kwargs)
    levels, n = levels_of(g), len(levels_of(g))
    rows = physical(g).flatten(0, n)
    like = t.new_empty((rows.shape[0], *t.shape[1:]))  # its values do not matter
    made = func(rows, like, weight, bias_sizes, *options, mask)[0]
    return make(made.reshape(*physical(g).shape[: n + 1], *t.shape[1:]), levels), None, None


@_rule("embedding")
def _embedding(func: Callable, args: tuple, kwargs: dict) -> Any:
    if is_batched(args[0]) and is_batched(args[1]):
        return looped(func, args, kwargs)
    if is_batched(args[0]) and not is_batched(args[1]):
        # torch.embedding has the weight first
        if not args[1].is_floating_point():
            return make(
                physical(args[0])[(slice(None),) * len(levels_of(args[0])) + (args[1],)], levels_of(args[0])
            )
        return make(func(physical(args[0]), *args[1:], **kwargs), levels_of(args[0]))
    if is_batched(args[1]) and not args[0].is_floating_point():
        return looped(func, args, kwargs)
    return make(func(args[0], physical(args[1]), *args[2:], **kwargs), levels_of(args[1]))


@_rule("layer_norm")
def _layer_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, shape, weight, bias, eps = given(
        args, kwargs, "input normalized_shape weight bias eps", weight=None, bias=None, eps=1e-5
    )
    if not is_batched(t):
        return looped(func, args, kwargs)
    if not is_batched(weight) and not is_batched(bias):
        return make(func(physical(t), shape, weight, bias, eps), levels_of(t))
    result = make(func(physical(t), shape, None, None, eps), levels_of(t))
    if weight is not None:
        result = _RULES["mul"](fb.mul, (result, weight), {})
    return result if bias is None else _RULES["add"](fb.add, (result, bias), {})


@_rule("scaled_dot_product_attention")
def _attention(func: Callable, args: tuple, kwargs: dict) -> Any:
    dropped = args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0)
    if dropped:
        return random(func, args, kwargs)
    mask = args[3] if len(args) > 3 else kwargs.get("attn_mask")
    if len(args) < 3 or is_batched(mask) or len({logical_dim(t) for t in args[:3]}) > 1:
        return looped(func, args, kwargs)
    levels = union(args[:3])
    return make(func(*(aligned(t, levels, full=True) for t in args[:3]), *args[3:], **kwargs), levels)


@_rule("cross_entropy_loss")
def _cross_entropy(func: Callable, args: tuple, kwargs: dict) -> Any:
    logits, target, weight, reduction, ignored, smoothing = given(
        args, kwargs, "input target weight reduction ignore_index label_smoothing",
        weight=None, reduction=1, ignore_index=-100, label_smoothing=0.0,
    )  # fmt: skip
    if weight is not None or smoothing or target.is_floating_point() or logical_dim(logits) == 0:
        return looped(func, args, kwargs)
    levels = union((logits, target))
    n = len(levels)
    classes = n + min(logical_dim(logits) - 1, 1)
    index = aligned(target, levels, full=True)
    counts = index != ignored
    logs = fb.log_softmax(aligned(logits, levels, full=True), classes)
    losses = logs.gather(classes, index.masked_fill(~counts, 0).unsqueeze(classes)).squeeze(classes)
    losses = losses.neg().masked_fill(~counts, 0)
    if reduction == 0:
        return make(losses, levels)
    total, dims = losses, tuple(range(n, losses.dim()))
    if dims:
        total, counts = losses.sum(dims), counts.sum(dims)
    return make(total / counts if reduction == 1 else total, levels)
