"""The state of an optimizer from a checkpoint, by the parts of a model."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.distributed.tensor import DTensor, distribute_tensor

from .filesystem import FileSystemReader
from .state_dict_loader import read_all

__all__ = ["load_sharded_optimizer_state_dict"]


class _Part:
    """What a reader has under one name."""

    def __init__(self, reader: FileSystemReader, key: str) -> None:
        self.read = reader.read
        self._entries = {n: e for n, e in reader.entries().items() if e["path"][0] == key}

    def entries(self) -> dict[str, Any]:
        return self._entries


def load_sharded_optimizer_state_dict(
    model_state_dict: dict[str, Any],
    optimizer_key: str,
    storage_reader: FileSystemReader,
    planner: Any = None,
) -> dict[str, Any]:
    """``{optimizer_key: state}`` of a checkpoint; tensors of a parameter's shape are divided as it is.

    Parameters
    ----------
    model_state_dict : what the parameters are like in this process: `DTensor`s, or plain tensors.
    optimizer_key : under which name the checkpoint has the optimizer's state.
    storage_reader : where the checkpoint is.
    planner : accepted; all of the state is read.

    Raises
    ------
    RuntimeError : the checkpoint has nothing under that name.
    """
    part = _Part(storage_reader, optimizer_key)
    if not part.entries():
        raise RuntimeError(f"Missing key in checkpoint state_dict: {optimizer_key}.")
    made: dict[str, Any] = {}
    read_all(part, made)  # type: ignore[arg-type]

    def divided(value: Any, name: str | None) -> Any:
        like = model_state_dict.get(name)
        if isinstance(value, dict):
            return {
                key: divided(inner, key if key in model_state_dict else name) for key, inner in value.items()
            }
        if isinstance(value, fb.Tensor) and isinstance(like, DTensor) and value.shape == like.shape:
            return distribute_tensor(value, like.device_mesh, like.placements)
        return value

    return divided(made, None)
