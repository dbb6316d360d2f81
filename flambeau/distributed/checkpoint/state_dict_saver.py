"""Saving what several processes have."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import Future
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.tensor import DTensor, Replicate
from flambeau.distributed.tensor._redistribute import local_shape

from .api import CheckpointException
from .default_planner import DefaultSavePlanner
from .filesystem import FileSystemWriter
from .stateful import Stateful

__all__ = ["async_save", "save", "save_state_dict"]


def flat(values: Any, path: tuple = ()) -> dict[str, tuple[tuple, Any]]:
    """Name -> (path, value) of nested dictionaries and lists; lists without tensors stay whole."""
    if isinstance(values, Stateful) and not isinstance(values, dict):
        values = values.state_dict()
    if isinstance(values, dict) and (values or not path):
        items = list(values.items())
    elif isinstance(values, (list, tuple)) and any(isinstance(v, (fb.Tensor, dict, list)) for v in values):
        items = list(enumerate(values))
    else:
        return {".".join(map(str, path)): (path, values)}
    found: dict[str, tuple[tuple, Any]] = {}
    for key, value in items:
        found.update(flat(value, (*path, key)))
    return found


def together(process_group: Any, no_dist: bool, work: Any) -> list:
    """What `work` gives in every process; an error of one is raised in all."""
    alone = no_dist or not dist.is_initialized()
    rank = 0 if alone else dist.get_rank(process_group)
    problem, value = None, None
    try:
        value = work(rank)
    except Exception as error:
        problem = error
    if alone:
        if problem is not None:
            raise CheckpointException("checkpoint", {0: problem}) from problem
        return [value]
    everything: list = [None] * dist.get_world_size(process_group)
    dist.all_gather_object(everything, (value, problem), group=process_group)
    failures = {k: p for k, (_, p) in enumerate(everything) if p is not None}
    if failures:
        raise CheckpointException("checkpoint", failures)
    return [v for v, _ in everything]


def _mine(value: Any, rank: int) -> tuple[Any, list[int], list[int]] | None:
    """What this process saves of a value: (part, where it begins, shape of the whole)."""
    if not isinstance(value, DTensor):
        shape = list(value.shape) if isinstance(value, fb.Tensor) else []
        return (
            (value.detach() if isinstance(value, fb.Tensor) else value, [0] * len(shape), shape)
            if rank == 0
            else None
        )
    if any(not (isinstance(p, Replicate) or p.is_shard()) for p in value.placements):
        raise NotImplementedError(f"checkpoint: a tensor shared as {value.placements}")
    place = value.device_mesh.get_coordinate()
    if any(isinstance(p, Replicate) and place[d] for d, p in enumerate(value.placements)):
        return None  # another process has the same part
    _, starts = local_shape(value.shape, value.device_mesh, value.placements)
    return value.to_local().detach(), list(starts), list(value.shape)


def save(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike | None = None,
    storage_writer: FileSystemWriter | None = None,
    planner: DefaultSavePlanner | None = None,
    process_group: Any = None,
    no_dist: bool = False,
    use_collectives: bool = True,
) -> dict[str, Any]:
    """Save nested dictionaries of tensors, shared tensors and plain values.

    Of tensors that every process has whole, those of the first are saved.

    Parameters
    ----------
    checkpoint_id : the folder; or `storage_writer`.
    no_dist : this process alone.

    Returns
    -------
    The description of the checkpoint.
    """
    if planner is not None and not isinstance(planner, DefaultSavePlanner):
        raise NotImplementedError(f"checkpoint.save with a planner of class {type(planner).__name__}")
    if storage_writer is None:
        if checkpoint_id is None:
            raise RuntimeError("`checkpoint_id` must be specificed if `storage_writer` is None.")
        storage_writer = FileSystemWriter(checkpoint_id)
    if not dist.is_initialized() and not no_dist:
        warnings.warn(
            "torch.distributed is disabled, unavailable or uninitialized, assuming the intent is to save in "
            "a single process.",
            stacklevel=2,
        )
    first = together(process_group, no_dist, lambda rank: storage_writer.begin() if rank == 0 else None)

    def write(rank: int) -> dict[str, Any]:
        values, parts = {}, {}
        for name, (path, value) in flat(state_dict).items():
            mine = _mine(value, rank)
            if mine is not None:
                part, starts, shape = mine
                values[name] = part.contiguous() if isinstance(part, fb.Tensor) else part
                sizes = list(part.shape) if isinstance(part, fb.Tensor) else None
                parts[name] = {"path": list(path), "starts": starts, "shape": shape, "sizes": sizes}
        file = storage_writer.write(rank, values, first[0])
        return {name: {**part, "file": file} for name, part in parts.items()}

    entries: dict[str, Any] = {}
    try:
        for found in together(process_group, no_dist, write):
            for name, part in found.items():
                entry = entries.setdefault(name, {"path": part["path"], "shape": part["shape"], "pieces": []})
                entry["pieces"].append({k: part[k] for k in ("file", "starts", "sizes")})
        together(process_group, no_dist, lambda rank: storage_writer.finish(entries) if rank == 0 else None)
    except CheckpointException:
        if no_dist or not dist.is_initialized() or dist.get_rank(process_group) == 0:
            storage_writer.tidy()  # a disk that is full gets its room back
        raise
    return entries


def save_state_dict(
    state_dict: dict[str, Any],
    storage_writer: FileSystemWriter,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: DefaultSavePlanner | None = None,
) -> dict[str, Any]:
    """`save`, under its former name."""
    return save(
        state_dict,
        storage_writer=storage_writer,
        process_group=process_group,
        no_dist=no_dist,
        planner=planner,
    )


def async_save(state_dict: dict[str, Any], **options: Any) -> Future:
    """`save`; what it gives is done already."""
    future: Future = Future()
    kept = {"checkpoint_id", "storage_writer", "planner", "process_group", "no_dist"}
    future.set_result(save(state_dict, **{k: v for k, v in options.items() if k in kept}))
    return future
