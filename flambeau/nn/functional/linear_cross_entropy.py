"""The cross entropy of a linear layer over many classes, without the logits of the whole batch in memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import flambeau as fb
from flambeau import Tensor
from flambeau.nn._reduction import get_enum
from flambeau.nn.functional._core import core, publish
from flambeau.nn.functional.loss import cross_entropy

if TYPE_CHECKING:
    from flambeau.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, options: LinearCrossEntropyOptions | None = None,
) -> Tensor:  # fmt: skip
    """Cross entropy of ``linear(input, linear_weight, linear_bias)`` and `target`.

    Parameters
    ----------
    input : Tensor of shape (N, D) or (D,)
    linear_weight : Tensor of shape (C, D) or (C, d1, ..., dK, D)
    target : Tensor
        As in :func:`cross_entropy`.
    linear_bias : Tensor of shape (C,) or (C, d1, ..., dK), optional
    options : LinearCrossEntropyOptions, optional
        Take the batch in pieces.
    """
    _check_shapes(input, linear_weight, linear_bias)
    settings = {
        "weight": weight,
        "ignore_index": -100 if ignore_index is None else ignore_index,
        "label_smoothing": label_smoothing,
    }
    if options is not None:
        if linear_weight.dim() == 2 and input.dim() == 2 and target.dim() == 1 and label_smoothing == 0:
            return _in_pieces(input, linear_weight, target, linear_bias, reduction, settings, options)
        warnings.warn(
            "linear_cross_entropy: ``options`` ignored; pieces need one dimension of classes, class indices "
            "as targets and no label smoothing",
            stacklevel=2,
        )
    logits = _logits(input, linear_weight, linear_bias)
    return cross_entropy(logits, target, reduction=reduction, **settings)


def _check_shapes(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> None:
    if input.dim() not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}"
        )
    if input.size(-1) != linear_weight.size(-1):
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {input.size(-1)} and "
            f"{linear_weight.size(-1)}, respectively"
        )
    if input.dim() == 1 and linear_weight.dim() > 2:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires "
            f"batched input, (N, {input.size(-1)}), got unbatched input with shape {tuple(input.shape)}"
        )
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        raise RuntimeError(
            f"expected linear_bias shape {tuple(linear_weight.shape[:-1])}, got {tuple(linear_bias.shape)}"
        )


def _logits(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> Tensor:
    if linear_weight.dim() == 2:
        return core.linear(input, linear_weight, linear_bias)
    bias = None if linear_bias is None else linear_bias.flatten()
    flat = core.linear(input, linear_weight.flatten(0, -2), bias)
    return flat.unflatten(-1, linear_weight.shape[:-1])


def _in_pieces(
    input: Tensor, linear_weight: Tensor, target: Tensor, linear_bias: Tensor | None, reduction: str,
    settings: dict, options: LinearCrossEntropyOptions,
) -> Tensor:  # fmt: skip
    """The loss from pieces of the batch; their logits are computed again in the backward, not kept."""
    from flambeau.utils.checkpoint import checkpoint

    code = get_enum(reduction)
    weight = settings["weight"]
    if input.dtype in (fb.float16, fb.bfloat16):
        # logits and sums over pieces would lose too much in 16 bits
        linear_weight = linear_weight.float()
        linear_bias = None if linear_bias is None else linear_bias.float()
        settings["weight"] = None if weight is None else weight.float()

    def piece(rows: Tensor, classes: Tensor) -> Tensor:
        logits = core.linear(rows.to(linear_weight.dtype), linear_weight, linear_bias)
        return cross_entropy(logits, classes, reduction="sum" if code else "none", **settings)

    size = options.batch_chunk_size or max(1, -(-input.numel() // linear_weight.size(0)))
    losses = [
        checkpoint(piece, rows, classes, use_reentrant=False)
        for rows, classes in zip(input.split(size), target.split(size), strict=True)
    ]
    if code == 0:
        return fb.cat(losses).to(input.dtype)
    total = fb.stack(losses).sum()
    if code == 1:
        counted = target != settings["ignore_index"]
        total = total / (counted.sum() if weight is None else weight[target[counted]].sum())
    return total.to(input.dtype)


publish(globals())
