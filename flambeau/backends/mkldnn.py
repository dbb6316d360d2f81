"""Settings of oneDNN, which is part of the core."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from ._switch import Precision, Settings, Switch, flags_context

__all__ = [
    "is_available",
    "flags",
    "set_flags",
    "verbose",
    "VERBOSE_OFF",
    "VERBOSE_ON",
    "VERBOSE_ON_CREATION",
]

VERBOSE_OFF, VERBOSE_ON, VERBOSE_ON_CREATION = 0, 1, 2


def is_available() -> bool:
    """Whether oneDNN can be used."""
    return True


class verbose:
    """Context manager in which oneDNN would print every primitive; this build has no way to switch that at
    run time."""

    def __init__(self, level: int) -> None:
        self.level = level

    def __enter__(self) -> verbose:
        if self.level != VERBOSE_OFF:
            raise NotImplementedError(
                "flambeau.backends.mkldnn.verbose: set the environment variable ONEDNN_VERBOSE=1 instead"
            )
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class _Mkldnn(Settings):
    enabled = Switch(True)
    deterministic = Switch(False)
    allow_tf32 = Switch(True)
    fp32_precision = Precision()


def flags(
    enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True, fp32_precision: str = "none"
) -> AbstractContextManager[None]:
    """Context manager that sets all of them for a block."""
    return flags_context(
        sys.modules[__name__],
        enabled=enabled,
        deterministic=deterministic,
        allow_tf32=allow_tf32,
        fp32_precision=fp32_precision,
    )


def set_flags(
    _enabled: bool | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
) -> tuple:
    """Set several and return the values of before."""
    module = sys.modules[__name__]
    names = ("enabled", "deterministic", "allow_tf32", "fp32_precision")
    before = tuple(getattr(module, n) for n in names)
    for n, v in zip(names, (_enabled, _deterministic, _allow_tf32, _fp32_precision)):
        if v is not None:
            setattr(module, n, v)
    return before


_Mkldnn.install(__name__)
