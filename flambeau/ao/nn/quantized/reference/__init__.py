"""Reference layers: float layers that know how their weight is quantized, and compute with it rounded."""

from __future__ import annotations

from flambeau._lookup import lazy

_HOMES = {
    "modules.weighted": """
        Linear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Embedding EmbeddingBag
        ReferenceQuantizedModule
    """,
    "modules.rnn": "RNNCell LSTMCell GRUCell LSTM GRU",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "RNNCell",
    "LSTMCell", "GRUCell", "LSTM", "GRU", "Embedding", "EmbeddingBag",
]  # fmt: skip

__getattr__ = lazy(__name__, _NAMES, ("modules",))


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, "modules"})
