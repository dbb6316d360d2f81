"""Networks that say where each pixel of a picture is in the next one."""

# ruff: noqa: F403
from .raft import *
