"""Quantized layers that are computed together."""

from __future__ import annotations

from flambeau._lookup import lazy

_HOMES = {
    "layers": """
        BNReLU2d BNReLU3d ConvReLU1d ConvReLU2d ConvReLU3d ConvAdd2d ConvAddReLU2d LinearReLU LinearLeakyReLU
        LinearTanh
    """,
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "BNReLU2d", "BNReLU3d", "ConvReLU1d", "ConvReLU2d", "ConvReLU3d", "LinearReLU", "LinearLeakyReLU",
    "LinearTanh", "ConvAdd2d", "ConvAddReLU2d",
]  # fmt: skip

__getattr__ = lazy(__name__, _NAMES, ("dynamic",))


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, "dynamic"})
