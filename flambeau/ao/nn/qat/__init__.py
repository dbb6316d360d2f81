"""``torch.ao.nn.qat``: layers with fake quantization of weights."""

from typing import Any

from flambeau.ao.nn.qat.modules import *  # noqa: F403
from flambeau.ao.nn.qat.modules import __all__  # noqa: F401


def __getattr__(name: str) -> Any:
    if name == "dynamic":
        import importlib

        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
