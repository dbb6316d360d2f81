"""The LSTM of quantized tensors."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau import nn
from flambeau.ao.nn import quantizable

__all__ = ["LSTM"]


class LSTM(quantizable.LSTM):
    """An LSTM whose layers and sums are quantized: made of an observed one."""

    _FLOAT_MODULE = quantizable.LSTM

    def _get_name(self) -> str:
        return "QuantizedLSTM"

    @classmethod
    def from_float(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises: an LSTM is observed first."""
        raise NotImplementedError(
            "Looks like you are trying to convert a non-observed LSTM module. Please, see the examples on "
            "quantizable"
            " LSTMs."
        )

    @classmethod
    def from_observed(cls, other: nn.Module) -> Any:
        """The layer of an observed one."""
        if not isinstance(other, cls._FLOAT_MODULE):
            raise AssertionError(f"other must be instance of {cls._FLOAT_MODULE}, got {type(other)}")
        from flambeau.ao.quantization import convert

        made = convert(other, inplace=False, remove_qconfig=True, convert_custom_config_dict=None)
        made.__class__ = cls
        return made
