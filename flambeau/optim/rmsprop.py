"""RMSprop."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_ratio,
    add_scaled,
    blend_square,
    check_lr,
    check_not_negative,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["RMSprop"]

_step, _square, _mean, _buffer = map(itemgetter, ("step", "square_avg", "grad_avg", "momentum_buffer"))


class RMSprop(Stepper):
    """RMSprop (Hinton's lecture notes): steps divided by the root of the running mean square gradient.

    Parameters
    ----------
    alpha : float
        Decay of the running means.
    centered : bool
        Divide by the standard deviation instead of the root mean square (Graves, 2013).
    """

    _added_options = {
        "momentum": 0, "centered": False, "foreach": None, "maximize": False, "differentiable": False,
        "capturable": False,
    }  # fmt: skip

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": step_count(p, group), "square_avg": zeros(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros(p)
        if group["centered"]:
            state["grad_avg"] = zeros(p)
        return state

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_rmsprop(
            params, grads, list(map(_square, states)),
            list(map(_mean, states)) if group["centered"] else [],
            list(map(_buffer, states)) if group["momentum"] > 0 else [], list(map(_step, states)),
            float(group["lr"]), group["alpha"], group["eps"], group["weight_decay"], group["momentum"],
            group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        state["step"] += 1
        alpha, lr, momentum = o["alpha"], o["lr"], o["momentum"]
        grad = with_decay(grad, p, o["weight_decay"])
        square = blend_square(state["square_avg"], grad, alpha)
        if o["centered"]:
            mean = state["grad_avg"].lerp_(grad, 1 - alpha)
            square = square - mean * mean
        denominator = square.sqrt() + o["eps"]
        if momentum > 0:
            buffer = state["momentum_buffer"]
            add_scaled(p, add_ratio(buffer.mul_(momentum), grad, denominator, 1), -lr)
        else:
            add_ratio(p, grad, denominator, -lr)
