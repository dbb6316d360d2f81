"""Intel MKL; the core uses oneDNN and OpenBLAS."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether it can be used."""
    return False
