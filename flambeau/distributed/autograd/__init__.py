"""Gradients through remote procedure calls.

Calls between workers (`flambeau.distributed.rpc`) in a `context` note what their tensors are made of;
`backward` follows that through all workers, and adds up the gradients of each worker's parameters in the
context, not in their ``.grad``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._engine import DistAutogradContext, Engine

if TYPE_CHECKING:
    import flambeau as fb

__all__ = ["DistAutogradContext", "backward", "context", "get_gradients", "is_available"]

_engine: Engine | None = None


def is_available() -> bool:
    """Whether gradients through remote procedure calls work here: they do."""
    return True


def _start(agent: Any) -> None:
    """Begin to note what goes between workers."""
    global _engine
    _engine = agent.tracer = Engine(agent)


def _stop() -> None:
    """Forget all contexts."""
    global _engine
    _engine = None


def _started() -> Engine:
    if _engine is None:
        raise RuntimeError(
            "Need to initialize distributed autograd using torch.distributed.autograd.init()\n"
            "torch.distributed.rpc.init_rpc does it"
        )
    return _engine


class context:
    """Context manager: calls in the block are part of what `backward` goes through.

    Examples
    --------
    >>> with dist_autograd.context() as context_id:
    ...     loss = rpc.rpc_sync("worker1", compute, args=(x,)).sum()
    ...     dist_autograd.backward(context_id, [loss])
    ...     grads = dist_autograd.get_gradients(context_id)
    """

    def __enter__(self) -> int:
        self._context = _new_context()
        return self._context._context_id()

    def __exit__(self, *exception: object) -> None:
        _release_context(self._context._context_id())


def backward(context_id: int, roots: Sequence[fb.Tensor], retain_graph: bool = False) -> None:
    """Compute the gradients of tensors, through all workers of a context.

    Parameters
    ----------
    context_id : the number of the context.
    roots : tensors of one element; the gradients are those of their sum.
    retain_graph : whether it can be done again.

    Raises
    ------
    RuntimeError : there is no such context, or a worker could not do it (``Error on Node 1: …``).
    """
    _started().backward(context_id, roots, retain_graph)


def get_gradients(context_id: int) -> dict[fb.Tensor, fb.Tensor]:
    """The gradients of this worker's parameters.

    Parameters
    ----------
    context_id : the number of the context.
    """
    found = _started().known(context_id)
    with found.lock:
        return dict(found.grads)


def _new_context() -> DistAutogradContext:
    return _started().new()


def _release_context(context_id: int) -> None:
    if _engine is not None:
        _engine.release(context_id)


def _current_context() -> DistAutogradContext:
    found = _started().current()
    if found is None:
        raise RuntimeError(
            "Current thread doesn't have a valid autograd context. Please wrap your code using: `with "
            "torch.distributed.autograd.context() as context_id` to generate a valid context"
        )
    return found


def _retrieve_context(context_id: int) -> DistAutogradContext:
    return _started().known(context_id)


def _is_valid_context(context_id: int) -> None:
    _started().known(context_id)


def _get_debug_info() -> dict[str, int]:
    engine = _started()
    return {
        "num_autograd_contexts": len(engine.contexts),
        "num_current_backward_passes": sum(len(c.runs) for c in list(engine.contexts.values())),
    }
