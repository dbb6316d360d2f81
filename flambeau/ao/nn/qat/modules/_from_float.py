"""Checks that layers for training share."""

from __future__ import annotations

from typing import Any

import flambeau as fb


def needs_qconfig(qconfig: Any) -> None:
    """Raises where there is none."""
    if not qconfig:
        raise AssertionError("qconfig must be provided for QAT module")


def checked_qconfig(mod: Any) -> Any:
    """The `QConfig` of a layer that is to be replaced."""
    if not hasattr(mod, "qconfig"):
        raise AssertionError("Input float module must have qconfig defined")
    if not mod.qconfig:
        raise AssertionError("Input float module must have a valid qconfig")
    return mod.qconfig


def needs_float_zeros(qconfig: Any, kind: str) -> None:
    """Raises for a weight whose zero points are integers."""
    scheme = qconfig.weight().qscheme
    if scheme != fb.per_channel_affine_float_qparams:
        raise AssertionError(
            f"{kind} weights requires a qscheme of torch.per_channel_affine_float_qparams Got {scheme}"
        )


def parameter(t: Any) -> Any:
    """A new parameter with the memory of another; None of None."""
    return None if t is None else fb.nn.Parameter(t.detach())
