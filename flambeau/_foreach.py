"""`_foreach_*`: an operator applied to every tensor of a list.

Each function takes lists of tensors (and numbers, or lists of numbers, one for each tensor); the result is a
tuple, or the list itself for the forms that end with an underscore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

_UNARY = """
    abs acos asin atan ceil clone cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 max neg
    reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc zero
"""
_MORE = """
    add addcdiv addcmul clamp_max clamp_min copy div lerp maximum minimum mm mul norm pow powsum sub
"""
NAMES = frozenset(_UNARY.split()) | frozenset(_MORE.split())
# where the names of the operators' schemas stand
_PLACES = {
    "self": 0, "other": 1, "scalar": 1, "scalars": 1, "tensor": 1, "exponent": 1, "src": 1, "mat2": 1,
    "tensors1": 1, "tensor1": 1, "ord": 1, "weight": 2, "weights": 2, "tensor2": 2, "value": 3,
}  # fmt: skip
_ONLY_INPLACE, _NEVER_INPLACE = {"copy", "zero"}, {"clone", "max", "norm", "mm", "powsum"}


def _clamped(name: str, end: str) -> Callable:
    number, tensor = {
        "maximum": ("clamp_min", "maximum"),
        "minimum": ("clamp_max", "minimum"),
        "clamp_min": ("clamp_min", "maximum"),
        "clamp_max": ("clamp_max", "minimum"),
    }[name]

    def clamped(t: Any, other: Any) -> Any:
        if not isinstance(other, Tensor):
            return getattr(t, number + end)(other)
        result = getattr(_C, tensor)(t, other)
        return t.copy_(result) if end else result

    return clamped


def _one(name: str, end: str) -> Callable:
    """What is done with one tensor."""
    if name in ("maximum", "minimum", "clamp_min", "clamp_max"):
        return _clamped(name, end)
    if name == "norm":
        return lambda t, ord=2, dtype=None: _C._linalg.vector_norm(t, ord, dtype=dtype)
    if name == "powsum":
        return lambda t, ord=2, dtype=None: t.abs().pow(ord).sum(dtype=dtype)
    if name in ("addcdiv", "addcmul"):

        def addc(t: Any, first: Any, second: Any, value: Any = 1) -> Any:
            return getattr(t, name + end)(first, second, value=value)

        return addc
    if name in ("add", "sub"):

        def plain(t: Any, other: Any, alpha: Any = 1) -> Any:
            return getattr(t, name + end)(other, alpha=alpha)

        return plain
    if name == "pow" and not end:
        return lambda base, exponent: _C.pow(base, exponent)
    return lambda t, *args, **kwargs: getattr(t, name + end)(*args, **kwargs)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def find(full: str) -> Callable | None:
    """The function of a name such as ``_foreach_add_``; None if there is none."""
    name = full.removeprefix("_foreach_")
    inplace = name.endswith("_")
    name = name.removesuffix("_")
    if name not in NAMES or name in (_NEVER_INPLACE if inplace else _ONLY_INPLACE):
        return None
    one = _one(name, "_" if inplace else "")

    places = _PLACES | ({"scalars": 3} if name.startswith("addc") else {})

    def foreach(*args: Any, **kwargs: Any) -> Any:
        for key in sorted(places.keys() & kwargs.keys(), key=places.__getitem__) if kwargs else ():
            if places[key] == len(args):
                args = (*args, kwargs.pop(key))
        lists = [a for a in (*args, *kwargs.values()) if _is_list(a)]
        if not lists or any(not len(a) for a in lists):
            raise RuntimeError("Tensor list must have at least one tensor.")
        count = len(lists[0])
        for other in lists[1:]:
            if len(other) != count:
                if isinstance(other[0], Tensor):
                    raise RuntimeError(
                        f"Tensor lists must have the same number of tensors, got {count} and {len(other)}"
                    )
                raise RuntimeError("Tensor list must have same number of elements as scalar list.")
        args = tuple(
            _numbers(a, count) if name.startswith("addc") and i == 3 else a for i, a in enumerate(args)
        )
        results = [
            one(
                *(a[i] if _is_list(a) else a for a in args),
                **{k: a[i] if _is_list(a) else a for k, a in kwargs.items()},
            )
            for i in range(count)
        ]
        return args[0] if inplace else tuple(results)

    foreach.__name__ = foreach.__qualname__ = full
    return foreach


def _numbers(value: Any, count: int) -> Sequence | Any:
    """The numbers in a tensor, one for each tensor of the lists."""
    return value.tolist() if isinstance(value, Tensor) and value.dim() == 1 else value


_PAIRS = "add sub mul div clamp_max clamp_min maximum minimum pow".split()
_TENSOR_TOO = ("add", "mul", "div")
# what follows the list of tensors in schemas, by overload
_ADDC = ", Tensor[] tensor1, Tensor[] tensor2, "
_LERP = ", Tensor[] tensors1, "
_SCHEMAS: dict[str, dict[str, str]] = {
    "lerp": {
        "List": _LERP + "Tensor[] weights",
        "Scalar": _LERP + "Scalar weight",
        "ScalarList": _LERP + "Scalar[] weight",
    },
    "copy": {"": ", Tensor[] src, bool non_blocking=False"},
    "mm": {"": ", Tensor[] mat2"},
    "clone": {"": ", *, MemoryFormat? memory_format=None"},
}
for _name in ("addcdiv", "addcmul"):
    _SCHEMAS[_name] = {
        "Scalar": _ADDC + "Scalar value=1",
        "ScalarList": _ADDC + "Scalar[] scalars",
        "Tensor": _ADDC + "Tensor scalars",
    }
for _name in ("norm", "powsum"):
    _SCHEMAS[_name] = {"Scalar": ", Scalar ord=2, ScalarType? dtype=None"}


def _parameters(name: str, inplace: bool) -> dict[str, str]:
    if name in _SCHEMAS:
        return _SCHEMAS[name]
    if name not in _PAIRS:
        return {"": ""}
    if name == "pow":
        return {
            "List": ", Tensor[] exponent",
            "Scalar": ", Scalar exponent",
            "ScalarList": ", Scalar[] exponent",
        }
    alpha = ", *, Scalar alpha=1" if name in ("add", "sub") else ""
    made = {
        "Scalar": ", Scalar scalar",
        "List": ", Tensor[] other" + alpha,
        "ScalarList": ", Scalar[] scalars",
    }
    return made | (
        {"Tensor": ", Tensor other" + (alpha if name == "add" else "")} if name in _TENSOR_TOO else {}
    )


def overloads(full: str) -> list[tuple[str, str, Callable]]:
    """Overloads of ``ops.aten._foreach_…`` with their schemas; none where there is no such function.

    There the result is a list, and nothing of the forms that write.
    """
    function = find(full)
    if function is None:
        return []
    name = full.removeprefix("_foreach_")
    inplace = name.endswith("_")

    def operator(*args: Any, **kwargs: Any) -> list | None:
        named = {k: kwargs[k] for k in ("alpha", "value", "dtype", "memory_format") if k in kwargs}
        rest = [kwargs[k] for k in kwargs if k not in named]
        result = function(*args, *rest, **named)
        return None if inplace else list(result)

    me, result = ("Tensor(a!)[]", "()") if inplace else ("Tensor[]", "Tensor[]")
    return [
        (overload, f"aten::{full}{'.' * bool(overload)}{overload}({me} self{rest}) -> {result}", operator)
        for overload, rest in _parameters(name.removesuffix("_"), inplace).items()
    ]
