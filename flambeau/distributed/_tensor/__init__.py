"""The names of `flambeau.distributed.tensor` where older programs look for them."""

from flambeau.distributed.tensor import *  # noqa: F403
from flambeau.distributed.tensor import __all__  # noqa: F401
