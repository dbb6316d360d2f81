"""From checkpoints to files of ``torch.save`` and back."""

from __future__ import annotations

import os
from typing import Any

import flambeau as fb

from .default_planner import _EmptyStateDictLoadPlanner
from .filesystem import FileSystemReader
from .state_dict_loader import _load_state_dict, read_all
from .state_dict_saver import save

__all__ = ["_EmptyStateDictLoadPlanner", "_load_state_dict", "dcp_to_torch_save", "torch_save_to_dcp"]


def dcp_to_torch_save(dcp_checkpoint_dir: str | os.PathLike, torch_save_path: str | os.PathLike) -> None:
    """Write all of a checkpoint into one file."""
    values: dict[str, Any] = {}
    read_all(FileSystemReader(dcp_checkpoint_dir), values)
    fb.save(values, torch_save_path)


def torch_save_to_dcp(torch_save_path: str | os.PathLike, dcp_checkpoint_dir: str | os.PathLike) -> None:
    """Make a checkpoint of one file, which holds dictionaries of tensors and plain values."""
    save(fb.load(torch_save_path, weights_only=True), checkpoint_id=dcp_checkpoint_dir, no_dist=True)
