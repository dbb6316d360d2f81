"""Rprop."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import Stepper, check_lr, step_count, zeros
from .optimizer import ParamsT

__all__ = ["Rprop"]

_step, _prev, _size = map(itemgetter, ("step", "prev", "step_size"))


class Rprop(Stepper):
    """Resilient propagation (Riedmiller and Braun, 1993): only the signs of the gradients count.

    Parameters
    ----------
    etas : (float, float)
        Factors of a step size whose gradient changed its sign, and kept it.
    step_sizes : (float, float)
        Smallest and largest step size.
    """

    _added_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        lr = float(group["lr"])
        start = complex(lr, lr) if p.is_complex() else lr
        size = fb.full_like(p.grad, start)  # laid out as the gradient, which may differ from the parameter
        return {"step": step_count(p, group), "prev": zeros(p), "step_size": size}

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_rprop(
            params, grads, list(map(_prev, states)), list(map(_size, states)), list(map(_step, states)),
            *group["etas"], *group["step_sizes"], group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        state["step"] += 1
        shrink, grow = o["etas"]
        prev, step_size = state["prev"], state["step_size"]
        agreement = (grad * prev).sign()
        changed = fb.where(agreement < 0, step_size * shrink, step_size)
        step_size.copy_(fb.where(agreement > 0, step_size * grow, changed).clamp(*o["step_sizes"]))
        # After a change of sign the parameter rests for one step.
        grad = grad.masked_fill(agreement < 0, 0)
        p.addcmul_(grad.sign(), step_size, value=-1)
        prev.copy_(grad)
