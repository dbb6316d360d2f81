"""PyTorch's tensors of programs without writes. flambeau has none: its recorder follows the writes
themselves.

`torch.export` and `torch.compile` take programs that write as they are. So no tensor is a `FunctionalTensor`,
questions for one are answered with no, and making one is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

import flambeau as fb
from flambeau.utils._python_dispatch import TorchDispatchMode

__all__ = ["FunctionalTensor", "FunctionalTensorMode", "disable_functional_mode"]


def no_functional(what: str) -> NotImplementedError:
    """The error of what would make one."""
    return NotImplementedError(
        f"{what}: flambeau records writes as they are and has no functional tensors; torch.export.export and "
        "torch.func.functionalize take functions that write"
    )


class FunctionalTensor(fb.Tensor):
    """A tensor whose writes are recorded as new tensors: there are none here, and it cannot be made."""

    def __new__(cls, elem: Any, mode: Any = None) -> NoReturn:
        raise no_functional("FunctionalTensor")


class FunctionalTensorMode(TorchDispatchMode):
    """The mode that makes them: it cannot be entered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise no_functional("FunctionalTensorMode")


def unwrapped(x: Any) -> Any:
    """What stands behind a tensor: itself."""
    return x


mb_unwrap_functional_tensor = unwrapped


@contextlib.contextmanager
def disable_functional_mode() -> Iterator[None]:
    """Context without `FunctionalTensorMode`, as everywhere."""
    yield
