"""Reference recurrent layers and cells."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from .weighted import rounded, settings

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNNCell"]


def _is_weight(name: str) -> bool:
    return name.startswith("weight") and not name.endswith(("_scale", "_zero_point", "_axis"))


class _Reference:
    """Weights that are quantized each by its settings, in ``weight_…_scale`` and so on."""

    _IS_REFERENCE = True

    def _init_qparams(self, qparams: dict | None, device: Any) -> None:
        for name in [n for n, _ in self.named_parameters() if _is_weight(n)]:
            how = settings((qparams or {}).get(name))
            setattr(self, name + "_qscheme", how["qscheme"])
            setattr(self, name + "_dtype", how["dtype"])
            for part in ("scale", "zero_point", "axis"):
                value = how[part] if device is None else how[part].to(device)
                self.register_buffer(f"{name}_{part}", value)
            setattr(self, name + "_is_decomposed", False)
            setattr(self, name + "_axis_int", int(how["axis"]))

    def _quantized(self, name: str) -> Any:
        parts = ("qscheme", "dtype", "scale", "zero_point", "axis")
        return rounded(getattr(self, name), {p: getattr(self, f"{name}_{p}") for p in parts})

    def _numbers(self, name: str) -> fb.Tensor:
        made = self._quantized(name)
        return made.dequantize() if made.is_quantized else made.to(fb.float)

    def _get_name(self) -> str:
        return f"Quantized{type(self).__name__}(Reference)"

    def _take(self, mod: nn.Module) -> Any:
        for name, p in mod.named_parameters():
            setattr(self, name, nn.Parameter(p.detach()))
        return self


class _Cell(_Reference):
    def get_quantized_weight_ih(self) -> Any:
        """The quantized weight of the input."""
        return self._quantized("weight_ih")

    def get_quantized_weight_hh(self) -> Any:
        """The quantized weight of the state."""
        return self._quantized("weight_hh")

    def get_weight_ih(self) -> fb.Tensor:
        """The weight of the input, quantized and back."""
        return self._numbers("weight_ih")

    def get_weight_hh(self) -> fb.Tensor:
        """The weight of the state, quantized and back."""
        return self._numbers("weight_hh")

    def forward(self, input: fb.Tensor, hx: Any = None) -> Any:
        """One step."""
        values = {"weight_ih": self.get_weight_ih(), "weight_hh": self.get_weight_hh()}
        return fb.func.functional_call(_Plain(self), values, (input, hx))

    @classmethod
    def from_float(cls, mod: nn.Module, weight_qparams_dict: dict) -> Any:
        """The cell with a float one's weights."""
        extra = (mod.nonlinearity,) if hasattr(mod, "nonlinearity") else ()
        made = cls(mod.input_size, mod.hidden_size, mod.bias, *extra, weight_qparams_dict=weight_qparams_dict)
        return made._take(mod)


class _Plain(nn.Module):
    """The float forward of a reference layer, with its parameters as its own."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.__dict__["_layer"] = layer
        for name, p in layer._parameters.items():
            self.register_parameter(name, p)

    def forward(self, *args: Any) -> Any:
        """The forward of the class that is not quantized, with these parameters."""
        layer = self.__dict__["_layer"]
        kind = next(
            k for k in type(layer).__mro__ if k in (nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.LSTM, nn.GRU)
        )
        before = layer._parameters.copy()
        try:
            for name in before:
                layer._parameters[name] = getattr(self, name)
            return kind.forward(layer, *args)
        finally:
            layer._parameters.update(before)


class RNNCell(_Cell, nn.RNNCell):
    """A cell with tanh or relu."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None, weight_qparams_dict: dict | None = None,
    ) -> None:  # fmt: skip
        nn.RNNCell.__init__(self, input_size, hidden_size, bias, nonlinearity, device=device, dtype=dtype)
        self._init_qparams(weight_qparams_dict, device)


class LSTMCell(_Cell, nn.LSTMCell):
    """An LSTM cell."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        weight_qparams_dict: dict | None = None,
    ) -> None:  # fmt: skip
        nn.LSTMCell.__init__(self, input_size, hidden_size, bias, device=device, dtype=dtype)
        self._init_qparams(weight_qparams_dict, device)


class GRUCell(_Cell, nn.GRUCell):
    """A GRU cell."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        weight_qparams_dict: dict | None = None,
    ) -> None:  # fmt: skip
        nn.GRUCell.__init__(self, input_size, hidden_size, bias, device=device, dtype=dtype)
        self._init_qparams(weight_qparams_dict, device)


class _Layers(_Reference):
    def __init__(self, *args: Any, weight_qparams_dict: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._init_qparams(weight_qparams_dict, kwargs.get("device"))

    def get_quantized_weight_bias_dict(self) -> dict[str, Any]:
        """Quantized weights and plain biases by name."""
        return {n: self._quantized(n) if _is_weight(n) else getattr(self, n) for n in self._parameters}

    def get_flat_weights(self) -> list:
        """Weights quantized and back, and biases."""
        return [self._numbers(n) if _is_weight(n) else getattr(self, n) for n in self._flat_weights_names]

    def forward(self, input: Any, hx: Any = None) -> tuple:
        """All steps."""
        values = {n: self._numbers(n) for n in self._parameters if _is_weight(n)}
        return fb.func.functional_call(_Plain(self), values, (input, hx))

    @classmethod
    def from_float(cls, mod: nn.Module, weight_qparams_dict: dict) -> Any:
        """The layer with a float one's weights."""
        made = cls(
            mod.input_size, mod.hidden_size, mod.num_layers, mod.bias, mod.batch_first, mod.dropout,
            mod.bidirectional, weight_qparams_dict=weight_qparams_dict,
        )  # fmt: skip
        return made._take(mod)


class LSTM(_Layers, nn.LSTM):
    """Layers of LSTM cells."""


class GRU(_Layers, nn.GRU):
    """Layers of GRU cells."""
