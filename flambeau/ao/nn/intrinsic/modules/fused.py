"""Layers that are computed together: `convert` puts one quantized layer in their place."""

from __future__ import annotations

from collections.abc import Callable

from flambeau import Tensor, nn
from flambeau.nn.utils.parametrize import type_before_parametrizations

__all__ = [
    "ConvBn1d", "ConvBn2d", "ConvBn3d", "ConvBnReLU1d", "ConvBnReLU2d", "ConvBnReLU3d", "ConvReLU1d",
    "ConvReLU2d", "ConvReLU3d", "LinearReLU", "BNReLU2d", "BNReLU3d", "LinearBn1d", "LinearLeakyReLU",
    "LinearTanh", "ConvAdd2d", "ConvAddReLU2d",
]  # fmt: skip


class _FusedModule(nn.Sequential):
    """What layers that are computed together are."""

    _PARTS: tuple[type[nn.Module], ...] = ()

    def _take(self, *parts: nn.Module) -> None:
        """Hold the layers, which must be of the classes of `_PARTS`."""
        kinds = [type_before_parametrizations(p) for p in parts]
        if tuple(kinds) != self._PARTS:
            *most, last = (kind.__name__ for kind in kinds)
            comma = "," if len(most) > 1 else ""
            raise AssertionError(f"Incorrect types for input modules: {', '.join(most)}{comma} and {last}")
        nn.Sequential.__init__(self, *parts)


class _WithReLU(_FusedModule):
    def __init__(self, conv: nn.Module, relu: nn.Module) -> None:
        self._take(conv, relu)


class ConvReLU1d(_WithReLU):
    """`Conv1d`, `ReLU`."""

    _PARTS = (nn.Conv1d, nn.ReLU)


class ConvReLU2d(_WithReLU):
    """`Conv2d`, `ReLU`."""

    _PARTS = (nn.Conv2d, nn.ReLU)


class ConvReLU3d(_WithReLU):
    """`Conv3d`, `ReLU`."""

    _PARTS = (nn.Conv3d, nn.ReLU)


class LinearReLU(_FusedModule):
    """`Linear`, `ReLU`."""

    _PARTS = (nn.Linear, nn.ReLU)

    def __init__(self, linear: nn.Module, relu: nn.Module) -> None:
        self._take(linear, relu)


class _WithNorm(_FusedModule):
    def __init__(self, conv: nn.Module, bn: nn.Module) -> None:
        self._take(conv, bn)


class ConvBn1d(_WithNorm):
    """`Conv1d`, `BatchNorm1d`."""

    _PARTS = (nn.Conv1d, nn.BatchNorm1d)


class ConvBn2d(_WithNorm):
    """`Conv2d`, `BatchNorm2d`."""

    _PARTS = (nn.Conv2d, nn.BatchNorm2d)


class ConvBn3d(_WithNorm):
    """`Conv3d`, `BatchNorm3d`."""

    _PARTS = (nn.Conv3d, nn.BatchNorm3d)


class _WithNormReLU(_FusedModule):
    def __init__(self, conv: nn.Module, bn: nn.Module, relu: nn.Module) -> None:
        self._take(conv, bn, relu)


class ConvBnReLU1d(_WithNormReLU):
    """`Conv1d`, `BatchNorm1d`, `ReLU`."""

    _PARTS = (nn.Conv1d, nn.BatchNorm1d, nn.ReLU)


class ConvBnReLU2d(_WithNormReLU):
    """`Conv2d`, `BatchNorm2d`, `ReLU`."""

    _PARTS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)


class ConvBnReLU3d(_WithNormReLU):
    """`Conv3d`, `BatchNorm3d`, `ReLU`."""

    _PARTS = (nn.Conv3d, nn.BatchNorm3d, nn.ReLU)


class _NormReLU(_FusedModule):
    def __init__(self, batch_norm: nn.Module, relu: nn.Module) -> None:
        self._take(batch_norm, relu)


class BNReLU2d(_NormReLU):
    """`BatchNorm2d`, `ReLU`."""

    _PARTS = (nn.BatchNorm2d, nn.ReLU)


class BNReLU3d(_NormReLU):
    """`BatchNorm3d`, `ReLU`."""

    _PARTS = (nn.BatchNorm3d, nn.ReLU)


class LinearBn1d(_FusedModule):
    """`Linear`, `BatchNorm1d`."""

    _PARTS = (nn.Linear, nn.BatchNorm1d)

    def __init__(self, linear: nn.Module, bn: nn.Module) -> None:
        self._take(linear, bn)


class LinearLeakyReLU(_FusedModule):
    """`Linear`, `LeakyReLU`."""

    _PARTS = (nn.Linear, nn.LeakyReLU)

    def __init__(self, linear: nn.Module, leaky_relu: nn.Module) -> None:
        self._take(linear, leaky_relu)


class LinearTanh(_FusedModule):
    """`Linear`, `Tanh`."""

    _PARTS = (nn.Linear, nn.Tanh)

    def __init__(self, linear: nn.Module, tanh: nn.Module) -> None:
        self._take(linear, tanh)


class ConvAdd2d(_FusedModule):
    """`Conv2d` of one tensor, and the sum with another.

    Parameters
    ----------
    conv : Conv2d
    add : callable
        Of two tensors.
    """

    def __init__(self, conv: nn.Module, add: Callable) -> None:
        super().__init__(conv)
        self.add = add

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Convolve `x1`, add `x2`."""
        return self.add(self[0](x1), x2)


class ConvAddReLU2d(_FusedModule):
    """`Conv2d` of one tensor, the sum with another, `ReLU`.

    Parameters
    ----------
    conv : Conv2d
    add, relu : callable
    """

    def __init__(self, conv: nn.Module, add: Callable, relu: Callable) -> None:
        super().__init__(conv)
        self.add = add
        self.relu = relu

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """Convolve `x1`, add `x2`, take what is positive."""
        return self.relu(self.add(self[0](x1), x2))
