"""Autocast on CUDA devices; :mod:`flambeau.amp` serves all devices."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import amp

__all__ = ["autocast", "custom_bwd", "custom_fwd"]


def _deprecated(name: str, arguments: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}({arguments})` "
        "instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):
    """``flambeau.autocast("cuda")``; deprecated."""

    def __init__(self, enabled: bool = True, dtype: Any = fb.float16, cache_enabled: bool = True) -> None:
        _deprecated("autocast", "'cuda', args...")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


def custom_fwd(fwd: Callable | None = None, *, cast_inputs: Any = None) -> Callable:
    """``flambeau.amp.custom_fwd(device_type="cuda")``; deprecated."""
    _deprecated("custom_fwd", "args..., device_type='cuda'")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable) -> Callable:
    """``flambeau.amp.custom_bwd(device_type="cuda")``; deprecated."""
    _deprecated("custom_bwd", "args..., device_type='cuda'")
    return amp.custom_bwd(bwd, device_type="cuda")
