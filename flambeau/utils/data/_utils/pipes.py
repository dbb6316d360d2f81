"""What the DataLoader does with data pipes: shuffling on or off, a seed an epoch, a share a worker."""

from __future__ import annotations

from typing import Any

import flambeau as fb

__all__ = ["is_pipe", "seed", "shard"]


def is_pipe(dataset: Any) -> bool:
    """Whether a data set is a pipe."""
    return getattr(type(dataset), "_is_datapipe", False)


def seed(dataset: Any, shared_seed: int | None) -> None:
    """Seed the random pipes of an epoch: alike in all workers."""
    if shared_seed is not None:
        from ..graph_settings import apply_random_seed

        apply_random_seed(dataset, fb.Generator().manual_seed(shared_seed))


def shard(dataset: Any, workers: int, number: int) -> None:
    """Tell the sharding pipes which worker this is."""
    if is_pipe(dataset):
        from ..graph_settings import apply_sharding

        apply_sharding(dataset, workers, number)
