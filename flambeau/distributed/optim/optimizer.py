"""Optimizers for parameters of several workers."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from flambeau import optim
from flambeau.distributed import autograd, rpc
from flambeau.distributed.rpc.api import _wait_for

__all__ = ["DistributedOptimizer"]


class _LocalOptimizer:
    """The optimizer of the parameters of one worker."""

    _one_at_a_time = threading.Lock()

    def __init__(self, optim_cls: type[optim.Optimizer], parameters: list[rpc.RRef], *args: Any, **kw: Any):
        self.parameters = [reference.local_value() for reference in parameters]
        self.optim = optim_cls(self.parameters, *args, **kw)

    def step(self, context_id: int) -> None:
        """Change the parameters by their gradients in a context."""
        grads = autograd.get_gradients(context_id)
        with self._one_at_a_time:
            before = [parameter.grad for parameter in self.parameters]
            try:
                for parameter in self.parameters:
                    parameter.grad = grads.get(parameter)
                self.optim.step()
            finally:
                for parameter, grad in zip(self.parameters, before, strict=True):
                    parameter.grad = grad


def _new(optim_cls: type[optim.Optimizer], parameters: list[rpc.RRef], args: tuple, kwargs: dict) -> rpc.RRef:
    return rpc.RRef(_LocalOptimizer(optim_cls, parameters, *args, **kwargs))


def _step(optimizer: rpc.RRef[_LocalOptimizer], context_id: int) -> None:
    optimizer.local_value().step(context_id)


class DistributedOptimizer:
    """An optimizer for parameters of several workers: each has one for its own.

    Parameters
    ----------
    optimizer_class : the class of these.
    params_rref : references to the parameters.
    *args, **kwargs : what the optimizers are made with.

    Examples
    --------
    >>> with dist_autograd.context() as context_id:
    ...     loss = model(x).sum()
    ...     dist_autograd.backward(context_id, [loss])
    ...     optimizer.step(context_id)
    """

    def __init__(
        self,
        optimizer_class: type[optim.Optimizer],
        params_rref: Iterable[rpc.RRef],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        by_worker: dict[rpc.WorkerInfo, list[rpc.RRef]] = defaultdict(list)
        for reference in params_rref:
            by_worker[reference.owner()].append(reference)
        self.is_functional_optim = False
        self.remote_optimizers = _wait_for([
            rpc.rpc_async(worker, _new, (optimizer_class, parameters, args, kwargs))
            for worker, parameters in by_worker.items()
        ])  # fmt: skip

    def step(self, context_id: int) -> None:
        """Have all workers change their parameters by the gradients of a context.

        Parameters
        ----------
        context_id : the context of `flambeau.distributed.autograd` in which `backward` ran.
        """
        autograd._is_valid_context(context_id)
        _wait_for([rpc.rpc_async(o.owner(), _step, (o, context_id)) for o in self.remote_optimizers])
