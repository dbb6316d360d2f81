"""Warnings about what old versions of PyTorch did otherwise.

flambeau never did it otherwise: the warnings are off and cannot be turned on.
"""

from __future__ import annotations

__all__ = ["Warning", "broadcast_warning", "keepdim_warning"]


class Warning:
    """A warning: `enabled` tells whether it is given."""

    @property
    def enabled(self) -> bool:
        """Whether it is given: never."""
        return False

    @enabled.setter
    def enabled(self, value: bool) -> None:
        if value:
            raise NotImplementedError("flambeau gives no warnings about the rules of old versions of PyTorch")


broadcast_warning = Warning()
keepdim_warning = Warning()
