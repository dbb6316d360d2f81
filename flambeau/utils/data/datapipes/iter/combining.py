"""Several pipes from one, and one from several."""

from __future__ import annotations

import copy as copying
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .._decorator import functional_datapipe
from ..datapipe import IterDataPipe


def _checked(pipes: tuple, said: str) -> tuple:
    if not all(isinstance(p, IterDataPipe) for p in pipes):
        raise TypeError(said)
    return pipes


@functional_datapipe("concat")
class ConcaterIterDataPipe(IterDataPipe):
    """The samples of one pipe after those of another."""

    def __init__(self, *datapipes: IterDataPipe) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        self.datapipes = _checked(datapipes, "Expected all inputs to be `IterDataPipe`")

    def __iter__(self) -> Iterator:
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self) -> int:
        return sum(map(len, self.datapipes))


@functional_datapipe("zip")
class ZipperIterDataPipe(IterDataPipe):
    """Tuples of a sample of each pipe, until one ends."""

    def __init__(self, *datapipes: IterDataPipe) -> None:
        self.datapipes = _checked(
            datapipes, "All inputs are required to be `IterDataPipe` for `ZipIterDataPipe`."
        )

    def __iter__(self) -> Iterator:
        yield from zip(*self.datapipes)

    def __len__(self) -> int:
        return min(map(len, self.datapipes))


@functional_datapipe("mux")
class MultiplexerIterDataPipe(IterDataPipe):
    """A sample of each pipe in turn, until one ends."""

    def __init__(self, *datapipes: Any) -> None:
        self.datapipes = datapipes

    def __iter__(self) -> Iterator:
        for samples in zip(*self.datapipes):
            yield from samples

    def __len__(self) -> int:
        return min(map(len, self.datapipes)) * len(self.datapipes)


class _Shared:
    """A pipe that several children read: what one has read waits for the others in queues."""

    def __init__(
        self, name: str, datapipe: IterDataPipe, count: int, buffer_size: int, route: Callable
    ) -> None:
        if buffer_size < 0:
            warnings.warn(
                "Unlimited buffer size is set for `fork`, please be aware of OOM"
                if name == "ForkerIterDataPipe"
                else "Unlimited buffer size is set for `demux`, please be aware of OOM",
                UserWarning,
                stacklevel=4,
            )
        self.name, self.datapipe, self.count = name, datapipe, count
        self.buffer_size, self.route = buffer_size, route
        self.epoch = 0
        self._restart()

    def _restart(self) -> None:
        self.queues: list[deque] = [deque() for _ in range(self.count)]
        self.source: Iterator | None = None
        self.waiting = 0

    def new_epoch(self) -> None:
        self.epoch += 1
        self._restart()

    def read(self, child: int) -> Any:
        """The next sample of a child; raises StopIteration at the end."""
        if self.source is None:
            self.source = iter(self.datapipe)
        queue = self.queues[child]
        while not queue:
            if self.waiting == self.buffer_size and self.count > 1:
                raise BufferError(
                    f"{self.name} buffer overflow, buffer size {self.buffer_size} is insufficient."
                )
            sample = next(self.source)
            for target in self.route(sample):
                self.queues[target].append(sample)
                self.waiting += target != child
        return queue.popleft()

    def given(self, child: int, was_waiting: bool) -> None:
        """Note that a child took a sample out of its queue."""
        self.waiting -= was_waiting

    def __getstate__(self) -> dict:
        state = self.__dict__.copy()
        state.update(queues=[deque() for _ in range(self.count)], source=None, waiting=0)
        return state


class _ChildDataPipe(IterDataPipe):
    """One of the pipes that read a shared one."""

    _is_child = True

    def __init__(self, main_datapipe: _Shared, instance_id: int, copied: Callable | None = None) -> None:
        self.main_datapipe, self.instance_id, self.copied = main_datapipe, instance_id, copied
        self._epoch = -1

    def reset(self) -> None:
        """Join the pass that is going on, or begin a new one where this child has read that one."""
        if self._epoch == self.main_datapipe.epoch:
            self.main_datapipe.new_epoch()
        self._epoch = self.main_datapipe.epoch

    def __iter__(self) -> Iterator:
        shared, epoch = self.main_datapipe, self._epoch
        while True:
            if shared.epoch != epoch:
                raise RuntimeError(
                    "This iterator has been invalidated because another iterator has been created"
                    " from one of "
                    "the child DataPipes."
                )
            was_waiting = bool(shared.queues[self.instance_id])
            try:
                sample = shared.read(self.instance_id)
            except StopIteration:
                return
            shared.given(self.instance_id, was_waiting)
            yield sample if self.copied is None else self.copied(sample)

    def __len__(self) -> int:
        if self.main_datapipe.name != "ForkerIterDataPipe":
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return len(self.main_datapipe.datapipe)


@functional_datapipe("fork")
class ForkerIterDataPipe(IterDataPipe):
    """Several pipes with the samples of one.

    Parameters
    ----------
    num_instances : how many.
    buffer_size : how many samples one may be ahead of another; -1 for any number.
    copy : None, ``"shallow"`` or ``"deep"``: whether each gets its own copies.
    """

    def __new__(
        cls: type,
        datapipe: IterDataPipe,
        num_instances: int,
        buffer_size: int = 1000,
        copy: str | None = None,
    ) -> Any:
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")
        if num_instances == 1:
            return [datapipe]
        copies = {None: None, "shallow": copying.copy, "deep": copying.deepcopy}
        if copy not in copies:
            raise ValueError(
                f"Unknown copy method `{copy}` requested, choose one of None, `shallow` or `deep`."
            )
        everyone = tuple(range(num_instances))
        shared = _Shared(cls.__name__, datapipe, num_instances, buffer_size, lambda _: everyone)
        return [_ChildDataPipe(shared, i, copies[copy]) for i in everyone]


@functional_datapipe("demux")
class DemultiplexerIterDataPipe(IterDataPipe):
    """Several pipes; a function says which of them a sample goes to.

    Parameters
    ----------
    num_instances : how many.
    classifier_fn : a sample's pipe, or None to leave it out where `drop_none`.
    buffer_size : how many samples may wait; -1 for any number.
    """

    def __new__(
        cls: type, datapipe: IterDataPipe, num_instances: int, classifier_fn: Callable,
        drop_none: bool = False, buffer_size: int = 1000,
    ) -> Any:  # fmt: skip
        if num_instances < 1:
            raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")

        def route(sample: Any) -> tuple:
            target = classifier_fn(sample)
            if target is None and drop_none:
                return ()
            if target is None or not 0 <= target < num_instances:
                raise ValueError(
                    f"Output of the classification fn should be between 0 and {num_instances - 1}. "
                    f"{target} is returned."
                )
            return (target,)

        shared = _Shared(cls.__name__, datapipe, num_instances, buffer_size, route)
        return [_ChildDataPipe(shared, i) for i in range(num_instances)]
