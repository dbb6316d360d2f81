"""All MobileNets under one name."""

# ruff: noqa: F403
from .mobilenetv2 import *
from .mobilenetv3 import *
