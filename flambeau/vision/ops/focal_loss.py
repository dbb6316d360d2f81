"""The focal loss."""

from __future__ import annotations

import flambeau as fb
from flambeau.nn import functional as F

from ._reduction import reduced


def sigmoid_focal_loss(
    inputs: fb.Tensor, targets: fb.Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> fb.Tensor:
    """Binary cross entropy of logits in which easy samples count little. arXiv:1708.02002

    Parameters
    ----------
    inputs, targets : logits, and 0 or 1 for each.
    alpha : weight of the positive class, from 0 to 1; -1 for no weights.
    gamma : how much easy samples are turned down.
    """
    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")
    p = fb.sigmoid(inputs)
    entropy = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    right = p * targets + (1 - p) * (1 - targets)
    loss = entropy * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss.mean() if reduction == "mean" else reduced(loss, reduction)
