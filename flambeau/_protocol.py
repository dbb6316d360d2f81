"""Who takes over the call of a public function: what the lower modules need of `flambeau.overrides`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flambeau import _C

has_torch_function = _C._has_torch_function
has_torch_function_unary = _C._has_torch_function_unary
has_torch_function_variadic = _C._has_torch_function_variadic


def _get_overloaded_args(relevant_args: Iterable[Any]) -> list[Any]:
    """One argument of each type that takes over calls, subclasses before their bases, otherwise from left to
    right."""
    if not _C._is_torch_function_enabled():
        return []
    kinds: list[type] = []
    chosen: list[Any] = []
    for arg in relevant_args:
        kind = type(arg)
        if kind in kinds or not hasattr(kind, "__torch_function__"):
            continue
        if kind.__torch_function__ is _C._disabled_torch_function_impl:
            continue
        place = next((i for i, other in enumerate(chosen) if issubclass(kind, type(other))), len(chosen))
        kinds.append(kind)
        chosen.insert(place, arg)
    return chosen


def handle_torch_function(
    public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Let the mode in force, else the arguments' types, run a public function.

    Parameters
    ----------
    public_api : the function as users know it.
    relevant_args : arguments that may take over.
    args, kwargs : all arguments of the call.
    """
    overloaded = _get_overloaded_args(relevant_args)
    kinds = tuple(map(type, overloaded))
    if _C._is_torch_function_mode_enabled():
        with _pop_mode_temporarily() as mode:
            result = mode.__torch_function__(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    for arg in overloaded:
        method = arg.__torch_function__
        if (
            hasattr(method, "__self__")
            and method.__self__ is arg
            and method.__func__ is not _C._disabled_torch_function_impl
        ):
            warnings.warn(
                "Defining your `__torch_function__ as a plain method is deprecated and will be an error in"
                " future, please define it as a classmethod.",
                DeprecationWarning,
                stacklevel=2,
            )
        result = method(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    message = (
        f"no implementation found for '{name}' on types that implement __torch_function__: {list(kinds)}"
    )
    if _C._is_torch_function_mode_enabled():
        message += f" nor in mode {_get_current_function_mode()}"
    raise TypeError(message)


def _as_passed(signature: inspect.Signature, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a call as PyTorch's Python functions pass them on: the required ones by place, all
    others by name, those with their defaults too."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    by_place: list[Any] = []
    by_name: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            by_place.extend(value)
        elif parameter.kind is parameter.VAR_KEYWORD:
            by_name.update(value)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            by_place.append(value)
        else:
            by_name[name] = value
    return tuple(by_place), by_name


_signature = functools.cache(inspect.signature)


class TorchFunctionMode:
    """Context inside which ``__torch_function__(self, func, types, args, kwargs)`` gets every call of a
    public function.

    Inside that method the mode itself is off, so ``func(*args, **kwargs)`` runs the function.
    """

    def __init__(self) -> None:
        pass

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        raise NotImplementedError

    def __enter__(self) -> TorchFunctionMode:
        _push_mode(self)
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _pop_mode()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> TorchFunctionMode:
        """Old form: ``with Mode.push():``."""
        warnings.warn(
            "`Mode.push()` is no longer necessary and can be replaced with just `with Mode()`", stacklevel=2
        )
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that changes nothing."""

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _push_mode(mode: TorchFunctionMode) -> None:
    _C._push_on_torch_function_stack(mode)


def _pop_mode() -> TorchFunctionMode:
    return _C._pop_torch_function_stack()


@contextlib.contextmanager
def _pop_mode_temporarily() -> Iterator[TorchFunctionMode]:
    mode = _pop_mode()
    try:
        yield mode
    finally:
        _push_mode(mode)


def _get_current_function_mode() -> TorchFunctionMode | None:
    depth = _C._len_torch_function_stack()
    return _C._get_function_stack_at(depth - 1) if depth else None


def _get_current_function_mode_stack() -> list[TorchFunctionMode]:
    return [_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack())]


for _public in (BaseTorchFunctionMode, TorchFunctionMode, handle_torch_function):
    _public.__module__ = "flambeau.overrides"  # where users find them
