"""Optimizers that step in the backward, as soon as a parameter has its gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flambeau as fb

__all__: list[str] = []


@fb.no_grad()
def _apply_optimizer_in_backward(
    optimizer_class: type[fb.optim.Optimizer], params: Iterable[fb.nn.Parameter],
    optimizer_kwargs: dict[str, Any], register_hook: bool = True,
) -> None:  # fmt: skip
    """Give each parameter an optimizer of its own, which steps when the gradient is there and drops it.

    Parameters
    ----------
    optimizer_class, optimizer_kwargs : what makes the optimizers.
    params : the parameters; each has its optimizers in ``_in_backward_optimizers``.
    register_hook : whether they step by themselves.
    """
    for param in params:
        own = optimizer_class([param], **optimizer_kwargs)
        if not hasattr(param, "_in_backward_optimizers"):
            param._in_backward_optimizers, param._optimizer_kwargs = [], []
        param._in_backward_optimizers.append(own)
        param._optimizer_kwargs.append(optimizer_kwargs)
        if register_hook:
            param.register_post_accumulate_grad_hook(_step)


def _step(param: fb.Tensor) -> None:
    for optimizer in param._in_backward_optimizers:
        optimizer.step()
    param.grad = None


def _get_in_backward_optimizers(module: fb.nn.Module) -> list[fb.optim.Optimizer]:
    """The optimizers of the parameters of a module."""
    return [o for p in module.parameters() for o in getattr(p, "_in_backward_optimizers", [])]
