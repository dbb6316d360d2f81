"""Numbers of `flambeau.distributed`."""

from flambeau.distributed import default_pg_timeout

__all__ = ["default_pg_timeout"]
