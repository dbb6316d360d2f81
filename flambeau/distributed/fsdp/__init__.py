"""Modules whose parameters are cut among processes, and whole only while they are used."""

from __future__ import annotations

import importlib
from typing import Any

_API = """
BackwardPrefetch CPUOffload FullOptimStateDictConfig FullStateDictConfig LocalOptimStateDictConfig
LocalStateDictConfig MixedPrecision OptimStateDictConfig ShardedOptimStateDictConfig ShardedStateDictConfig
ShardingStrategy StateDictConfig StateDictSettings StateDictType
""".split()
_FULLY_SHARD = """
CPUOffloadPolicy FSDPModule MixedPrecisionPolicy OffloadPolicy UnshardHandle fully_shard
register_fsdp_forward_method
""".split()
# name -> submodule
_HOMES = {
    **dict.fromkeys(_API, "api"),
    **dict.fromkeys(_FULLY_SHARD, "_fully_shard"),
    "FullyShardedDataParallel": "fully_sharded_data_parallel",
    "OptimStateKeyType": "fully_sharded_data_parallel",
}
_PARTS = ("api", "fully_sharded_data_parallel", "sharded_grad_scaler", "wrap")

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module("." + _HOMES[name], __name__), name)
    if name in _PARTS:
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
