"""Random numbers of Intel GPUs: there are none, and what seeds all generators finds nothing to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flambeau as fb

from . import device_count, get_rng_state_all, is_initialized, manual_seed, manual_seed_all

__all__ = [
    "device_count", "get_rng_state_all", "is_initialized", "manual_seed", "manual_seed_all", "seed",
    "seed_all", "set_rng_state_all",
]  # fmt: skip


def seed() -> None:
    """Seed the generator of the current device by chance; nothing to do without one."""


def seed_all() -> None:
    """Seed the generators of all devices by chance; nothing to do without one."""


def set_rng_state_all(new_states: Iterable[fb.Tensor]) -> None:
    """Set the states of all devices' generators; nothing to do without one.

    Parameters
    ----------
    new_states : a state for each device.
    """


def __getattr__(name: str) -> Any:
    from flambeau import xpu

    return getattr(xpu, name)
