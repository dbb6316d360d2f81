"""The same functions as `symbolic_opset9`: they write nodes of the version that is exported."""

from collections.abc import Callable

from . import symbolic_opset9
from .symbolic_opset9 import dropout, masked_fill, select, softmax, squeeze, unsqueeze

__all__ = ["dropout", "masked_fill", "select", "softmax", "squeeze", "unsqueeze"]


def __getattr__(name: str) -> Callable:
    return getattr(symbolic_opset9, name)
