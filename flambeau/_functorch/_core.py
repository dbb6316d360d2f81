"""``torch._C._functorch``: samples as the functions under `vmap` see them, made and taken apart by hand."""

from __future__ import annotations

import threading
from typing import Any

from flambeau.func import batched
from flambeau.func.rules import Randomness

__all__ = [
    "_add_batch_dim", "_remove_batch_dim", "_vmap_decrement_nesting", "_vmap_increment_nesting",
    "current_level", "get_unwrapped", "is_batchedtensor", "is_functorch_wrapped_tensor",
    "is_legacy_batchedtensor", "maybe_current_level", "maybe_get_bdim", "maybe_get_level",
]  # fmt: skip


def _add_batch_dim(tensor: Any, batch_dim: int, level: int, /) -> Any:
    """A tensor as one sample of the `vmap` of this level: `batch_dim` counts samples.

    The dimension of samples comes first in memory, in order of levels.
    """
    outer = batched.levels_of(tensor)
    if outer and level <= outer[-1]:
        raise RuntimeError(
            f"_add_batch_dim: the tensor has level {outer[-1]} already, {level} must be larger"
        )
    return batched.entered(tensor, batch_dim, level)


def _remove_batch_dim(tensor: Any, level: int, batch_size: int, out_dim: int, /) -> Any:
    """All samples of a level, which `out_dim` counts; what has none is repeated."""
    return batched.left(tensor, out_dim, level, batch_size)


def is_batchedtensor(tensor: Any, /) -> bool:
    """Whether a tensor is a sample under `vmap`."""
    return batched.is_batched(tensor)


# of transforms: gradients wrap nothing here, and there is one kind of samples
is_functorch_wrapped_tensor = is_batchedtensor


def is_legacy_batchedtensor(tensor: Any, /) -> bool:
    """Whether a tensor is a sample of the `vmap` before `torch.func`: there is no such thing here."""
    return False


def get_unwrapped(tensor: Any, /) -> Any:
    """What a sample of the innermost level is taken from.

    Raises
    ------
    RuntimeError : the tensor is no sample.
    """
    levels = batched.levels_of(tensor)
    if not levels:
        raise RuntimeError("No wrappers present!")
    n = len(levels) - 1
    return batched.make(batched.physical(tensor), levels[:n])


def maybe_get_level(tensor: Any, /) -> int:
    """The innermost level of a sample, -1 of others."""
    return (batched.levels_of(tensor) or (-1,))[-1]


def maybe_get_bdim(tensor: Any, /) -> int:
    """Which dimension of `get_unwrapped` counts samples (the first one here), -1 where there are none."""
    return 0 if batched.is_batched(tensor) else -1


class _Entered(threading.local):
    def __init__(self) -> None:
        self.stack: list[Randomness] = []
        self.append, self.pop = self.stack.append, self.stack.pop


_entered = _Entered()  # what goes with the levels that `_vmap_increment_nesting` made


def _vmap_increment_nesting(batch_size: int, randomness: str, /) -> int:
    """Enter a `vmap` of so many samples; returns its level."""
    level = batched.Level((maybe_current_level() or 0) + 1, batch_size, randomness)
    batched.active().append(level)
    entered = Randomness()
    entered.__enter__()
    _entered.append(entered)
    return level.number


def _vmap_decrement_nesting() -> int:
    """Leave the innermost `vmap`; returns its level."""
    _entered.pop().__exit__(None, None, None)
    return batched.active().pop().number


def maybe_current_level() -> int | None:
    """The level of the innermost `vmap` that is running; None outside."""
    active = batched.active()
    return active[-1].number if active else None


def current_level() -> int:
    """The same, where one is running."""
    level = maybe_current_level()
    if level is None:
        raise RuntimeError("current_level: no transform of torch.func is running")
    return level
