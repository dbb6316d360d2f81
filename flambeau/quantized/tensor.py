"""Tensors of integers that stand for numbers: ``(integer - zero point) * scale``.

The memory of a `QuantizedTensor` is that of its integers, so that strides, views and storage are theirs.
How they
are read, its quantizer, lies beside. Operators on one arrive at `__torch_function__` and are done by `rules`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

from flambeau import _C
from flambeau._C import Tensor
from flambeau._constants import per_channel_affine, per_channel_affine_float_qparams, per_tensor_affine
from flambeau._rules import RuledTensor

__all__ = [
    "INTEGERS", "PerChannel", "PerTensor", "QuantizedTensor", "along", "bounds", "cannot_run", "ints",
    "is_quantized",
    "make", "need_per_tensor",
]  # fmt: skip

_plain_calls = _C.DisableTorchFunctionSubclass
_as_subclass = Tensor.as_subclass
# dtype -> that of the integers in memory, their least and their greatest; four and two bits lie in a byte
# each
INTEGERS = {
    _C.qint8: (_C.int8, -128, 127),
    _C.quint8: (_C.uint8, 0, 255),
    _C.qint32: (_C.int32, -(2**31), 2**31 - 1),
    _C.quint4x2: (_C.uint8, 0, 15),
    _C.quint2x4: (_C.uint8, 0, 3),
}
WORDS = {
    _C.qint8: "QInt8",
    _C.quint8: "QUInt8",
    _C.qint32: "QInt32",
    _C.quint4x2: "QUInt4x2",
    _C.quint2x4: "QUInt2x4",
}


class PerTensor(NamedTuple):  # made by every call, and a tuple is what Python makes fastest
    """One scale and zero point for all integers."""

    dtype: _C.dtype
    scale: float
    zero_point: int

    scheme = per_tensor_affine

    def same(self, other: Any) -> bool:
        """Whether another quantizer reads integers in the same way."""
        return self == other


@dataclass(frozen=True, eq=False)
class PerChannel:
    """A scale and a zero point for each index of a dimension."""

    dtype: _C.dtype
    scales: Tensor
    zero_points: Tensor
    axis: int

    @property
    def scheme(self) -> Any:
        """Whether zero points are integers or numbers."""
        return (
            per_channel_affine_float_qparams if self.zero_points.is_floating_point() else per_channel_affine
        )

    def same(self, other: Any) -> bool:
        """Whether another quantizer reads integers in the same way."""
        return (
            isinstance(other, PerChannel)
            and self.dtype == other.dtype
            and self.axis == other.axis
            and _C.equal(self.scales, other.scales)
            and _C.equal(self.zero_points, other.zero_points)
        )

    def moved(self, axis: int) -> PerChannel:
        """The same along another dimension."""
        return replace(self, axis=axis)

    def part(self, where: Any) -> PerTensor | PerChannel:
        """The quantizer of some channels; of a single one, that of a whole tensor."""
        scales, zeros = self.scales[where], self.zero_points[where]
        if scales.numel() == 1:
            return PerTensor(self.dtype, float(scales), int(zeros))
        return replace(self, scales=scales, zero_points=zeros)


def cannot_run(name: str, backend: str = "QuantizedCPU") -> NoReturn:
    """Raise what PyTorch raises for an operator that a kind of tensor does not have."""
    name = name if "::" in name else "aten::" + name
    raise NotImplementedError(
        f"Could not run '{name}' with arguments from the '{backend}' backend. This could be because "
        f"the operator"
        " doesn't exist for this backend, or was omitted during the selective/custom build process (if "
        "using custom"
        " build)."
        + (" Call .dequantize() first." if backend == "QuantizedCPU" else " Only quantized tensors have it.")
    )


def _expected(condition: str) -> NoReturn:
    raise RuntimeError(
        f"Expected {condition} to be true, but got false.  (Could this error message be improved?  If so, "
        f"please "
        "report an enhancement request to PyTorch.)"
    )


def need_per_tensor(t: Any, message: str | None = None) -> PerTensor:
    """The quantizer of a tensor that has one scale; raises where it has more."""
    quantizer = t.__dict__["_quantizer"]
    if isinstance(quantizer, PerTensor):
        return quantizer
    if message is not None:
        raise RuntimeError(message)
    _expected("quantizer->qscheme() == kPerTensorAffine")


class QuantizedTensor(RuledTensor):
    """A tensor of integers that stand for numbers."""

    _prints_as_tensor = True
    is_quantized = True
    _numbers: Callable  # `convert`, which is above this module, hands it over
    _text: Callable  # so does `printing`

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return self._text(tensor_contents)

    @property
    def quantizer(self) -> PerTensor | PerChannel:
        """How the integers are read."""
        return self.__dict__["_quantizer"]

    @property
    def dtype(self) -> _C.dtype:
        """The quantized dtype, such as ``flambeau.qint8``."""
        return self.__dict__["_quantizer"].dtype

    def qscheme(self) -> Any:
        """Whether there is one scale or one for each channel."""
        return self.quantizer.scheme

    def q_scale(self) -> float:
        """The scale."""
        return need_per_tensor(self).scale

    def q_zero_point(self) -> int:
        """The integer that stands for zero."""
        return need_per_tensor(self).zero_point

    def _per_channel(self) -> PerChannel:
        if not isinstance(self.quantizer, PerChannel):
            _expected(
                "quantizer->qscheme() == kPerChannelAffine || quantizer->qscheme() == "
                "kPerChannelAffineFloatQParams"
            )
        return self.quantizer

    def q_per_channel_scales(self) -> Tensor:
        """The scale of each channel."""
        return self._per_channel().scales

    def q_per_channel_zero_points(self) -> Tensor:
        """The zero point of each channel."""
        return self._per_channel().zero_points

    def q_per_channel_axis(self) -> int:
        """The dimension of the channels."""
        return self._per_channel().axis

    def int_repr(self) -> Tensor:
        """A copy of the integers; those of less than a byte packed, several in one."""
        dtype = self.__dict__["_quantizer"].dtype
        if dtype not in (_C.quint4x2, _C.quint2x4):
            return ints(self).clone()
        from .packing import packed

        return packed(ints(self), dtype)

    def dequantize(self) -> Tensor:
        """The numbers, as float32."""
        return QuantizedTensor._numbers(ints(self), self.__dict__["_quantizer"])

    def numpy(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises: NumPy has no such dtype."""
        raise TypeError(f"Got unsupported ScalarType {WORDS[self.dtype]}")

    def tolist(self) -> NoReturn:
        """Raises: dequantize first."""
        raise RuntimeError("load_scalar: invalid type")

    def item(self) -> float:
        """The number of a tensor of one element."""
        return self.dequantize().item()

    def type(self, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The old name of the class."""
        if dtype is None:
            return f"torch.quantized.{WORDS[self.dtype]}Tensor"
        return self.to(dtype)

    def is_floating_point(self) -> bool:
        """Integers are none."""
        return False

    def is_signed(self) -> NoReturn:
        """Raises, as in PyTorch."""
        raise RuntimeError("isSignedType not supported for quantized types")

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Raises: integers have no gradients."""
        if requires_grad:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        return self

    def like(self, integers: Any) -> QuantizedTensor:
        """Other integers that are read in the same way."""
        return make(integers, self.quantizer)

    def storage(self) -> Any:
        """The integers as they lie in memory."""
        from ..storage import TypedStorage

        return TypedStorage(wrap_storage=ints(self).untyped_storage(), dtype=self.dtype, _internal=True)

    def contiguous(self, memory_format: Any = _C.contiguous_format) -> Any:
        """The tensor itself where its elements lie in this order, or a copy in which they do."""
        if self.is_contiguous(memory_format=memory_format):
            return self
        return Tensor.contiguous(self, memory_format=memory_format)

    def __deepcopy__(self, memo: dict) -> QuantizedTensor:
        if id(self) not in memo:
            memo[id(self)] = self.clone()
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple:
        q = self.quantizer
        if isinstance(q, PerTensor):
            return _again, (ints(self), q.dtype, q.scale, q.zero_point)
        return _again, (ints(self), q.dtype, q.scales, q.zero_points, q.axis)


def _of_integers(name: str) -> Any:
    """An attribute or method of the integers: what a call of its own asks about a tensor takes no rule."""
    read = getattr(Tensor, name)
    if not callable(read):

        def attribute(self: QuantizedTensor) -> Any:
            with _plain_calls():
                return read.__get__(self)

        return property(attribute)

    def method(self: QuantizedTensor, *args: Any, **kwargs: Any) -> Any:
        with _plain_calls():
            return read(self, *args, **kwargs)

    return functools.update_wrapper(method, read)


for _name in (
    "shape", "ndim", "device", "layout", "requires_grad", "dim", "numel", "nelement", "size", "stride",
    "storage_offset", "is_contiguous", "data_ptr", "element_size", "__len__",
):  # fmt: skip
    setattr(QuantizedTensor, _name, _of_integers(_name))


def _again(
    integers: Tensor, dtype: _C.dtype, scale: Any, zero: Any, axis: int | None = None
) -> QuantizedTensor:
    return make(
        integers, PerTensor(dtype, scale, zero) if axis is None else PerChannel(dtype, scale, zero, axis)
    )


def is_quantized(x: Any) -> bool:
    """Whether an object is a quantized tensor."""
    return isinstance(x, QuantizedTensor)


def ints(t: Any) -> Tensor:
    """The integers of a quantized tensor, in its memory."""
    with _plain_calls():
        return _as_subclass(t, Tensor)


def make(integers: Any, quantizer: PerTensor | PerChannel) -> QuantizedTensor:
    """A quantized tensor in the memory of integers."""
    if type(integers) is Tensor:
        t = _as_subclass(integers, QuantizedTensor)
    else:
        with _plain_calls():
            t = _as_subclass(integers, QuantizedTensor)
    t.__dict__["_quantizer"] = quantizer
    return t


def bounds(dtype: _C.dtype) -> tuple[int, int]:
    """The least and the greatest integer of a quantized dtype."""
    return INTEGERS[dtype][1:]


def along(values: Tensor, axis: int, dims: int) -> Tensor:
    """A value for each channel, in a shape that broadcasts over `dims` dimensions."""
    shape = [1] * dims
    shape[axis] = -1
    return values.reshape(shape)
