"""How a process says why it failed, and the error of a launcher whose processes failed.

A launcher names a file in ``TORCHELASTIC_ERROR_FILE``; a function decorated with `record` writes what it
raises into it as JSON.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flambeau.multiprocessing.spawn import signal_name

__all__ = ["ChildFailedError", "ErrorHandler", "ProcessFailure", "get_error_handler", "record"]

_NONE = "<N/A>"


@dataclass
class ProcessFailure:
    """Why one process failed.

    Parameters
    ----------
    local_rank : its number on its machine.
    pid : its number in the system.
    exitcode : what it ended with; below zero the signal that ended it.
    error_file : the file that `record` wrote, if there is one: `message` and `timestamp` are taken from it.
    """

    local_rank: int
    pid: int
    exitcode: int
    error_file: str
    error_file_data: dict[str, Any] = field(init=False)
    message: Any = field(init=False)
    timestamp: int = field(init=False)

    def __post_init__(self) -> None:
        self.error_file_data, self.message, self.timestamp = {}, "", int(time.time())
        if os.path.isfile(self.error_file):
            with open(self.error_file, encoding="utf-8") as file:
                self.error_file_data = json.load(file)
            self.message = self.error_file_data["message"]
            if not isinstance(self.message, str):
                self.timestamp = int(self.message["extraInfo"]["timestamp"])
        else:
            self.error_file = _NONE
        if not self.message:
            self.message = (
                f"Signal {-self.exitcode} ({self.signal_name()}) received by PID {self.pid}"
                if self.exitcode < 0
                else "To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html"
            )

    def signal_name(self) -> str:
        """The name of the signal that ended the process."""
        return signal_name(self.exitcode) if self.exitcode < 0 else _NONE

    def timestamp_isoformat(self) -> str:
        """When it failed."""
        return time.strftime("%Y-%m-%d_%H:%M:%S", time.localtime(self.timestamp))


class ChildFailedError(Exception):
    """A process failed and was not started again.

    Parameters
    ----------
    name : what was run.
    failures : what is known of each failed process, by its rank.
    """

    def __init__(self, name: str, failures: dict[int, ProcessFailure]) -> None:
        self.name, self.failures = name, failures
        super().__init__(self.format_msg())

    def get_first_failure(self) -> tuple[int, ProcessFailure]:
        """Rank and failure of the process that failed first."""
        return min(self.failures.items(), key=lambda item: item[1].timestamp)

    def format_msg(self, boarder_delim: str = "=", section_delim: str = "-") -> str:
        """The text of the error: the first failure comes last, where it is read."""
        first, _ = self.get_first_failure()
        others = [self._said(rank) for rank in self.failures if rank != first] or ["  <NO_OTHER_FAILURES>"]
        parts = [f"{self.name} FAILED", None, "Failures:", *others, None,
                 "Root Cause (first observed failure):", self._said(first)]  # fmt: skip
        width = min(60, max(len(line) for part in parts if part for line in part.split("\n")))
        edge = boarder_delim * width
        return "\n".join(["", edge, *(section_delim * width if p is None else p for p in parts), edge])

    def _said(self, rank: int) -> str:
        failure = self.failures[rank]
        what = failure.message
        if isinstance(what, dict):
            what = what.get("extraInfo", {}).get("py_callstack") or what.get("message", _NONE)
        what = str(what).replace("\n", "\n  ")
        ended = f" ({failure.signal_name()})" if failure.exitcode < 0 else ""
        return (
            f"[{rank}]:\n"
            f"  time      : {failure.timestamp_isoformat()}\n"
            f"  host      : {socket.getfqdn()}\n"
            f"  rank      : {rank} (local_rank: {failure.local_rank})\n"
            f"  exitcode  : {failure.exitcode} (pid: {failure.pid}){ended}\n"
            f"  error_file: {failure.error_file}\n"
            f"  traceback : {what}"
        )


class ErrorHandler:
    """Writes what a process raised into the file that its launcher named."""

    def initialize(self) -> None:
        """Let a crash of the interpreter say where it was."""
        try:
            faulthandler.enable(all_threads=True)
        except Exception:  # an error stream without a file, as in notebooks
            return

    def _get_error_file_path(self) -> str | None:
        return os.environ.get("TORCHELASTIC_ERROR_FILE")

    def record_exception(self, e: BaseException) -> None:
        """Write an error down, if there is a file for it."""
        path = self._get_error_file_path()
        if path:
            trace = "".join(traceback.format_exception(e))
            when = str(int(time.time()))
            said = {
                "message": f"{type(e).__name__}: {e}",
                "extraInfo": {"py_callstack": trace, "timestamp": when},
            }
            self._write({"message": said}, path)

    def dump_error_file(self, rootcause_error_file: str, error_code: int = 0) -> None:
        """Pass on the file of a process that this one had started."""
        with open(rootcause_error_file, encoding="utf-8") as file:
            said = json.load(file)
        if error_code and isinstance(said.get("message"), dict):
            said["message"]["errorCode"] = error_code
        path = self._get_error_file_path()
        if path:
            self._write(said, path)

    @staticmethod
    def _write(said: dict[str, Any], path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(said, file)


def get_error_handler() -> ErrorHandler:
    """The handler of this process."""
    return ErrorHandler()


def record(fn: Callable, error_handler: ErrorHandler | None = None) -> Callable:
    """Decorate the main function of a program so that its launcher learns what it raised.

    Parameters
    ----------
    fn : the function.
    error_handler : what writes the error down; by default an `ErrorHandler`.

    Examples
    --------
    >>> @record
    ... def main(): ...
    """
    handler = error_handler or get_error_handler()

    @functools.wraps(fn)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        handler.initialize()
        try:
            return fn(*args, **kwargs)
        except SystemExit as end:
            if end.code == 0:
                return None
            raise
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            if failure.error_file != _NONE:
                handler.dump_error_file(failure.error_file, failure.exitcode)
            else:
                handler.record_exception(error)
            raise
        except Exception as error:
            handler.record_exception(error)
            raise

    return recorded
