"""Networks that give each pixel a class: dictionaries with "out" and, where there is such a head, "aux"."""

# ruff: noqa: F403
from .deeplabv3 import *
from .fcn import *
from .lraspp import *
