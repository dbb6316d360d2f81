"""Averages of a model's parameters along the way: stochastic weight averaging, exponential averages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any, Literal

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import Module

from .lr_scheduler.base import LRScheduler, _per_group
from .optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "update_bn",
    "SWALR",
    "get_ema_multi_avg_fn",
    "get_swa_multi_avg_fn",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
]


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable:
    """Return a function that moves lists of averages to ``decay * average + (1 - decay) * parameter``."""
    average = get_ema_avg_fn(decay)

    @fb.no_grad()
    def ema_update(ema_param_list: list, current_param_list: list, _: Any) -> None:
        for a, p in zip(ema_param_list, current_param_list):
            if fb.is_floating_point(a) or fb.is_complex(a):
                a.lerp_(p.to(a.dtype), 1 - decay)
            else:
                a.copy_(average(a, p, _))

    return ema_update


def get_swa_multi_avg_fn() -> Callable:
    """Return a function that adds parameters to equal averages, lists at once."""
    average = get_swa_avg_fn()

    @fb.no_grad()
    def swa_update(averaged_param_list: list, current_param_list: list, num_averaged: Tensor | int) -> None:
        share = 1 / (float(num_averaged) + 1)
        for a, p in zip(averaged_param_list, current_param_list):
            if fb.is_floating_point(a) or fb.is_complex(a):
                a.lerp_(p.to(a.dtype), share)
            else:
                a.copy_(average(a, p, num_averaged))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Callable:
    """Return a function that computes ``decay * average + (1 - decay) * parameter`` of one tensor."""
    _check_decay(decay)

    @fb.no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable:
    """Return a function that computes ``average + (parameter - average) / (count + 1)`` of one tensor."""

    @fb.no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Tensor | int) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages (Izmailov et al., 2018).

    Parameters
    ----------
    model : Module
        Copied at once; pass it to :meth:`update_parameters` again and again.
    avg_fn, multi_avg_fn : callable, optional
        How a parameter, or a list of them, enters its average; equal averages unless given.
    use_buffers : bool
        Average the buffers as well, instead of copying them.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable | None = None,
        multi_avg_fn: Callable | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", fb.tensor(0, dtype=fb.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged model."""
        return self.module(*args, **kwargs)

    def _tensors(self, module: Module) -> Iterable[Tensor]:
        buffers = module.buffers() if self.use_buffers else ()
        return itertools.chain(module.parameters(), buffers)

    def update_parameters(self, model: Module) -> None:
        """Add the present parameters of ``model`` to the averages."""
        averages = [a.detach() for a in self._tensors(self.module)]
        values = [p.detach().to(a.device) for p, a in zip(self._tensors(model), averages)]
        if self.n_averaged == 0:
            for a, p in zip(averages, values):
                a.copy_(p)
        elif self.avg_fn is not None:
            for a, p in zip(averages, values):
                a.copy_(self.avg_fn(a, p, self.n_averaged.to(a.device)))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update(averages, values, self.n_averaged)
        if not self.use_buffers:
            for a, b in zip(self.module.buffers(), model.buffers()):
                a.detach().copy_(b.detach().to(a.device))
        self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch norms anew, in one pass over the data.

    Parameters
    ----------
    loader : iterable
        Batches, or lists whose first element is the batch.
    """
    from flambeau.nn.modules.batchnorm import _BatchNorm

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    training = model.training
    momenta = [m.momentum for m in norms]
    with fb.no_grad():
        for m in norms:
            m.reset_running_stats()
            m.momentum = None  # a plain mean over all batches
        model.train()
        for batch in loader:
            if isinstance(batch, (list, tuple)):
                batch = batch[0]
            model(batch if device is None else batch.to(device))
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Go from each group's rate to ``swa_lr`` in ``anneal_epochs`` epochs, and stay there."""

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float,
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        for group, rate in zip(optimizer.param_groups, _per_group("swa_lr", optimizer, swa_lr)):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, epoch: float) -> float:
        """How much of the way is gone."""
        part = max(0, min(1, epoch / max(1, self.anneal_epochs)))
        return part if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float | Tensor]:
        """Compute the next rates."""
        self._current()
        epoch = self._step_count - 1
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = self._share(epoch - 1), self._share(epoch)
        rates = []
        for group in self.optimizer.param_groups:
            target, rate = group["swa_lr"], group["lr"]
            start = target if before == 1 else (rate - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
