"""Python's multiprocessing, with tensors whose memory is shared by the processes that they are sent to."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from multiprocessing import *  # noqa: F403

from .reductions import init_reductions
from .spawn import (  # noqa: F401
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = ["set_sharing_strategy", "get_sharing_strategy", "get_all_sharing_strategies"]
__all__ += multiprocessing.__all__

_strategy = "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose how memory is shared. Anonymous files serve both of PyTorch's strategies."""
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"invalid sharing strategy {new_strategy!r}, expected one of {get_all_sharing_strategies()}"
        )
    _strategy = new_strategy


def get_sharing_strategy() -> str:
    """The chosen strategy."""
    return _strategy


def get_all_sharing_strategies() -> set[str]:
    """The strategies that can be chosen."""
    return {"file_descriptor", "file_system"} if sys.platform == "linux" else {"file_system"}


def _thread_name_file() -> str:
    return f"/proc/self/task/{threading.get_native_id()}/comm"


def _set_thread_name(name: str) -> None:
    """Name this thread for the operating system's lists; nothing where there is no such name."""
    try:
        with open(_thread_name_file(), "w") as file:
            file.write(name[:15])
    except OSError:
        pass


def _get_thread_name() -> str:
    """The name of this thread in the operating system's lists."""
    try:
        with open(_thread_name_file()) as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


init_reductions()
