"""Ways of using shared tensors that may change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .._rules import plain_tensors
from ._attention import context_parallel

__all__ = ["context_parallel", "implicit_replication"]


@contextlib.contextmanager
def implicit_replication() -> Iterator[None]:
    """Context in which a plain tensor among shared ones counts as one that every process has whole."""
    before, plain_tensors.replicated = plain_tensors.replicated, True
    try:
        yield
    finally:
        plain_tensors.replicated = before
