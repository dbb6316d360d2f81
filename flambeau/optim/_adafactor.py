"""Adafactor."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ._stepper import Stepper, check_lr, next_step, step_count
from .optimizer import ParamsT

__all__ = ["Adafactor"]


class Adafactor(Stepper):
    """Adafactor (Shazeer and Stern, 2018): of a matrix's mean squares only rows and columns are kept.

    Parameters
    ----------
    beta2_decay : float
        The decay of the mean square is ``1 - step ** beta2_decay``.
    eps : (float or None, float)
        Least mean square (None: the dtype's), and least size of a parameter in scaling its step.
    d : float
        Clipping threshold of the root mean square of an update.
    """

    _added_options = {"foreach": None}
    _complex_as_real = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        state = {"step": step_count(p, group)}
        if p.dim() > 1:
            state["row_var"] = p.new_zeros((*p.shape[:-1], 1))
            state["col_var"] = p.new_zeros((*p.shape[:-2], 1, p.shape[-1]))
        else:
            state["variance"] = fb.zeros_like(p, memory_format=fb.preserve_format)
        return state

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        step, lr = next_step(state, o), o["lr"]
        least_square, least_size = o["eps"]
        if least_square is None:
            least_square = fb.finfo(p.dtype).eps
        fresh = step ** o["beta2_decay"]  # the share of this step's squares in the mean
        size = p.norm(2).item() / p.numel() ** 0.5
        rate = max(least_size, size) * min(lr, 1 / step**0.5)
        if o["weight_decay"] != 0:
            p.mul_(1 - lr * o["weight_decay"])
        if grad.dim() > 1:
            row, col = state["row_var"], state["col_var"]
            row.lerp_(fb.linalg.vector_norm(grad, dim=-1, keepdim=True).square().div_(grad.size(-1)), fresh)
            col.lerp_(fb.linalg.vector_norm(grad, dim=-2, keepdim=True).square().div_(grad.size(-2)), fresh)
            variance = (row @ col).div_(row.mean(dim=-2, keepdim=True).clamp_(min=least_square))
        else:
            variance = state["variance"].lerp_(grad * grad, fresh)
        update = variance.clamp(min=least_square * least_square).rsqrt_().mul_(grad)
        clip = max(1.0, update.norm(2).item() / (update.numel() ** 0.5 * o["d"]))
        p.add_(update, alpha=-rate / clip)
