"""What NVIDIA's management library tells about a GPU, and handles of its libraries."""

from __future__ import annotations

from typing import Any

from . import Device, _refuse


def _nvml() -> Any:
    try:
        import pynvml
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "nvidia-ml-py does not seem to be installed or it can't be imported."
        ) from None
    return pynvml


def _reading(name: str, what: str) -> Any:
    def reading(device: Device = None) -> int:
        _nvml()
        return _refuse()

    reading.__name__, reading.__qualname__, reading.__doc__ = name, name, f"{what}; needs nvidia-ml-py."
    return reading


clock_rate = _reading("clock_rate", "The clock of the multiprocessors in MHz")
device_memory_used = _reading("device_memory_used", "Bytes of the device that are used")
memory_usage = _reading("memory_usage", "Percent of time in which memory was read or written")
power_draw = _reading("power_draw", "Power in milliwatts")
temperature = _reading("temperature", "Temperature in degrees Celsius")
utilization = _reading("utilization", "Percent of time in which kernels ran")


class cudaStatus:
    """Status codes of the CUDA runtime."""

    SUCCESS: int = 0
    ERROR_NOT_READY: int = 34


def cudart() -> Any:
    """The CUDA runtime."""
    return _refuse()


def check_error(res: int) -> None:
    """Raise for a status that is an error."""
    if res != cudaStatus.SUCCESS:
        _refuse()


def current_blas_handle() -> int:
    """The handle of cuBLAS."""
    return _refuse()


def current_solver_handle() -> int:
    """The handle of cuSOLVER."""
    return _refuse()


def get_stream_from_external(data_ptr: int, device: Device = None) -> Any:
    """A stream that another library made."""
    return _refuse()


def get_sync_debug_mode() -> int:
    """What happens at calls that wait for the GPU."""
    return _refuse()


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Set what happens at calls that wait for the GPU."""
    _refuse()
