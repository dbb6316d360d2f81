"""The switches of autocast, as functions; each thread has its own."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as fb
from flambeau import _C

_KINDS = """cpu cuda ipu xpu mkldnn opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia
    privateuseone""".split()
#: What other device types would compute in; they cannot be turned on.
_OTHER_DTYPES = {"xpu": "float16", "xla": "bfloat16", "hpu": "bfloat16", "ipu": "float16", "mps": "float16"}


def check_device_type(device_type: str) -> None:
    """Raise for anything that is not the name of a device type."""
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _KINDS:
        raise RuntimeError(
            f"Expected one of {', '.join(_KINDS)} device type at start of device string: {device_type}"
        )


def is_autocast_available(device_type: str) -> bool:
    """Tell whether autocast works on a type of device."""
    check_device_type(device_type)
    return device_type in ("cpu", "cuda")


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Tell whether autocast is on for a type of device."""
    check_device_type(device_type)
    return is_autocast_available(device_type) and _C._autocast_setting(device_type)[0]


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Turn autocast on or off for a type of device; ``set_autocast_enabled(enabled)`` means CUDA."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    check_device_type(device_type)
    _C._set_autocast_enabled(device_type, enabled)


def get_autocast_dtype(device_type: str) -> Any:
    """Return the dtype of lower precision of a type of device."""
    check_device_type(device_type)
    if is_autocast_available(device_type):
        return _C._autocast_setting(device_type)[1]
    if device_type in _OTHER_DTYPES:
        return getattr(fb, _OTHER_DTYPES[device_type])
    raise RuntimeError(f"unsupported scalarType for device type {device_type} in autocast")


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Set the dtype of lower precision of a type of device."""
    check_device_type(device_type)
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
set_autocast_cache_enabled = _C.set_autocast_cache_enabled
clear_autocast_cache = _C.clear_autocast_cache
autocast_increment_nesting = _C.autocast_increment_nesting
autocast_decrement_nesting = _C.autocast_decrement_nesting


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
