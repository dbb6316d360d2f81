"""``torch.nn.quantized``: the former place of ``torch.ao.nn.quantized``."""

from __future__ import annotations

import importlib
from typing import Any

from flambeau.ao.nn import quantized as _new
from flambeau.ao.nn.quantized import __all__  # noqa: F401


def __getattr__(name: str) -> Any:
    if name in ("dynamic", "functional", "modules"):
        return importlib.import_module("." + name, __name__)
    return getattr(_new, name)
