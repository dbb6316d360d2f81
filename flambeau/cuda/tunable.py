"""Choice of a GPU's matrix products by measurement. There is no GPU: everything raises."""

from __future__ import annotations

from . import _refuse

__all__ = [
    "enable",
    "is_enabled",
    "tuning_enable",
    "tuning_is_enabled",
    "record_untuned_enable",
    "record_untuned_is_enabled",
    "set_max_tuning_duration",
    "get_max_tuning_duration",
    "set_max_tuning_iterations",
    "get_max_tuning_iterations",
    "set_filename",
    "get_filename",
    "get_results",
    "get_validators",
    "read_file",
    "tune_gemm_in_file",
    "mgpu_tune_gemm_in_file",
    "set_rotating_buffer_size",
    "get_rotating_buffer_size",
    "set_numerical_check_tolerances",
]


def enable(val: bool = True) -> None:
    """Turn the choice of kernels by measurement on or off."""
    _refuse()


def is_enabled() -> bool:
    """Whether it is on."""
    return _refuse()


def tuning_enable(val: bool = True) -> None:
    """Turn measuring of new shapes on or off."""
    _refuse()


def tuning_is_enabled() -> bool:
    """Whether new shapes are measured."""
    return _refuse()


def record_untuned_enable(val: bool = True) -> None:
    """Turn the recording of shapes that were not measured on or off."""
    _refuse()


def record_untuned_is_enabled() -> bool:
    """Whether they are recorded."""
    return _refuse()


def set_max_tuning_duration(duration: int) -> None:
    """Milliseconds to spend on one kernel."""
    _refuse()


def get_max_tuning_duration() -> int:
    """Those milliseconds."""
    return _refuse()


def set_max_tuning_iterations(iterations: int) -> None:
    """How often to run one kernel."""
    _refuse()


def get_max_tuning_iterations() -> int:
    """That number."""
    return _refuse()


def set_filename(filename: str, insert_device_ordinal: bool = False) -> None:
    """The file of results."""
    _refuse()


def get_filename() -> str:
    """Its name."""
    return _refuse()


def get_results() -> tuple:
    """The kernels chosen so far."""
    return _refuse()


def get_validators() -> tuple:
    """What must agree for results to be used."""
    return _refuse()


def read_file(filename: str | None = None) -> bool:
    """Read results."""
    return _refuse()


def tune_gemm_in_file(filename: str) -> None:
    """Measure the products listed in a file."""
    _refuse()


def mgpu_tune_gemm_in_file(filename_pattern: str, num_gpus: int) -> None:
    """The same on several GPUs."""
    _refuse()


def set_rotating_buffer_size(buffer_size: int) -> None:
    """Megabytes of operands that alternate."""
    _refuse()


def get_rotating_buffer_size() -> int:
    """Those megabytes."""
    return _refuse()


def set_numerical_check_tolerances(enable: bool, atol: float = 1e-05, rtol: float = 1e-05) -> None:
    """How far results of kernels may differ."""
    _refuse()
