"""The names of `flambeau.distributed.device_mesh` where older programs look for them."""

from flambeau.distributed.device_mesh import *  # noqa: F403
from flambeau.distributed.device_mesh import __all__  # noqa: F401
