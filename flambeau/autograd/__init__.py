"""Automatic differentiation: `backward`, `grad`, and the tools around them."""

from __future__ import annotations

from typing import Any

from flambeau import _C

from . import forward_ad, functional, graph
from ._engine import backward, grad
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function
from .grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .variable import Variable

__all__ = [
    "Variable",
    "Function",
    "backward",
    "grad",
    "no_grad",
    "enable_grad",
    "set_grad_enabled",
    "inference_mode",
    "set_multithreading_enabled",
    "enforce_grad_layout_policy",
    "detect_anomaly",
    "set_detect_anomaly",
    "gradcheck",
    "gradgradcheck",
    "GradcheckError",
    "forward_ad",
    "functional",
    "graph",
]


def variable(*args: Any, **kwargs: Any) -> Any:
    """Removed: `torch.tensor` makes what it made."""
    raise RuntimeError("torch.autograd.variable(...) is deprecated, use torch.tensor(...) instead")


def is_view_replay_enabled() -> bool:
    """Tell whether views are made again by their operators rather than by strides: never."""
    return False


def __getattr__(name: str) -> Any:
    # only tests need gradcheck, only profiling programs the profiler
    if name in ("gradcheck", "gradgradcheck", "GradcheckError"):
        import importlib

        checks = importlib.import_module(".gradcheck", __name__)
        # the submodule of the same name is bound by the import: the function is what users expect
        globals().update(
            gradcheck=checks.gradcheck,
            gradgradcheck=checks.gradgradcheck,
            GradcheckError=checks.GradcheckError,
        )
        return globals()[name]
    if name == "NestedIOFunction":
        from .function import NestedIOFunction

        return NestedIOFunction
    if name in ("_profiler_enabled", "_disable_profiler"):
        from . import profiler

        return getattr(profiler, name)
    if name in ("profiler", "profiler_legacy", "profiler_util"):
        import importlib

        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _is_checkpoint_valid() -> bool:
    return _C._ImperativeEngine().is_checkpoint_valid()


def is_multithreading_enabled() -> bool:
    """Whether backward may use several threads."""
    return _C._is_multithreading_enabled()


def kineto_available() -> bool:
    """Whether PyTorch's tracing library is there: never."""
    return False
