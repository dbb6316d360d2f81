"""Whether mixed precision can work here at all."""

from flambeau import cuda

__all__ = ["amp_definitely_not_available"]


def amp_definitely_not_available() -> bool:
    """Tell whether there is no CUDA device."""
    return not cuda.is_available()
