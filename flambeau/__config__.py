"""How the package was built, as text."""

from __future__ import annotations

from flambeau import _C
from flambeau._basics import get_num_interop_threads
from flambeau.backends import cpu, cuda, mkldnn, openmp
from flambeau.version import __version__

__all__ = ["parallel_info", "show"]


def show() -> str:
    """What the core is and what it uses."""
    lines = [
        f"flambeau {__version__}",
        "  - C++ Version: 202002",
        f"  - CPU capability usage: {cpu.get_cpu_capability()}",
        f"  - oneDNN: {'available' if mkldnn.is_available() else 'not available'}",
        f"  - OpenMP: {'available' if openmp.is_available() else 'not available'}",
        f"  - CUDA: {'available' if cuda.is_built() else 'not available'}",
    ]
    return "\n".join(lines) + "\n"


def parallel_info() -> str:
    """How many threads work."""
    return (
        f"ATen/Parallel:\n\tat::get_num_threads() : {_C.get_num_threads()}\n"
        f"\tat::get_num_interop_threads() : {get_num_interop_threads()}\nATen parallel backend: OpenMP\n"
    )
