"""Modules whose parameters are not initialised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

__all__ = ["skip_init"]

_M = TypeVar("_M", bound="Module")


def skip_init(module_cls: type[_M], *args: Any, **kwargs: Any) -> _M:
    """Make a module without spending time on initial values, which are undefined.

    Parameters
    ----------
    module_cls : type
        A module class whose ``__init__`` has a `device` argument.
    *args, **kwargs
        Its arguments.
    """
    from flambeau._annotations import signature_of
    from flambeau.nn.modules.module import Module

    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in signature_of(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    final = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=final)
