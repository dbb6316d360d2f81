"""What to know about an installation: versions, processor, memory, settings."""

from __future__ import annotations

import os
import platform
import sys


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return "unknown"
    return f"{total / 2**30:.1f} GiB"


def facts() -> dict[str, str]:
    """Name and value of everything that matters in a bug report."""
    import numpy

    import flambeau as fb

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cuda = fb.cuda.is_available()
    found = {
        "flambeau": f"{fb.__version__} in {os.path.dirname(fb.__file__)}",
        "Python": f"{sys.version.split()[0]} ({sys.executable})",
        "NumPy": numpy.__version__,
        "system": platform.platform(),
        "processor": f"{_processor()}, {usable} usable cores",
        "instructions": fb.backends.cpu.get_cpu_capability(),
        "memory": _memory(),
        "threads": str(fb.get_num_threads()),
        "CUDA": fb.cuda.get_device_name() if cuda else "not available",
    }
    for package in ("pillow", "mlxtend", "rich", "tqdm", "cloudpickle", "torch"):
        found[f"({package})"] = _version(package)
    for name in sorted(os.environ):
        if name.startswith(("OMP_", "FLAMBEAU_", "TORCH_", "CUDA_", "DNNL_", "ONEDNN_")):
            found[f"${name}"] = os.environ[name]
    return found


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def report() -> str:
    """The facts as text, one a line."""
    found = facts()
    width = max(map(len, found))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in found.items())
