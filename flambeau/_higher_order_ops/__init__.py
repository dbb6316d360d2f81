"""Operators that take functions."""

from flambeau.ops.uncommon import cond

from .associative_scan import associative_scan
from .loops import foreach_map, map, while_loop

__all__ = ["associative_scan", "cond", "foreach_map", "map", "while_loop"]
