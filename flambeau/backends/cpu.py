"""The processor."""

from flambeau import _C

__all__ = ["get_cpu_capability"]

_NAMES = {"baseline": "DEFAULT", "avx2": "AVX2", "avx512": "AVX512"}


def get_cpu_capability() -> str:
    """The widest vector instructions in use: ``"AVX512"``, ``"AVX2"`` or ``"DEFAULT"``."""
    return _NAMES[_C._cpu_level()]
