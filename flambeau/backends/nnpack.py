"""NNPACK."""

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether it can be used."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Accepted; there is nothing to switch."""
    return (False,)
