"""The instructions that the kernels of the CPU use."""

from __future__ import annotations

from flambeau.backends import cpu

__all__ = ["VecISA", "invalid_vec_isa", "pick_vec_isa", "valid_vec_isa_list"]


class VecISA:
    """Instructions that work on several numbers at once; false where there are none.

    Parameters
    ----------
    name : as `backends.cpu.get_cpu_capability` says it.
    bits : the length of a register.
    """

    def __init__(self, name: str, bits: int) -> None:
        self._name, self._bit_width = name, bits

    def bit_width(self) -> int:
        """The length of a register."""
        return self._bit_width

    def nelements(self, dtype: object = None) -> int:
        """How many numbers a register has; float32 by default."""
        return self._bit_width // (8 * getattr(dtype, "itemsize", 4))

    def __bool__(self) -> bool:
        return self._bit_width > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VecISA) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __str__(self) -> str:
        return self._name.lower()

    __repr__ = __str__


invalid_vec_isa = VecISA("INVALID_VEC_ISA", 0)
_KNOWN = {"AVX512": VecISA("avx512", 512), "AVX2": VecISA("avx2", 256)}


def pick_vec_isa() -> VecISA:
    """The widest one that this machine has and flambeau uses."""
    return _KNOWN.get(cpu.get_cpu_capability(), invalid_vec_isa)


def valid_vec_isa_list() -> list[VecISA]:
    """All that this machine has and flambeau uses."""
    widest = pick_vec_isa()
    return [isa for isa in _KNOWN.values() if widest and isa.bit_width() <= widest.bit_width()]
