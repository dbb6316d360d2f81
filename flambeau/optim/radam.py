"""RAdam."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_scaled,
    blend_square,
    check_betas,
    check_lr,
    check_not_negative,
    next_step,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["RAdam"]

_step, _avg, _avg_sq = map(itemgetter, ("step", "exp_avg", "exp_avg_sq"))


class RAdam(Stepper):
    """Adam with a rectified adaptive rate (Liu et al., 2019): momentum only while the variance is unknown."""

    _added_options = {
        "foreach": None, "maximize": False, "differentiable": False, "decoupled_weight_decay": False,
        "capturable": False,
    }  # fmt: skip

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(p, group), "exp_avg": zeros(p), "exp_avg_sq": zeros(p)}

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_radam(
            params, grads, list(map(_avg, states)), list(map(_avg_sq, states)), list(map(_step, states)),
            float(group["lr"]), *map(float, group["betas"]), group["eps"], group["weight_decay"],
            group["maximize"], group["decoupled_weight_decay"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step, lr = next_step(state, o), o["lr"]
        beta1, beta2 = o["betas"]
        if o["decoupled_weight_decay"]:
            p.mul_(1 - lr * o["weight_decay"])
        else:
            grad = with_decay(grad, p, o["weight_decay"])
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        blend_square(exp_avg_sq, grad, beta2)

        correction1, correction2 = 1 - beta1**step, 1 - beta2**step
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * step * beta2**step / correction2  # of the approximated moving average
        direction = exp_avg / correction1
        if length > 5:
            known = (length - 4) * (length - 2) * limit
            rectify = (known / ((limit - 4) * (limit - 2) * length)) ** 0.5
            direction = direction * (correction2**0.5 / (exp_avg_sq.sqrt() + o["eps"])) * rectify
        add_scaled(p, direction, -lr)
