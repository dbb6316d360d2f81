"""Settings of MIOpen, which works on AMD's GPUs: they are kept, and nothing here asks for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ._switch import Settings, Switch

__all__ = ["flags", "immediate", "set_flags"]

immediate: bool


def set_flags(_immediate: bool | None = None) -> tuple[bool]:
    """Set what is given; what was set before.

    Parameters
    ----------
    _immediate : whether kernels are chosen without trying them.
    """
    module = sys.modules[__name__]
    before = (module.immediate,)
    if _immediate is not None:
        module.immediate = _immediate
    return before


@contextmanager
def flags(immediate: bool = False) -> Iterator[None]:
    """Context manager: settings for a block.

    Parameters
    ----------
    immediate : whether kernels are chosen without trying them.
    """
    before = set_flags(immediate)
    try:
        yield
    finally:
        set_flags(*before)


class _Module(Settings):
    immediate = Switch(False)


_Module.install(__name__)
