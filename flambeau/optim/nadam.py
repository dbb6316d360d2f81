"""NAdam."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_ratio,
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

__all__ = ["NAdam"]

_step, _avg, _avg_sq, _product = map(itemgetter, ("step", "exp_avg", "exp_avg_sq", "mu_product"))


class NAdam(Stepper):
    """Adam with Nesterov momentum (Dozat, 2016).

    Parameters
    ----------
    momentum_decay : float
        How fast the momentum factor ``beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))`` grows.
    """

    _captured = "params, mu_products and state_steps"
    _added_options = {
        "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False,
    }  # fmt: skip

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for p in group["params"]:
                entries = self.state.get(p)
                if entries and not isinstance(entries["mu_product"], fb.Tensor):
                    entries["mu_product"] = step_count(p, group, entries["mu_product"])

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_count(p, group),
            "mu_product": step_count(p, group, 1.0),
            "exp_avg": zeros(p),
            "exp_avg_sq": zeros(p),
        }

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_nadam(
            params, grads, list(map(_avg, states)), list(map(_avg_sq, states)), list(map(_product, states)),
            list(map(_step, states)), float(group["lr"]), *map(float, group["betas"]), group["eps"],
            group["weight_decay"], group["momentum_decay"], group["maximize"],
            group["decoupled_weight_decay"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step, lr = next_step(state, o), o["lr"]
        beta1, beta2 = o["betas"]
        if o["decoupled_weight_decay"]:
            p.mul_(1 - lr * o["weight_decay"])
        else:
            grad = with_decay(grad, p, o["weight_decay"])
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * o["momentum_decay"]))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * o["momentum_decay"]))
        product = state["mu_product"]
        product *= mu
        if not (o["capturable"] or o["differentiable"]):
            product = product.item()
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        blend_square(exp_avg_sq, grad, beta2)
        denominator = (exp_avg_sq / (1 - beta2**step)).sqrt() + o["eps"]
        add_ratio(p, grad, denominator, -lr * (1 - mu) / (1 - product))
        add_ratio(p, exp_avg, denominator, -lr * mu_next / (1 - product * mu_next))
