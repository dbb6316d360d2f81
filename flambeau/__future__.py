"""Ways in which modules convert their parameters that are not the default yet."""

from __future__ import annotations

from flambeau.nn.modules import _convert

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Whether `Module.to` and the like put new parameters into a module, not new data into the old ones."""
    _convert.overwrite_parameters = value


def get_overwrite_module_params_on_conversion() -> bool:
    """Whether conversions put new parameters into a module."""
    return _convert.overwrite_parameters


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Whether conversions exchange the contents of parameters by `utils.swap_tensors`."""
    _convert.swap_parameters = value


def get_swap_module_params_on_conversion() -> bool:
    """Whether conversions exchange the contents of parameters."""
    return _convert.swap_parameters
