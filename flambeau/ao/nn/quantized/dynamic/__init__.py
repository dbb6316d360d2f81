"""Layers with quantized weights that take and give numbers, quantized by their range at each call."""

from __future__ import annotations

from flambeau._lookup import lazy

_HOMES = {
    "modules.linear": "Linear",
    "modules.conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "modules.rnn": "GRU GRUCell LSTM LSTMCell RNNCell RNNBase RNNCellBase PackedParameter",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "GRU", "GRUCell",
    "LSTM", "LSTMCell", "Linear", "RNNCell",
]  # fmt: skip

__getattr__ = lazy(__name__, _NAMES, ("modules",))


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, "modules"})
