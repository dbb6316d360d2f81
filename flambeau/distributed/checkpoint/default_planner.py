"""Options of saving and loading."""

from __future__ import annotations

import dataclasses

__all__ = ["DefaultLoadPlanner", "DefaultSavePlanner"]


@dataclasses.dataclass
class DefaultSavePlanner:
    """Options of saving; all are accepted, there is one way."""

    flatten_state_dict: bool = True
    flatten_sharded_tensors: bool = True
    dedup_replicated_tensors: bool | None = None
    dedup_save_to_lowest_rank: bool = False
    enable_plan_caching: bool = False


@dataclasses.dataclass
class DefaultLoadPlanner:
    """Options of loading; `allow_partial_load`: what the checkpoint does not have stays as it is."""

    flatten_state_dict: bool = True
    flatten_sharded_tensors: bool = True
    allow_partial_load: bool = False


class _EmptyStateDictLoadPlanner(DefaultLoadPlanner):
    """Loads everything the checkpoint has into an empty dictionary."""
