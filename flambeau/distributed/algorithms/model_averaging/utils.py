"""The average of parameters over the processes of a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau._utils import _flatten_dense_tensors, _unflatten_dense_tensors

__all__ = ["average_parameters", "average_parameters_or_parameter_groups", "get_params_to_average"]


@fb.no_grad()
def average_parameters(params: Iterator[fb.Tensor], process_group: Any) -> None:
    """Replace parameters by their averages."""
    held = list(params)
    if not held:
        return
    if process_group is not None and dist.get_rank(process_group) < 0:
        return  # this process is not in the group
    by_kind: dict[tuple, list[fb.Tensor]] = {}
    for p in held:
        by_kind.setdefault((p.dtype, p.device), []).append(p)
    for some in by_kind.values():
        flat = _flatten_dense_tensors(some)
        flat.div_(dist.get_world_size(process_group))
        dist.all_reduce(flat, group=process_group)
        for p, made in zip(some, _unflatten_dense_tensors(flat, some)):
            p.copy_(made)


def get_params_to_average(params: Iterable[Any]) -> list[fb.Tensor]:
    """Parameters that have gradients, from an iterable of them or from groups of an optimizer."""
    found: list[fb.Tensor] = []
    for p in params:
        if isinstance(p, fb.Tensor):
            found += [p] if p.grad is not None else []
        elif isinstance(p, dict):
            found += [q for q in p["params"] if q.grad is not None]
        else:
            raise NotImplementedError(f"Parameter input of type {type(p)} is not supported")
    return found


def average_parameters_or_parameter_groups(params: Iterable[Any], process_group: Any) -> None:
    """Replace the parameters that have gradients by their averages."""
    average_parameters(iter(get_params_to_average(params)), process_group)
