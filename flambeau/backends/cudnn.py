"""Settings of cuDNN. Without a GPU they are kept and have no effect."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from ._switch import Precision, Settings, Switch, flags_context

__all__ = ["is_available", "version", "flags", "set_flags", "is_acceptable"]

CUDNN_TENSOR_DTYPES: set = set()


def version() -> int | None:
    """cuDNN's version, or None where there is no GPU."""
    return None


def is_available() -> bool:
    """Whether cuDNN can be used."""
    return version() is not None


def is_acceptable(tensor: Any) -> bool:
    """Whether cuDNN could work on a tensor."""
    return is_available() and tensor.device.type == "cuda"


class _Cudnn(Settings):
    enabled = Switch(True)
    deterministic = Switch(False)
    benchmark = Switch(False)
    benchmark_limit = Switch(10, int)
    allow_tf32 = Switch(True)
    fp32_precision = Precision()


def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> AbstractContextManager[None]:  # fmt: skip
    """Context manager that sets all of them for a block."""
    return flags_context(
        sys.modules[__name__], enabled=enabled, benchmark=benchmark, benchmark_limit=benchmark_limit,
        deterministic=deterministic,
        allow_tf32=allow_tf32, fp32_precision=fp32_precision,
    )  # fmt: skip


def set_flags(
    _enabled: bool | None = None, _benchmark: bool | None = None, _benchmark_limit: int | None = None,
    _deterministic: bool | None = None, _allow_tf32: bool | None = None, _fp32_precision: str = "none",
) -> tuple:  # fmt: skip
    """Set several and return the values of before."""
    module = sys.modules[__name__]
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32", "fp32_precision")
    before = tuple(getattr(module, n) for n in names)
    for n, v in zip(
        names, (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32, _fp32_precision)
    ):
        if v is not None:
            setattr(module, n, v)
    return before


_Cudnn.install(__name__)
