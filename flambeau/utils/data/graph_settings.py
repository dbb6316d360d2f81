"""Settings for all pipes of a graph: sharding, shuffling, seeds."""

from __future__ import annotations

import enum
from typing import Any

import flambeau as fb

from .graph import traverse_dps

__all__ = [
    "SHARDING_PRIORITIES", "apply_random_seed", "apply_sharding", "apply_shuffle_seed",
    "apply_shuffle_settings", "get_all_graph_pipes",
]  # fmt: skip


class SHARDING_PRIORITIES(enum.IntEnum):
    """Who shards first: processes of a cluster, then worker processes."""

    DEFAULT = 1
    DISTRIBUTED = 2
    MULTIPROCESSING = 3


def get_all_graph_pipes(graph: dict) -> list:
    """The pipes of a graph, each once."""
    found: dict = {}

    def collect(part: dict) -> None:
        for key, (pipe, below) in part.items():
            if key not in found:
                found[key] = pipe
                collect(below)

    collect(graph)
    return list(found.values())


def apply_sharding(
    datapipe: Any, num_of_instances: int, instance_id: int, sharding_group: Any = SHARDING_PRIORITIES.DEFAULT
) -> Any:
    """Tell all sharding pipes how many workers there are, and which this is."""
    for pipe in get_all_graph_pipes(traverse_dps(datapipe)):
        if "apply_sharding" in dir(type(pipe)):
            pipe.apply_sharding(num_of_instances, instance_id, sharding_group)
    return datapipe


def _shuffles(pipe: Any) -> bool:
    return hasattr(type(pipe), "set_shuffle") and hasattr(type(pipe), "set_seed")


def apply_shuffle_settings(datapipe: Any, shuffle: bool | None = None) -> Any:
    """Turn the shuffling of all pipes on or off; adds a shuffler where there is none to turn on."""
    if shuffle is None:
        return datapipe
    shufflers = [p for p in get_all_graph_pipes(traverse_dps(datapipe)) if _shuffles(p)]
    if shuffle and not shufflers:
        import warnings

        warnings.warn(
            "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at the end. "
            "Be aware that the default buffer size might not be sufficient for your task.",
            stacklevel=2,
        )
        datapipe = datapipe.shuffle()
        shufflers = [datapipe]
    for pipe in shufflers:
        pipe.set_shuffle(shuffle)
    return datapipe


def apply_random_seed(datapipe: Any, rng: fb.Generator) -> Any:
    """Seed all pipes that have ``set_seed``, each with a number of `rng`."""
    for pipe in get_all_graph_pipes(traverse_dps(datapipe)):
        if hasattr(type(pipe), "set_seed"):
            pipe.set_seed(int(fb.empty((), dtype=fb.int64).random_(generator=rng).item()))
    return datapipe


def apply_shuffle_seed(datapipe: Any, rng: Any) -> Any:
    """`apply_random_seed` under its old name."""
    return apply_random_seed(datapipe, rng)
