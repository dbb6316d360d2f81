"""Pipes of batches and groups, and of every n-th sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from .._decorator import functional_datapipe
from ..datapipe import DataChunk, IterDataPipe
from ..utils.common import _check_function


@functional_datapipe("batch")
class BatcherIterDataPipe(IterDataPipe):
    """Lists of `batch_size` samples; the last may be shorter unless `drop_last`."""

    def __init__(
        self,
        datapipe: IterDataPipe,
        batch_size: int,
        drop_last: bool = False,
        wrapper_class: type = DataChunk,
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size = datapipe, batch_size
        self.drop_last, self.wrapper_class = drop_last, wrapper_class

    def __iter__(self) -> Iterator:
        batch: list = []
        for sample in self.datapipe:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)

    def __len__(self) -> int:
        n = len(self.datapipe)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


@functional_datapipe("unbatch")
class UnBatcherIterDataPipe(IterDataPipe):
    """The samples of batches, of `unbatch_level` levels of them; of all for -1."""

    def __init__(self, datapipe: IterDataPipe, unbatch_level: int = 1) -> None:
        self.datapipe, self.unbatch_level = datapipe, unbatch_level

    def _opened(self, element: Any, level: int) -> Iterator:
        if level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        if level == 0 or (level == -1 and not isinstance(element, (list, DataChunk))):
            yield element
            return
        if not isinstance(element, (list, DataChunk)):
            raise IndexError(f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe")
        for item in element:
            yield from self._opened(item, -1 if level == -1 else level - 1)

    def __iter__(self) -> Iterator:
        for element in self.datapipe:
            yield from self._opened(element, self.unbatch_level)


@functional_datapipe("groupby")
class GrouperIterDataPipe(IterDataPipe):
    """Lists of the samples of which a function says the same.

    Parameters
    ----------
    keep_key : give pairs (key, list).
    buffer_size : how many samples may wait; the largest group goes when there is no more room.
    group_size : a group of so many goes at once.
    guaranteed_group_size : smaller groups do not go for want of room: an error, or dropped.
    """

    def __init__(
        self, datapipe: IterDataPipe, group_key_fn: Callable, *, keep_key: bool = False,
        buffer_size: int = 10000, group_size: int | None = None, guaranteed_group_size: int | None = None,
        drop_remaining: bool = False,
    ) -> None:  # fmt: skip
        _check_function(group_key_fn)
        self.datapipe, self.group_key_fn, self.keep_key = datapipe, group_key_fn, keep_key
        self.max_buffer_size, self.group_size = buffer_size, group_size
        self.guaranteed_group_size, self.drop_remaining = guaranteed_group_size, drop_remaining
        if group_size is not None and not 0 < group_size <= buffer_size:
            raise AssertionError("group_size must be > 0 and <= buffer_size")
        if guaranteed_group_size is not None and (
            group_size is None or not 0 < guaranteed_group_size <= group_size
        ):
            raise ValueError("guaranteed_group_size must be > 0 and <= group_size and group_size must be set")
        self.wrapper_class = DataChunk

    def _made(self, key: Any, samples: list) -> Any:
        chunk = self.wrapper_class(samples)
        return (key, chunk) if self.keep_key else chunk

    def __iter__(self) -> Iterator:
        groups: dict[Any, list] = defaultdict(list)
        waiting = 0
        for sample in self.datapipe:
            key = self.group_key_fn(sample)
            groups[key].append(sample)
            waiting += 1
            if self.group_size == len(groups[key]):
                waiting -= len(groups[key])
                yield self._made(key, groups.pop(key))
            if waiting == self.max_buffer_size:
                largest = max(groups, key=lambda k: len(groups[k]))
                samples = groups.pop(largest)
                waiting -= len(samples)
                least = self.guaranteed_group_size
                if least is None or len(samples) >= least:
                    yield self._made(largest, samples)
                elif not self.drop_remaining:
                    raise RuntimeError("Failed to group items", str(samples))
        for key in tuple(groups):
            yield self._made(key, groups.pop(key))


@functional_datapipe("sharding_filter")
class ShardingFilterIterDataPipe(IterDataPipe):
    """Every n-th sample, for the worker that `apply_sharding` says this is."""

    def __init__(self, source_datapipe: IterDataPipe, sharding_group_filter: Any = None) -> None:
        self.source_datapipe, self.sharding_group_filter = source_datapipe, sharding_group_filter
        self.groups: dict[int, tuple[int, int]] = {}
        self.num_of_instances, self.instance_id = 1, 0

    def apply_sharding(self, num_of_instances: int, instance_id: int, sharding_group: Any = 1) -> None:
        """Say how many workers there are and which this is; groups multiply."""
        if instance_id >= num_of_instances:
            raise ValueError(
                f"instance_id({instance_id}) should be smaller than num_of_instances({num_of_instances})"
            )
        group = int(getattr(sharding_group, "value", sharding_group))
        if (group == 1 and any(g != 1 for g in self.groups)) or (group != 1 and 1 in self.groups):
            raise RuntimeError("ShardingFilter cannot mix DEFAULT and non DEFAULT groups")
        self.groups[group] = (num_of_instances, instance_id)
        self.num_of_instances, self.instance_id = 1, 0
        for g in sorted(self.groups, reverse=True):
            if self.sharding_group_filter in (None, g):
                count, mine = self.groups[g]
                self.instance_id += self.num_of_instances * mine
                self.num_of_instances *= count

    def __iter__(self) -> Iterator:
        for i, sample in enumerate(self.source_datapipe):
            if i % self.num_of_instances == self.instance_id:
                yield sample

    def __len__(self) -> int:
        n = len(self.source_datapipe)
        return n // self.num_of_instances + (self.instance_id < n % self.num_of_instances)
