"""The module type that ``flambeau.compile`` returns, where PyTorch keeps it."""

from flambeau._dynamo import is_dynamo_supported
from flambeau.compiler._module import OptimizedModule

__all__ = ["OptimizedModule", "is_dynamo_supported"]
