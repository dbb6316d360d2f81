"""Long lists that forked workers read without copying them.

Whoever reads an object of a list writes its reference count. In a forked worker every such write copies the
page that the object lies on, so that after an epoch each worker holds a copy of the whole list. A long list
of plain values therefore goes to the workers packed: its items marshalled one after the other into one
block, which holds no reference counts.
"""

from __future__ import annotations

import marshal
import mmap
from collections.abc import Iterable, MutableSequence
from itertools import accumulate, chain
from typing import Any

import numpy as np

from flambeau.utils.data.dataset import Dataset

_LONG = 100_000  # items; a shorter list is not worth the packing

_PLAIN = {str, bytes, int, float, complex, bool, type(None)}

Packed = list[tuple[Dataset, str, "PackedList"]]


class PackedList(MutableSequence):
    """A list of plain values in one block of memory; the first change turns it into an ordinary list.

    An item that is read is a new object, equal to the one that was packed.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        chunks = [marshal.dumps(item) for item in items]
        self._ends = np.fromiter(accumulate(map(len, chunks)), np.int64, len(chunks))
        self._block = mmap.mmap(-1, max(1, int(self._ends[-1]) if chunks else 0))
        self._block.write(b"".join(chunks))
        self._changed: list | None = None

    def _plain(self) -> list:
        if self._changed is None:
            self._changed = list(self)
        return self._changed

    def __len__(self) -> int:
        return len(self._ends if self._changed is None else self._changed)

    def __getitem__(self, index: Any) -> Any:
        if self._changed is not None:
            return self._changed[index]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        begin = self._ends[index - 1] if index else 0
        return marshal.loads(memoryview(self._block)[begin : self._ends[index]])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._plain()[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._plain()[index]

    def insert(self, index: int, value: Any) -> None:
        self._plain().insert(index, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, PackedList)) and list(self) == list(other)

    def __add__(self, other: list) -> list:
        return list(self) + list(other)

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> tuple:
        return list, (list(self),)


def _unchanging(items: Iterable[Any]) -> bool:
    """Whether no item can be changed in place, so that equal new objects can stand for them."""
    kinds = set(map(type, items))
    return kinds <= _PLAIN or (kinds == {tuple} and _unchanging(chain.from_iterable(items)))


def pack_long_lists(dataset: Any) -> Packed:
    """Packed forms of the long lists of plain values that a data set, or one inside it, has as attributes."""
    found: Packed = []
    seen: set[int] = set()
    todo = [dataset]
    while todo:
        current = todo.pop()
        if not isinstance(current, Dataset) or id(current) in seen:
            continue
        seen.add(id(current))
        for name, value in vars(current).items():
            if isinstance(value, Dataset):
                todo.append(value)
            elif type(value) is list and len(value) >= _LONG:
                if _unchanging(value):
                    found.append((current, name, PackedList(value)))
            elif type(value) in (list, tuple):
                todo.extend(value)
    return found


_originals: list[Any] = []  # kept: letting them go would write the count of each item


def use_packed(packed: Packed) -> None:
    """In a worker: read the packed lists instead of the inherited ones."""
    for dataset, name, value in packed:
        _originals.append(vars(dataset)[name])
        vars(dataset)[name] = value
