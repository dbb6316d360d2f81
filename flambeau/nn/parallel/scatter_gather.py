"""Arguments and results of a module divided among devices and put together again."""

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.nn.parallel import comm

__all__ = ["scatter", "scatter_kwargs", "gather"]


def is_namedtuple(obj: Any) -> bool:
    """Whether `obj` is an instance of a named tuple class."""
    return isinstance(obj, tuple) and hasattr(obj, "_asdict") and hasattr(obj, "_fields")


def scatter(inputs: Any, target_gpus: Sequence[int | str | fb.device], dim: int = 0) -> list:
    """`inputs`, one for each device: tensors in pieces along `dim`, containers by element, others whole."""

    def divide(value: Any) -> list:
        if isinstance(value, fb.Tensor):
            return list(comm.scatter(value, target_gpus, dim=dim))
        if is_namedtuple(value) and value:
            return [type(value)(*parts) for parts in zip(*map(divide, value), strict=False)]
        if isinstance(value, (tuple, list)) and value:
            return [type(value)(parts) for parts in zip(*map(divide, value), strict=False)]
        if isinstance(value, dict) and value:
            return [type(value)(pairs) for pairs in zip(*map(divide, value.items()), strict=False)]
        return [value for _ in target_gpus]

    return divide(inputs)


def scatter_kwargs(
    inputs: tuple, kwargs: dict | None, target_gpus: Sequence[int | str | fb.device], dim: int = 0
) -> tuple[tuple, tuple]:
    """Positional and keyword arguments for each device."""
    positional = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    count = max(len(positional), len(named))
    positional.extend(() for _ in range(count - len(positional)))
    named.extend({} for _ in range(count - len(named)))
    return tuple(positional), tuple(named)


def gather(outputs: Any, target_device: int | str | fb.device, dim: int = 0) -> Any:
    """The results of the devices as one result on `target_device`."""
    first = outputs[0]
    if isinstance(first, fb.Tensor):
        return comm.gather([out.reshape(1) if out.dim() == 0 else out for out in outputs], dim, target_device)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(out) != len(first) for out in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((key, gather([out[key] for out in outputs], target_device, dim)) for key in first)
    parts = [gather(list(values), target_device, dim) for values in zip(*outputs, strict=True)]
    return type(first)(*parts) if is_namedtuple(first) else type(first)(parts)
