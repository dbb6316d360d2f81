"""Pipes of some of the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._decorator import functional_datapipe
from ..datapipe import IterDataPipe
from ..utils.common import _check_function


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe):
    """The samples (or those whose part `input_col`) of which a function says True."""

    def __init__(self, datapipe: IterDataPipe, filter_fn: Callable, input_col: Any = None) -> None:
        _check_function(filter_fn)
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
