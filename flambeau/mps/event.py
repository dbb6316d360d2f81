"""Marks in the work of an Apple GPU: there is none."""

from __future__ import annotations

from typing import NoReturn

from . import _no_mps

__all__ = ["Event"]


class Event:
    """A mark in the work of the device, to wait for and to measure time by.

    Parameters
    ----------
    enable_timing : whether it measures time.

    Raises
    ------
    RuntimeError : there is no such device.
    """

    def __init__(self, enable_timing: bool = False) -> None:
        raise _no_mps("acquireEvent")

    def record(self) -> NoReturn:
        """Put it behind the work given so far."""
        raise _no_mps("recordEvent")

    def wait(self) -> NoReturn:
        """Have work given from now on wait for it."""
        raise _no_mps("waitForEvent")

    def query(self) -> NoReturn:
        """Whether all work before it is done."""
        raise _no_mps("queryEvent")

    def synchronize(self) -> NoReturn:
        """Wait until all work before it is done."""
        raise _no_mps("synchronizeEvent")

    def elapsed_time(self, end_event: Event) -> NoReturn:
        """Milliseconds from this one to another.

        Parameters
        ----------
        end_event : the other one.
        """
        raise _no_mps("elapsedTimeOfEvents")
