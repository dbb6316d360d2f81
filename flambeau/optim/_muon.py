"""Muon."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb

from ._stepper import Stepper, check_lr, zeros
from .optimizer import ParamsT

__all__ = ["Muon"]


class Muon(Stepper):
    """Momentum whose matrices are made orthogonal before the step (Jordan et al., 2024).

    Parameters
    ----------
    params : iterable
        Matrices only; treat biases and embeddings with AdamW.
    ns_coefficients, ns_steps, eps
        Polynomial, number of rounds and least norm of the Newton-Schulz iteration.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        How the rate depends on the shape of the matrix.
    """

    _maximizes = False

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros(p.grad)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        if grad.ndim != 2:
            raise ValueError("Param gradient must be a 2D matrix")
        lr, momentum = o["lr"], o["momentum"]
        buffer = state["momentum_buffer"].lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if o["nesterov"] else buffer
        update = orthogonal(update, o["ns_coefficients"], o["ns_steps"], o["eps"])
        rows, columns = p.shape
        if o["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1, rows / columns))
        p.mul_(1 - lr * o["weight_decay"])
        p.add_(update, alpha=-lr * scale)


def orthogonal(x: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """Return about ``U @ V.T`` for ``x = U @ S @ V.T``, in bfloat16, by a Newton-Schulz iteration.

    Each round maps the singular values by the odd polynomial ``a s + b s^3 + c s^5``.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = x.size(0) > x.size(1)
    x = x.bfloat16()
    if tall:
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = fb.addmm(x, fb.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
