"""Contexts with some of a GPU's multiprocessors. There is no GPU: none can be made."""

from __future__ import annotations

from typing import Any

from . import _refuse

__all__ = ["GreenContext"]

SUPPORTED = False


class GreenContext:
    """A context with some of a GPU's multiprocessors; made by `create`."""

    @staticmethod
    def create(
        *, num_sms: int | None = None, workqueue_scope: str | None = None,
        workqueue_concurrency_limit: int | None = None, device_id: int | None = None,
    ) -> Any:  # fmt: skip
        """Make one."""
        return _refuse()

    @staticmethod
    def max_workqueue_concurrency(device_id: int | None = None) -> int:
        """How many queues of work a device runs at once."""
        return _refuse()

    def set_context(self) -> None:
        """Use it from now on."""
        _refuse()

    def pop_context(self) -> None:
        """Use the one before."""
        _refuse()

    def Stream(self) -> Any:
        """A stream of it."""
        return _refuse()
