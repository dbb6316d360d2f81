"""Reading the samples of one batch from a data set, by the fastest road that the data set offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb

from ..dataset import Dataset, IterableDataset
from .collate import default_collate


class MapFetcher:
    """Reads by index: a list of indices (with `batched`), a slice or index tensor of them, or one index."""

    def __init__(self, dataset: Dataset, batched: bool, collate_fn: Callable) -> None:
        self.dataset = dataset
        self.batched = batched
        self.collate_fn = collate_fn
        self.gather = (
            getattr(dataset, "__getbatch__", None) if batched and collate_fn is default_collate else None
        )

    def fetch(self, index: Any) -> Any:
        if not self.batched:
            return self.collate_fn(self._item(index))
        if self.gather is not None:
            try:
                batch = self.gather(index)
            except IndexError:  # reading sample by sample says which index is wrong
                batch = NotImplemented
            if batch is not NotImplemented:
                return batch
            index = _as_list(index)
        if callable(getattr(self.dataset, "__getitems__", None)):
            return self.collate_fn(self.dataset.__getitems__(index))
        return self.collate_fn([self._item(i) for i in index])

    def _item(self, index: Any) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            error.add_note(f"(while reading item {index!r} of {type(self.dataset).__name__})")
            raise


class IterableFetcher:
    """Reads the next samples of a stream; a batch shorter than asked for is the last one."""

    def __init__(
        self, dataset: IterableDataset, batched: bool, collate_fn: Callable, drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.dataset_iter = iter(dataset)
        self.batched = batched
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.batched:
            return self.collate_fn(next(self.dataset_iter))
        batch = []
        for _ in index:
            try:
                batch.append(next(self.dataset_iter))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(index)):
            raise StopIteration
        return self.collate_fn(batch)


class _DatasetKind:
    Map = 0
    Iterable = 1

    @staticmethod
    def create_fetcher(
        kind: int, dataset: Any, auto_collation: bool, collate_fn: Callable, drop_last: bool
    ) -> MapFetcher | IterableFetcher:
        """The reader for a kind of data set, which the loader says: the data set may be of any class."""
        if kind == _DatasetKind.Map:
            return MapFetcher(dataset, auto_collation, collate_fn)
        return IterableFetcher(dataset, auto_collation, collate_fn, drop_last)


def endless(value: Any) -> Iterator[Any]:
    """The same value for ever: what stands for an index where a stream is read."""
    while True:
        yield value


def _as_list(index: Any) -> list:
    if isinstance(index, slice):
        return list(range(index.start, index.stop))
    return index.tolist() if isinstance(index, fb.Tensor) else index
