"""Private names of PyTorch's ``torch._C`` that packages call, in Python: the core has no use for them."""

from __future__ import annotations

from typing import Any

from flambeau import _C
from flambeau._C import Tensor

__all__ = ["CORE", "ELSEWHERE", "MODULES", "NN"]


def _parse_to(*args: Any, **kwargs: Any) -> tuple:
    """The device, dtype, flag and memory format that arguments of ``Module.to`` mean."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    non_blocking, memory_format = kwargs.pop("non_blocking", None), kwargs.pop("memory_format", None)
    copy = kwargs.pop("copy", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        device, dtype = other.device, other.dtype
    else:
        if rest and not isinstance(rest[0], _C.dtype):
            device = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], _C.dtype)):
            dtype = rest.pop(0)
    if rest:
        non_blocking = rest.pop(0)
    if rest:
        copy = rest.pop(0)
    if rest or not isinstance(copy, (bool, type(None))):
        raise TypeError(f"to() received an invalid combination of arguments - got {args}")
    device = None if device is None else _C.device(device)
    return device, dtype, bool(non_blocking), memory_format


def _get_tracing_state() -> None:
    """The state of PyTorch's tracer of graphs: that is not here, so nothing is traced by it."""


def _log_api_usage_once(event: str) -> None:
    """Note that an interface was used: nobody is told."""


def _are_functorch_transforms_active() -> bool:
    """Whether a transform of `torch.func` is running."""
    from .autograd.function import _func_levels

    return bool(_func_levels.stack or _func_levels.differentiating)


def _get_accelerator(check: bool | None = None) -> Any:
    """The device of the accelerator, the CPU where there is none."""
    from .accelerator import current_accelerator

    found = current_accelerator()
    return _C.device("cpu") if found is None else found


def _setting(name: str) -> Any:
    """A setter of PyTorch's interpreter of TorchScript that says what was set before.

    flambeau runs programs as they are written: there is nothing to switch, so results do not depend on it.
    """
    values = [True]

    def setter(value: bool) -> bool:
        values.append(bool(value))
        return values.pop(0)

    setter.__name__ = setter.__qualname__ = name
    return setter


def _nothing_to_set(name: str) -> Any:
    """A setter of PyTorch's that returns nothing, and that has nothing to set here either."""

    def setter(value: Any) -> None:
        """Accepted: there is no such compiler or kernel here, results do not depend on it."""

    setter.__name__ = setter.__qualname__ = name
    return setter


def _jit_can_fuse_on_gpu() -> bool:
    """Whether programs of TorchScript are fused on GPUs: they are run as they are written."""
    return False


def _jit_can_fuse_on_cpu() -> bool:
    """The same of the CPU."""
    return False


_sums = {"reduced": False}


def _get_math_sdp_allow_fp16_bf16_reduction() -> bool:
    """What was set: the CPU adds in float32 either way."""
    return _sums["reduced"]


def _set_math_sdp_allow_fp16_bf16_reduction(value: bool, /) -> None:
    """Whether attention written in plain operators may add in half precision."""
    if not isinstance(value, bool):
        raise TypeError(
            "_set_math_sdp_allow_fp16_bf16_reduction(): argument 'flag' must be bool, not "
            + type(value).__name__
        )
    _sums["reduced"] = value


def _get_privateuse1_backend_name() -> str:
    """The name of devices of others: they cannot be renamed here, see `utils.backend_registration`."""
    return "privateuseone"


def _show_config() -> str:
    """What ``torch.__config__.show()`` says."""
    from . import __config__

    return __config__.show()


def _mps_is_available() -> bool:
    """Whether there is one of Apple's GPUs: it cannot be used here."""
    return False


def _mps_is_on_macos_or_newer(major: int, minor: int) -> bool:
    """Whether this is that version of macOS, of which Apple's GPUs ask."""
    return False


def _get_default_device() -> str:
    """The kind of device of the default tensor type: a CPU type, whatever `set_default_device` says."""
    return "cpu"


def _get_cudnn_enabled() -> bool:
    """Whether cuDNN may be used where there is one."""
    from .backends import cudnn

    return cudnn.enabled


def _is_alias_of(self: Any, other: Any, /) -> bool:
    """Whether two tensors lie in one storage."""
    return self.untyped_storage()._cdata == other.untyped_storage()._cdata


NN = {"_parse_to": _parse_to}
CORE = {
    f.__name__: f
    for f in (
        _get_tracing_state,
        _log_api_usage_once,
        _are_functorch_transforms_active,
        _get_accelerator,
        _setting("_jit_set_profiling_executor"),
        _setting("_jit_set_profiling_mode"),
        _nothing_to_set("_jit_set_texpr_fuser_enabled"),
        _nothing_to_set("_jit_override_can_fuse_on_cpu"),
        _nothing_to_set("_jit_override_can_fuse_on_gpu"),
        _nothing_to_set("_jit_set_nvfuser_enabled"),
        _nothing_to_set("_jit_set_nvfuser_guard_mode"),
        _jit_can_fuse_on_cpu,
        _jit_can_fuse_on_gpu,
        _get_math_sdp_allow_fp16_bf16_reduction,
        _set_math_sdp_allow_fp16_bf16_reduction,
        _get_privateuse1_backend_name,
        _get_cudnn_enabled,
        _get_default_device,
        _show_config,
        _mps_is_available,
        _mps_is_on_macos_or_newer,
        _is_alias_of,
    )
}
_LIBRARIES = "cuda cudnn cusparselt eigen_sparse kleidiai magma mkldnn mkldnn_acl mps xpu"
CORE |= {f"_has_{name}": name == "mkldnn" for name in _LIBRARIES.split()}  # oneDNN is the one that is there

# names of ``torch._C`` that lie in other files here: those are loaded when they are asked for
ELSEWHERE = {
    "DispatchKey": "_dispatch_keys", "DispatchKeySet": "_dispatch_keys", "_dispatch_keys": "_dispatch_keys",
    "_ExcludeDispatchKeyGuard": "_dispatch_keys", "Graph": "jit._graph", "Node": "jit._graph",
    "Value": "jit._graph", "StorageBase": "storage",
    **dict.fromkeys(
        (
            "_error_if_any_worker_fails", "_remove_worker_pids", "_set_worker_pids",
            "_set_worker_signal_handlers",
        ),
        "utils.data._utils.signal_handling",
    ),
}  # fmt: skip
MODULES = {  # modules of ``torch._C``
    "_distributed_autograd": "distributed.autograd", "_distributed_rpc": "distributed.rpc",
    "_functorch": "_functorch._core",
    "_distributed_c10d": "distributed._names",
}  # fmt: skip
