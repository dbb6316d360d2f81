"""The quantized layers, a file for each kind; ``torch.ao.nn.quantized.modules`` shows them all."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from .. import _NAMES
    from .. import __getattr__ as find

    if name in _NAMES:
        return find(name)
    raise AttributeError(f"module 'torch.ao.nn.quantized.modules' has no attribute '{name}'")
