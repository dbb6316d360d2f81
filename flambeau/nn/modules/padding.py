"""Layers that put something around their input."""

from flambeau import Tensor
from flambeau._own_methods import own_methods
from flambeau.nn import functional as F
from flambeau.nn.common_types import _size_2_t, _size_4_t, _size_6_t, _size_any_t
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _ntuple, _pair, _quadruple

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip

# how the padding argument is read: a number, or (before, after) from the last dimension on
_SIDES = {1: _pair, 2: _quadruple, 3: _ntuple(6)}


@own_methods("forward", "extra_repr")
class _PadNd(Module):
    """Padding by values of the input itself; subclasses name the mode and the number of dimensions."""

    __constants__ = ["padding"]
    _mode: str
    _dims: int

    def __init__(self, padding: _size_any_t) -> None:
        super().__init__()
        self.padding = _SIDES[self._dims](padding)

    def forward(self, input: Tensor) -> Tensor:
        """Pad the last dimensions."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


@own_methods("__init__")
class _ConstantPadNd(Module):
    """Padding by a number."""

    __constants__ = ["padding", "value"]
    _dims: int

    def __init__(self, padding: _size_any_t, value: float) -> None:
        super().__init__()
        self.padding = _SIDES[self._dims](padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Pad the last dimensions."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """Sizes and value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with `value`; `padding` is a number or (left, right)."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads the last two dimensions with `value`; `padding` is a number or (left, right, top, bottom)."""

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads the last three dimensions with `value`; `padding` is a number or six."""

    _dims = 3


class ZeroPad1d(ConstantPad1d):
    """Pads the last dimension with zeros."""

    def __init__(self, padding: _size_2_t) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last two dimensions with zeros."""

    def __init__(self, padding: _size_4_t) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last three dimensions with zeros."""

    def __init__(self, padding: _size_6_t) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.padding}"


@own_methods("__init__")
class _ReflectionPadNd(_PadNd):
    """Padding by mirroring."""

    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pads the last dimension by mirroring at its ends."""

    _dims = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Pads the last two dimensions by mirroring at the edges."""

    _dims = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Pads the last three dimensions by mirroring at the faces."""

    _dims = 3


@own_methods("__init__")
class _ReplicationPadNd(_PadNd):
    """Padding by repeating what is outermost."""

    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pads the last dimension by repeating its ends."""

    _dims = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Pads the last two dimensions by repeating the edges."""

    _dims = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Pads the last three dimensions by repeating the faces."""

    _dims = 3


@own_methods("__init__")
class _CircularPadNd(_PadNd):
    """Padding by the other end of each dimension."""

    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Pad the last dimensions."""
        dims = self._dims + 1, self._dims + 2
        if input.dim() not in dims:
            raise ValueError(f"expected {dims[0]}D or {dims[1]}D input (got {input.dim()}D input)")
        return F.pad(input, self.padding, self._mode)


class CircularPad1d(_CircularPadNd):
    """Pads the last dimension as if it were a ring."""

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """Pads the last two dimensions as if they were rings."""

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """Pads the last three dimensions as if they were rings."""

    _dims = 3
