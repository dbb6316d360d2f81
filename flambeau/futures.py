"""`Future`: a result that another thread will set."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A value, or an error, that may come later.

    Parameters
    ----------
    devices : accepted; values on accelerators are synchronized by their streams.
    """

    def __init__(self, *, devices: list | None = None) -> None:
        self.devices = list(devices or ())
        self._ready = threading.Condition()
        self._finished = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable] = []

    def done(self) -> bool:
        """Whether the value or error is there."""
        return self._finished

    def wait(self) -> T:
        """Wait for the value; raises where an error came instead."""
        with self._ready:
            self._ready.wait_for(lambda: self._finished)
        return self.value()

    def value(self) -> T:
        """The value of a future that is done; raises where an error came instead."""
        if not self._finished:
            raise RuntimeError("Future has no value yet: it is not completed")
        if self._error is not None:
            raise self._error
        return self._value

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._ready:
            if self._finished:
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future can only be"
                    " marked completed once."
                )
            self._value, self._error, self._finished = value, error, True
            self._ready.notify_all()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._run(callback)

    def _run(self, callback: Callable) -> None:
        callback(self)

    def set_result(self, result: T) -> None:
        """Give the value; wakes those who wait and runs the callbacks."""
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Give an error instead of a value."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def _call_when_done(self, callback: Callable) -> None:
        with self._ready:
            if not self._finished:
                self._callbacks.append(callback)
                return
        callback(self)

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Run ``callback(self)`` once done; errors in it are printed, not raised."""

        def guarded(fut: Future) -> None:
            try:
                callback(fut)
            except Exception:
                import logging

                logging.getLogger(__name__).exception("Got the following error when running the callback")

        self._call_when_done(guarded)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """A future of ``callback(self)``, which runs once this one is done."""
        following: Future[S] = Future(devices=self.devices)

        def run(fut: Future) -> None:
            try:
                value = callback(fut)
            except Exception as e:
                following.set_exception(e)
            else:
                following.set_result(value)

        self._call_when_done(run)
        return following


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """A future of the list itself, done when all of them are."""
    together: Future[list[Future]] = Future()
    if not futures:
        together.set_result(futures)
        return together
    left = len(futures)
    lock = threading.Lock()

    def one_done(_: Future) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            together.set_result(futures)

    for f in futures:
        f._call_when_done(one_done)
    return together


def wait_all(futures: list[Future]) -> list:
    """Wait for all and return their values; raises the first error among them."""
    return [f.wait() for f in collect_all(futures).wait()]
