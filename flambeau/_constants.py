"""Types and constants that programs name: how futures are aggregated, how quantized tensors are scaled."""

from __future__ import annotations

import enum
from typing import Any, NoReturn

__all__ = ["AVG", "SUM", "AggregationType", "qscheme"]


class AggregationType(enum.Enum):
    """How values of several workers become one."""

    SUM = 0
    AVG = 1

    def __repr__(self) -> str:
        return f"<AggregationType.{self.name}: {self.value}>"


SUM, AVG = AggregationType.SUM, AggregationType.AVG


class qscheme:
    """How a quantized tensor maps integers to numbers."""

    def __new__(cls, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("cannot create 'torch.qscheme' instances")

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> str:
        return self._name.removeprefix("torch.")


def _scheme(name: str) -> qscheme:
    made = object.__new__(qscheme)
    made._name = "torch." + name
    return made


per_tensor_affine = _scheme("per_tensor_affine")
per_channel_affine = _scheme("per_channel_affine")
per_tensor_symmetric = _scheme("per_tensor_symmetric")
per_channel_symmetric = _scheme("per_channel_symmetric")
per_channel_affine_float_qparams = _scheme("per_channel_affine_float_qparams")
SCHEMES = (
    per_tensor_affine,
    per_channel_affine,
    per_tensor_symmetric,
    per_channel_symmetric,
    per_channel_affine_float_qparams,
)
