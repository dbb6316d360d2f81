"""Functions that share modules among processes, where older programs look for them."""

from flambeau.distributed.fsdp import fully_shard

__all__ = ["fully_shard"]
