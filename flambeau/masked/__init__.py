"""Operators on some elements of tensors: functions that take masks, and tensors that carry one."""

from __future__ import annotations

import importlib
from typing import Any

from . import _ops
from ._ops import *  # noqa: F403

_OF_MASKED_TENSORS = ("MaskedTensor", "masked_tensor", "as_masked_tensor", "is_masked_tensor")
__all__ = [*_ops.__all__, *_OF_MASKED_TENSORS]


def __getattr__(name: str) -> Any:
    if name in _OF_MASKED_TENSORS or name == "maskedtensor":
        module = importlib.import_module(".maskedtensor", __name__)
        return module if name == "maskedtensor" else getattr(module, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
