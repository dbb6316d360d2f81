"""Losses between predictions and targets."""

import math
import warnings
from collections.abc import Callable

import flambeau as fb
from flambeau import Tensor
from flambeau.nn._reduction import get_enum, resolve
from flambeau.nn.functional._core import core, publish


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    code = get_enum(reduction)
    return loss if code == 0 else loss.mean() if code == 1 else loss.sum()


def _warn_if_sizes_differ(input: Tensor, target: Tensor) -> None:
    if target.size() != input.size():
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the "
            "same size.",
            stacklevel=3,
        )


def _elementwise(
    kernel: Callable, input: Tensor, target: Tensor, weight: Tensor | None, reduction: str
) -> Tensor:
    """A loss of pairs of elements (``kernel(input, target, code)``), weighted where `weight` is given."""
    _warn_if_sizes_differ(input, target)
    if weight is not None and weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    input, target = fb.broadcast_tensors(input, target)
    if weight is None:
        return kernel(input, target, get_enum(reduction))
    loss = kernel(input, target, 0) * weight
    code = get_enum(reduction)
    if code == 0:
        return loss
    return loss.sum() / weight.sum() if code == 1 else loss.sum()


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Absolute differences; a mean is one weighted by `weight`."""
    return _elementwise(core.l1_loss, input, target, weight, resolve(reduction, size_average, reduce))


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Squared differences; a mean is one weighted by `weight`."""
    return _elementwise(core.mse_loss, input, target, weight, resolve(reduction, size_average, reduce))


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``0.5 d²`` where the difference ``|d| < delta``, ``delta (|d| - 0.5 delta)`` elsewhere (Huber 1964)."""
    if weight is None:
        return _elementwise(
            lambda x, y, code: core.huber_loss(x, y, code, delta), input, target, None, reduction
        )
    # torch divides by the number of elements here, not by the sum of the weights
    _warn_if_sizes_differ(input, target)
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")
    input, target = fb.broadcast_tensors(input, target)
    return _reduced(core.huber_loss(input, target, 0, delta) * weight, reduction)


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """``0.5 d² / beta`` where the difference ``|d| < beta``, ``|d| - 0.5 beta`` elsewhere."""
    reduction = resolve(reduction, size_average, reduce)
    if beta == 0.0:
        return _elementwise(core.l1_loss, input, target, None, reduction)
    return _elementwise(
        lambda x, y, code: core.smooth_l1_loss(x, y, code, beta), input, target, None, reduction
    )


# ------------------------------------------------------------------------------------ probabilities


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log likelihood of the target classes.

    Parameters
    ----------
    input : Tensor of shape (N, C) or (N, C, ...)
        Log probabilities.
    target : integer Tensor of shape (N,) or (N, ...)
    weight : Tensor of shape (C,), optional
    ignore_index : int
        A class that does not count.
    """
    reduction = resolve(reduction, size_average, reduce)
    return core.nll_loss_nd(input, target, weight, get_enum(reduction), ignore_index)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy between logits and target classes, or target probabilities.

    Parameters
    ----------
    input : Tensor of shape (C,), (N, C) or (N, C, ...)
        Logits.
    target : Tensor
        Class indices of shape (), (N,) or (N, ...); or probabilities in the shape of `input`.
    weight : Tensor of shape (C,), optional
    ignore_index : int
        A class that does not count.
    label_smoothing : float
        How much of each target is spread over all classes (Szegedy et al. 2015).
    """
    reduction = resolve(reduction, size_average, reduce)
    return core.cross_entropy_loss(input, target, weight, get_enum(reduction), ignore_index, label_smoothing)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Cross entropy of probabilities `input` and `target`, element by element."""
    code = get_enum(resolve(reduction, size_average, reduce))
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is "
            "deprecated. Please ensure they have the same size."
        )
    if weight is not None:
        weight = weight.expand(fb.broadcast_shapes(target.size(), weight.size()))
    return core.binary_cross_entropy(input, target, weight, code)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Cross entropy of ``sigmoid(input)`` and `target`; `pos_weight` weighs the positive part."""
    code = get_enum(resolve(reduction, size_average, reduce))
    if target.size() != input.size():
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()})")
    return fb.binary_cross_entropy_with_logits(input, target, weight, pos_weight, code)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """Kullback-Leibler divergence of log probabilities `input` from `target`.

    ``reduction="batchmean"`` divides the sum by the size of the batch, as the definition has it.
    """
    reduction = resolve(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if reduction == "batchmean":
        total = fb.kl_div(input, target, get_enum("sum"), log_target=log_target)
        return total / input.size(0) if input.dim() else total
    return fb.kl_div(input, target, get_enum(reduction), log_target=log_target)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of counts `target` under Poisson rates ``exp(input)``, or `input` itself.

    `full` adds Stirling's approximation of the term that does not depend on the rate.
    """
    reduction = resolve(reduction, size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return fb.poisson_nll_loss(input, target, log_input, full, eps, get_enum(reduction))


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log likelihood of `target` under Gaussians of mean `input` and variance `var` (at least
    `eps`).
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = var * fb.ones_like(input)
    elif bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.size() != input.size():
        if input.size()[:-1] == var.size():
            var = var.unsqueeze(-1)
        elif not (input.size()[:-1] == var.size()[:-1] and var.size(-1) == 1):
            # else: the last dimension is shared already
            broadcastable = var.dim() == input.dim() and all(
                v in (1, i) for v, i in zip(var.shape, input.shape, strict=True)
            )
            if not broadcastable:
                raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    with fb.no_grad():
        var.clamp_(min=eps)
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Connectionist temporal classification (Graves et al. 2006).

    Parameters
    ----------
    log_probs : Tensor of shape (T, N, C) or (T, C)
    targets : integer Tensor of shape (N, S), or all targets in a row
    input_lengths, target_lengths : integer Tensor of shape (N,)
    blank : int
        The class that stands for no label.
    zero_infinity : bool
        Replace infinite losses (and their gradients) by zero.
    """
    return fb.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, get_enum(reduction), zero_infinity
    )


# ------------------------------------------------------------------------------------------ margins


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``log(1 + exp(-target * input))`` with targets -1 and 1."""
    return core.soft_margin_loss(input, target, get_enum(resolve(reduction, size_average, reduce)))


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Hinge loss of the target class against every other: ``max(0, margin - x[y] + x[i]) ** p``."""
    code = get_enum(resolve(reduction, size_average, reduce))
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    return core.multi_margin_loss(input, target, p, margin, weight, code)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Hinge loss of several target classes a sample; each row of `target` ends with -1."""
    return core.multilabel_margin_loss(input, target, get_enum(resolve(reduction, size_average, reduce)))


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Mean over the classes of the binary cross entropies of ``sigmoid(input)`` and `target`."""
    reduction = resolve(reduction, size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    log_sigmoid = core.log_sigmoid
    loss = -(target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(dim=-1) / input.size(-1), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`input` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    code = get_enum(resolve(reduction, size_average, reduce))
    return fb.hinge_embedding_loss(input, target, margin, code)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, margin - target * (input1 - input2))``: the first is to be larger where the target is 1."""
    code = get_enum(resolve(reduction, size_average, reduce))
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return fb.margin_ranking_loss(input1, input2, target, margin, code)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``1 - cos`` of the two inputs where the target is 1, ``max(0, cos - margin)`` where it is -1."""
    code = get_enum(resolve(reduction, size_average, reduce))
    return fb.cosine_embedding_loss(input1, input2, target, margin, code)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = anchor.dim(), positive.dim(), negative.dim()
    if len(set(dims)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )


def _triplet(
    distance: Callable,
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = fb.min(far, distance(positive, negative))
    return _reduced((margin + near - far).clamp_min(0), reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the `p`-norm distance.

    `swap` takes the distance of positive and negative where it is smaller (Balntas et al. 2016).
    """
    code = get_enum(resolve(reduction, size_average, reduce))
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return fb.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, code)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with any distance; the Euclidean one by default."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _check_triplet(anchor, positive, negative, margin)
    distance = fb.pairwise_distance if distance_function is None else distance_function
    return _triplet(distance, anchor, positive, negative, margin, swap, reduction)


publish(globals())
