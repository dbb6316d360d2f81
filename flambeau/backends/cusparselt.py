"""cuSPARSELt."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether it can be used."""
    return False
