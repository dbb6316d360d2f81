"""Tensors as programs without writes see them: here they are the tensors themselves, see
`FunctionalTensor`."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau._subclasses.functional_tensor import no_functional, unwrapped

__all__ = ["from_fun", "is_fun", "to_fun"]


def is_fun(t: Any) -> bool:
    """Whether it stands for a tensor in a program without writes: there are none."""
    return False


def from_fun(t: Any) -> Any:
    """What it stands for: itself."""
    return unwrapped(t)


def to_fun(t: Any) -> NoReturn:
    """Raise: see `FunctionalTensor`."""
    raise no_functional("to_fun")
