"""Adam for sparse gradients."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ._stepper import Stepper, check_betas, check_lr, zeros
from .optimizer import Optimizer, ParamsT

__all__ = ["SparseAdam"]


class SparseAdam(Stepper):
    """Adam that treats only the rows a sparse gradient has; the averages of other rows stay as they are."""

    _added_options = {"maximize": False}
    _takes_sparse = True

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not 0.0 < eps:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = [
            [i, k]
            for i, group in enumerate(self.param_groups)
            for k, p in enumerate(group["params"])
            if p.is_sparse
        ]
        if sparse:
            raise ValueError(
                f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors"
            )
        complexes = [
            [i, k]
            for i, group in enumerate(self.param_groups)
            for k, p in enumerate(group["params"])
            if p.is_complex()
        ]
        if complexes:
            raise ValueError(
                f"Complex params at indices {complexes}: SparseAdam does not support complex parameters"
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The step count of this optimizer is a plain number.
        Optimizer.__setstate__(self, state)
        for group in self.param_groups:
            group.setdefault("maximize", False)

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros(p), "exp_avg_sq": zeros(p)}

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        if not grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        state["step"] += 1
        grad = grad.coalesce()
        if grad.values().numel() == 0:
            return
        rows, values = tuple(grad.indices()), grad.values()
        beta1, beta2 = o["betas"]
        step = state["step"]
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        mean = exp_avg[rows] * beta1 + values * (1 - beta1)
        square = exp_avg_sq[rows] * beta2 + values * values * (1 - beta2)
        exp_avg[rows] = mean
        exp_avg_sq[rows] = square
        rate = o["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        p[rows] -= rate * mean / (square.sqrt() + o["eps"])
