"""``torch.ao.nn.intrinsic``: layers that are computed together."""

from typing import Any

from flambeau.ao.nn.intrinsic.modules import *  # noqa: F403
from flambeau.ao.nn.intrinsic.modules import _FusedModule, fused  # noqa: F401
from flambeau.ao.nn.intrinsic.modules.fused import __all__  # noqa: F401


def __getattr__(name: str) -> Any:
    if name in ("qat", "quantized"):
        import importlib

        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
