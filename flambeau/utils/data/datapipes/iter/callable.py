"""Pipes of the results of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...dataloader import default_collate
from .._decorator import functional_datapipe
from ..datapipe import IterDataPipe
from ..utils.common import _check_function


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
        _check_function(fn)
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
