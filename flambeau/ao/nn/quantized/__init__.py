"""Quantized layers: their inputs and results are quantized tensors."""

from __future__ import annotations

from flambeau._lookup import lazy

_HOMES = {
    "modules.linear": "Linear LinearPackedParams",
    "modules.conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "modules.activation": """
        ELU Hardswish LeakyReLU MultiheadAttention PReLU ReLU6 Sigmoid Softmax Dropout
    """,
    "modules.norm": """
        BatchNorm2d BatchNorm3d GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm
    """,
    "modules.embedding": "Embedding EmbeddingBag EmbeddingPackedParams",
    "modules.arithmetic": "FloatFunctional FXFloatFunctional QFunctional",
    "modules.stubs": "Quantize DeQuantize MaxPool2d",
    "modules.rnn": "LSTM",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "DeQuantize", "ELU", "Embedding", "EmbeddingBag", "GroupNorm", "Hardswish",
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm", "LeakyReLU", "Linear", "LSTM",
    "MultiheadAttention", "Quantize", "ReLU6", "Sigmoid", "Softmax", "Dropout", "PReLU", "FloatFunctional",
    "FXFloatFunctional", "QFunctional",
]  # fmt: skip

__getattr__ = lazy(__name__, _NAMES, ("functional", "dynamic", "reference", "modules"))


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, "dynamic", "functional", "modules", "reference"})
