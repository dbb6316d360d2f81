"""The iterator of a DataLoader as other packages extend it."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as fb

from ..sampler import draw_seed
from . import pipes

__all__ = ["_BaseDataLoaderIter"]


def _get_distributed_settings() -> tuple[int, int]:
    """The number of processes that work together and the number of this one."""
    if fb.distributed.is_available() and fb.distributed.is_initialized():
        return fb.distributed.get_world_size(), fb.distributed.get_rank()
    return 1, 0


def _pinning(loader: Any) -> bool:
    if not loader.pin_memory:
        return False
    if not fb.cuda.is_available():
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory "
            "won't be used.",
            stacklevel=4,
        )
        return False
    return True


class _BaseDataLoaderIter:
    """One walk through the data of `loader`: a subclass writes ``_next_data``.

    What the loader says is copied under the names with an underscore; ``_reset`` begins an epoch,
    ``_next_index`` is the next key or list of keys.
    """

    def __init__(self, loader: Any) -> None:
        self._dataset = loader.dataset
        self._dataset_kind = loader._dataset_kind
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._world_size, self._rank = _get_distributed_settings()
        self._pin_memory = _pinning(loader)
        self._pin_memory_device = getattr(loader, "pin_memory_device", "") or None
        self._timeout = loader.timeout
        self._collate_fn = loader.collate_fn
        self._persistent_workers = loader.persistent_workers
        self._share_seed(loader)
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = draw_seed(loader.generator)
        self._num_yielded = 0
        self._profile_name = f"enumerate(DataLoader)#{type(self).__name__}.__next__"

    def _share_seed(self, loader: Any) -> None:
        """A seed for the random pipes of all workers, where the data set is a stream of pipes."""
        streamed = pipes.is_pipe(self._dataset) and bool(self._dataset_kind)
        self._shared_seed = draw_seed(loader.generator) if streamed else None
        pipes.seed(self._dataset, self._shared_seed)

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        """Begin another epoch."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._IterableDataset_len_called = loader._IterableDataset_len_called
        self._share_seed(loader)

    def _next_index(self) -> Any:
        return next(self._sampler_iter)

    def _next_data(self) -> Any:
        """The next batch; StopIteration at the end."""
        raise NotImplementedError

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self._sampler_iter is None:
            self._reset()  # type: ignore[call-arg]  # a subclass that ends its walk so begins it so
        batch = self._next_data()
        self._num_yielded += 1
        length = self._IterableDataset_len_called
        if self._dataset_kind and length is not None and self._num_yielded > length:
            self._warn_length(self._dataset, length, self._num_yielded, self._num_workers)
        return batch

    @staticmethod
    def _warn_length(dataset: Any, length: int, given: int, num_workers: int) -> None:
        text = (
            f"Length of IterableDataset {dataset} was reported to be {length}(when accessing "
            f"len(dataloader)), but {given} samples have been fetched. "
        )
        if num_workers:
            text += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset "
                "for examples."
            )
        warnings.warn(text, stacklevel=4)

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        # PyTorch forgot to format this text, and shows both parts
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)
