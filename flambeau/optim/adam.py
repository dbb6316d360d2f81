"""Adam, and AdamW as its form with decoupled weight decay."""

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
    check_fused,
    check_lr,
    check_not_negative,
    next_step,
    step_count,
    with_decay,
    zeros,
)
from .optimizer import ParamsT

__all__ = ["Adam"]

_step, _avg, _avg_sq, _max_sq = map(itemgetter, ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"))


class Adam(Stepper):
    """Adam (Kingma and Ba, 2014).

    Parameters
    ----------
    betas : (float, float)
        Decay of the running means of the gradient and of its square.
    eps : float
        Added to the root of the mean square.
    amsgrad : bool
        Divide by the largest mean square seen (Reddi et al., 2018).
    decoupled_weight_decay : bool
        Shrink the parameter itself, as AdamW does, instead of adding to the gradient.
    """

    _added_options = {
        "amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False, "fused": None,
    }  # fmt: skip
    _sparse_hint = ", please consider SparseAdam instead"

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-3,
        betas: tuple[float | fb.Tensor, float | fb.Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, fb.Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_lr(lr)
        check_not_negative(eps=eps)
        check_betas(betas)
        check_not_negative(weight_decay=weight_decay)
        if isinstance(betas[0], fb.Tensor) != isinstance(betas[1], fb.Tensor):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, fb.Tensor):
                if foreach and not capturable:
                    raise ValueError(
                        f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
                    )
                if beta.numel() != 1:
                    raise ValueError(f"Tensor betas[{i}] must be 1-element")
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": step_count(p, group), "exp_avg": zeros(p), "exp_avg_sq": zeros(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros(p)
        return state

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        beta1, beta2 = group["betas"]
        amsgrad = group["amsgrad"]
        return _C._fused_adam(
            params, grads, list(map(_avg, states)), list(map(_avg_sq, states)),
            list(map(_max_sq, states)) if amsgrad else [], list(map(_step, states)),
            float(group["lr"]), float(beta1), float(beta2), group["eps"], group["weight_decay"],
            amsgrad, group["maximize"], group["decoupled_weight_decay"],
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
        if o["amsgrad"]:
            exp_avg_sq = state["max_exp_avg_sq"].copy_(fb.maximum(state["max_exp_avg_sq"], exp_avg_sq))
        denominator = exp_avg_sq.sqrt() / (1 - beta2**step) ** 0.5 + o["eps"]
        add_ratio(p, exp_avg, denominator, -lr / (1 - beta1**step))
