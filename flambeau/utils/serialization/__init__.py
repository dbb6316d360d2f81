"""Settings of `flambeau.save` and `flambeau.load` for a whole program."""

from . import config

__all__ = ["config"]
