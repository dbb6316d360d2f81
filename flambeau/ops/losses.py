"""Losses under ``torch.*``: there the reduction is a number; the formulas are in `nn.functional.loss`."""

from __future__ import annotations

import flambeau as fb

from .registry import composite

_REDUCTIONS = ("none", "mean", "sum")


@composite(
    "cosine_embedding_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=0) "
    "-> Tensor"
)
def cosine_embedding_loss(
    input1: fb.Tensor, input2: fb.Tensor, target: fb.Tensor, margin: float = 0.0, reduction: int = 0
) -> fb.Tensor:
    """``1 - cos`` where the target is 1, ``max(0, cos - margin)`` where it is -1."""
    loss = fb.nn.functional.cosine_embedding_loss
    return loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


@composite("hinge_embedding_loss(Tensor self, Tensor target, float margin=1., int reduction=0) -> Tensor")
def hinge_embedding_loss(
    input: fb.Tensor, target: fb.Tensor, margin: float = 1.0, reduction: int = 0
) -> fb.Tensor:
    """`input` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    return fb.nn.functional.hinge_embedding_loss(input, target, margin, reduction=_REDUCTIONS[reduction])


@composite(
    "margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, float margin=0., int reduction=0) "
    "-> Tensor"
)
def margin_ranking_loss(
    input1: fb.Tensor, input2: fb.Tensor, target: fb.Tensor, margin: float = 0.0, reduction: int = 0
) -> fb.Tensor:
    """``max(0, margin - target * (input1 - input2))``."""
    loss = fb.nn.functional.margin_ranking_loss
    return loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


@composite(
    "poisson_nll_loss(Tensor input, Tensor target, bool log_input, bool full, float eps, int reduction) "
    "-> Tensor"
)
def poisson_nll_loss(
    input: fb.Tensor, target: fb.Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> fb.Tensor:
    """Negative log likelihood of counts under Poisson rates."""
    loss = fb.nn.functional.poisson_nll_loss
    return loss(input, target, log_input, full, eps=eps, reduction=_REDUCTIONS[reduction])


@composite(
    "triplet_margin_loss(Tensor anchor, Tensor positive, Tensor negative, float margin=1., float p=2., "
    "float eps=1e-06, bool swap=False, int reduction=0) -> Tensor"
)
def triplet_margin_loss(
    anchor: fb.Tensor, positive: fb.Tensor, negative: fb.Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: int = 0,
) -> fb.Tensor:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``."""
    near, far = (fb.pairwise_distance(anchor, t, p, eps) for t in (positive, negative))
    if swap:
        far = fb.minimum(far, fb.pairwise_distance(positive, negative, p, eps))
    loss = (margin + near - far).clamp_min(0)
    return loss if reduction == 0 else loss.mean() if reduction == 1 else loss.sum()
