"""Adagrad."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import (
    Stepper,
    add_ratio,
    check_fused,
    check_lr,
    check_not_negative,
    next_step,
    step_count,
    with_decay,
)
from .optimizer import ParamsT

__all__ = ["Adagrad"]

_step, _sum = map(itemgetter, ("step", "sum"))


class Adagrad(Stepper):
    """Adagrad (Duchi et al., 2011): steps divided by the root of the sum of all squared gradients.

    Parameters
    ----------
    lr_decay : float
        The rate is ``lr / (1 + (step - 1) * lr_decay)``.
    initial_accumulator_value : float
        What the sums of squares start from.
    """

    _added_options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}
    _takes_sparse = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = self._new_state(p, group)

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        value = group["initial_accumulator_value"]
        if p.is_complex():
            value = complex(value, value)
        return {
            "step": step_count(p, group),
            "sum": fb.full_like(p, value, memory_format=fb.preserve_format),
        }

    def share_memory(self) -> None:
        """Move the state to shared memory, so that several processes can train together."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        return _C._fused_adagrad(
            params, grads, list(map(_sum, states)), list(map(_step, states)), float(group["lr"]),
            group["lr_decay"], group["weight_decay"], group["eps"], group["maximize"],
        )  # fmt: skip

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step = next_step(state, o)
        rate = o["lr"] / (1 + (step - 1) * o["lr_decay"])
        total, eps = state["sum"], o["eps"]
        if grad.is_sparse:
            if o["weight_decay"] != 0:
                raise RuntimeError("weight_decay option is not compatible with sparse gradients")
            grad = grad.coalesce()
            rows, values = tuple(grad.indices()), grad.values()
            total[rows] += values * values
            p[rows] -= rate * values / (total[rows].sqrt() + eps)
            return
        grad = with_decay(grad, p, o["weight_decay"])
        total.addcmul_(grad, grad, value=1)
        add_ratio(p, grad, total.sqrt() + eps, -rate)
