"""``torch.nn.intrinsic``: the former place of ``torch.ao.nn.intrinsic``."""

import sys

from flambeau.ao.nn.intrinsic import *  # noqa: F403
from flambeau.ao.nn.intrinsic import _FusedModule, modules, qat  # noqa: F401

sys.modules[f"{__name__}.modules"] = modules
sys.modules[f"{__name__}.modules.fused"] = modules.fused
sys.modules[f"{__name__}.qat"] = qat


def __getattr__(name: str) -> object:
    if name == "quantized":
        from flambeau.ao.nn.intrinsic import quantized

        sys.modules[f"{__name__}.quantized"] = quantized
        return quantized
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
