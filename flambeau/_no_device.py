"""What is answered of devices that are not there, as on a machine without one."""

from __future__ import annotations

from typing import Any

import flambeau as fb

Device = Any


def is_available() -> bool:
    """Whether there is a usable device of the kind."""
    return False


def device_count() -> int:
    """The number of such devices."""
    return 0


def is_initialized() -> bool:
    """Whether such a device was used in this process."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes with bfloat16."""
    return False


def empty_cache() -> None:
    """Give unused memory back; nothing to do without a device."""


def memory_allocated(device: Device = None) -> int:
    """The bytes in tensors."""
    return 0


def memory_stats(device: Device = None) -> dict[str, Any]:
    """Statistics of the allocator."""
    return {}


def manual_seed(seed: int) -> None:
    """Seed the generator of the current device; nothing to do without one."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices; nothing to do without one."""
    int(seed)


def get_rng_state_all() -> list[fb.Tensor]:
    """The states of all devices' generators."""
    return []
