"""Names of functions and types as generated code and printed graphs show them: those of torch."""

from __future__ import annotations

import builtins
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from flambeau import _C

METHOD_TYPES = (type(_C.Tensor.relu), types.MethodDescriptorType, types.WrapperDescriptorType)
_NOT_TORCH = ("vision", "text", "audio")  # packages of their own beside torch
_FUNCTIONAL = """
    atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist
    chain_matmul einsum lu meshgrid norm split stft tensordot unique unique_consecutive unravel_index
""".split()  # torch has these in torch.functional, in Python


def is_from_torch(obj: Any) -> bool:
    """Whether generated code reaches an object under the name ``torch``."""
    module = getattr(obj, "__module__", None)
    if module is None:
        return isinstance(obj, METHOD_TYPES) or isinstance(obj, (_C.dtype, _C.memory_format, _C.layout))
    head, _, rest = module.partition(".")
    return head in ("flambeau", "torch") and rest.partition(".")[0] not in _NOT_TORCH


def _home(space: str) -> Any:
    return functools.reduce(getattr, space.split(".") if space else (), sys.modules["flambeau"])


@functools.cache
def functional() -> dict[int, str]:
    """Names of the functions of ``torch.functional`` by the id of the function."""
    import flambeau as fb

    return {id(f): n for n in _FUNCTIONAL if (f := getattr(fb, n, None)) is not None}


def qualified_name(func: Callable) -> str:
    """The name under which generated code calls a function, such as ``torch.nn.functional.relu``."""
    name = func.__name__
    if getattr(builtins, name, None) is func:
        return name
    if isinstance(func, METHOD_TYPES):
        return f"torch.Tensor.{name}"
    if isinstance(func, types.MethodType) and isinstance(func.__self__, type):
        return f"{qualified_name(func.__self__)}.{name}"
    module = func.__module__
    if module is not None and module.startswith("torch._ops."):  # an operator, with or without its overload
        return f"torch.ops.{module.removeprefix('torch._ops.')}.{name}"
    if not is_from_torch(func):
        return f"{_real_module(func)}.{name}"
    if id(func) in functional():
        return "torch.functional." + functional()[id(func)]
    if module == "flambeau._C._nn":
        return f"torch._C._nn.{name}"
    for space in ("fft", "linalg", "special"):
        short = name.removeprefix(space + "_")
        if getattr(_home(space), short, None) is func:
            return f"torch.{space}.{short}"
    for space in ("nn.functional", "nn.init", ""):
        if getattr(_home(space), name, None) is func:
            return ".".join(filter(None, ("torch", space, name)))
    return "torch" + module.removeprefix("flambeau").removeprefix("torch") + "." + func.__qualname__


def _real_module(func: Callable) -> str:
    module = func.__module__
    if module is not None:
        return module
    for name, loaded in sys.modules.items():
        if getattr(loaded, func.__name__, None) is func:
            return name
    raise RuntimeError(f"cannot find module for {func}")


def type_repr(obj: Any) -> str:
    """A type as graphs print it."""
    if isinstance(obj, type) and not isinstance(obj, types.GenericAlias):
        name = obj.__qualname__ if obj.__module__ == "builtins" else f"{obj.__module__}.{obj.__qualname__}"
        return _as_torch(name)
    if obj is ...:
        return "..."
    if isinstance(obj, types.FunctionType):
        return obj.__name__
    return _as_torch(repr(obj))


def _as_torch(text: str) -> str:
    return text.replace("flambeau.", "torch.") if "flambeau.vision" not in text else text
