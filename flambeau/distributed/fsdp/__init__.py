"""Modules whose parameters are cut among processes, and whole only while they are used."""

from __future__ import annotations

from flambeau._lookup import lazy

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
__getattr__ = lazy(__name__, _HOMES, _PARTS)
