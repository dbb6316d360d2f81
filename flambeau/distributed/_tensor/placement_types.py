"""The names of `flambeau.distributed.tensor.placement_types` where older programs look for them."""

from flambeau.distributed.tensor.placement_types import *  # noqa: F403
from flambeau.distributed.tensor.placement_types import __all__  # noqa: F401
