"""What symbolic functions of operators share, under PyTorch's names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import flambeau as fb

from ._enums import TensorProtoDataType
from ._symbolic import Value, constants
from .errors import OnnxExporterError

__all__ = [
    "args_have_same_dtype", "cast_pytorch_to_onnx", "is_complex_value", "parse_args", "pytorch_name_to_type",
    "scalar_name_to_pytorch", "scalar_type_to_onnx", "scalar_type_to_pytorch_type",
]  # fmt: skip

cast_pytorch_to_onnx = {
    name: constants()[name]
    for name in (
        "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short", "Bool", "ComplexFloat",
        "ComplexDouble", "BFloat16", "Undefined",
    )
}  # fmt: skip
scalar_type_to_pytorch_type = [
    fb.uint8, fb.int8, fb.int16, fb.int32, fb.int64, fb.float16, fb.float32, fb.float64, fb.complex32,
    fb.complex64, fb.complex128, fb.bool, fb.qint8, fb.quint8, fb.qint32, fb.bfloat16,
]  # fmt: skip
scalar_type_to_onnx = [
    TensorProtoDataType(n) for n in (2, 3, 5, 6, 7, 10, 1, 11, 0, 14, 15, 9, 3, 2, 6, 16)
]  # fmt: skip
pytorch_name_to_type = {
    "Byte": fb.uint8, "Char": fb.int8, "Double": fb.float64, "Float": fb.float32, "Half": fb.float16,
    "Int": fb.int32, "Long": fb.int64, "Short": fb.int16, "Bool": fb.bool, "ComplexFloat": fb.complex64,
    "ComplexDouble": fb.complex128, "BFloat16": fb.bfloat16,
}  # fmt: skip
scalar_name_to_pytorch = {
    "uint8_t": "Byte", "int8_t": "Char", "double": "Double", "float": "Float", "half": "Half", "int": "Int",
    "int64_t": "Long", "int16_t": "Short", "bool": "Bool", "complex64": "ComplexFloat",
    "complex128": "ComplexDouble", "qint8": "QInt8", "quint8": "QUInt8", "qint32": "QInt32",
    "bfloat16": "BFloat16",
}  # fmt: skip


def _is_value(x: Any) -> bool:
    """Whether it is a value of the graph."""
    return isinstance(x, Value)


def _is_none(x: Any) -> bool:
    """Whether an argument was left out."""
    return x is None


def _is_constant(value: Any) -> bool:
    """Whether it is known now."""
    return not isinstance(value, Value)


def _parse_arg(value: Any, desc: str, arg_name: str | None = None, node_name: str | None = None) -> Any:
    """An argument as a descriptor of `parse_args` wants it."""
    if desc in ("none", "v") or value is None:
        if desc == "none" and value is not None:
            raise OnnxExporterError(f"argument {arg_name} of {node_name} is expected to be None")
        return value
    if isinstance(value, Value):
        raise OnnxExporterError(
            f"Expected node type 'onnx::Constant' for argument '{arg_name}' of node '{node_name}', got a "
            "value "
            "that is computed"
        )
    convert = {"i": int, "f": float, "b": bool, "s": str, "t": fb.as_tensor}
    if desc in convert:
        return convert[desc](value)
    if desc in ("is", "fs"):
        return [convert[desc[0]](v) for v in value]
    raise OnnxExporterError(f"ONNX symbolic does not understand the Constant node '{arg_name}' as {desc!r}")


def parse_args(*arg_descriptors: str) -> Callable[[Callable], Callable]:
    """Decorator of a symbolic function: what its arguments after the graph are.

    ``"v"`` a value, ``"i"`` a whole number, ``"f"`` a number, ``"b"`` a bool, ``"s"`` a text, ``"t"`` a
    tensor,
    ``"is"`` and ``"fs"`` lists, ``"none"`` nothing.
    """

    def decorate(fn: Callable) -> Callable:
        @functools.wraps(fn)
        def wrapped(g: Any, *args: Any, **kwargs: Any) -> Any:
            if len(arg_descriptors) < len(args):
                raise AssertionError(
                    f"A mismatch between the number of arguments ({len(args)}) and their descriptors "
                    f"({len(arg_descriptors)}) was found at symbolic function '{fn.__name__}'."
                )
            given = [
                _parse_arg(a, d, str(k), fn.__name__) for k, (a, d) in enumerate(zip(args, arg_descriptors))
            ]
            return fn(g, *given, **kwargs)

        wrapped._arg_descriptors = list(arg_descriptors)  # type: ignore[attr-defined]
        return wrapped

    return decorate


def quantized_args(*arg_q_descriptors: Any, **options: Any) -> Callable[[Callable], Callable]:
    """Decorator for operators of quantized tensors, which the exporter gets as floating point ones."""
    return lambda fn: fn


def _maybe_get_const(value: Any, descriptor: str) -> Any:
    """The number, where it is known; the value where it is computed."""
    return value if isinstance(value, Value) else _parse_arg(value, descriptor)


def _get_const(value: Any, desc: str, arg_name: str) -> Any:
    """The number.

    Raises
    ------
    OnnxExporterError : it is computed.
    """
    if isinstance(value, Value):
        raise OnnxExporterError(
            f"ONNX symbolic expected a constant value of the {arg_name} argument, got {value}"
        )
    return _parse_arg(value, desc)


def _maybe_get_scalar(value: Any) -> Any:
    """The number of a tensor without dimension, else what is given."""
    return value.item() if isinstance(value, fb.Tensor) and value.dim() == 0 else value


def _get_tensor_sizes(x: Value, allow_nonstatic: bool = True) -> list[int | None] | None:
    """The sizes of a value, None for those that follow the inputs."""
    sizes = x.type().sizes()
    return sizes if allow_nonstatic or sizes is None or None not in sizes else None


def _get_tensor_rank(x: Value) -> int | None:
    """The number of dimensions."""
    return x.type().dim()


def _get_tensor_dim_size(x: Value, dim: int) -> int | None:
    """The size of one dimension."""
    sizes = x.type().sizes()
    return None if sizes is None else sizes[dim]


def _is_fp(value: Any) -> bool:
    """Whether the elements are floating point numbers."""
    dtype = value.type().dtype() if isinstance(value, Value) else None
    return dtype is not None and dtype.is_floating_point


def is_complex_value(x: Value) -> bool:
    """Whether the elements are complex numbers."""
    dtype = x.type().dtype()
    return dtype is not None and dtype.is_complex


def args_have_same_dtype(args: Sequence[Value]) -> bool:
    """Whether all values have one type."""
    return len({a.type().dtype() for a in args}) < 2


def _unimplemented(op: str, msg: str, value: Any = None) -> NoReturn:
    """Raise: the exporter has no such operator."""
    raise OnnxExporterError(f"Unsupported: ONNX export of operator {op}, {msg}.")


def _onnx_unsupported(op_name: str, value: Any = None) -> NoReturn:
    """Raise: ONNX has no such operator."""
    raise OnnxExporterError(f"Unsupported: ONNX export of operator {op_name}.")


def _scalar(x: fb.Tensor) -> Any:
    """The number of a tensor of one element."""
    return x.item()


def _axes(g: Any, axes: Sequence[int]) -> str:
    return g.graph.constant([int(a) for a in axes], fb.int64)


def _unsqueeze_helper(g: Any, input: Any, axes_i: Sequence[int]) -> Value:
    """The value with dimensions of size one at these places."""
    return g.op("Unsqueeze", input, _axes(g, axes_i))


def _squeeze_helper(g: Any, input: Any, axes_i: Sequence[int]) -> Value:
    """The value without these dimensions of size one."""
    return g.op("Squeeze", input, _axes(g, axes_i))


def _reshape_helper(g: Any, input: Any, shape: Any, allowzero: int = 0) -> Value:
    """The value in another shape."""
    shape = shape if isinstance(shape, str) else _axes(g, shape)
    return g.op("Reshape", input, shape, allowzero_i=allowzero)


def _select_helper(g: Any, self: Any, dim: int, index: Any, apply_reshape: bool = True) -> Value:
    """One slice along a dimension, or several."""
    index = index if isinstance(index, str) else g.graph.constant(index, fb.int64)
    return g.op("Gather", self, index, axis_i=dim)


def _slice_helper(
    g: Any, input: Any, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int],
    steps: Sequence[int] | None = None,
) -> Value:  # fmt: skip
    """A part of the value."""
    rest = () if steps is None else (_axes(g, steps),)
    return g.op("Slice", input, _axes(g, starts), _axes(g, ends), _axes(g, axes), *rest)


def _size_helper(g: Any, self: Any, dim: Any) -> Value:
    """The size of a dimension."""
    return g.op("Gather", g.op("Shape", self), dim if isinstance(dim, str) else _axes(g, [dim]), axis_i=0)


def _reducesum_helper(
    g: Any, input: Any, axes_i: Sequence[int] | None = None, keepdims_i: int = 1,
    noop_with_empty_axes_i: int = 0,
) -> Value:  # fmt: skip
    """A sum over dimensions."""
    axes = () if axes_i is None else (_axes(g, axes_i),)
    return g.op(
        "ReduceSum", input, *axes, keepdims_i=keepdims_i, noop_with_empty_axes_i=noop_with_empty_axes_i
    )
