"""Lists of tokens or numbers, one or a batch of them: cut, lengthened, made tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

__all__ = ["add_token", "pad_collate", "str_to_int", "to_tensor", "truncate"]


def _is_batch(value: Sequence[Any]) -> bool:
    return bool(value) and isinstance(value[0], (list, tuple))


def to_tensor(input: Sequence[Any], padding_value: int | None = None, dtype: fb.dtype = fb.long) -> fb.Tensor:
    """A list of numbers as a tensor; lists of different lengths need a `padding_value`."""
    if padding_value is None or not _is_batch(input):
        return fb.tensor(input, dtype=dtype)
    length = max(map(len, input))
    return fb.tensor([[*row, *[padding_value] * (length - len(row))] for row in input], dtype=dtype)


def truncate(input: Sequence[Any], max_seq_len: int) -> list:
    """At most the first `max_seq_len` of a list, or of each list in a batch."""
    return [list(row[:max_seq_len]) for row in input] if _is_batch(input) else list(input[:max_seq_len])


def add_token(input: Sequence[Any], token_id: Any, begin: bool = True) -> list:
    """A token put in front or behind."""
    if _is_batch(input):
        return [add_token(row, token_id, begin) for row in input]
    return [token_id, *input] if begin else [*input, token_id]


def str_to_int(input: Sequence[Any]) -> list:
    """Texts of digits as numbers."""
    return [str_to_int(row) for row in input] if _is_batch(input) else [int(text) for text in input]


def pad_collate(
    samples: Sequence[tuple[Any, Any]], padding_value: int = 0, max_length: int | None = None
) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
    """A batch of (numbers, label) for a DataLoader: padded numbers [N, longest], lengths [N], labels [N].

    Use it as ``collate_fn=pad_collate`` or through `functools.partial`.
    """
    rows = [[int(n) for n in row] for row, _ in samples]
    rows = truncate(rows, max_length) if max_length is not None else rows
    lengths = fb.tensor([len(row) for row in rows])
    return to_tensor(rows, padding_value), lengths, fb.tensor([int(label) for _, label in samples])
