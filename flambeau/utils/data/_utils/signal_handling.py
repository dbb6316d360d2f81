"""The worker processes that an iterator started, as loops of other packages announce them."""

from __future__ import annotations

import os

__all__: list[str] = []

_pids: dict[int, tuple[int, ...]] = {}


def _set_worker_signal_handlers() -> None:
    """Nothing to do: a worker that dies of a signal is seen by its parent."""


def _set_SIGCHLD_handler() -> None:
    """Nothing to do: who waits for a batch looks whether its workers live."""


def _set_worker_pids(key: int, pids: tuple[int, ...]) -> None:
    """Announce the workers of the iterator `key`."""
    _pids[key] = tuple(pids)


def _remove_worker_pids(key: int) -> None:
    """The workers of the iterator `key` have ended as they should."""
    if _pids.pop(key, None) is None:
        raise ValueError(f"Cannot find worker information for _BaseDataLoaderIter with id {key}")


def _error_if_any_worker_fails() -> None:
    """Raise where one of the announced workers ended otherwise."""
    for pids in list(_pids.values()):
        for pid in pids:
            try:
                end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                continue
            if end is None or (end.si_code == os.CLD_EXITED and end.si_status == 0):
                continue
            how = (
                f"exited unexpectedly with exit code {end.si_status}. Details are lost due to "
                "multiprocessing. Rerunning with num_workers=0 may give better error trace."
                if end.si_code == os.CLD_EXITED
                else f"is killed by signal: {end.si_status}."
            )
            raise RuntimeError(f"DataLoader worker (pid {pid}) {how}")
