"""What deterministic programs may expect of fresh memory."""

from __future__ import annotations

import sys
import types

from flambeau import _C, _basics


class _Module(types.ModuleType):
    @property
    def fill_uninitialized_memory(self) -> bool:
        """Whether `torch.empty` and its like fill memory under `use_deterministic_algorithms`: with NaN, or
        with the largest number of an integer type."""
        return _basics._settings["fill_fresh"]

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise RuntimeError(f"expected a bool, but got {type(mode)}")
        _basics._settings["fill_fresh"] = mode
        _C._set_fill_fresh(mode and _basics._settings["deterministic"])


sys.modules[__name__].__class__ = _Module
