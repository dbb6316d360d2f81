"""The state of the random number generators."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flambeau._C import Generator, default_generator

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = [
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the CPU generator, a tensor made by :func:`get_rng_state`."""
    default_generator.set_state(new_state)


def get_rng_state() -> Tensor:
    """Return the state of the CPU generator as a tensor of 5056 bytes."""
    return default_generator.get_state()


def manual_seed(seed: int) -> Generator:
    """Seed the generators of all devices and return the CPU's.

    Parameters
    ----------
    seed
        Between ``-2**63`` and ``2**64 - 1``; negative seeds wrap around to ``2**64``.
    """
    seed = int(seed)
    _seed_cuda(seed)
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the generators of all devices from the operating system and return the seed."""
    chosen = default_generator.seed()
    _seed_cuda(chosen)
    return chosen


def _seed_cuda(seed: int) -> None:
    cuda = sys.modules.get("flambeau.cuda")  # not loaded: nothing to seed
    if cuda is not None and cuda.is_available():
        cuda.manual_seed_all(seed)


def initial_seed() -> int:
    """Return the seed that the CPU generator started from."""
    return default_generator.initial_seed()


def thread_safe_generator() -> Generator | None:
    """Return the generator of this DataLoader worker thread; None elsewhere, which means the default one."""
    from flambeau.utils.data import get_worker_info

    return getattr(get_worker_info(), "generator", None)


@contextlib.contextmanager
def fork_rng(
    devices: Iterable[int] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """Restore the state of the generators on leaving the block.

    Parameters
    ----------
    devices
        CUDA devices whose generators are restored too; by default all.
    enabled
        False does nothing.
    device_type
        The kind of `devices`; only ``"cuda"`` and ``"cpu"`` are known.
    """
    if not enabled:
        yield
        return
    if device_type not in (None, "cpu", "cuda", "meta"):
        raise RuntimeError(
            f"torch has no module of `{device_type}`, you should register a module by "
            "`torch._register_device_module`."
        )
    cuda = sys.modules.get("flambeau.cuda")
    if device_type in ("cpu", "meta") or cuda is None or not cuda.is_available():
        devices = []
    elif devices is None:
        devices = range(cuda.device_count())
    cpu_state = get_rng_state()
    states = [(device, cuda.get_rng_state(device)) for device in devices]
    try:
        yield
    finally:
        set_rng_state(cpu_state)
        for device, state in states:
            cuda.set_rng_state(state, device)
