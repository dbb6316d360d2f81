"""What runs in a worker process of the DataLoader."""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

import flambeau as fb
from flambeau._utils import ExceptionWrapper

from . import pipes, shared
from .fetch import IterableFetcher, _DatasetKind
from .packed import use_packed

_PARENT_CHECK = 5.0  # seconds between looks whether the parent still lives

BATCH, END, ERROR, READY = "batch", "end", "error", "ready"  # the kinds of answers
TASK, RESTART, STOP = "task", "restart", "stop"  # the kinds of orders


@dataclass
class WorkerInfo:
    """What a worker knows of itself; `dataset` is this process's own copy."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str | None = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a DataLoader worker its id, num_workers, seed and dataset; elsewhere None."""
    return _worker_info


@dataclass(frozen=True)
class _IterableDatasetStopIteration:
    """What a worker of a subclass's own loop sends when its stream has ended."""

    worker_id: int


@dataclass(frozen=True)
class _ResumeIteration:
    """What asks such a worker to begin another epoch."""

    seed: int | None = None


class ManagerWatchdog:
    """Tells a worker whether the process that started it still lives."""

    def __init__(self) -> None:
        self.manager_pid = os.getppid()
        self.manager_dead = False

    def is_alive(self) -> bool:
        self.manager_dead = self.manager_dead or os.getppid() != self.manager_pid
        return not self.manager_dead


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """The four words that NumPy's random numbers of a worker start from."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(words).generate_state(4).tolist()


def seed_everything(base_seed: int, worker_id: int) -> int:
    """Seed Python's, NumPy's and flambeau's random numbers for one worker."""
    seed = base_seed + worker_id
    random.seed(seed)
    fb.manual_seed(seed)
    np.random.seed(_generate_state(base_seed, worker_id))
    return seed


def run(
    connection: Connection,
    inherited: tuple[Connection, ...],
    payload: bytes | tuple,
    worker_id: int,
    parent: int,
) -> None:
    """Serve the orders that come through `connection` until it is closed.

    `inherited` are the parent's ends of pipes that a forked process has and must not keep open. `payload` is
    what the work needs, or its pickle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers Ctrl-C and ends its workers
    for other in inherited:
        other.close()
    gc.freeze()  # the collector does not touch, and so does not copy, what was inherited
    fb.set_num_threads(1)
    try:
        _serve(connection, payload, worker_id, parent)
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        pass
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _serve(connection: Connection, payload: bytes | tuple, worker_id: int, parent: int) -> None:
    global _worker_info
    where = f"in DataLoader worker process {worker_id}"
    fetcher: Any = None
    failed: ExceptionWrapper | None = None
    try:
        if isinstance(payload, bytes):
            payload = pickle.loads(payload)
        *reading, init_fn, num_workers, base_seed, long_lists = payload
        dataset = reading[1]
        use_packed(long_lists)
        seed = seed_everything(base_seed, worker_id)
        _worker_info = WorkerInfo(worker_id, num_workers, seed, dataset)
        if init_fn is not None:
            init_fn(worker_id)
        pipes.shard(dataset, num_workers, worker_id)
        fetcher = _DatasetKind.create_fetcher(*reading)
    except Exception as error:
        failed = ExceptionWrapper(error, where)
    ended = False
    while (order := _next_order(connection, parent)) is not None:
        kind, number, index = order
        if kind == STOP:
            return
        if kind == RESTART:
            ended = False
            try:
                pipes.seed(dataset, index)
                fetcher = _DatasetKind.create_fetcher(*reading)
                shared.send(connection, (READY, number, None))
            except Exception as error:
                shared.send(connection, (ERROR, number, ExceptionWrapper(error, where)))
            continue
        if failed is not None:
            shared.send(connection, (ERROR, number, failed))
        elif ended:
            shared.send(connection, (END, number, None))
        else:
            ended = _answer(connection, fetcher, number, index, where)


def _answer(connection: Connection, fetcher: Any, number: int, index: Any, where: str) -> bool:
    """Read one batch and send it, or what came instead; True at the end of a stream."""
    try:
        shared.send(connection, (BATCH, number, fetcher.fetch(index)))
    except StopIteration as error:
        if isinstance(fetcher, IterableFetcher):
            shared.send(connection, (END, number, None))
            return True
        shared.send(connection, (ERROR, number, ExceptionWrapper(error, where)))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        shared.send(connection, (ERROR, number, ExceptionWrapper(error, where)))
    return False


def _next_order(connection: Connection, parent: int) -> Any:
    """The next order, or None when the parent has died."""
    while not wait([connection], _PARENT_CHECK):
        if os.getppid() != parent:
            return None
    return shared.receive(connection)
