"""Whether the compiler Triton can be used: nothing here uses it."""

__all__ = ["has_triton", "has_triton_package"]


def has_triton_package() -> bool:
    """Whether operators may be compiled by Triton."""
    return False


def has_triton() -> bool:
    """Whether operators may be compiled by Triton for a device that is there."""
    return False
