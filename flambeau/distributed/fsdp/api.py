"""Settings of `FullyShardedDataParallel`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import Enum, auto

import flambeau as fb
from flambeau.nn.modules.batchnorm import _BatchNorm

__all__ = [
    "BackwardPrefetch",
    "CPUOffload",
    "FullOptimStateDictConfig",
    "FullStateDictConfig",
    "LocalOptimStateDictConfig",
    "LocalStateDictConfig",
    "MixedPrecision",
    "OptimStateDictConfig",
    "ShardedOptimStateDictConfig",
    "ShardedStateDictConfig",
    "ShardingStrategy",
    "StateDictConfig",
    "StateDictSettings",
    "StateDictType",
]


class ShardingStrategy(Enum):
    """What is cut among the processes: everything, nothing, or everything inside of groups."""

    FULL_SHARD = auto()
    SHARD_GRAD_OP = auto()
    NO_SHARD = auto()
    HYBRID_SHARD = auto()
    _HYBRID_SHARD_ZERO2 = auto()


class BackwardPrefetch(Enum):
    """When the next parameters are fetched in the backward; here they are there from the forward on."""

    BACKWARD_PRE = auto()
    BACKWARD_POST = auto()


class StateDictType(Enum):
    """What `state_dict` gives: whole tensors, parts as they lie in memory, or shared tensors."""

    FULL_STATE_DICT = auto()
    LOCAL_STATE_DICT = auto()
    SHARDED_STATE_DICT = auto()


@dataclasses.dataclass
class MixedPrecision:
    """The dtypes of parameters in use, of the sums of gradients, and of buffers."""

    param_dtype: fb.dtype | None = None
    reduce_dtype: fb.dtype | None = None
    buffer_dtype: fb.dtype | None = None
    keep_low_precision_grads: bool = False
    cast_forward_inputs: bool = False
    cast_root_forward_inputs: bool = True
    _module_classes_to_ignore: Sequence[type[fb.nn.Module]] = (_BatchNorm,)


@dataclasses.dataclass
class CPUOffload:
    """Whether parameters stay in main memory while they are not used."""

    offload_params: bool = False


@dataclasses.dataclass
class StateDictConfig:
    """Settings of `state_dict`."""

    offload_to_cpu: bool = False


@dataclasses.dataclass
class FullStateDictConfig(StateDictConfig):
    """Settings of a state dict of whole tensors; `rank0_only`: only the first process has it."""

    rank0_only: bool = False


@dataclasses.dataclass
class LocalStateDictConfig(StateDictConfig):
    """Settings of a state dict of parts."""


@dataclasses.dataclass
class ShardedStateDictConfig(StateDictConfig):
    """Settings of a state dict of shared tensors."""

    _use_dtensor: bool = False


@dataclasses.dataclass
class OptimStateDictConfig:
    """Settings of the state of an optimizer."""

    offload_to_cpu: bool = True


@dataclasses.dataclass
class FullOptimStateDictConfig(OptimStateDictConfig):
    """Settings of an optimizer's state of whole tensors."""

    rank0_only: bool = False


@dataclasses.dataclass
class LocalOptimStateDictConfig(OptimStateDictConfig):
    """Settings of an optimizer's state of parts."""

    offload_to_cpu: bool = False


@dataclasses.dataclass
class ShardedOptimStateDictConfig(OptimStateDictConfig):
    """Settings of an optimizer's state of shared tensors."""

    _use_dtensor: bool = False


@dataclasses.dataclass
class StateDictSettings:
    """What `set_state_dict_type` sets."""

    state_dict_type: StateDictType
    state_dict_config: StateDictConfig
    optim_state_dict_config: OptimStateDictConfig
