"""Layers that are computed together."""

from flambeau.ao.nn.intrinsic.modules.fused import *  # noqa: F403
from flambeau.ao.nn.intrinsic.modules.fused import __all__, _FusedModule  # noqa: F401
