"""Adamax."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_ratio,
    check_betas,
    check_lr,
    check_not_negative,
    next_step,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["Adamax"]

_step, _avg, _inf = map(itemgetter, ("step", "exp_avg", "exp_inf"))


class Adamax(Stepper):
    """Adam with the infinity norm in place of the mean square (Kingma and Ba, 2014, section 7)."""

    _added_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(p, group), "exp_avg": zeros(p), "exp_inf": zeros(p)}

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_adamax(
            params, grads, list(map(_avg, states)), list(map(_inf, states)), list(map(_step, states)),
            float(group["lr"]), *map(float, group["betas"]), group["eps"], group["weight_decay"],
            group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step = next_step(state, o)
        beta1, beta2 = o["betas"]
        grad = with_decay(grad, p, o["weight_decay"])
        exp_avg, exp_inf = state["exp_avg"], state["exp_inf"]
        exp_avg.lerp_(grad, 1 - beta1)
        exp_inf.copy_(fb.maximum(exp_inf * beta2, grad.abs() + o["eps"]))
        add_ratio(p, exp_avg, exp_inf, -o["lr"] / (1 - beta1**step))
