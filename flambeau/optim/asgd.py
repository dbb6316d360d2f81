"""Averaged stochastic gradient descent."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_scaled,
    check_lr,
    check_not_negative,
    next_step,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["ASGD"]

_step, _eta, _mu, _ax = map(itemgetter, ("step", "eta", "mu", "ax"))


class ASGD(Stepper):
    """Stochastic gradient descent that also keeps an average ``ax`` of the parameters (Polyak, 1992).

    Parameters
    ----------
    lambd : float
        Decay of the parameters.
    alpha : float
        Power of the rate ``lr / (1 + lambd * lr * step) ** alpha``.
    t0 : float
        The step from which on parameters are averaged.
    """

    _captured = "params, mus, etas, and state_steps"
    _added_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(weight_decay=weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for p in group["params"]:
                entries = self.state.get(p) or {}
                for name in ("eta", "mu"):
                    if name in entries and not isinstance(entries[name], fb.Tensor):
                        entries[name] = step_count(p, group, entries[name])

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_count(p, group),
            "eta": step_count(p, group, float(group["lr"])),
            "mu": step_count(p, group, 1.0),
            "ax": zeros(p),
        }

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_asgd(
            params, grads, list(map(_ax, states)), list(map(_eta, states)), list(map(_mu, states)),
            list(map(_step, states)), float(group["lr"]), group["lambd"], group["alpha"], group["t0"],
            group["weight_decay"], group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step = next_step(state, o)
        by_value = not (o["capturable"] or o["differentiable"])
        eta, mu, ax = state["eta"], state["mu"], state["ax"]
        rate, share = (eta.item(), mu.item()) if by_value else (eta.clone(), mu.clone())
        grad = with_decay(grad, p, o["weight_decay"])
        p.mul_(1 - o["lambd"] * rate)
        add_scaled(p, grad, -rate)
        if by_value and share == 1:
            ax.copy_(p)
        else:
            ax.add_((p - ax) * share)
        lr, passed = o["lr"], step - o["t0"]
        next_rate = lr / (1 + o["lambd"] * lr * step) ** o["alpha"]
        next_share = 1 / (passed.clamp(min=1) if isinstance(passed, fb.Tensor) else max(1, passed))
        for kept, value in ((eta, next_rate), (mu, next_share)):
            if isinstance(value, fb.Tensor):
                kept.copy_(value)
            else:
                kept.copy_(fb.tensor(value))  # of the default dtype, also where a loaded state has another
