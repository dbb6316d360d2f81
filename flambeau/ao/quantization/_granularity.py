"""Which elements of a tensor share a scale, and how numbers become integers: names that observers take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NoReturn

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization._partial import with_args

__all__ = [
    "AffineQuantizedObserverBase", "Granularity", "MappingType", "PerAxis", "PerBlock", "PerGroup", "PerRow",
    "PerTensor", "PerToken", "TorchAODType", "ZeroPointDomain", "get_block_size",
]  # fmt: skip


class MappingType(Enum):
    """Whether zero lies in the middle of the integers."""

    SYMMETRIC = auto()
    SYMMETRIC_NO_CLIPPING_ERR = auto()
    ASYMMETRIC = auto()


class ZeroPointDomain(Enum):
    """Whether a zero point is an integer, a number, or absent."""

    INT = auto()
    FLOAT = auto()
    NONE = auto()


class TorchAODType(Enum):
    """Integers of few bits."""

    INT1 = auto()
    INT2 = auto()
    INT3 = auto()
    INT4 = auto()
    INT5 = auto()
    INT6 = auto()
    INT7 = auto()


@dataclass(frozen=True)
class Granularity:
    """Which elements share a scale."""


@dataclass(frozen=True)
class PerBlock(Granularity):
    """Those of a block."""

    block_size: tuple[int, ...]


@dataclass(frozen=True)
class PerTensor(Granularity):
    """All."""


@dataclass(frozen=True)
class PerAxis(Granularity):
    """Those at one place of an axis."""

    axis: int


@dataclass(frozen=True)
class PerGroup(Granularity):
    """So many neighbours in a row."""

    group_size: int


class PerRow(Granularity):
    """Those of a row."""


class PerToken(Granularity):
    """Those of a token, the last dimension."""


def get_block_size(input_shape: tuple[int, ...], granularity: Granularity) -> tuple[int, ...]:
    """The shape of a block that shares a scale.

    Parameters
    ----------
    input_shape : tuple of int
    granularity : Granularity
    """
    if not isinstance(granularity, Granularity):
        raise AssertionError("Please provide an instance of Granularity, not subclass of it")
    match granularity:
        case PerTensor():
            return input_shape
        case PerAxis(axis):
            block = list(input_shape)
            block[axis] = 1
            return tuple(block)
        case PerRow() | PerToken():
            return (*[1] * (len(input_shape) - 1), input_shape[-1])
        case PerGroup(size):
            if len(input_shape) != 2:
                raise AssertionError(
                    "Expecting input shape dim to be 2 for per group quantization, gotinput shape: "
                    f"{input_shape}"
                )
            return (1, size)
    raise ValueError(f"Unsupported Granularity: {granularity}")


class AffineQuantizedObserverBase(ABC, nn.Module):
    """What observers by granularity share.

    Parameters
    ----------
    mapping_type : MappingType
    target_dtype : dtype
    granularity : Granularity
    quant_min, quant_max : int, optional
    eps : float, optional
    scale_dtype, zero_point_dtype : dtype, optional
    preserve_zero : bool
    zero_point_domain : ZeroPointDomain
    """

    with_args = classmethod(with_args)

    def __init__(
        self,
        mapping_type: MappingType,
        target_dtype: fb.dtype,
        granularity: Granularity,
        quant_min: int | None = None,
        quant_max: int | None = None,
        eps: float | None = None,
        scale_dtype: fb.dtype | None = None,
        zero_point_dtype: fb.dtype | None = None,
        preserve_zero: bool = True,
        zero_point_domain: ZeroPointDomain | None = ZeroPointDomain.INT,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if granularity is None:
            raise AssertionError("granularity is None")
        self.mapping_type = mapping_type
        self.target_dtype = target_dtype
        self.granularity = granularity
        self.quant_min, self.quant_max, self.eps = quant_min, quant_max, eps
        self.scale_dtype, self.zero_point_dtype = scale_dtype, zero_point_dtype
        self.preserve_zero = preserve_zero
        self.zero_point_domain = zero_point_domain
        self.block_size = None
        self.original_dtype = None

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor:
        """Look at the tensor and give it back."""

    @abstractmethod
    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""

    def convert(self, model: Any, observer_node: Any) -> NoReturn:
        """Of the pt2e flow, which is not there."""
        raise NotImplementedError("AffineQuantizedObserverBase.convert: flambeau has no pt2e quantization")
