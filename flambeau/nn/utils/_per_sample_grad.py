"""Gradients of each sample of a batch by itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.nn.modules.module import Module
from flambeau.utils._pytree import tree_leaves, tree_map

__all__ = ["call_for_per_sample_grads"]


def call_for_per_sample_grads(
    module: Module, *, batch_size: int | None = None, loss_reduction: str = "sum", batch_first: bool = True
) -> Callable[..., Any]:
    """The module as a function whose backward puts the gradients of the samples into
    ``parameter.grad_sample``.

    ``parameter.grad`` stays as it is. The samples go through the module one by one, so that it may do
    whatever it
    does; a batch costs as much as so many calls.

    Parameters
    ----------
    module : its tensors count samples in their first dimension, or in the second without `batch_first`.
    batch_size : the number of samples; that of the first tensor of the arguments by default.
    loss_reduction : ``"mean"`` where the loss is an average over the samples: gradients are multiplied by
    their
        number.
    """
    if loss_reduction not in ("sum", "mean"):
        raise RuntimeError(f"Expected loss_reduction argument to be sum or mean, got {loss_reduction}")
    if not isinstance(module, Module):
        raise RuntimeError(f"Module passed must be nn.Module, got {type(module).__name__}")
    if batch_size is not None and not isinstance(batch_size, int):
        raise RuntimeError(f"Batch size passed must be None or an integer, got {type(batch_size).__name__}")
    if batch_size is not None and batch_size < 1:
        raise RuntimeError(f"Batch size must be positive, got {batch_size}")
    if any(hasattr(p, "grad_sample") and p.grad_sample is not None for p in module.parameters()):
        raise RuntimeError(
            "Current Expanded Weights accumulates the gradients, which will be incorrect for multiple calls "
            "without clearing gradients. Please clear out the grad_sample parameter of the module or "
            "create a "
            "new module"
        )
    dim = 0 if batch_first else 1

    @functools.wraps(module.forward)
    def called(*args: Any, **kwargs: Any) -> Any:
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, fb.Tensor) and t.dim() > dim]
        if batch_size is None and not tensors:
            raise RuntimeError(
                "Unable to find a tensor in the passed args and kwargs. They may not be pytree-able and so "
                "ExpandedWeights cannot determine the batch size from the inputs. Please explicitly pass the "
                "batch size"
            )
        count = batch_size if batch_size is not None else tensors[0].shape[dim]
        taken = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        scale = count if loss_reduction == "mean" else 1
        copies = [_Copies.apply(p, count, scale) for _, p in taken]

        def sample(k: int) -> Any:
            own = tree_map(
                lambda t: (
                    t.narrow(dim, k, 1)
                    if isinstance(t, fb.Tensor) and t.dim() > dim and t.shape[dim] == count
                    else t
                ),
                (args, kwargs),
            )
            given = {name: copy[k] for (name, _), copy in zip(taken, copies)}
            return fb.func.functional_call(module, given, own[0], own[1])

        rows = [sample(k) for k in range(count)]
        return tree_map(lambda *parts: fb.cat(parts, dim), *rows)

    return called


class _Copies(fb.autograd.Function):
    """A parameter once for each sample; the backward keeps the gradients apart."""

    @staticmethod
    def forward(ctx: Any, parameter: fb.Tensor, count: int, scale: int) -> fb.Tensor:
        ctx.parameter, ctx.scale = parameter, scale
        return parameter.detach().expand(count, *parameter.shape)

    @staticmethod
    def backward(ctx: Any, gradient: fb.Tensor) -> tuple:
        made = gradient * ctx.scale if ctx.scale != 1 else gradient.clone()
        held = getattr(ctx.parameter, "grad_sample", None)
        ctx.parameter.grad_sample = made if held is None else held + made
        return None, None, None
