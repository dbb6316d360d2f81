"""How the processes along one dimension of a mesh share a tensor."""

from __future__ import annotations

import dataclasses

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """How the processes along one dimension of a mesh share a tensor."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether each has a part (along `dim`)."""
        return isinstance(self, Shard) and dim in (None, self.dim)

    def is_replicate(self) -> bool:
        """Whether each has the whole."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether the tensor is the sum (or `reduce_op`) of what they have."""
        return isinstance(self, Partial) and reduce_op in (None, self.reduce_op)


@dataclasses.dataclass(frozen=True)
class Shard(Placement):
    """Each has a part along a dimension, of equal size but for the last ones."""

    dim: int

    def __str__(self) -> str:
        return f"S({self.dim})"

    @staticmethod
    def local_shard_size_and_offset(curr_local_size: int, num_chunks: int, rank: int) -> tuple[int, int]:
        """The size of the part of process `rank`, and where it begins."""
        step = -(-curr_local_size // num_chunks)
        start = min(step * rank, curr_local_size)
        return min(step, curr_local_size - start), start

    _local_shard_size_and_offset = local_shard_size_and_offset


@dataclasses.dataclass(frozen=True)
class Replicate(Placement):
    """Each has the whole."""

    def __str__(self) -> str:
        return "R"


@dataclasses.dataclass(frozen=True)
class Partial(Placement):
    """The tensor is the sum of what they have (or the average, the largest, the smallest, the product)."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"

    def __str__(self) -> str:
        return f"P({self.reduce_op})"


@dataclasses.dataclass(frozen=True)
class _StridedShard(Placement):
    """Each has `split_factor` parts along a dimension that an outer mesh dimension shards once more.

    Programs test for it; tensors are not redistributed to or from it.
    """

    dim: int
    _: dataclasses.KW_ONLY
    split_factor: int = 1

    def __repr__(self) -> str:
        return f"_StridedShard(dim={self.dim}, sf={self.split_factor})"

    def __str__(self) -> str:
        return f"_S({self.dim}, {self.split_factor})"
