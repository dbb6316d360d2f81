"""The switches of autocast, as functions; each thread has its own."""

from __future__ import annotations

import threading
import warnings
from typing import Any

from flambeau import _C

_KINDS = """cpu cuda ipu xpu mkldnn opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia
    privateuseone""".split()
#: What other devices compute in. Their switches can be set, as programs for several kinds do, and do nothing.
_OTHER_DTYPES = {
    "xpu": "float16", "xla": "bfloat16", "hpu": "bfloat16", "ipu": "float16", "mps": "float16",
    "mtia": "float16", "maia": "bfloat16", "privateuseone": "float16", "hip": "float16",
}  # fmt: skip


class _Others(threading.local):
    def __init__(self) -> None:
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, Any] = {}


_others = _Others()


def check_device_type(device_type: str) -> None:
    """Raise for anything that is not the name of a device type."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _KINDS:
        raise RuntimeError(
            f"Expected one of {', '.join(_KINDS)} device type at start of device string: {device_type}"
        )


def _check_argument(name: str, value: Any, place: int, argument: str, kind: str, ok: bool) -> None:
    if not ok:
        raise TypeError(
            f"{name}(): argument '{argument}' (position {place}) must be {kind}, not {type(value).__name__}"
        )


def _check_named(name: str, device_type: Any) -> None:
    _check_argument(name, device_type, 1, "device_type", "str", isinstance(device_type, str))
    check_device_type(device_type)


def is_autocast_available(device_type: str) -> bool:
    """Tell whether there is an autocast for a type of device."""
    _check_named("_is_autocast_available", device_type)
    return device_type in ("cpu", "cuda") or (device_type in _OTHER_DTYPES and device_type != "hip")


def _check_known(device_type: str) -> None:
    if not is_autocast_available(device_type):
        raise RuntimeError("unknown device type for autocast in get_autocast_dispatch_key_from_device_type")


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Tell whether autocast is on for a type of device."""
    _check_named("is_autocast_enabled", device_type)
    _check_known(device_type)
    if device_type in _OTHER_DTYPES:
        return _others.enabled.get(device_type, False)
    return _C._autocast_setting(device_type)[0]


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Turn autocast on or off for a type of device; ``set_autocast_enabled(enabled)`` means CUDA."""
    name = "set_autocast_enabled"
    if enabled is None:
        _check_argument(name, device_type, 1, "enabled", "bool", isinstance(device_type, bool))
        device_type, enabled = "cuda", device_type
    _check_named(name, device_type)
    _check_argument(name, enabled, 2, "enabled", "bool", isinstance(enabled, bool))
    _check_known(device_type)
    if device_type in _OTHER_DTYPES:
        _others.enabled[device_type] = enabled
        return
    _C._set_autocast_enabled(device_type, enabled)


def get_autocast_dtype(device_type: str) -> Any:
    """Return the dtype of lower precision of a type of device."""
    _check_named("get_autocast_dtype", device_type)
    if device_type in _OTHER_DTYPES:
        return _others.dtypes.get(device_type) or getattr(_C, _OTHER_DTYPES[device_type])
    if device_type not in ("cpu", "cuda"):
        raise RuntimeError("unsupported scalarType")
    return _C._autocast_setting(device_type)[1]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype of lower precision of a type of device."""
    _check_named("set_autocast_dtype", device_type)
    _check_argument("set_autocast_dtype", dtype, 2, "dtype", "torch.dtype", isinstance(dtype, _C.dtype))
    if device_type not in ("cpu", "cuda"):
        _others.dtypes[device_type] = dtype
        return
    _C._set_autocast_dtype(device_type, dtype)


def _deprecated(old: str, new: str) -> None:
    warnings.warn(
        f"torch.{old} is deprecated. Please use torch.{new} instead.", DeprecationWarning, stacklevel=3
    )


def is_autocast_cpu_enabled() -> bool:
    """Tell whether autocast is on for the CPU; deprecated."""
    _deprecated("is_autocast_cpu_enabled()", "is_autocast_enabled('cpu')")
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Turn autocast on or off for the CPU; deprecated."""
    _deprecated("set_autocast_cpu_enabled(enabled)", "set_autocast_enabled('cpu', enabled)")
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Any:
    """Return the CPU's dtype of lower precision; deprecated."""
    _deprecated("get_autocast_cpu_dtype()", "get_autocast_dtype('cpu')")
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """Set the CPU's dtype of lower precision; deprecated."""
    _deprecated("set_autocast_cpu_dtype(dtype)", "set_autocast_dtype('cpu', dtype)")
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Any:
    """Return the GPU's dtype of lower precision; deprecated."""
    _deprecated("get_autocast_gpu_dtype()", "get_autocast_dtype('cuda')")
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """Set the GPU's dtype of lower precision; deprecated."""
    _deprecated("set_autocast_gpu_dtype(dtype)", "set_autocast_dtype('cuda', dtype)")
    set_autocast_dtype("cuda", dtype)


is_autocast_cache_enabled = _C.is_autocast_cache_enabled
clear_autocast_cache = _C.clear_autocast_cache
autocast_increment_nesting = _C.autocast_increment_nesting
autocast_decrement_nesting = _C.autocast_decrement_nesting


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Keep casts of weights until autocast ends, or not."""
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be a bool (got {type(enabled).__name__})")
    _C.set_autocast_cache_enabled(enabled)


def is_autocast_ipu_enabled() -> bool:
    """Tell whether autocast is on for IPU devices: never."""
    return is_autocast_enabled("ipu")


def set_autocast_ipu_enabled(enabled: bool) -> None:
    """Turn autocast on or off for IPU devices."""
    set_autocast_enabled("ipu", enabled)


def get_autocast_ipu_dtype() -> Any:
    """Return the dtype of lower precision of IPU devices."""
    return get_autocast_dtype("ipu")


def set_autocast_ipu_dtype(dtype: Any) -> None:
    """Set the dtype of lower precision of IPU devices."""
    set_autocast_dtype("ipu", dtype)


def is_autocast_xla_enabled() -> bool:
    """Tell whether autocast is on for XLA devices: never."""
    return is_autocast_enabled("xla")


def set_autocast_xla_enabled(enabled: bool) -> None:
    """Turn autocast on or off for XLA devices."""
    set_autocast_enabled("xla", enabled)


def get_autocast_xla_dtype() -> Any:
    """Return the dtype of lower precision of XLA devices."""
    return get_autocast_dtype("xla")


def set_autocast_xla_dtype(dtype: Any) -> None:
    """Set the dtype of lower precision of XLA devices."""
    set_autocast_dtype("xla", dtype)
