"""Operators written in Python from other operators.

An operator is a function with a decorator that carries its PyTorch schema::

    @composite("kron(Tensor self, Tensor other) -> Tensor", method=True, out=True)
    def kron(input, other): ...

From that come `flambeau.kron`, `Tensor.kron`, ``out=``, NumPy's argument names, argument checks and
``__torch_function__``. The files of this package are imported when one of their operators is first used;
`FAMILIES` says which file has which. A name that the core has itself is never replaced.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import warnings
from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from ..return_types import out_type
from .families import FAMILIES
from .precision import follows_autocast

__all__ = ["composite", "core", "find", "resolve", "install", "names", "OPS"]

# every operator whose file is loaded, by schema name; the tensor's methods among them
OPS: dict[str, Callable] = {}
_METHODS: dict[str, Callable] = {}
_FAMILY_OF = {
    name: family for family, (functions, methods) in FAMILIES.items() for name in (*functions, *methods)
}
# operators here that add to the core's of the same name
_REFINED = {"linalg_lstsq"}
_SPACES = ("linalg", "fft", "special", "nn", "sparse")
_NUMPY_NAMES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "x": "input",
    "a": "input",
    "x1": "input",
    "x2": "other",
}


def _core_op(name: str) -> Callable | None:
    space, _, short = name.partition("_")
    module = getattr(_C, "_" + space, None) if space in _SPACES else None
    return getattr(module, short, None) or getattr(_C._VariableFunctions, name, None)


@functools.cache
def core(name: str) -> Callable:
    """The core's operator of a schema name, such as ``linalg_qr``."""
    op = _core_op(name)
    if op is None:
        raise NotImplementedError(f"flambeau has no operator '{name}' yet")
    return op


def resolve(name: str) -> Callable | None:
    """The operator of a name: the core's, else the one written in Python; None where there is neither."""
    return find(name) if name in _REFINED else _core_op(name) or find(name)


def find(name: str) -> Callable | None:
    """The Python operator of a name, its file loaded if need be; None where there is none."""
    family = _FAMILY_OF.get(name)
    if family is None:
        return None
    if name not in OPS:
        module = importlib.import_module("." + family, __package__)
        if name not in OPS:
            # functions that take no tensors need no decorator
            OPS[name] = getattr(module, name)
    return OPS[name]


def names() -> list[str]:
    """Names of the operators that are functions of the package itself."""
    return [n for functions, _ in FAMILIES.values() for n in functions if n.partition("_")[0] not in _SPACES]


def install(tensor: type) -> None:
    """Give the tensor class the methods of this package; each loads its file when first looked at."""
    for _, methods in FAMILIES.values():
        for name in methods:
            if not hasattr(tensor, name):
                setattr(tensor, name, _Later(name))


class _Later:
    """Stands for a method until somebody looks at it. So there is one object under its name, before and after
    its family is imported, that can be a key in a table of what ``__torch_function__`` treats.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, tensor: Any, kind: type) -> Any:
        method = find(self.name)
        method = _METHODS.get(self.name, method)
        setattr(Tensor, self.name, method)
        return method if tensor is None else getattr(tensor, self.name)


def _declared(schema: str) -> list[str]:
    """The arguments of a schema as they are written."""
    inside = schema[schema.index("(") + 1 : schema.rindex(") ->")]
    depth, parts, start = 0, [], 0
    for i, c in enumerate(inside):
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parts.append(inside[start:i].strip())
            start = i + 1
    parts.append(inside[start:].strip())
    return [p for p in parts if p]


@functools.lru_cache(None)
def _known(schema: str) -> frozenset[str]:
    """The names of the arguments, as keywords."""
    found = {a.partition("=")[0].split()[-1] for a in _declared(schema)}
    return frozenset("input" if a == "self" else a for a in found)


def _fits(kind: str, declared: str) -> bool:
    """Whether the default of an argument, ``p=2``, is of a type; of several the default is that of one."""
    default = declared.partition("=")[2]
    if default in ("", "None"):
        return True
    return kind == "str" if default[0] in "'\"" else kind in ("int", "float", "Scalar")


def _overloads(schema: str) -> tuple[str, ...]:
    """A schema with types such as ``Tensor|int`` as PyTorch has it: one overload for each choice."""
    name = schema[: schema.index("(")]
    choices = []
    for a in _declared(schema):
        types, _, rest = a.partition(" ")
        optional = "?" if types.endswith("?") else ""
        each = types.removesuffix("?").split("|")
        if len(each) > 1:
            choices.append(
                [f"{t}{optional} {rest if _fits(t, rest) else rest.partition('=')[0]}" for t in each]
            )
        else:
            choices.append([a])
    results = schema[schema.rindex(") ->") + 4 :].strip()
    results = f"({', '.join(['Tensor'] * (results.count(',') + 1))})" if results[0] == "(" else "Tensor"
    return tuple(f"{name}({', '.join(args)}) -> {results}" for args in itertools.product(*choices))


@functools.lru_cache(None)
def _argument_check(schema: str, method: bool, out: bool) -> Callable[..., None]:
    """A callable that raises what PyTorch raises for arguments that do not fit the schema, and says
    whether one of them, or a mode, takes over the call.
    """
    return _C._ArgumentCheck(_overloads(schema), method, out)


def _relevant(args: tuple, kwargs: dict) -> list:
    """Arguments, and elements of lists among them, that might take over the call."""
    found = []
    for a in (*args, *kwargs.values()):
        if type(a) in (list, tuple):
            found.extend(a)
        else:
            found.append(a)
    return found


def _renamed(kwargs: dict, schema: str) -> dict:
    """Keyword arguments with NumPy's names replaced by those of the schema."""
    known = _known(schema)
    if known.issuperset(kwargs):
        return kwargs
    return {(_NUMPY_NAMES[k] if k not in known and k in _NUMPY_NAMES else k): v for k, v in kwargs.items()}


def check_tensors(given: Any) -> None:
    """Raises for an element of a list of tensors that is none."""
    for k, t in enumerate(given):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {k} in argument 0, but got {type(t).__name__}")


def _shown(body: Callable, node: str) -> Callable:
    """An operator whose last node has a name of its own."""

    @functools.wraps(body)
    def named(*args: Any, **kwargs: Any) -> Any:
        since = _C._next_node()
        result = body(*args, **kwargs)
        return result if _C._next_node() == since else _C._show_as(result, node, since)

    return named


def composite(
    schema: str,
    *,
    method: bool = False,
    function: bool = True,
    inplace: bool = False,
    out: bool = False,
    python: bool = False,
    node: str | None = None,
) -> Callable[[Callable], Callable]:
    """Decorator that makes an operator of a function.

    Parameters
    ----------
    schema : as PyTorch prints it; ``self`` is the parameter `input` of the function.
    method, function : where the name appears; both are listed in `families`.
    inplace : also make ``name_``, which writes the result into the first argument.
    out : accept ``out=``, a tensor or as many as there are results.
    python : a Python function in PyTorch too: it checks its arguments itself.
    node : the name of PyTorch's node for this operator; the node of the last step goes by it.
    """
    name = schema[: schema.index("(")]

    def decorate(body: Callable) -> Callable:
        if node is not None:
            body = _shown(body, node)
        body = follows_autocast(name.removeprefix("linalg_").removeprefix("fft_"))(body)
        op = OPS[name] = _callable(schema, body, method and not function, out, python)
        if method and function:
            _METHODS[name] = _callable(schema, body, True, False, python)
        if inplace:
            OPS[name + "_"] = _inplace(name + "_", op)
        return op

    return decorate


def passes(passed: Callable[..., tuple[tuple, dict]]) -> Callable[[Callable], Callable]:
    """Decorator of an operator's body: `passed` makes the arguments that ``__torch_function__`` sees."""

    def decorate(body: Callable) -> Callable:
        body.passed = passed
        return body

    return decorate


def _passed(body: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments that ``__torch_function__`` sees, where PyTorch has a Python function too."""
    passed = getattr(body, "passed", None)
    if passed is not None:
        return passed(*args, **kwargs)
    from .._protocol import _as_passed, _signature

    return _as_passed(_signature(body), args, kwargs)


def _taken_over(op: Callable, args: tuple, kwargs: dict) -> Any:
    from .._protocol import handle_torch_function

    return handle_torch_function(op, _relevant(args, kwargs), *args, **kwargs)


def _callable(schema: str, body: Callable, method: bool, out: bool, python: bool) -> Callable:
    """What a user calls: checks the arguments (those of a method or of a function), lets others take over."""
    name = schema[: schema.index("(")]
    check = functools.partial(_argument_check, schema, method, out)
    # raises for arguments that do not fit, and says whether one of them, or a mode, takes over
    asks = _C._has_torch_function_variadic if python else None
    if out:

        @functools.wraps(body)
        def op(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            nonlocal asks
            if asks is None:
                asks = check()
            if python:
                taken = asks(*args, *kwargs.values())
            else:
                if kwargs:
                    kwargs = _renamed(kwargs, schema)
                if out is None or schema.endswith("Tensor[]"):
                    taken = asks(*args, **kwargs)
                else:
                    taken = asks(*args, **kwargs, out=out)
            if taken:
                if python:
                    args, kwargs = _passed(body, args, kwargs)
                if out is not None:
                    kwargs["out"] = out
                return _taken_over(op, args, kwargs)
            if out is None:
                return _C._without_hidden_base(body(*args, **kwargs))
            _check_out(name, _relevant(args, kwargs), out)
            from ..autograd.grad_mode import no_grad

            with no_grad():
                return write(out, body(*args, **kwargs), name)

    elif python:

        @functools.wraps(body)
        def op(*args: Any, **kwargs: Any) -> Any:
            if asks(*args, *kwargs.values()):
                args, kwargs = _passed(body, args, kwargs)
                return _taken_over(op, args, kwargs)
            return _C._without_hidden_base(body(*args, **kwargs))

    else:

        @functools.wraps(body)
        def op(*args: Any, **kwargs: Any) -> Any:
            nonlocal asks
            if asks is None:
                asks = check()
            if kwargs:
                kwargs = _renamed(kwargs, schema)
            if asks(*args, **kwargs):
                return _taken_over(op, args, kwargs)
            return _C._without_hidden_base(body(*args, **kwargs))

    op.schema, op.body = schema, body
    if not python:
        # as for the core's operators, the schema says what the arguments are
        op.check = check
        del op.__wrapped__
        op.__doc__ = f"{schema}\n\n{body.__doc__}"
    return op


_FACTORY = "*, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"


def factory(name: str, *overloads: str, out: bool = False) -> Callable[[Callable], Callable]:
    """Decorator of a function that makes tensors from numbers: checks its arguments against `overloads`, the
    arguments before those that all such functions take."""

    @functools.cache
    def check() -> Callable[..., None]:
        return _C._ArgumentCheck(tuple(f"{name}({o}, {_FACTORY}) -> Tensor" for o in overloads), False, out)

    def decorate(body: Callable) -> Callable:
        @functools.wraps(body)
        def made(*args: Any, **kwargs: Any) -> Any:
            check()(*args, **kwargs)
            return body(*args, **kwargs)

        return made

    return decorate


def alias(name: str, op: Callable) -> Callable:
    """A second name of an operator."""

    @functools.wraps(op)
    def other(*args: Any, **kwargs: Any) -> Any:
        return op(*args, **kwargs)

    other.__name__ = name
    OPS[name] = other
    return other


def _inplace(name: str, op: Callable) -> Callable:
    def in_place(input: Any, *args: Any, **kwargs: Any) -> Any:
        result = op(input, *args, **kwargs)
        if result.shape != input.shape:
            raise RuntimeError(
                f"output with shape {list(input.shape)} doesn't match the broadcast shape "
                f"{list(result.shape)}"
            )
        return input.copy_(result)

    in_place.__name__ = in_place.__qualname__ = name
    return in_place


def _check_out(name: str, relevant: list, out: Any) -> None:
    outs = out if isinstance(out, (tuple, list)) else (out,)
    if _C.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (*relevant, *outs)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )


def write(out: Any, result: Any, name: str = "", results: int = 1) -> Any:
    """Put a result (of the operator `name`) into the tensor, or tensors, of ``out=``; resize if need be."""
    if isinstance(result, tuple):
        if len(out) != len(result):
            raise TypeError(f"expected tuple of {len(result)} tensors as out=, got {len(out)}")
        for o, r in zip(out, result):
            write(o, r, name, len(result))
        made = tuple(out)
        return made if type(result) is tuple else out_type(type(result))(made)
    if out.device != result.device:
        raise RuntimeError(
            f"Attempting to copy from device {result.device} to device {out.device}, but cross-device copies"
            " are not allowed!"
        )
    _C._check_out_type(name, results, result.dtype, out.dtype)
    resize(out, result.shape)
    return out.copy_(result)


def resize(out: Any, shape: Any) -> None:
    """Give an ``out=`` tensor the shape of the result; warns where it held elements."""
    if out.shape == shape:
        return
    if out.numel() != 0:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out.shape)}, which"
            f" does not match the required output shape {list(shape)}. This behavior is deprecated, and in a"
            " future PyTorch release outputs will not be resized unless they have zero elements. You can"
            " explicitly reuse an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            stacklevel=4,
        )
    out.resize_(shape)


_TYPE_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int8": "Char",
    "uint8": "Byte",
    "int16": "Short", "int32": "Int", "int64": "Long", "bool": "Bool", "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "complex32": "ComplexHalf",
}  # fmt: skip


def _type_name(dtype: Any) -> str:
    """A dtype as error messages name it, such as ``Float``."""
    name = str(dtype).rpartition(".")[2]
    return name.capitalize() if name.startswith(("float8", "float4")) else _TYPE_NAMES.get(name, name)


def refuse_float8(kernel: str, dtype: _C.dtype) -> None:
    """Raise for the dtypes of one byte, which no operator computes in."""
    if str(dtype).startswith(("torch.float8", "torch.float4")):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{_type_name(dtype)}'")


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front; raises IndexError out of range."""
    bound = max(ndim, 1)
    if not -bound <= dim < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})"
        )
    return dim % bound
