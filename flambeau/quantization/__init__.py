"""``torch.quantization``: the former place of ``torch.ao.quantization``."""

import sys
from importlib import import_module as _import_module

from flambeau.ao import quantization as _new
from flambeau.ao.quantization import *  # noqa: F403
from flambeau.ao.quantization import (  # noqa: F401
    _convert_ondevice_dynamic_jit,
    _prepare_ondevice_dynamic_jit,
    _quantize_ondevice_dynamic_jit,
    default_eval_fn,
)
from flambeau.ao.quantization.qconfig import *  # noqa: F403

# the files of that time
for _name in (
    "fake_quantize", "fuse_modules", "fuser_method_mappings", "observer", "qconfig", "quant_type",
    "quantization_mappings", "quantize", "stubs", "utils",
):  # fmt: skip
    _module = _import_module(f"{_new.__name__}.{_name}")
    sys.modules[f"{__name__}.{_name}"] = _module
    if _name not in _new.__all__ and _name != "quantize":
        globals()[_name] = _module
del _module, _name


def __getattr__(name: str) -> object:
    if name == "WeightObserver":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flambeau.ao.quantization import quantization_mappings

    if name.startswith("DEFAULT_"):
        return getattr(quantization_mappings, name)
    return getattr(_new, name)
