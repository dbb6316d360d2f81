"""Apple's Metal."""

__all__ = ["is_available", "is_built"]


def is_available() -> bool:
    """Whether it can be used."""
    return False


def is_built() -> bool:
    """Whether it is part of this build."""
    return False
