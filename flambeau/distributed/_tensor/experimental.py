"""The older home of `distributed.tensor.experimental`."""

from flambeau.distributed.tensor.experimental import implicit_replication

__all__ = ["implicit_replication"]
