"""Engine of quantized operators."""

from __future__ import annotations

from ._switch import Settings, Switch

__all__ = []


class _Quantized(Settings):
    engine = Switch("none", str)
    supported_engines = ["none"]


_Quantized.install(__name__)
