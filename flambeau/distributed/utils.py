"""Tools for modules that several processes hold."""

from flambeau.distributed._more import sync_module_states as _sync_module_states

__all__ = ["_sync_module_states"]
