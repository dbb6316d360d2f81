"""The table operator -> ONNX nodes, and the graph that its entries write into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import flambeau as fb

from .errors import OnnxExporterError, need_onnx

SYMBOLS: dict[str, Callable] = {}

_ELEMENT = {
    fb.float32: 1, fb.uint8: 2, fb.int8: 3, fb.int16: 5, fb.int32: 6, fb.int64: 7, fb.bool: 9, fb.float16: 10,
    fb.float64: 11, fb.bfloat16: 16, fb.float8_e4m3fn: 17, fb.float8_e4m3fnuz: 18, fb.float8_e5m2: 19,
    fb.float8_e5m2fnuz: 20,
}  # fmt: skip


def symbol(*names: str) -> Callable[[Callable], Callable]:
    """Decorator: the function writes the ONNX nodes of these operators.

    It gets the :class:`OnnxGraph`, then the operator's arguments: tensors as :class:`Val`, sizes that follow
    the inputs as :class:`Dyn`. It returns the name of the result, or a list of names.
    """

    def enter(function: Callable) -> Callable:
        for name in names:
            SYMBOLS[name] = function
        return function

    return enter


def element_type(dtype: fb.dtype) -> int:
    """ONNX's number for a dtype."""
    if dtype not in _ELEMENT:
        raise OnnxExporterError(f"ONNX has no tensors of {dtype}")
    return _ELEMENT[dtype]


def raw_bytes(t: fb.Tensor) -> bytes:
    """The elements of a contiguous tensor as they lie in memory."""
    if element_type(t.dtype) >= 16:
        t = t.view(fb.int16 if t.dtype == fb.bfloat16 else fb.uint8)
    return t.numpy().tobytes()


@dataclass(frozen=True)
class Val:
    """A tensor of the program: its name in the ONNX graph, and what the trace saw of it."""

    name: str
    dtype: fb.dtype
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)


class Dyn(int):
    """A whole number that follows the sizes of the inputs.

    ``expr`` says how: ``("size", name of a tensor, dimension)`` or ``(ONNX operator, a, b)`` of numbers.
    """

    expr: tuple
    used: bool

    @classmethod
    def size(cls, value: int, name: str, dimension: int) -> Dyn:
        """The size of a tensor in a dimension."""
        return cls._made(value, ("size", name, dimension))

    @classmethod
    def _made(cls, value: int, expr: tuple) -> Dyn:
        made = cls(value)
        made.expr, made.used = expr, False
        return made

    def key(self) -> tuple:
        """What two equal expressions have in common."""
        return tuple(
            x.key() if isinstance(x, Dyn) else ("number", int(x)) if isinstance(x, int) else x
            for x in self.expr
        )

    def plus(self, other: int) -> Dyn:
        """``self + other``."""
        return self if _is_plain(other, 0) else Dyn._made(int(self) + int(other), ("Add", self, other))

    def times(self, other: int) -> Dyn:
        """``self * other``."""
        return self if _is_plain(other, 1) else Dyn._made(int(self) * int(other), ("Mul", self, other))

    def over(self, other: int) -> Dyn:
        """``self // other`` of numbers that are not negative."""
        return self if _is_plain(other, 1) else Dyn._made(int(self) // int(other), ("Div", self, other))

    def alone(self) -> Dyn:
        """The same number, whose use is noted for itself."""
        return Dyn._made(int(self), self.expr)

    def mark(self) -> None:
        """Note that the graph computes it, and with it what it is made of."""
        self.used = True
        for x in self.expr:
            if isinstance(x, Dyn):
                x.mark()


def same_size(a: int, b: int) -> bool:
    """Whether two numbers are the same for all inputs."""
    if isinstance(a, Dyn) or isinstance(b, Dyn):
        return isinstance(a, Dyn) and isinstance(b, Dyn) and a.key() == b.key()
    return a == b


def _is_plain(x: int, value: int) -> bool:
    return not isinstance(x, Dyn) and x == value


class DynFloat(float):
    """A number that follows a size: ``factor`` times the ONNX operators ``path`` applied to it in turn."""

    size: Dyn
    path: tuple[str, ...]
    factor: float


class OnnxGraph:
    """Nodes and constants of an ONNX graph that is being written."""

    def __init__(self, opset: int, symbols: dict[str, Callable] | None = None) -> None:
        self.symbols = SYMBOLS if symbols is None else symbols
        self.onnx = need_onnx()
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.result: list[Val] = []  # what the trace saw of the results of the operator being written
        self._count = 0
        self._constants: dict[Any, str] = {}
        self._sizes: dict[Any, str] = {}

    def fresh(self, hint: str) -> str:
        """A name that nothing has."""
        self._count += 1
        return f"{hint}_{self._count}"

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; the name of its result, or the names if there are several.

        Inputs are names, :class:`Val`, numbers or lists of numbers (constants), or None for one left out.
        """
        names = ["" if x is None else self.name_of(x) for x in inputs]
        while names and not names[-1]:
            names.pop()
        results = [self.fresh(kind.lower()) for _ in range(outputs)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(self.onnx.helper.make_node(kind, names, results, **attributes))
        return results[0] if outputs == 1 else results

    def name_of(self, x: Any) -> str:
        """The name of a value; numbers become constants."""
        if isinstance(x, Val):
            return x.name
        return x if isinstance(x, str) else self.constant(x)

    def constant(self, value: Any, dtype: fb.dtype | None = None) -> str:
        """The name of a constant: a number, a list of numbers or a tensor."""
        if isinstance(value, fb.Tensor):
            name = self.fresh("constant")
            self.initializers[name] = self.tensor(name, value)
            return name
        key = (repr(value), dtype)
        if key not in self._constants:
            self._constants[key] = self.constant(fb.tensor(value, dtype=dtype))
        return self._constants[key]

    def tensor(self, name: str, t: fb.Tensor) -> Any:
        """A tensor as ONNX keeps it."""
        t = t.detach().contiguous()
        kind = element_type(t.dtype)
        if kind >= 16:  # what NumPy has no type for
            return self.onnx.helper.make_tensor(name, kind, t.shape, raw_bytes(t), raw=True)
        return self.onnx.numpy_helper.from_array(t.numpy(), name)

    def cast(self, x: Any, dtype: fb.dtype, seen: fb.dtype | None = None) -> str:
        """``x`` in another dtype; ``seen`` is the one that it has, for names."""
        seen = x.dtype if isinstance(x, Val) else seen
        if isinstance(x, (bool, int, float)) and not isinstance(x, (Dyn, DynFloat)):
            return self.constant(x, dtype)
        if isinstance(x, DynFloat):
            out = self.op("Cast", self.number(x.size), to=element_type(dtype))
            for kind in x.path:
                out = self.op(kind, out)
            return out if x.factor == 1 else self.op("Mul", out, self.constant(x.factor, dtype))
        if isinstance(x, Dyn):
            return self.op("Cast", self.number(x), to=element_type(dtype))
        return self.name_of(x) if seen == dtype else self.op("Cast", x, to=element_type(dtype))

    def number(self, x: int) -> str:
        """A whole number, as a tensor of no dimensions."""
        return self.op("Squeeze", self.ints([x]), [0]) if isinstance(x, Dyn) else self.constant(int(x))

    def ints(self, values: Sequence[int]) -> str:
        """Whole numbers as a tensor of one dimension; some may follow the inputs' sizes."""
        if not any(isinstance(v, Dyn) for v in values):
            return self.constant([int(v) for v in values], fb.int64)
        parts = [self._dynamic(v) for v in values]
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def _dynamic(self, v: int) -> str:
        if not isinstance(v, Dyn):
            return self.constant([int(v)], fb.int64)
        v.mark()
        key = v.key()
        if key not in self._sizes:
            kind, a, b = v.expr
            if kind == "size":
                self._sizes[key] = self.op("Shape", a, start=b, end=b + 1)
            else:
                self._sizes[key] = self.op(kind, self._dynamic(a), self._dynamic(b))
        return self._sizes[key]

    def shape_of(self, x: Any) -> str:
        """The sizes of a tensor, as a tensor."""
        return self.op("Shape", x)

    def find(self, operator: str) -> Callable | None:
        """The entry of a recorded operator: under its full name, or under the name without the overload."""
        return self.symbols.get(operator) or self.symbols.get(operator.partition(".")[0])


def static(x: Val, dim: int, what: str) -> int:
    """The size of a dimension that has to be the same for all inputs."""
    size = x.shape[dim]
    if isinstance(size, Dyn):
        raise NotImplementedError(f"{what} needs a size of dimension {dim} that does not change")
    return size


def axis_of(dim: int, rank: int) -> int:
    """A dimension counted from the front."""
    return dim + rank if dim < 0 else dim
