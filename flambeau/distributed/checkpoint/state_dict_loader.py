"""Loading what several processes saved, by as many or by others."""

from __future__ import annotations

import os
from typing import Any

import flambeau as fb
from flambeau.distributed.tensor import DTensor
from flambeau.distributed.tensor._redistribute import local_shape

from .default_planner import DefaultLoadPlanner, _EmptyStateDictLoadPlanner
from .filesystem import FileSystemReader
from .state_dict_saver import flat, together
from .stateful import Stateful

__all__ = ["load", "load_state_dict"]


def load(
    state_dict: dict[str, Any],
    *,
    checkpoint_id: str | os.PathLike | None = None,
    storage_reader: FileSystemReader | None = None,
    planner: DefaultLoadPlanner | None = None,
    process_group: Any = None,
    no_dist: bool = False,
) -> None:
    """Fill the tensors of nested dictionaries in place, each process its parts; other values are replaced.

    Tensors may be shared in other ways, and by another number of processes, than when they were saved.

    Raises
    ------
    CheckpointException
        A name or a shape is another in the checkpoint.
    """
    if planner is not None and not isinstance(planner, DefaultLoadPlanner):
        raise NotImplementedError(f"checkpoint.load with a planner of class {type(planner).__name__}")
    if storage_reader is None:
        if checkpoint_id is None:
            raise RuntimeError("`checkpoint_id` must be specificed if `storage_reader` is None.")
        storage_reader = FileSystemReader(checkpoint_id)
    partial = planner is not None and planner.allow_partial_load
    if isinstance(planner, _EmptyStateDictLoadPlanner):
        together(process_group, no_dist, lambda rank: read_all(storage_reader, state_dict))
        return
    objects = {k: v for k, v in state_dict.items() if isinstance(v, Stateful) and not isinstance(v, dict)}
    values = {k: objects[k].state_dict() if k in objects else v for k, v in state_dict.items()}
    together(process_group, no_dist, lambda rank: _fill(values, storage_reader, partial))
    for key, value in values.items():
        if key in objects:
            objects[key].load_state_dict(value)
        else:
            state_dict[key] = value


def _fill(values: dict[str, Any], reader: FileSystemReader, partial: bool) -> None:
    entries = reader.entries()
    wanted = flat(values)
    for name, (_, value) in wanted.items():  # everything is checked before anything is written
        if name not in entries:
            if partial:
                continue
            raise RuntimeError(f"Missing key in checkpoint state_dict: {name}.")
        if isinstance(value, fb.Tensor) and list(value.shape) != entries[name]["shape"]:
            saved = fb.Size(entries[name]["shape"])
            raise ValueError(f"Size mismatch between saved {saved} and current: {value.shape} for {name}")
    for name, (path, value) in wanted.items():
        if name not in entries:
            continue
        if isinstance(value, fb.Tensor):
            _fill_tensor(value, entries[name]["pieces"], reader, name)
        else:
            _put(values, path, reader.read(entries[name]["pieces"][0]["file"], name))


def _fill_tensor(value: fb.Tensor, pieces: list[dict], reader: FileSystemReader, name: str) -> None:
    """Copy what the pieces and the part of this process have in common."""
    part, starts = value.detach(), [0] * value.dim()
    if isinstance(value, DTensor):
        part = value.to_local().detach()
        _, starts = local_shape(value.shape, value.device_mesh, value.placements)
    for piece in pieces:
        here, there = [], []
        for mine, size, other, length in zip(starts, part.shape, piece["starts"], piece["sizes"]):
            low, high = max(mine, other), min(mine + size, other + length)
            here.append(slice(low - mine, high - mine))
            there.append(slice(low - other, high - other))
        if all(s.stop > s.start for s in here):
            source = reader.read(piece["file"], name)
            if not isinstance(source, fb.Tensor) or list(source.shape) != piece["sizes"]:
                raise ValueError(f"{piece['file']}: {name} is no tensor of the shape {piece['sizes']}")
            with fb.no_grad():
                part[tuple(here)].copy_(source[tuple(there)]) if here else part.copy_(source)


def _put(values: Any, path: tuple, value: Any) -> None:
    for key in path[:-1]:
        values = values[key]
    values[path[-1]] = value


def read_all(reader: FileSystemReader, into: dict[str, Any]) -> None:
    """Everything a checkpoint has, as nested dictionaries of whole tensors."""
    for name, entry in reader.entries().items():
        pieces = entry["pieces"]
        if pieces[0]["sizes"] is None:
            value = reader.read(pieces[0]["file"], name)
        else:
            value = fb.empty(entry["shape"], dtype=reader.read(pieces[0]["file"], name).dtype)
            _fill_tensor(value, pieces, reader, name)
        place = into
        for key in entry["path"][:-1]:
            place = place.setdefault(key, {})
        place[entry["path"][-1]] = value


def load_state_dict(
    state_dict: dict[str, Any],
    storage_reader: FileSystemReader,
    process_group: Any = None,
    coordinator_rank: int = 0,
    no_dist: bool = False,
    planner: DefaultLoadPlanner | None = None,
) -> None:
    """`load`, under its former name."""
    load(
        state_dict,
        storage_reader=storage_reader,
        process_group=process_group,
        no_dist=no_dist,
        planner=planner,
    )


_load_state_dict = load_state_dict
