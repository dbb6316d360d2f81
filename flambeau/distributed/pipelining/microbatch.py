"""Batches in pieces, and results of pieces put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["TensorChunkSpec", "merge_chunks", "split_args_kwargs_into_chunks"]


class TensorChunkSpec:
    """Along which dimension a tensor is cut.

    Parameters
    ----------
    split_dim : the dimension.
    """

    def __init__(self, split_dim: int) -> None:
        self.split_dim = split_dim

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.split_dim})"

    def __str__(self) -> str:
        return f"TensorChunkSpec({self.split_dim})"

    @staticmethod
    def from_tuple(chunk_dims: tuple[int, ...]) -> tuple[TensorChunkSpec, ...]:
        """One for each dimension."""
        return tuple(map(TensorChunkSpec, chunk_dims))

    @staticmethod
    def from_dict(chunk_dims: dict[str, int]) -> dict[str, TensorChunkSpec]:
        """The same by names."""
        return {name: TensorChunkSpec(dim) for name, dim in chunk_dims.items()}


def _dims(spec: Any, count: int) -> list[int]:
    """Along which dimension each leaf is cut: one spec may stand for all."""
    told = (spec is not None and tree_flatten(spec)[0]) or [None]
    if len(told) == 1:
        told *= count
    if len(told) != count:
        raise ValueError(f"{len(told)} specs of dimensions for {count} values: {spec}")
    return [how.split_dim if isinstance(how, TensorChunkSpec) else 0 for how in told]


def _pieces(value: Any, spec: Any, count: int) -> list[Any]:
    """One argument for each microbatch."""
    leaves, structure = tree_flatten(value)
    columns = []
    for leaf, dim in zip(leaves, _dims(spec, len(leaves))):
        if not isinstance(leaf, fb.Tensor):
            columns.append([leaf] * count)
            continue
        if leaf.dim() <= dim or leaf.shape[dim] < count:
            raise ValueError(
                f"a tensor of shape {tuple(leaf.shape)} cannot be cut into {count} pieces along dimension "
                f"{dim}"
            )
        columns.append(list(leaf.tensor_split(count, dim)))
    return [tree_unflatten([column[k] for column in columns], structure) for k in range(count)]


def split_args_kwargs_into_chunks(
    args: tuple[Any, ...], kwargs: dict[str, Any] | None, chunks: int,
    args_chunk_spec: Sequence[Any] | None = None, kwargs_chunk_spec: dict[str, Any] | None = None,
) -> tuple[list[tuple], list[dict[str, Any]]]:  # fmt: skip
    """The arguments of each microbatch: tensors are cut, along their first dimension or as the specs say.

    Raises
    ------
    ValueError : a tensor has fewer rows than there are microbatches; there are not as many specs as values.
    """
    specs = list(args_chunk_spec or [None] * len(args))
    if len(specs) != len(args):
        raise ValueError(f"{len(specs)} specs of dimensions for {len(args)} arguments: {args_chunk_spec}")
    rows = [_pieces(a, s, chunks) for a, s in zip(args, specs)]
    named = {k: _pieces(v, (kwargs_chunk_spec or {}).get(k), chunks) for k, v in (kwargs or {}).items()}
    return (
        [tuple(row[k] for row in rows) for k in range(chunks)],
        [{name: row[k] for name, row in named.items()} for k in range(chunks)],
    )


def merge_chunks(chunks: list[Any], chunk_spec: Any = None) -> Any:
    """Results of microbatches as one result: tensors are joined, of other things the last one counts."""
    flat = [tree_flatten(chunk)[0] for chunk in chunks]
    structure = tree_flatten(chunks[0])[1]
    made = []
    for column, dim in zip(zip(*flat), _dims(chunk_spec, len(flat[0]))):
        tensors = isinstance(column[0], fb.Tensor) and column[0].dim() > 0
        made.append(fb.cat(list(column), dim) if tensors else column[-1])
    return tree_unflatten(made, structure)
