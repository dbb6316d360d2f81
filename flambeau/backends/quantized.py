"""Engine of quantized operators."""

from __future__ import annotations

from typing import Any

from ._switch import Settings, Switch

__all__ = []

_NAMES = [
    "qnnpack",
    "onednn",
    "x86",
    "fbgemm",
]  # one engine of ours, which counts as x86 does, has all these names


def _check(engine: Any) -> None:
    if engine not in (*_NAMES, "none"):
        raise RuntimeError(f"{engine} is not a valid value for quantized engine")


class _Quantized(Settings):
    engine = Switch("x86", str, _check)
    supported_engines = _NAMES


_Quantized.install(__name__)
