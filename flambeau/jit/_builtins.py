"""What ``torch.NAME``, ``ops.prim.NAME`` and the bare names of a TorchScript program stand for.

An operator there takes numbers, strings, lists and dictionaries as well as tensors: ``torch.add`` of two
lists joins
them. The tables here hold what is done without tensors; everything else is the operator of that name.
"""

from __future__ import annotations

import enum
import math
import operator as op
import re
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.futures import Future

from ._types import FORMATS, LAYOUTS, dtype_of, number_of


class Error(Exception):
    """What a program raised (``torch.jit.Error``)."""


def text_of(value: Any) -> str:
    """``str`` of a program: seventeen digits of a number, strings in lists without quotes."""
    if type(value) is float:
        if not math.isfinite(value):
            return str(value)
        text = f"{value:.17g}"
        return text + "." if text.lstrip("-").isdigit() else text
    if type(value) is list:
        return f"[{', '.join(map(text_of, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(k)}: {text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, fb.device):
        return str(value)
    return str(value)


def _format(pattern: str, *values: Any) -> str:
    parts = pattern.split("{}")
    if len(parts) - 1 > len(values):
        raise Error(f"Too few arguments for format string: {pattern}")
    if len(parts) - 1 < len(values):
        raise Error(f"Too many arguments for format string: {pattern}")
    return "".join(a + text_of(b) for a, b in zip(parts, values)) + parts[-1]


_SPECIFIER = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?(.)")


def _percent(pattern: str, *values: Any) -> str:
    """``pattern % values``: what stands for ``%s`` is written as `text_of` does."""
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    kinds = [kind for kind in _SPECIFIER.findall(pattern) if kind != "%"]
    return pattern % tuple(
        text_of(v) if k < len(kinds) and kinds[k] == "s" else v for k, v in enumerate(values)
    )


def raise_exception(message: str, kind: str | None = None) -> None:
    """``ops.prim.RaiseException``."""
    raise Error(f"{kind or 'RuntimeError'}: {message}")


def _warn(message: str, stacklevel: int = 2) -> None:
    warnings.warn(message, stacklevel=2 + stacklevel)


def _power(a: Any, b: Any) -> Any:
    return a**b if isinstance(a, complex) or isinstance(b, complex) else float(a) ** float(b)


def _slice_list(values: Any, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return values[start:end:step]


def _slice(
    x: fb.Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    return x[(slice(None),) * (dim % x.dim()) + (slice(start, end, step),)]


def _find(text: str, part: str, start: int = 0, end: int = -1) -> int:
    return text.find(part, start, None if end == -1 else end)


def _rfind(text: str, part: str, start: int = 0, end: int = -1) -> int:
    return text.rfind(part, start, None if end == -1 else end)


def _sort(values: list, reverse: bool = False) -> None:
    values.sort(reverse=reverse)


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[key] = value
    return container


def _delete(container: Any, key: Any) -> None:
    del container[key]


def _pop(container: Any, *key: Any) -> Any:
    return container.pop(*key)


def _least(pick: Callable) -> Callable:
    def least(*values: Any) -> Any:
        a, *rest = values
        if rest and isinstance(a, (int, float)):
            result = pick(values)
            return float(result) if any(type(v) is float for v in values) else result
        return pick(values) if rest else pick(a)

    return least


def _extended(a: Any, b: Any) -> Any:
    a += b
    return a


def _dict(values: Any = ()) -> dict:
    return dict(values)


def _to_tensor(value: Any) -> fb.Tensor:
    return fb.tensor(value)


def fork(function: Callable, *args: Any, **kwargs: Any) -> Future:
    """A future of ``function(*args, **kwargs)``; it is called at once."""
    future: Future = Future()
    future.set_result(function(*args, **kwargs))
    return future


# What operators do where no tensor is among the first two arguments.
PLAIN: dict[str, Callable] = {
    "add": op.add, "sub": op.sub, "mul": op.mul, "div": op.truediv, "true_divide": op.truediv,
    "floordiv": op.floordiv, "floor_divide": op.floordiv, "remainder": op.mod, "pow": _power, "neg": op.neg,
    "eq": op.eq, "ne": op.ne, "lt": op.lt, "le": op.le, "gt": op.gt, "ge": op.ge,
    "__and__": op.and_, "__or__": op.or_, "__xor__": op.xor, "__lshift__": op.lshift, "__rshift__": op.rshift,
    "bitwise_not": op.invert, "floor": math.floor, "ceil": math.ceil, "round": lambda x: float(round(x)),
    "sqrt": math.sqrt, "exp": math.exp, "expm1": math.expm1, "log": math.log, "log2": math.log2,
    "log10": math.log10, "log1p": math.log1p, "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "asin": math.asin, "acos": math.acos, "atan": math.atan, "atan2": math.atan2, "sinh": math.sinh,
    "cosh": math.cosh, "tanh": math.tanh, "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh,
    "fmod": math.fmod, "erf": math.erf, "erfc": math.erfc, "lgamma": math.lgamma, "gamma": math.gamma,
    "copysign": math.copysign, "degrees": math.degrees, "radians": math.radians, "fabs": math.fabs,
    "factorial": math.factorial, "gcd": math.gcd, "frexp": math.frexp, "ldexp": math.ldexp, "modf": math.modf,
    "mathremainder": math.remainder, "isnan": math.isnan, "isinf": math.isinf, "isfinite": math.isfinite,
    "divmod": divmod, "abs": abs, "add_": _extended, "mul_": op.imul, "all": all, "any": any, "sum": sum,
    "slice": _slice_list, "index": lambda values, x: values.index(x), "select": op.getitem, "sort": _sort,
    "split": str.split, "copy": lambda x: x.copy(), "count": lambda x, v: x.count(v),
    "values": lambda d: list(d.values()),
    "hash": hash, "list": list, "dict": _dict, "clear": lambda x: x.clear(),
    "unbind": list,
}  # fmt: skip

# What is the same whatever the arguments are.
ALWAYS: dict[str, Callable] = {
    "__is__": op.is_, "__isnot__": op.is_not, "__not__": op.not_, "len": len,
    "__contains__": lambda container, x: x in container, "__getitem__": op.getitem,
    "__round_to_zero_floordiv": lambda a, b: int(a / b), "_set_item": _set_item, "Delete": _delete,
    "append": lambda values, x: _then(values, values.append(x)), "extend": lambda a, b: a.extend(b),
    "insert": lambda values, i, x: values.insert(i, x), "pop": _pop, "popitem": lambda d: d.popitem(),
    "remove": lambda values, x: values.remove(x), "reverse": lambda values: values.reverse(),
    "keys": lambda d: list(d), "items": lambda d: list(d.items()), "get": lambda d, k, *other: d.get(k,
    *other),
    "setdefault": lambda d, k, v: d.setdefault(k, v), "update": lambda d, other: d.update(other),
    "format": _format, "percentFormat": _percent, "str": text_of, "warn": _warn, "ord": ord, "chr": chr,
    "hex": hex, "oct": oct, "bin": bin, "find": _find, "rfind": _rfind, "Int": int, "Float": float,
    "Bool": bool, "Complex": complex, "FloatImplicit": float, "IntImplicit": int,
    "ScalarImplicit": lambda x: x.item(),
    "ComplexImplicit": complex, "size": lambda x, *dim: x.size(*dim) if dim else list(x.size()),
    "stride": lambda x, *dim: x.stride(*dim) if dim else list(x.stride()), "dim": lambda x: x.dim(),
    "__range_length": lambda low, high, step: len(range(low, high, step)),
    "__derive_index": lambda i, start, step: start + i * step, "is_scripting": lambda: True,
    "_unwrap_optional": lambda x: x, "device": lambda kind: fb.device(kind),
    "_get_tracing_state": lambda: False,
    "tuple": tuple, "has_torch_function": lambda values: False, "wait": lambda future: future.wait(),
    "set_grad_enabled": lambda on: fb._C._set_grad_enabled(on),
}  # fmt: skip
ALWAYS.update(
    {
        name: getattr(str, name)
        for name in """upper lower lstrip rstrip strip splitlines join startswith endswith replace
        title capitalize isdigit isalpha isupper islower isspace isalnum isdecimal
        isidentifier isnumeric isprintable istitle center ljust rjust zfill partition
        rpartition expandtabs swapcase rsplit rindex""".split()
    }
)


def _then(result: Any, _done: None) -> Any:
    return result


def _is(kind: str) -> Callable[[fb.Tensor], bool]:
    return lambda x: x.device.type == kind


PRIM: dict[str, Callable] = {
    "NumToTensor": _to_tensor, "RaiseException": raise_exception, "Print": print,
    "dtype": lambda x: number_of(x.dtype), "device": lambda x: x.device,
    "layout": lambda x: number_of(x.layout),
    "type": lambda device: device.type, "index": lambda device: device.index, "data": lambda x: x.data,
    "requires_grad": lambda x: x.requires_grad, "grad": lambda x: x.grad, "is_nested": lambda x: x.is_nested,
    "is_cuda": _is("cuda"), "is_cpu": _is("cpu"), "is_xla": _is("xla"), "is_mps": _is("mps"),
    "is_meta": _is("meta"),
    "is_xpu": _is("xpu"), "is_sparse": lambda x: x.is_sparse, "is_quantized": lambda x: x.is_quantized,
    "is_mkldnn": lambda x: False, "is_vulkan": lambda x: False, "itemsize": lambda x: x.itemsize,
    "nbytes": lambda x: x.nbytes, "name": lambda x: x.name, "id": id, "abs": abs,
    "min": _least(min), "max": _least(max), "unchecked_unwrap_optional": lambda x: x,
    "EnumName": lambda e: e.name, "EnumValue": lambda e: e.value, "rangelist": lambda n: list(range(n)),
    "AutogradZero": lambda: None, "tolist": lambda x, *_: x.tolist(),
}  # fmt: skip

# What may be read of values that are no objects of the program, where it is written by hand.
ATTRIBUTES: dict[type, dict[str, Callable]] = {
    fb.Tensor: {
        "shape": ALWAYS["size"], "ndim": lambda x: x.dim(), "T": lambda x: x.T, "mT": lambda x: x.mT,
        "H": lambda x: x.H, "mH": lambda x: x.mH, "real": lambda x: x.real, "imag": lambda x: x.imag,
        **{n: PRIM[n] for n in PRIM if n.startswith("is_") or n in ("dtype", "device", "layout", "grad",
        "data",
                                                                    "requires_grad", "itemsize", "nbytes")},
    },
    fb.device: {"type": PRIM["type"], "index": PRIM["index"]},
    enum.Enum: {"name": PRIM["EnumName"], "value": PRIM["EnumValue"]},
}  # fmt: skip

BARE: dict[str, Callable] = {
    "float": float, "int": int, "bool": bool, "complex": complex, "str": text_of, "range": range, "len": len,
    "sorted": sorted, "list": list, "dict": _dict, "tuple": tuple, "enumerate": enumerate, "zip": zip,
    "abs": abs, "min": _least(min), "max": _least(max), "print": print, "round": PLAIN["round"],
    "pow": _power,
    "all": all, "any": any, "ord": ord, "chr": chr, "hex": hex, "oct": oct, "bin": bin, "reversed": reversed,
    "hash": hash, "divmod": divmod, "sum": sum,
    "fork": fork,
}  # fmt: skip


# ---------------------------------------------------------------- operators on tensors
_DTYPE_AT = {"softmax": 2, "log_softmax": 2, "_safe_softmax": 2, "view": 1, "to_dense": 1}


def _to(x: fb.Tensor, *args: Any, **kwargs: Any) -> fb.Tensor:
    args = list(args)
    for i in (0, 1):
        if len(args) > i and (i == 0 or args[0] is None or isinstance(args[0], fb.device)):
            args[i] = dtype_of(args[i])
    tail = 2 if len(args) > 1 and not isinstance(args[1], bool) else 1
    flags = dict(zip(("non_blocking", "copy", "memory_format"), args[tail:]))
    given = {**flags, **kwargs}
    if given.get("memory_format", 0) is not None and "memory_format" in given:
        given["memory_format"] = getattr(fb, FORMATS[given["memory_format"]])
    kept = {k: v for k, v in given.items() if v is not None}
    target = [a for a in args[:tail] if a is not None]
    return x.to(*target, **kept) if target else x.to(**_options(kept)) if kept else x


def _options(given: dict[str, Any]) -> dict[str, Any]:
    options = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "dtype":
            value = dtype_of(value)
        elif name == "layout" and type(value) is int:
            value = getattr(fb, LAYOUTS[value])
        elif name == "memory_format" and type(value) is int:
            value = getattr(fb, FORMATS[value])
        options[name] = value
    return options


def _convolution(x: Any, w: Any, b: Any, stride: Any, pad: Any, dilation: Any, transposed: bool, extra: Any,
                 groups: int, *_: Any) -> fb.Tensor:  # fmt: skip
    return fb.convolution(x, w, b, stride, pad, dilation, transposed, extra, groups)


def _index(x: fb.Tensor, places: list) -> fb.Tensor:
    return x[tuple(slice(None) if p is None else p for p in places)]


def _index_put_(x: fb.Tensor, places: list, values: fb.Tensor, accumulate: bool = False) -> fb.Tensor:
    if all(p is not None for p in places):
        return x.index_put_(tuple(places), values, accumulate)
    if accumulate:
        raise NotImplementedError("index_put_ that accumulates with dimensions left whole")
    x[tuple(slice(None) if p is None else p for p in places)] = values
    return x


SPECIAL: dict[str, Callable] = {
    "to": _to, "slice": _slice, "_convolution": _convolution, "index": _index, "index_put_": _index_put_,
    "type": lambda x, dtype: x.to(dtype_of(dtype)), "copy": lambda x, *_: x.clone(),
    "alias": lambda x: x.view(x.shape), "unfold": lambda x, *args: x.unfold(*args),
    "values": lambda x: x.values(), "is_floating_point": lambda x: x.is_floating_point(),
    "type_as": lambda x, other: x.type_as(other), "item": lambda x: x.item(),
    "unbind": lambda x, dim=0: list(x.unbind(dim)),
}  # fmt: skip
_LISTS = {"split", "split_with_sizes", "chunk", "tensor_split", "meshgrid", "broadcast_tensors", "hsplit",
          "vsplit", "unsafe_chunk", "unsafe_split"}  # fmt: skip


_MODES = {"upsample_nearest": "nearest", "_upsample_nearest_exact": "nearest-exact",
"upsample_linear": "linear",
          "upsample_bilinear": "bilinear", "upsample_bicubic": "bicubic", "upsample_trilinear": "trilinear",
          "_upsample_bilinear": "bilinear", "_upsample_bicubic": "bicubic"}  # fmt: skip


def _upsample(name: str) -> Callable | None:
    mode = _MODES.get(name.removesuffix("_aa")[:-2])  # without the 2d
    if mode is None:
        return None
    aligned = mode not in ("nearest", "nearest-exact")

    def call(x: fb.Tensor, size: list[int] | None, *rest: Any) -> fb.Tensor:
        align = rest[0] if aligned else None
        factors = rest[1 if aligned else 0] if len(rest) > (1 if aligned else 0) else None
        factors = factors if size is None else None  # with a size they only refine where its pixels lie
        antialias = "_aa" in name
        return fb.nn.functional.interpolate(x, size, factors, mode, align, antialias=antialias)

    return call


SPECIAL["promote_types"] = lambda a, b: number_of(fb.promote_types(dtype_of(a), dtype_of(b)))
SPECIAL["can_cast"] = lambda a, b: fb.can_cast(dtype_of(a), dtype_of(b))
SPECIAL["result_type"] = lambda a, b: number_of(fb.result_type(a, b))
# Functions of the package that are no operators and that a program may call.
ALLOWED = """tensor as_tensor is_grad_enabled manual_seed is_autocast_enabled is_autocast_cpu_enabled
    initial_seed numel is_complex is_floating_point is_nonzero is_conj is_neg is_signed is_inference
    get_default_dtype resolve_conj resolve_neg""".split()
# What reaches beyond the program.
_REFUSED = """from_file numpy apply_ map_ map2_ register_hook register_post_accumulate_grad_hook storage
    share_memory_ set_ untyped_storage data_ptr pin_memory module_load as_subclass storage_type retain_grad
    refine_names align_to""".split()


def _lookup(name: str) -> Callable | None:
    from flambeau.ops import registry

    if name.startswith("__") or name in _REFUSED:
        return None
    found = SPECIAL.get(name) or registry.resolve(name) or registry.resolve(f"nn_{name}") or _upsample(name)
    if found is None and name in ALLOWED:
        found = getattr(fb, name)
    if found is None:
        found = getattr(fb.ops.aten, name, None)
    if found is None and not name.startswith("_"):
        found = getattr(fb.Tensor, name, None)
    return found if callable(found) else None


def tensor_operator(name: str) -> Callable:
    """The operator of that name on tensors.

    Raises
    ------
    NotImplementedError
        When it is called and there is none.
    """
    found = _lookup(name)
    if found is None:

        def missing(*_: Any, **__: Any) -> None:
            raise NotImplementedError(
                f"the operator aten::{name} of a TorchScript program is not there in flambeau"
            )

        return missing
    place = _DTYPE_AT.get(name)
    as_list = name in _LISTS

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = _options(kwargs)
        if place is not None and len(args) > place:
            args = (*args[:place], dtype_of(args[place]), *args[place + 1 :])
            if args[-1] is None:
                args = args[:-1]
        result = found(*args, **kwargs)
        return list(result) if as_list else result

    return call


def _div_of_integers(name: str) -> Callable:
    """Before version 4 the quotient of integer tensors was an integer."""
    now = aten(name)

    def div(a: Any, b: Any, **kwargs: Any) -> Any:
        both = [
            x.is_floating_point() or x.is_complex() if isinstance(x, fb.Tensor) else type(x) is float
            for x in (a, b)
        ]
        if kwargs or any(both) or not isinstance(a, fb.Tensor):
            return now(a, b, **kwargs)
        return now(a, b, rounding_mode="trunc")

    return div


# What an operator did before a version of the operators changed it.
OLDER: dict[str, tuple[int, Callable[[str], Callable]]] = {
    "div": (4, _div_of_integers),
    "div_": (4, _div_of_integers),
}


def aten(name: str, version: int = 10) -> Callable:
    """What ``torch.NAME(...)`` calls in a program of that version of the operators."""
    if name in OLDER and version < OLDER[name][0]:
        return OLDER[name][1](name)
    if name in ALWAYS:
        return ALWAYS[name]
    plain = PLAIN.get(name)
    on_tensors = tensor_operator("floor_divide" if name == "floordiv" else name)
    if plain is None:
        return on_tensors
    Tensor = fb.Tensor

    def either(*args: Any, **kwargs: Any) -> Any:
        for a in args[:2]:
            if isinstance(a, Tensor) or (
                type(a) is list and a and isinstance(a[0], Tensor) and name not in _ON_LISTS
            ):
                return on_tensors(*args, **kwargs)
        return plain(*args, **kwargs)

    return either


_ON_LISTS = {
    "add",
    "add_",
    "mul",
    "slice",
    "index",
    "select",
    "copy",
    "count",
    "list",
    "clear",
    "eq",
    "ne",
    "sort",
}


def method(name: str) -> Callable:
    """What ``x.NAME(...)`` of a tensor calls: sizes may be given one by one."""
    found = getattr(fb.Tensor, name, None)
    if name in ALWAYS or name in SPECIAL or name in _REFUSED or name[0] == "_" or found is None:
        return aten(name)
    place = _DTYPE_AT.get(name, 9) if name != "view" else 9  # x.view(6) is a size there
    return lambda x, *args, **kwargs: found(
        x, *args[: place - 1], *map(dtype_of, args[place - 1 :]), **_options(kwargs)
    )
