"""Making one batch out of many samples."""

from __future__ import annotations

import collections.abc
import copy
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import flambeau as fb

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def default_convert(data: Any) -> Any:
    """Turn the NumPy arrays and scalars in nested data into tensors; leave everything else as it is."""
    if isinstance(data, fb.Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        if _holds_text(data.dtype):
            return data
        return fb.as_tensor(np.asarray(data))
    if isinstance(data, collections.abc.Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(part) for part in data))
    if isinstance(data, tuple):
        return [default_convert(part) for part in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(part) for part in data])
    return data


def collate(batch: Sequence, *, collate_fn_map: dict[type | tuple[type, ...], Callable] | None = None) -> Any:
    """Make a batch of a list of samples: nested mappings and sequences are taken apart, leaves are joined.

    `collate_fn_map` says for each type (or tuple of types) of leaf how a list of them is joined.
    """
    first = batch[0]
    kind = type(first)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        for types, join in collate_fn_map.items():
            if isinstance(first, types):
                return join(batch, collate_fn_map=collate_fn_map)

    def join_all(parts: Sequence) -> Any:
        return collate(parts, collate_fn_map=collate_fn_map)

    if isinstance(first, collections.abc.Mapping):
        return _like_mapping(first, {key: join_all([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(join_all(column) for column in zip(*batch, strict=False)))
    if isinstance(first, collections.abc.Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [join_all(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like_sequence(first, columns)
    raise TypeError(default_collate_err_msg_format.format(kind))


def _like_mapping(example: collections.abc.Mapping, values: dict) -> Any:
    """`values` in a mapping of the same class as `example`, or in a dict where the class cannot be made that
    way.
    """
    try:
        if isinstance(example, collections.abc.MutableMapping):
            same = copy.copy(example)
            same.update(values)
            return same
        return type(example)(values)
    except TypeError:
        return values


def _like_sequence(example: collections.abc.Sequence, values: list) -> Any:
    try:
        if isinstance(example, collections.abc.MutableSequence):
            same = copy.copy(example)
            for i, value in enumerate(values):
                same[i] = value
            return same
        return type(example)(values)
    except TypeError:
        return values


np_str_obj_array_pattern = re.compile(r"[SaUO]")


def _holds_text(dtype: np.dtype) -> bool:
    return np_str_obj_array_pattern.search(dtype.str) is not None


def collate_tensor_fn(batch: list, *, collate_fn_map: Any = None) -> fb.Tensor:
    if batch[0].layout != fb.strided:
        raise RuntimeError(
            "Batches of sparse tensors are not currently supported by the default collate_fn; please provide "
            "a custom collate_fn to handle them appropriately."
        )
    return fb.stack(batch, 0)


def collate_numpy_array_fn(batch: list, *, collate_fn_map: Any = None) -> fb.Tensor:
    if _holds_text(batch[0].dtype):
        raise TypeError(default_collate_err_msg_format.format(batch[0].dtype))
    return fb.stack([fb.as_tensor(array) for array in batch], 0)


def collate_numpy_scalar_fn(batch: list, *, collate_fn_map: Any = None) -> fb.Tensor:
    # NumPy would make float64 of float32 beside whole numbers
    return fb.as_tensor(np.asarray(batch) if len(set(map(type, batch))) == 1 else batch)


def collate_float_fn(batch: list, *, collate_fn_map: Any = None) -> fb.Tensor:
    return fb.tensor(batch, dtype=fb.float64)


def collate_int_fn(batch: list, *, collate_fn_map: Any = None) -> fb.Tensor:
    return fb.tensor(batch)


def collate_str_fn(batch: list, *, collate_fn_map: Any = None) -> list:
    return batch


default_collate_fn_map: dict[type | tuple[type, ...], Callable] = {
    fb.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: list) -> Any:
    """Stack samples into a batch with a new first dimension.

    Tensors and arrays are stacked, numbers become a tensor, strings stay a list; mappings, named tuples and
    sequences of them are handled part by part (a tuple gives a list).
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
