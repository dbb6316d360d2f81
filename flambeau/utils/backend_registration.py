"""Backends outside of PyTorch ("privateuse1"): flambeau has none, so there is nothing to name or to fill."""

from __future__ import annotations

from typing import Any, NoReturn

import flambeau as fb

__all__ = ["generate_methods_for_privateuse1_backend", "rename_privateuse1_backend"]


def rename_privateuse1_backend(backend_name: str) -> NoReturn:
    """PyTorch: the name under which an outside backend appears. Raises: flambeau has no such backend."""
    raise NotImplementedError(
        f"flambeau has no backend to be named '{backend_name}': devices are cpu, cuda and meta"
    )


def generate_methods_for_privateuse1_backend(
    for_tensor: bool = True,
    for_module: bool = True,
    for_packed_sequence: bool = True,
    for_storage: bool = False,
    unsupported_dtype: list[fb.dtype] | None = None,
) -> NoReturn:
    """PyTorch: methods such as ``Tensor.mydevice()``. Raises: flambeau has no such backend."""
    raise NotImplementedError("flambeau has no outside backend: devices are cpu, cuda and meta")


def _get_custom_mod_func(func_name: str) -> Any:
    raise NotImplementedError(f"flambeau has no outside backend whose module could have '{func_name}'")
