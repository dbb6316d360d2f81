"""Starting processes for one task and collecting their errors."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any


class ProcessException(Exception):
    """A process of `start_processes` failed: which (`error_index`, `error_pid`)."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.error_pid = error_pid

    def __reduce__(self) -> tuple:
        return type(self), (self.msg, self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """A process ended with an exception; its traceback is in the text."""


class ProcessExitedException(ProcessException):
    """A process ended with an exit code or was ended by a signal."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> tuple:
        return type(self), (self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name)


def signal_name(code: int) -> str:
    """The name of the signal that ended a process; `code` is its exit code, below zero."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"<Unknown signal {-code}>"


def _run(fn: Callable, index: int, args: tuple, error_file: str) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass  # the parent was interrupted too and reports it
    except Exception:
        with open(error_file, "wb") as file:
            pickle.dump(traceback.format_exc(), file)
        sys.exit(1)


class ProcessContext:
    """Running processes; `join` waits for them and raises what the first to fail raised."""

    def __init__(self, processes: list, error_files: list[str]) -> None:
        self.processes = processes
        self.error_files = error_files
        self.sentinels = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [int(process.pid) for process in self.processes]

    def _join_procs_with_timeout(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait up to `timeout` seconds (None: for ever); True when all processes have ended well.

        When one fails the others are ended (after `grace_period` seconds in which they may end themselves).

        Raises
        ------
        ProcessRaisedException
            with the traceback of a process that raised an exception.
        ProcessExitedException
            where a process exited with another code than 0 or was ended by a signal.
        """
        if not self.sentinels:
            return True
        failed = None
        for sentinel in multiprocessing.connection.wait(list(self.sentinels), timeout=timeout):
            index = self.sentinels.pop(sentinel)
            process = self.processes[index]
            process.join()
            if process.exitcode != 0:
                failed = index
                break
        if failed is None:
            return not self.sentinels
        if grace_period is not None:
            self._join_procs_with_timeout(grace_period)
        for end in (lambda process: process.terminate(), lambda process: process.kill()):
            for process in self.processes:
                if process.is_alive():
                    end(process)
            self._join_procs_with_timeout(30)
        self._raise(failed)
        return False

    def _raise(self, index: int) -> None:
        process = self.processes[index]
        try:
            with open(self.error_files[index], "rb") as file:
                text = pickle.load(file)
        except (OSError, EOFError, pickle.UnpicklingError):  # not written, or ended while it was written
            code = process.exitcode
            if code < 0:
                name = signal_name(code)
                message = f"process {index} terminated with signal {name}"
                raise ProcessExitedException(message, index, process.pid, code, name) from None
            message = f"process {index} terminated with exit code {code}"
            raise ProcessExitedException(message, index, process.pid, code) from None
        message = f"\n\n-- Process {index} terminated with the following error:\n{text}"
        raise ProcessRaisedException(message, index, process.pid)

    def __del__(self) -> None:
        for name in self.error_files:
            try:
                os.unlink(name)
            except OSError:  # it was never written
                continue


SpawnContext = ProcessContext


def start_processes(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Run ``fn(i, *args)`` in `nprocs` processes; with `join` wait for them, else return their context."""
    context = multiprocessing.get_context(start_method)
    processes, error_files = [], []
    for index in range(nprocs):
        handle, name = tempfile.mkstemp(prefix="flambeau-error-", suffix=".pickle")
        os.close(handle)
        os.unlink(name)
        process = context.Process(target=_run, args=(fn, index, args, name), daemon=daemon)
        process.start()
        processes.append(process)
        error_files.append(name)
    running = ProcessContext(processes, error_files)
    if not join:
        return running
    while not running.join():
        pass
    return None


def spawn(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """`start_processes` by new interpreters.

    Parameters
    ----------
    fn : called with the number of the process and `args`; has to be importable by the processes.
    nprocs : the number of processes.
    join : wait for them; else a `ProcessContext` is returned.
    daemon : whether they end with this process.
    """
    if start_method != "spawn":
        warnings.warn(
            f"This method only supports start_method=spawn (got: {start_method}).\n"
            "To use a different start_method use:\n"
            "\t\t torch.multiprocessing.start_processes(...)",
            FutureWarning,
            stacklevel=2,
        )
    return start_processes(fn, args, nprocs, join, daemon, start_method="spawn")
