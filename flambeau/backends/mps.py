"""Apple's Metal."""

__all__ = ["is_available", "is_built", "is_macos_or_newer"]


def is_available() -> bool:
    """Whether it can be used."""
    return False


def is_built() -> bool:
    """Whether it is part of this build."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether the system is that version of macOS or a newer one.

    Raises
    ------
    RuntimeError : always, as there is no Metal here.
    """
    raise RuntimeError("Cannot execute isOnMacOSorNewer() without MPS backend.")
