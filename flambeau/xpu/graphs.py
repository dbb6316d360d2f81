"""Recorded work of an Intel GPU: there is none to record on."""

from __future__ import annotations

from typing import Any

from flambeau._refused import refusing

__all__ = ["XPUGraph", "graph", "graph_pool_handle", "is_current_stream_capturing", "make_graphed_callables"]


def _dummy(name: str) -> Any:
    return lambda: RuntimeError(
        f"Tried to instantiate dummy base class {name}\nflambeau has no support for Intel GPUs"
    )


graph_pool_handle = refusing("graph_pool_handle", "", _dummy("_xpu_graph_pool_handle"))
is_current_stream_capturing = refusing(
    "is_current_stream_capturing", "", _dummy("_xpu_isCurrentStreamCapturing")
)


class XPUGraph:
    """Work that was recorded.

    Parameters
    ----------
    keep_graph : whether the graph stays when it was made ready to run.
    """

    def __init__(self, keep_graph: bool = False) -> None:
        raise _dummy("XPUGraph")()


class graph:
    """Context manager that records work into a graph.

    Parameters
    ----------
    xpu_graph : the graph.
    pool : memory that it shares with others.
    stream : the stream that is recorded.
    """

    def __init__(self, xpu_graph: XPUGraph, pool: Any = None, stream: Any = None) -> None:
        raise _dummy("Stream")()


def make_graphed_callables(
    callables: Any,
    sample_args: Any,
    num_warmup_iters: int = 3,
    allow_unused_input: bool = False,
    pool: Any = None,
) -> Any:
    """Functions or modules whose work is recorded once and replayed."""
    return XPUGraph()
