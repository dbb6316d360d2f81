"""Switches of gradient recording: `no_grad`, `enable_grad`, `set_grad_enabled`, `inference_mode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import _C

from ..utils._contextlib import _DecoratorContextManager, _NoParamDecoratorContextManager, context_decorator

__all__ = [
    "no_grad",
    "enable_grad",
    "set_grad_enabled",
    "inference_mode",
    "set_multithreading_enabled",
    "enforce_grad_layout_policy",
]

_set = _C._set_grad_enabled
_get = _C.is_grad_enabled


class no_grad(_NoParamDecoratorContextManager):
    """Context manager and decorator: operations inside are not recorded for differentiation."""

    def __init__(self) -> None:
        self.prev = False

    def __enter__(self) -> None:
        self.prev = _get()
        _set(False)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set(self.prev)


class enable_grad(_NoParamDecoratorContextManager):
    """Context manager and decorator: operations inside are recorded, also within `no_grad`."""

    def __enter__(self) -> None:
        self.prev = _get()
        _set(True)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set(self.prev)


class set_grad_enabled(_DecoratorContextManager):
    """Switch recording on or off: at once as a function, for a block as a context manager, or as a
    decorator."""

    def __init__(self, mode: bool) -> None:
        self.prev = _get()
        self.mode = mode
        _set(mode)

    def __call__(self, orig_func: Callable) -> Callable:
        _set(self.prev)
        return super().__call__(orig_func)

    def __enter__(self) -> None:
        _set(self.mode)

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        _set(self.prev)

    def __str__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}(mode={self.mode})"

    __repr__ = __str__

    def clone(self) -> set_grad_enabled:
        return self.__class__(self.mode)


class inference_mode(_DecoratorContextManager):
    """Context manager and decorator: like `no_grad`, and tensors made inside can never be recorded later.

    They carry no version counter and no view tracking, which makes operations on them cheaper.
    """

    def __new__(cls, mode: Any = True) -> Any:
        if isinstance(mode, bool):
            return super().__new__(cls)
        return cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self._guard = _C._InferenceMode(self.mode)
        self._guard.__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self._guard.__exit__(exc_type, exc_value, traceback)

    def clone(self) -> inference_mode:
        return self.__class__(self.mode)


class _switch(_DecoratorContextManager):
    """A switch that acts at once and is put back at the end of a block."""

    def __init__(self, mode: bool) -> None:
        self.prev = self._read()
        self.mode = mode
        self._write(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self._write(self.prev)

    def clone(self) -> Any:
        return self.__class__(self.mode)

    def _read(self) -> bool:
        raise NotImplementedError

    def _write(self, mode: bool) -> None:
        raise NotImplementedError


class set_multithreading_enabled(_switch):
    """Whether backward may use several threads (one a device)."""

    def _read(self) -> bool:
        return _C._is_multithreading_enabled()

    def _write(self, mode: bool) -> None:
        _C._set_multithreading_enabled(mode)


class enforce_grad_layout_policy(_switch):
    """Whether a first accumulated gradient takes its parameter's memory layout; on for the block by
    default."""

    _enabled = True

    def __init__(self, enable: bool = True) -> None:
        super().__init__(enable)

    def __call__(self, orig_func: Callable) -> Callable:
        self._write(self.prev)
        return context_decorator(self.clone, orig_func)

    def _read(self) -> bool:
        return enforce_grad_layout_policy._enabled

    def _write(self, mode: bool) -> None:
        enforce_grad_layout_policy._enabled = mode
