"""How the package was built, as text."""

from __future__ import annotations

import flambeau as fb

__all__ = ["parallel_info", "show"]


def show() -> str:
    """What the core is and what it uses."""
    lines = [
        f"flambeau {fb.__version__}",
        "  - C++ Version: 202002",
        f"  - CPU capability usage: {fb.backends.cpu.get_cpu_capability()}",
        f"  - oneDNN: {'available' if fb.backends.mkldnn.is_available() else 'not available'}",
        f"  - OpenMP: {'available' if fb.backends.openmp.is_available() else 'not available'}",
        f"  - CUDA: {'available' if fb.cuda.is_available() else 'not available'}",
    ]
    return "\n".join(lines) + "\n"


def parallel_info() -> str:
    """How many threads work."""
    return (
        f"ATen/Parallel:\n\tat::get_num_threads() : {fb.get_num_threads()}\n"
        f"\tat::get_num_interop_threads() : {fb.get_num_interop_threads()}\nATen parallel backend: OpenMP\n"
    )
