"""Mistakes in what a loss function is given, read off the operators that it called."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ._findings import Checkup

_PAIRWISE_LOSSES = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div"}
_DIFFERENCES = {"sub", "rsub", "__sub__", "mul"}  # of a loss written by hand


def examine(found: Checkup, calls: list[tuple[str, tuple, dict]]) -> None:
    """Look at each operator that the loss called."""
    for name, args, kwargs in calls:
        if name in ("cross_entropy_loss", "cross_entropy"):
            _double_softmax(found, args[0])
            _labels(found, "cross_entropy", args, kwargs)
        elif name in ("nll_loss_nd", "nll_loss", "nll_loss2d"):
            _no_log_softmax(found, args[0])
            _labels(found, "nll_loss", args, kwargs)
        elif name == "binary_cross_entropy_with_logits":
            _double_sigmoid(found, args[0])
            _probabilities(found, name, _target(args, kwargs))
        elif name == "binary_cross_entropy":
            _probabilities(found, name, _target(args, kwargs))
        if len(args) > 1 and (name in _PAIRWISE_LOSSES or name in ("broadcast_tensors", *_DIFFERENCES)):
            _broadcast(found, args[0], args[1], name in _DIFFERENCES)


def _target(args: tuple, kwargs: dict) -> Any:
    return args[1] if len(args) > 1 else kwargs.get("target")


def _made_by(tensor: fb.Tensor) -> str:
    return tensor.grad_fn.name().lower() if tensor.grad_fn is not None else ""


def _sums_to_one(scores: fb.Tensor) -> bool:
    if scores.dim() < 2 or scores.shape[1] < 2:
        return False
    values = scores.detach().float()
    return bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < 1e-3).all())


def _double_softmax(found: Checkup, scores: fb.Tensor) -> None:
    made = _made_by(scores)
    if made.startswith("logsoftmax"):
        found.add(
            "double softmax",
            "warning",
            "",
            "log_softmax is applied before cross_entropy, which applies it again (harmless, but wasted)",
            "take it out, or use nll_loss",
        )
    elif made.startswith("softmax") or _sums_to_one(scores):
        found.add(
            "double softmax",
            "error",
            "",
            "cross_entropy gets probabilities (each row sums to 1), but applies softmax itself: learning is "
            "slow and the loss cannot come near 0",
            "give it the scores before the softmax",
        )


def _no_log_softmax(found: Checkup, scores: fb.Tensor) -> None:
    values = scores.detach()
    if values.numel() and bool((values > 1e-4).any()):
        found.add(
            "nll_loss without log_softmax",
            "error",
            "",
            f"nll_loss expects log-probabilities, which are never positive; it got values up to "
            f"{values.max().item():.4g}",
            "apply log_softmax first, or use cross_entropy on the scores",
        )


def _double_sigmoid(found: Checkup, scores: fb.Tensor) -> None:
    if _made_by(scores).startswith("sigmoid"):
        found.add(
            "double sigmoid",
            "error",
            "",
            "binary_cross_entropy_with_logits gets the results of a sigmoid, but applies one itself",
            "give it the scores before the sigmoid, or use binary_cross_entropy",
        )


def _labels(found: Checkup, name: str, args: tuple, kwargs: dict) -> None:
    scores, target = args[0], _target(args, kwargs)
    if target.is_floating_point() or not target.numel():
        return
    classes = scores.shape[1] if scores.dim() > 1 else scores.shape[0]
    ignored = kwargs.get("ignore_index", args[4] if len(args) > 4 else -100)
    wrong = ((target < 0) | (target >= classes)) & (target != ignored)
    if bool(wrong.any()):
        values = sorted(set(target[wrong].flatten().tolist()))
        found.add(
            "labels out of range",
            "error",
            "",
            f"{name} has {classes} classes, 0 to {classes - 1}; {int(wrong.sum())} labels are outside: "
            f"{', '.join(map(str, values[:5]))}",
            "count classes from 0 and give the last layer as many outputs as there are classes",
        )


def _probabilities(found: Checkup, name: str, target: Any) -> None:
    if isinstance(target, fb.Tensor) and target.numel():
        low, high = target.amin().item(), target.amax().item()
        if low < 0 or high > 1:
            found.add(
                "labels out of range",
                "error",
                "",
                f"{name} expects targets from 0 to 1; they go from {low:.4g} to {high:.4g}",
            )


def _broadcast(found: Checkup, a: Any, b: Any, by_hand: bool) -> None:
    if not (isinstance(a, fb.Tensor) and isinstance(b, fb.Tensor)) or a.shape == b.shape:
        return
    together = fb.broadcast_shapes(a.shape, b.shape)
    # a difference that stretches one side may be meant; (N, 1) - (N,), which stretches both, is not
    both_stretched = together.numel() > max(a.numel(), b.numel())
    if (both_stretched or not by_hand) and "shapes broadcast" not in found.kinds():
        found.add(
            "shapes broadcast",
            "error",
            "",
            f"predictions {tuple(a.shape)} and targets {tuple(b.shape)} differ in shape and are stretched to "
            f"{tuple(together)}",
            "make the shapes equal: prediction.squeeze(1), or target.unsqueeze(1)",
        )
