"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import _C

from ._stepper import Stepper, add_scaled, check_fused, with_decay
from .optimizer import ParamsT

__all__ = ["SGD"]


class SGD(Stepper):
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    momentum, dampening : float
        ``v = momentum * v + (1 - dampening) * grad``, starting from the first gradient.
    nesterov : bool
        Step along ``grad + momentum * v`` (Sutskever et al., 2013).
    """

    _added_options = {
        "nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False,
    }  # fmt: skip
    _complex_as_real = False
    _takes_sparse = True

    _refuses_foreach_graphs = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | fb.Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if isinstance(lr, fb.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        # unlike the other algorithms, this one takes NaN
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _states(self, params: list[Any], group: dict[str, Any]) -> list[dict[str, Any]]:
        if group["momentum"] == 0:
            return [{} for _ in params]
        return list(map(self.state.__getitem__, params))

    def _fused(self, params: list, grads: list, states: list, group: dict[str, Any]) -> bool:
        momentum = group["momentum"]
        buffers: list[Any] = []
        first = False
        if momentum != 0:
            buffers = [s.get("momentum_buffer") for s in states]
            missing = [i for i, buffer in enumerate(buffers) if buffer is None]
            first = bool(missing)
            if first:
                if len(missing) < len(buffers):
                    return False
                buffers = list(map(fb.empty_like, params))
        done = _C._fused_sgd(
            params, grads, buffers, float(group["lr"]), float(group["weight_decay"]), momentum,
            group["dampening"], group["nesterov"], group["maximize"], first,
        )  # fmt: skip
        if first and done:
            for state, buffer in zip(states, buffers):
                state["momentum_buffer"] = buffer
        return done

    def _update(self, p: Any, grad: Any, state: dict[str, Any], o: dict[str, Any]) -> None:
        grad = with_decay(grad, p, o["weight_decay"])
        momentum = o["momentum"]
        if momentum != 0:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = grad.detach().clone()
            else:
                buffer.mul_(momentum)
                add_scaled(buffer, grad, 1 - o["dampening"])
            grad = grad.add(buffer, alpha=momentum) if o["nesterov"] else buffer
        add_scaled(p, grad, -o["lr"])
