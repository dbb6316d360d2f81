"""Pipes of one pipe, a sample for a sample: functions, filters, order."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...dataloader import default_collate
from ...sampler import SequentialSampler
from .._decorator import functional_datapipe
from .._shuffling import Shuffling
from ..datapipe import IterDataPipe


class IterableWrapperIterDataPipe(IterDataPipe):
    """The elements of an iterable; of a copy in every pass unless `deepcopy` is False."""

    def __init__(self, iterable: Iterable, deepcopy: bool = True) -> None:
        self.iterable, self.deepcopy = iterable, deepcopy

    def __iter__(self) -> Iterator:
        source = self.iterable
        if self.deepcopy:
            try:
                source = copy.deepcopy(self.iterable)
            except TypeError:
                warnings.warn(
                    "The input iterable can not be deepcopied, please be aware of in-place modification would"
                    " affect source data.",
                    stacklevel=2,
                )
        yield from source

    def __len__(self) -> int:
        if not hasattr(self.iterable, "__len__"):
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return len(self.iterable)


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe):
    """The results of a function of samples.

    Parameters
    ----------
    input_col : index or key of the part of a sample that the function takes, or several of them.
    output_col : where the result goes (default: where the input was); -1 appends it.
    """

    def __init__(
        self, datapipe: IterDataPipe, fn: Callable, input_col: Any = None, output_col: Any = None
    ) -> None:
        self.datapipe, self.fn, self.input_col = datapipe, fn, input_col
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.output_col = output_col

    def _applied(self, data: Any) -> Any:
        columns = self.input_col
        if columns is None:
            return self.fn(data)
        several = isinstance(columns, (list, tuple))
        result = self.fn(*(data[c] for c in columns)) if several else self.fn(data[columns])
        is_tuple = isinstance(data, tuple)
        data = list(data) if is_tuple else data
        if self.output_col is None:
            if several:
                data[columns[0]] = result
                for c in sorted(columns[1:], reverse=True):
                    del data[c]
            else:
                data[columns] = result
        elif self.output_col == -1:
            data.append(result)
        else:
            data[self.output_col] = result
        return tuple(data) if is_tuple else data

    def __iter__(self) -> Iterator:
        for data in self.datapipe:
            yield self._applied(data)

    def __len__(self) -> int:
        return len(self.datapipe)


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """Batches as tensors, by `default_collate` or another function."""

    def __init__(
        self, datapipe: IterDataPipe, conversion: Any = default_collate, collate_fn: Callable | None = None
    ) -> None:
        if isinstance(conversion, dict):
            raise NotImplementedError(
                "flambeau has no Collator of data frames: give a function as `conversion`"
            )
        super().__init__(datapipe, fn=conversion if collate_fn is None else collate_fn)


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe):
    """The samples (or those whose part `input_col`) of which a function says True."""

    def __init__(self, datapipe: IterDataPipe, filter_fn: Callable, input_col: Any = None) -> None:
        self.datapipe, self.filter_fn, self.input_col = datapipe, filter_fn, input_col

    def _says(self, data: Any) -> bool:
        columns = self.input_col
        if columns is None:
            answer = self.filter_fn(data)
        elif isinstance(columns, (list, tuple)):
            answer = self.filter_fn(*(data[c] for c in columns))
        else:
            answer = self.filter_fn(data[columns])
        if not isinstance(answer, bool):
            raise ValueError(
                f"Boolean output is required for `filter_fn` of {type(self).__name__}, got", type(answer)
            )
        return answer

    def __iter__(self) -> Iterator:
        for data in self.datapipe:
            if self._says(data):
                yield data


class SamplerIterDataPipe(IterDataPipe):
    """What a sampler draws of a pipe."""

    def __init__(
        self, datapipe: IterDataPipe, sampler: type = SequentialSampler, sampler_args: tuple | None = None,
        sampler_kwargs: dict | None = None,
    ) -> None:  # fmt: skip
        self.datapipe = datapipe
        self.sampler_args, self.sampler_kwargs = sampler_args or (), dict(sampler_kwargs or {})
        self.sampler_kwargs["data_source"] = datapipe
        self.sampler = sampler(*self.sampler_args, **self.sampler_kwargs)

    def __iter__(self) -> Iterator:
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)


@functional_datapipe("shuffle")
class ShufflerIterDataPipe(Shuffling, IterDataPipe):
    """Samples drawn at random from a buffer that the pipe fills; in order when shuffling is off."""

    def __init__(self, datapipe: IterDataPipe, *, buffer_size: int = 10000, unbatch_level: int = 0) -> None:
        if buffer_size <= 0:
            raise ValueError("buffer_size should be larger than 0")
        self.datapipe = datapipe if unbatch_level == 0 else datapipe.unbatch(unbatch_level=unbatch_level)
        self.buffer_size = buffer_size
        self._start_shuffling()

    def __iter__(self) -> Iterator:
        if not self._enabled:
            yield from self.datapipe
            return
        buffer: list = []
        for sample in self.datapipe:
            if len(buffer) < self.buffer_size:
                buffer.append(sample)
                continue
            i = self._rng.randint(0, len(buffer) - 1)
            given, buffer[i] = buffer[i], sample
            yield given
        while buffer:
            yield buffer.pop(self._rng.randint(0, len(buffer) - 1))

    def reset(self) -> None:
        """Seed the order of a new pass."""
        if self._enabled:
            self._reseed()

    def __len__(self) -> int:
        return len(self.datapipe)
