"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

__all__ = ["functional_call", "stack_module_state", "replace_all_batch_norm_modules_"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: dict | Sequence[dict],
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other parameters and buffers than its own.

    Parameters
    ----------
    parameter_and_buffer_dicts : dictionary by name, or several with different names.
    args, kwargs : arguments of the call; a value that is no tuple is the only argument.
    tie_weights : whether names that share a tensor in the module share the given one.
    strict : raise on names that are missing or not in the module.
    """
    from ..nn.utils.stateless import _functional_call

    if isinstance(parameter_and_buffer_dicts, dict):
        values = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, Sequence):
        if not all(isinstance(d, dict) for d in parameter_and_buffer_dicts):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [n for d in parameter_and_buffer_dicts for n in d]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous"
            )
        values = {n: t for d in parameter_and_buffer_dicts for n, t in d.items()}
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got"
            f" {type(parameter_and_buffer_dicts)}"
        )
    return _functional_call(module, values, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Sequence[Any]) -> tuple[dict, dict]:
    """Parameters and buffers of models of one architecture, stacked along a new first dimension, for `vmap`
    over them."""
    if len(models) == 0:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(named: list[dict]) -> dict:
        return {name: _stack([d[name] for d in named]) for name in named[0]}

    parameters = stacked([dict(m.named_parameters()) for m in models])
    buffers = stacked([dict(m.named_buffers()) for m in models])
    return parameters, buffers


def _stack(tensors: list) -> Any:
    needed = [t.requires_grad for t in tensors]
    if any(needed) and not all(needed):
        raise RuntimeError("Expected all parameters of the same name to have the same requires_grad")
    result = fb.stack([t.detach() for t in tensors])
    return result.requires_grad_() if all(needed) else result


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Make every batch norm below a module use the statistics of the batch, without running ones, which
    `vmap` cannot update."""

    def without_statistics(module: Any) -> None:
        from ..nn.modules.batchnorm import _BatchNorm

        for m in module.modules():
            if isinstance(m, _BatchNorm) and m.track_running_stats:
                m.running_mean = None
                m.running_var = None
                m.num_batches_tracked = None
                m.track_running_stats = False

    without_statistics(root)
    return root
