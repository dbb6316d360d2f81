"""What deterministic programs may expect of fresh memory."""

from __future__ import annotations

import sys
import types


class _Module(types.ModuleType):
    @property
    def fill_uninitialized_memory(self) -> bool:
        """Whether `torch.empty` and its like fill memory under `use_deterministic_algorithms`: flambeau does
        not, so it cannot be turned on."""
        return False

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise RuntimeError(f"expected a bool, but got {type(mode)}")
        if mode:
            raise NotImplementedError("flambeau does not fill uninitialized memory in deterministic mode")


sys.modules[__name__].__class__ = _Module
