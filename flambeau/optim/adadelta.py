"""Adadelta."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_scaled,
    blend_square,
    check_lr,
    check_not_negative,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["Adadelta"]

_step, _avg_sq, _delta = map(itemgetter, ("step", "square_avg", "acc_delta"))


class Adadelta(Stepper):
    """Adadelta (Zeiler, 2012): steps scaled by the ratio of mean square updates and mean square gradients.

    Parameters
    ----------
    rho : float
        Decay of both running means.
    eps : float
        Added under both roots.
    """

    _capturable_on_xla = False
    _added_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps=eps, weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(p, group), "square_avg": zeros(p), "acc_delta": zeros(p)}

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_adadelta(
            params, grads, list(map(_avg_sq, states)), list(map(_delta, states)), list(map(_step, states)),
            float(group["lr"]), group["rho"], group["eps"], group["weight_decay"], group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        state["step"] += 1
        rho, eps = o["rho"], o["eps"]
        grad = with_decay(grad, p, o["weight_decay"])
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        blend_square(square_avg, grad, rho)
        delta = (acc_delta + eps).sqrt() / (square_avg + eps).sqrt() * grad
        blend_square(acc_delta, delta, rho)
        add_scaled(p, delta, -o["lr"])
