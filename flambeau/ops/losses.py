"""Losses of whole batches, with the reduction as PyTorch's number: 1 the mean, 2 the sum, else none."""

from __future__ import annotations

import math

import flambeau as fb

from .registry import composite


def _reduced(loss: fb.Tensor, reduction: int) -> fb.Tensor:
    return loss.mean() if reduction == 1 else loss.sum() if reduction == 2 else loss


@composite(
    "cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=0) "
    "-> Tensor"
)
def cosine_embedding_loss(
    input1: fb.Tensor, input2: fb.Tensor, target: fb.Tensor, margin: float = 0.0, reduction: int = 0
) -> fb.Tensor:
    """``1 - cos`` of the two inputs where the target is 1, ``max(0, cos - margin)`` where it is -1."""
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1.dim() == input2.dim() == target.dim() + 1:
        raise RuntimeError(
            f"{target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but found inputs "
            f"with sizes {list(input1.size())} and {list(input2.size())}."
        )
    tiny = 1e-12
    squared1, squared2 = (input1 * input1).sum(-1) + tiny, (input2 * input2).sum(-1) + tiny
    cos = (input1 * input2).sum(-1) / (squared1 * squared2).sqrt()
    zero = fb.zeros_like(cos)
    near = fb.where(target == 1, 1 - cos, zero)
    far = fb.where(target == -1, (cos - float(margin)).clamp_min(0), zero)
    return _reduced(near + far, reduction)


@composite("hinge_embedding_loss(Tensor self, Tensor target, float margin=1., int reduction=0) -> Tensor")
def hinge_embedding_loss(
    input: fb.Tensor, target: fb.Tensor, margin: float = 1.0, reduction: int = 0
) -> fb.Tensor:
    """`input` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    zero = fb.zeros_like(input)
    beyond = (float(margin) - input).clamp_min(0).to(input.dtype)  # integers stay integers
    far = fb.where(target != 1, beyond, zero)
    near = fb.where(target != -1, input, zero)
    return _reduced(far + near, reduction)


@composite(
    "margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=0) "
    "-> Tensor"
)
def margin_ranking_loss(
    input1: fb.Tensor, input2: fb.Tensor, target: fb.Tensor, margin: float = 0.0, reduction: int = 0
) -> fb.Tensor:
    """``max(0, margin - target * (input1 - input2))``: the first is to be larger where the target is 1."""
    return _reduced((-target * (input1 - input2) + margin).clamp_min(0), reduction)


@composite(
    "poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) "
    "-> Tensor"
)
def poisson_nll_loss(
    input: fb.Tensor, target: fb.Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> fb.Tensor:
    """Negative log likelihood of counts `target` under Poisson rates ``exp(input)``, or `input` itself."""
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return _reduced(loss, reduction)


@composite(
    "triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1., float p=2., "
    "float eps=1e-06, bool swap=False, int reduction=0) -> Tensor"
)
def triplet_margin_loss(
    anchor: fb.Tensor, positive: fb.Tensor, negative: fb.Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: int = 0,
) -> fb.Tensor:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``."""
    dims = anchor.dim(), positive.dim(), negative.dim()
    if len(set(dims)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )
    near, far = (fb.pairwise_distance(anchor, t, p, eps) for t in (positive, negative))
    if swap:
        far = fb.minimum(far, fb.pairwise_distance(positive, negative, p, eps))
    return _reduced((margin + near - far).clamp_min(0), reduction)
