"""Recorded work of the accelerator."""

from __future__ import annotations

from typing import Any

from ._device import in_use as _cuda

__all__ = ["Graph"]


class Graph:
    """Work of the accelerator that is recorded once and replayed.

    Parameters
    ----------
    keep_graph : whether the graph stays when it was made ready to run.
    pool : memory that it shares with other graphs.
    capture_error_mode : what other threads may do while it is recorded.

    Raises
    ------
    RuntimeError : there is no accelerator.
    """

    def __init__(
        self,
        keep_graph: bool = False,
        *,
        pool: tuple[int, int] | None = None,
        capture_error_mode: str = "default",
    ) -> None:
        device = _cuda()
        self._pool = pool
        self._mode = "global" if capture_error_mode == "default" else capture_error_mode
        self._graph = device.CUDAGraph(keep_graph)

    def capture_begin(self) -> None:
        """Begin to record."""
        self._graph.capture_begin(self._pool, self._mode)

    def capture_end(self) -> None:
        """End the record."""
        self._graph.capture_end()

    def instantiate(self) -> None:
        """Make it ready to run."""
        self._graph.instantiate()

    def replay(self) -> None:
        """Do the work again."""
        self._graph.replay()

    def reset(self) -> None:
        """Forget what was recorded."""
        self._graph.reset()

    def pool(self) -> tuple[int, int]:
        """The memory that it has, for others to share."""
        return self._graph.pool()

    def enable_debug_mode(self) -> None:
        """Keep what `debug_dump` needs."""
        self._graph.enable_debug_mode()

    def debug_dump(self, path: str) -> None:
        """Write the graph to a file.

        Parameters
        ----------
        path : the file.
        """
        self._graph.debug_dump(path)

    def __enter__(self) -> None:
        self.capture_begin()

    def __exit__(self, *error: Any) -> None:
        self.capture_end()
