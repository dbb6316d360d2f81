"""The processor."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """The widest vector instructions in use: ``"AVX512"``, ``"AVX2"`` or ``"DEFAULT"``."""
    with open("/proc/cpuinfo") as f:
        flags = next((set(line.split()) for line in f if line.startswith("flags")), set())
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "AVX512"
    return "AVX2" if {"avx2", "fma"} <= flags else "DEFAULT"
