"""Order of contractions in `einsum`; the order is always chosen by size here, without the package
opt_einsum."""

from __future__ import annotations

from typing import Any

from ._switch import Settings, Switch

__all__ = ["is_available", "get_opt_einsum"]


def is_available() -> bool:
    """Whether the package opt_einsum is used."""
    return False


def get_opt_einsum() -> Any:
    """The package opt_einsum, or None."""
    return None


class _OptEinsum(Settings):
    enabled = Switch(True)
    strategy = Switch("auto", (str, type(None)))


_OptEinsum.install(__name__)
