"""The fast path of `MultiheadAttention` and `TransformerEncoderLayer` in inference."""

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

_enabled = True


def get_fastpath_enabled() -> bool:
    """Whether the fast path may be taken."""
    return _enabled


def set_fastpath_enabled(value: bool) -> None:
    """Allow the fast path."""
    global _enabled
    _enabled = value
