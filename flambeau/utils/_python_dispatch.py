"""``__torch_dispatch__``: Python code that sees the operators which run below autograd, one by one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .._ops import OpOverload

__all__ = [
    "BaseTorchDispatchMode",
    "TorchDispatchMode",
    "any_torch_dispatch_mode_on_stack",
    "is_in_torch_dispatch_mode",
    "is_traceable_wrapper_subclass",
    "is_traceable_wrapper_subclass_type",
    "return_and_correct_aliasing",
    "transform_subclass",
]


class TorchDispatchMode:
    """Context inside which ``__torch_dispatch__(self, func, types, args, kwargs)`` gets every operator that
    runs.

    ``func`` is an overload such as ``torch.ops.aten.mm.default``. Operators of the backward are seen too;
    those that
    are made of others are seen as these. Inside the method the mode itself is off and nothing is recorded for
    autograd, so ``func(*args, **kwargs)`` runs the operator.
    """

    supports_higher_order_operators = False

    def __init__(self, _dispatch_key: Any = None) -> None:
        if _dispatch_key is not None:
            raise NotImplementedError("flambeau has no dispatch keys that a mode could stand for")

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        raise NotImplementedError("Subclasses must implement __torch_dispatch__")

    def __enter__(self) -> TorchDispatchMode:
        _push_mode(self)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _pop_mode()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> TorchDispatchMode:
        """Old form: ``with Mode.push():``."""
        warnings.warn(
            "`Mode.push()` is no longer necessary and can be replaced with just `with Mode()`", stacklevel=2
        )
        return cls(*args, **kwargs)

    @classmethod
    def is_infra_mode(cls) -> bool:
        """Whether it is one of the implementation's own modes."""
        return False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Whether compiled programs are opaque to it."""
        return False


class BaseTorchDispatchMode(TorchDispatchMode):
    """A mode that changes nothing."""

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _push_mode(mode: TorchDispatchMode) -> None:
    _C._push_on_torch_dispatch_stack(mode)


def _pop_mode(k: Any = None) -> TorchDispatchMode:
    return _C._pop_torch_dispatch_stack()


def _get_current_dispatch_mode_stack() -> list[TorchDispatchMode]:
    return list(_C._torch_dispatch_stack())


def _get_current_dispatch_mode() -> TorchDispatchMode | None:
    stack = _C._torch_dispatch_stack()
    return stack[-1] if stack else None


def _len_torch_dispatch_stack() -> int:
    return len(_C._torch_dispatch_stack())


def is_in_torch_dispatch_mode(include_infra_modes: bool = True) -> bool:
    """Whether a mode is on in this thread."""
    return bool(_C._torch_dispatch_stack())


any_torch_dispatch_mode_on_stack = is_in_torch_dispatch_mode


@contextlib.contextmanager
def _disable_current_modes() -> Iterator[list[TorchDispatchMode]]:
    modes, disabled = _C._set_torch_dispatch_asked((), False)
    _C._set_torch_dispatch_asked((), disabled)
    try:
        yield list(modes)
    finally:
        _C._set_torch_dispatch_asked(modes, disabled)


@contextlib.contextmanager
def _pop_mode_temporarily(k: Any = None) -> Iterator[TorchDispatchMode]:
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


def is_traceable_wrapper_subclass_type(t: type) -> bool:
    """Whether a class of tensors can be taken apart: it has ``__tensor_flatten__`` and its inverse."""
    return (
        issubclass(t, fb.Tensor)
        and t is not fb.Tensor
        and hasattr(t, "__tensor_flatten__")
        and hasattr(t, "__tensor_unflatten__")
    )


def is_traceable_wrapper_subclass(t: object) -> bool:
    """Whether a tensor is of such a class."""
    return is_traceable_wrapper_subclass_type(type(t))


def transform_subclass(
    t: Any, callback: Callable[[str, Any], Any], outer_size: Any = None, outer_stride: Any = None
) -> Any:
    """The same wrapper around other tensors: each inner one becomes ``callback(name, tensor)``."""
    outer_size = outer_size if outer_size is not None else t.size()
    outer_stride = outer_stride if outer_stride is not None else t.stride()
    names, context = t.__tensor_flatten__()
    inner = {name: callback(name, getattr(t, name)) for name in names}
    return type(t).__tensor_unflatten__(inner, context, outer_size, outer_stride)


def return_and_correct_aliasing(func: OpOverload, args: Sequence, kwargs: dict | None, out: Any) -> Any:
    """What a wrapper's ``__torch_dispatch__`` returns: for operators that write, the argument itself."""
    schema = func._schema
    if not any(r.is_write for r in schema.returns):
        return out
    given = dict(zip((a.name for a in schema.arguments), args)) | (kwargs or {})
    written = {next(iter(a.alias_info.before_set)): given.get(a.name) for a in schema.arguments if a.is_write}
    results = [written[next(iter(r.alias_info.before_set))] if r.is_write else None for r in schema.returns]
    if len(results) == 1:
        return results[0]
    return type(out)(o if r is None else r for r, o in zip(results, out))
