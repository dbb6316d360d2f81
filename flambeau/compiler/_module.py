"""A module that runs compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from ._compiled import compiled_function


class OptimizedModule(fb.nn.Module):
    """What ``flambeau.compile(module)`` returns: the module (``_orig_mod``) behind a compiled forward.

    Attributes that it has not itself are the module's; parameters and buffers are shared with it.
    """

    def __init__(self, mod: fb.nn.Module, forward: Callable | None = None, **options: Any) -> None:
        super().__init__()
        self._modules["_orig_mod"] = mod
        self.__dict__["_options"] = options
        self.__dict__["forward"] = forward or compiled_function(mod, **options)
        self.__dict__["training"] = mod.training

    @property
    def _orig(self) -> fb.nn.Module:
        return self._modules["_orig_mod"]

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self.__dict__["_modules"]["_orig_mod"]
        return getattr(self.__dict__["_modules"]["_orig_mod"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "forward" or name in type(self).__dict__:
            super().__setattr__(name, value)
        elif name == "_orig_mod":  # somebody takes a wrapper off
            self._modules[name] = value
        elif name == "training":
            self.__dict__["training"] = value
            self._orig.training = value
        else:
            setattr(self._orig, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig, name)

    def __len__(self) -> int:
        return len(self._orig)

    def __getitem__(self, key: Any) -> Any:
        return self._orig[key]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig)})

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return _make, (self._orig, self.__dict__["_options"])

    def report(self) -> str:
        """What was captured, and whether compiled or eager was kept."""
        forward = self.__dict__["forward"]
        return forward.report() if hasattr(forward, "report") else "never recorded: torch.compiler.disable"


def _make(module: fb.nn.Module, options: dict) -> OptimizedModule:
    return OptimizedModule(module, **options)
