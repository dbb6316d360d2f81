"""Operators that exported programs call for what no operator of tensors says."""

from __future__ import annotations

import importlib
from typing import Any

import flambeau as fb

__all__: list[str] = []


def _access_subclass_inner_tensor(src_subclass_tensor: fb.Tensor, attr: str) -> fb.Tensor:
    """The tensor that a subclass of tensors holds in an attribute."""
    inner = getattr(src_subclass_tensor, attr, None)
    if not isinstance(inner, fb.Tensor):
        raise RuntimeError(f"Attribute {attr} is not a tensor or doesn't exist in {src_subclass_tensor}")
    return inner


def _call_custom_autograd_function_in_pre_dispatch(function_cls_name: str, *args: Any, **kwargs: Any) -> Any:
    """The result of an `autograd.Function`, which is named ``module.Class``."""
    module, _, name = function_cls_name.rpartition(".")
    if not module:
        raise AssertionError(f"{function_cls_name} is no name of a class in a module")
    return getattr(importlib.import_module(module), name).apply(*args, **kwargs)
