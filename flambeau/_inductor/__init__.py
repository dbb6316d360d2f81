"""``torch._inductor``: names of modes and options. Nothing is generated here, so they choose nothing."""

from __future__ import annotations

from typing import Any

from . import config, exc

__all__ = ["config", "cudagraph_mark_step_begin", "exc", "list_mode_options"]

_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "lite": {"fallback_by_default": True, "use_dce": False, "allow_buffer_reuse": False},
    "reduce-overhead": {"triton.cudagraphs": True},
    "max-autotune-no-cudagraphs": {"max_autotune": True, "coordinate_descent_tuning": True},
    "max-autotune": {"max_autotune": True, "triton.cudagraphs": True, "coordinate_descent_tuning": True},
}


def list_mode_options(mode: str | None = None, dynamic: bool | None = None) -> dict[str, Any]:
    """The options that a mode stands for, or those of every mode."""
    return dict(_MODES[mode]) if mode else {name: dict(options) for name, options in _MODES.items()}


def cudagraph_mark_step_begin() -> None:
    """A step of training begins: results of the step before stay valid here, as no memory is used again."""
