"""The DataLoader: batches of a data set, read here or by worker processes."""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import os
import signal
import sys
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

import flambeau as fb

from ._utils import pipes, shared, worker
from ._utils.collate import default_collate, default_convert
from ._utils.fetch import MapFetcher, _DatasetKind, endless
from ._utils.packed import pack_long_lists
from ._utils.pin_memory import pin_memory
from ._utils.steps import _BaseDataLoaderIter, _get_distributed_settings, _pinning  # noqa: F401
from ._utils.worker import get_worker_info
from .dataset import Dataset, IterableDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, draw_seed

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

_T = TypeVar("_T")
T_co = TypeVar("T_co", covariant=True)
_MOST_TASKS = (
    32  # batches asked of one worker ahead of time, whatever prefetch_factor says: they must fit its pipe
)
_STOP_PATIENCE = 5.0  # seconds until a worker that does not stop is killed
_SENT = "the data set, collate_fn and worker_init_fn"


_worker_init_fn_t = Callable[[int], None]
_collate_fn_t = Callable[[list[_T]], Any]


class _InfiniteConstantSampler(Sampler):
    """Stands for the order of a stream: None for ever."""

    def __iter__(self) -> Iterator[None]:
        return endless(None)


class DataLoader(Generic[T_co]):
    """Iterates over a data set in batches.

    Parameters
    ----------
    dataset : a map-style data set (``__getitem__``, ``__len__``) or an `IterableDataset`.
    batch_size : samples a batch; None to give single samples.
    shuffle : draw a new random order in every epoch.
    sampler, batch_sampler : the order of samples, or of whole batches.
    num_workers : processes that read; 0 reads in this one.
    collate_fn : makes a batch of a list of samples (`default_collate`).
    drop_last : leave out an incomplete last batch.
    timeout : seconds to wait for a worker's batch, 0 for ever.
    worker_init_fn : called in each worker with its number.
    multiprocessing_context : 'fork', 'spawn', 'forkserver' or a context.
    generator : the random stream for the order and the workers' seeds.
    prefetch_factor : batches each worker reads ahead (2).
    persistent_workers : keep the workers from one epoch to the next.
    in_order : give batches in order (True) or as they become ready.

    `state_dict` and `load_state_dict` carry the position within an epoch from one process to another.
    """

    __initialized = False  # packages lift the fixing of attributes by this name

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler | Iterable | None = None,
        batch_sampler: Sampler[list] | Iterable[list] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: fb.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 to "
                "enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        elif prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")

        if pipes.is_pipe(dataset) and isinstance(dataset, IterableDataset):
            from .graph_settings import apply_shuffle_settings

            dataset = apply_shuffle_settings(dataset, shuffle)
            shuffle = None
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self._dataset_kind = _DatasetKind.Map

        if isinstance(dataset, IterableDataset):
            self._dataset_kind = _DatasetKind.Iterable
            for option, value, wrong in (
                ("shuffle", shuffle, shuffle not in (None, False)),
                ("sampler", sampler, sampler is not None),
                ("batch_sampler", batch_sampler, batch_sampler is not None),
            ):
                if wrong:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {option} option, but got "
                        f"{option}={value}"
                    )
        shuffle = bool(shuffle)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
                    "drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._dataset_kind == _DatasetKind.Iterable:
                sampler = _InfiniteConstantSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.collate_fn = collate_fn or (default_collate if self._auto_collation else default_convert)
        self.persistent_workers = persistent_workers
        self.__initialized = True
        self._iterator: _MultiProcessingDataLoaderIter | None = None
        self._position: _Position | None = None
        self._resume: dict | None = None
        self._IterableDataset_len_called: int | None = None
        self.check_worker_number_rationality()

    @property
    def multiprocessing_context(self) -> Any:
        """The context, or name of a start method, that workers are started with."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if self.num_workers <= 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                    f"but got num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        "multiprocessing_context option should specify a valid start method in "
                        f"{methods!r}, but got multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying "
                    f"the start method, but got multiprocessing_context={context}"
                )
        self._context = context

    def __setattr__(self, name: str, value: Any) -> None:
        fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
        if self.__initialized and name in fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> Any:
        begun = self._resume
        streamed = self._dataset_kind == _DatasetKind.Iterable
        if begun and streamed and begun["batches"] and begun["num_workers"] != self.num_workers:
            return self._rest_of_stream(begun["num_workers"])
        if self.persistent_workers and self._iterator is not None and self._iterator.restart(self):
            iterator: Any = self._iterator
        else:
            iterator = self._get_iterator()
            if self.persistent_workers:
                self._iterator = iterator
        # a subclass may have an iterator of its own
        self._position = getattr(iterator, "position", None)
        return iterator

    def _get_iterator(self) -> _BaseDataLoaderIter:
        """A new walk through the data."""
        if self.num_workers == 0:
            return _SingleProcessDataLoaderIter(self)
        return _MultiProcessingDataLoaderIter(self)

    def _rest_of_stream(self, num_workers: int) -> Any:
        """What is left of an epoch that another number of workers began: they fix its order and end it."""
        before = copy.copy(self)
        before.__dict__.update(
            num_workers=num_workers,
            prefetch_factor=(self.prefetch_factor or 2) if num_workers else None,
            persistent_workers=False,
        )
        iterator = iter(before)
        self._resume, self._position = None, iterator.position
        return iterator

    def __len__(self) -> int:
        if self._dataset_kind == _DatasetKind.Iterable:
            length = self._IterableDataset_len_called = len(self.dataset)
            if self.batch_size is None:
                return length
            return length // self.batch_size if self.drop_last else -(-length // self.batch_size)
        return len(self._index_sampler)

    def check_worker_number_rationality(self) -> None:
        """Warn when there are to be more workers than processors."""
        if hasattr(os, "sched_getaffinity"):
            usable = len(os.sched_getaffinity(0))
        else:
            usable = os.cpu_count() or 1
        if self.num_workers > usable:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested "
                f"max number of worker in current system is {usable}, which is smaller than what this "
                "DataLoader is going to create. Please be aware that excessive worker creation might get "
                "DataLoader running slow or even freeze, lower the worker number to avoid potential "
                "slowness/freeze if necessary.",
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """The position: how many batches of the epoch were given, and the random state that its order came
        from.
        """
        position = self._position
        if position is None or position.finished or self._resume:
            return self._resume or {
                "version": 1,
                "batches": 0,
                "random_state": None,
                "num_workers": self.num_workers,
            }
        return {
            "version": 1,
            "batches": position.given,
            "random_state": position.random_state,
            "num_workers": position.num_workers,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next epoch be the rest of the one in which `state_dict` was taken.

        It continues with any number of workers, and no batch of a map-style data set is read twice. A stream
        is walked through again up to the position, and to the epoch's end by as many workers as began it.
        """
        if state.get("version") != 1:
            raise ValueError(f"not the state of a flambeau DataLoader: {state!r:.80}")
        self._resume = dict(state)


@dataclass
class _Position:
    """Where a walk through the data is; it outlives the iterator."""

    random_state: fb.Tensor
    num_workers: int
    given: int = 0
    finished: bool = False


class _Walk(_BaseDataLoaderIter):
    """One walk through the data: the order, the count of what was given, resuming.

    The methods of its base class, which other packages extend, have shorter ways here.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.pin = _pinning(loader)
        self.begin(loader, None)

    def begin(self, loader: DataLoader, base_seed: int | None) -> None:
        """Start an epoch, from its first batch or where a loaded state says."""
        # some packages let their own object stand for a loader: it has PyTorch's attributes alone
        state = getattr(loader, "_resume", None)
        if state is not None:
            loader._resume = None
        # as it was said before the epoch: `list(loader)` asks for it too late to be believed
        self.expected = loader._IterableDataset_len_called
        self.skip = state["batches"] if state is not None else 0
        source = fb.default_generator
        if loader.generator is not None:
            source = loader.generator
            if not isinstance(source, fb.Generator):
                draw_seed(source)  # refuses it
        kept = source.get_state()
        if self.skip and state["random_state"] is not None:
            source.set_state(state["random_state"])
        self.position = _Position(source.get_state(), loader.num_workers)
        streamed = pipes.is_pipe(loader.dataset) and loader._dataset_kind == _DatasetKind.Iterable
        self.shared_seed = draw_seed(loader.generator) if streamed else None
        pipes.seed(loader.dataset, self.shared_seed)
        self.base_seed = draw_seed(loader.generator) if base_seed is None else base_seed
        self.order = self.make_order(loader)
        if self.skip:
            if loader._dataset_kind == _DatasetKind.Map:
                for _ in itertools.islice(self.order, self.skip):
                    self.position.given += 1
                self.skip = 0
            if loader.generator is None:
                source.set_state(kept)

    def make_order(self, loader: DataLoader) -> Iterator:
        return iter(loader._index_sampler)

    def __iter__(self) -> _Walk:
        return self

    def __next__(self) -> Any:
        while self.skip:
            self.skip -= 1
            self.position.given += 1
            self.read()
        try:
            batch = self.read()
        except StopIteration:
            self.position.finished = True
            raise
        self.position.given += 1
        length = self.expected
        if (
            length is not None
            and self.loader._dataset_kind == _DatasetKind.Iterable
            and self.position.given > length
        ):
            self._warn_length(self.loader.dataset, length, self.position.given, self.loader.num_workers)
        return pin_memory(batch) if self.pin else batch

    next = __next__

    def read(self) -> Any:
        """The next batch; StopIteration at the end."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.loader._index_sampler)


class _SingleProcessDataLoaderIter(_Walk):
    """Reads in this process."""

    def __init__(self, loader: DataLoader) -> None:
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self.fetcher = _DatasetKind.create_fetcher(
            loader._dataset_kind, loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last
        )
        super().__init__(loader)

    def make_order(self, loader: DataLoader) -> Iterator:
        if (
            isinstance(self.fetcher, MapFetcher)
            and self.fetcher.gather
            and isinstance(loader.batch_sampler, BatchSampler)
        ):
            blocks = loader.batch_sampler.blocks()
            if blocks is not None:
                return blocks
        return iter(loader._index_sampler)

    def read(self) -> Any:
        return self.fetcher.fetch(next(self.order))


class _MultiProcessingDataLoaderIter(_Walk):
    """Has worker processes read ahead.

    Batch number n is asked of the workers in turn. The answers come through one pipe a worker; they are given
    in the order of their numbers (or as they come with ``in_order=False``). A worker whose stream has ended
    gets no more orders.
    """

    def __init__(self, loader: DataLoader) -> None:
        if loader.prefetch_factor == 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self.processes: list = []
        self.pipes: list = []
        super().__init__(loader)
        self.start(loader)
        self.ask()

    @property
    def _workers(self) -> list:
        return self.processes

    def _shutdown_workers(self) -> None:
        """End the workers; packages that keep an iterator call it."""
        self.stopper()

    def begin(self, loader: DataLoader, base_seed: int | None) -> None:
        super().begin(loader, base_seed)
        self.sent = 0
        self.waiting: dict[int, int] = {}  # batch number -> worker that is to answer
        self.answers: dict[int, tuple] = {}  # batch number -> kind, content, worker
        self.came: deque[int] = deque()  # numbers of the answers in the order in which they came
        self.active = [True] * loader.num_workers
        self.turn = itertools.cycle(range(loader.num_workers))
        self.all_asked = False

    def start(self, loader: DataLoader) -> None:
        context = loader.multiprocessing_context or _default_context()
        forks = context.get_start_method() == "fork"
        payload: Any = (
            loader._dataset_kind,
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            loader.worker_init_fn,
            loader.num_workers,
            self.base_seed,
            pack_long_lists(loader.dataset) if forks else [],
        )
        self.stopper = weakref.finalize(self, _stop, os.getpid(), self.processes, self.pipes)
        for number in range(loader.num_workers):
            # for each its own: the handle of memory that is shared can be taken once
            sent = payload if forks else shared.pickle_anything(payload, _SENT)
            ours, theirs = context.Pipe()
            self.pipes.append(ours)
            inherited = tuple(self.pipes) if forks else ()
            process = context.Process(
                target=worker.run, args=(theirs, inherited, sent, number, os.getpid()), daemon=True
            )
            process.start()
            theirs.close()
            self.processes.append(process)

    def restart(self, loader: DataLoader) -> bool:
        """Begin another epoch with the same workers; False if they are not there any more."""
        if not self.stopper.alive:
            return False
        while self.waiting:  # answers of an epoch that was left early
            self.receive()
        self.begin(loader, self.base_seed)
        for number, pipe in enumerate(self.pipes):
            shared.send(pipe, (worker.RESTART, number, self.shared_seed))
            self.waiting[number] = number
        while self.waiting:
            self.receive()
        for kind, content, _ in self.answers.values():
            if kind == worker.ERROR:
                content.reraise()
        self.answers.clear()
        self.came.clear()
        self.ask()
        return True

    def ask(self) -> None:
        """Hand out orders until every active worker has as many as it may read ahead."""
        ahead = min(self.loader.prefetch_factor, _MOST_TASKS) * self.loader.num_workers
        while len(self.waiting) + len(self.answers) < ahead and self.ask_once():
            pass

    def ask_once(self) -> bool:
        if self.all_asked or not any(self.active):
            return False
        try:
            index = next(self.order)
        except StopIteration:
            self.all_asked = True
            return False
        number = next(number for number in self.turn if self.active[number])
        while self.collect(0):  # a worker that waits to answer does not take orders
            pass
        try:
            shared.send(self.pipes[number], (worker.TASK, self.sent, index))
        except (BrokenPipeError, ConnectionResetError):
            self.dead([self.processes[number]])
        self.waiting[self.sent] = number
        self.sent += 1
        return True

    def read(self) -> Any:
        while True:
            number = self.next_number()
            if number is None:
                if not self.loader.persistent_workers:
                    self.stopper()
                raise StopIteration
            kind, content, reader = self.answers.pop(number)
            if kind == worker.END:
                self.active[reader] = False
                self.ask_once()
                continue
            self.ask()
            if kind == worker.ERROR:
                content.reraise()
            return content

    def next_number(self) -> int | None:
        """The number of the answer to give next, waiting for it; None when all were given."""
        if not self.waiting and not self.answers:
            return None
        if self.loader.in_order:
            number = min(itertools.chain(self.waiting, self.answers))
            while number not in self.answers:
                self.receive()
            return number
        while not self.came:
            self.receive()
        return self.came.popleft()

    def receive(self) -> None:
        """Wait for at least one answer."""
        limit = self.loader.timeout or None
        if not self.collect(limit):
            error = RuntimeError(f"DataLoader timed out after {self.loader.timeout} seconds")
            self.stopper()
            raise error

    def collect(self, limit: float | None) -> bool:
        """Take in the answers that are there, waiting up to `limit` seconds (None: for ever) for the
        first.
        """
        pipes = dict(zip(self.pipes, self.processes, strict=True))
        sentinels = {process.sentinel: process for process in self.processes}
        ready = wait([*pipes, *sentinels], limit)
        got = False
        try:
            for pipe in ready:
                if pipe in pipes and pipe.poll():
                    kind, number, content = shared.receive(pipe)
                    self.answers[number] = kind, content, self.waiting.pop(number)
                    self.came.append(number)
                    got = True
        except (EOFError, ConnectionResetError):
            self.dead([pipes[pipe]])
        except BaseException:  # a message may have been read in part: nothing can be read after it
            self.stopper()
            raise
        if not got and (dead := [sentinels[item] for item in ready if item in sentinels]):
            self.dead(dead)
        return got

    def dead(self, processes: list) -> None:
        """Report workers that ended by themselves."""
        for process in processes:
            process.join(1)
        pids = ", ".join(str(process.pid) for process in processes)
        ends = "; ".join(_describe_exit(process.exitcode) for process in processes)
        self.stopper()
        raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly\n{ends}")


def _describe_exit(code: int | None) -> str:
    if code is None:
        return "It closed its pipe."
    if code >= 0:
        return f"It ended with exit status {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    text = f"It was ended by signal {name}."
    if -code == signal.SIGKILL:
        text += " The system does that when memory runs out: use fewer workers, or a smaller batch_size."
    if -code in (signal.SIGSEGV, signal.SIGBUS):
        text += " Native code used by the data set crashed: num_workers=0 helps to find where."
    return text


def _default_context() -> Any:
    """What the program chose; else 'fork' where there is one (Python 3.14 took another default), so that data
    sets need no pickling and scripts no guard against being imported by their workers.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    forks = chosen is None and sys.platform == "linux"
    return multiprocessing.get_context("fork" if forks else None)


def _stop(owner: int, processes: list, pipes: list) -> None:
    """End the workers of an iterator. (A forked child inherits this call and must not act on it.)"""
    if os.getpid() != owner:
        return
    for pipe in pipes:
        pipe.close()  # an idle worker sees the end of its pipe and returns
    end = time.monotonic() + _STOP_PATIENCE
    for process in processes:
        process.join(0.05)
        if process.is_alive():
            process.terminate()
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _sharding_worker_init_fn(worker_init_fn: Any, world_size: int, rank_id: int, worker_id: int) -> None:
    """Give each worker of each process its own share of a data pipe, then do what the user wants done."""
    info = get_worker_info()
    assert info is not None
    pipes.shard(info.dataset, info.num_workers * world_size, worker_id * world_size + rank_id)
    if worker_init_fn is not None:
        worker_init_fn(worker_id)
