"""Recorded work of a GPU."""

from __future__ import annotations

from typing import Any

from . import CUDAGraph, _refuse

__all__ = [
    "CUDAGraph", "graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables",
]  # fmt: skip


def is_current_stream_capturing() -> bool:
    """Whether the current stream is being recorded: without a GPU never."""
    return False


def graph_pool_handle() -> Any:
    """A token for memory that graphs share."""
    return _refuse()


class graph:
    """Context manager that records work into a graph."""

    def __init__(
        self,
        cuda_graph: CUDAGraph,
        pool: Any = None,
        stream: Any = None,
        capture_error_mode: str = "global",
        enable_annotations: bool = False,
        check_input_liveness: bool = False,
    ) -> None:
        _refuse()


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: Any = None,
) -> Any:
    """Functions or modules whose work is recorded once and replayed."""
    return _refuse()
