"""In what order a stage runs the forwards and backwards of the microbatches."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .microbatch import merge_chunks, split_args_kwargs_into_chunks
from .stage import PipelineStage

__all__ = ["PipelineScheduleSingle", "Schedule1F1B", "ScheduleGPipe"]

logger = logging.getLogger(__name__)


class PipelineScheduleSingle(ABC):
    """Base of all with one stage in each process.

    Parameters
    ----------
    stage : that of this process.
    n_microbatches : into how many pieces a batch is cut.
    loss_fn : of the last stage's result and the target; without it there are no backwards.
    args_chunk_spec, kwargs_chunk_spec : along which dimensions arguments are cut; the first one by default.
    output_merge_spec : along which dimensions results are joined.
    scale_grads : whether gradients are divided by the number of microbatches: right for losses that are
    averages.
    """

    def __init__(
        self, stage: PipelineStage, n_microbatches: int, loss_fn: Callable[..., fb.Tensor] | None = None,
        args_chunk_spec: Any = None, kwargs_chunk_spec: Any = None, output_merge_spec: Any = None,
        scale_grads: bool = True,
    ) -> None:  # fmt: skip
        if n_microbatches < 1:
            raise ValueError(f"there must be a microbatch, got n_microbatches={n_microbatches}")
        self._stage, self._num_stages, self._n_microbatches = stage, stage.num_stages, n_microbatches
        self._loss_fn, self.scale_grads = loss_fn, scale_grads
        self._has_backward = stage.has_backward = loss_fn is not None
        self._args_chunk_spec, self._kwargs_chunk_spec = args_chunk_spec, kwargs_chunk_spec
        self._output_merge_spec = output_merge_spec

    @abstractmethod
    def order(self) -> list[tuple[str, int]]:
        """What this process does: ``("F", microbatch)`` and ``("B", microbatch)``."""

    def step(
        self, *args: Any, target: Any = None, losses: list | None = None, return_outputs: bool = True,
        loss_kwargs: dict[str, Any] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Run one batch; the first stage gives `args`, the last one `target`.

        Parameters
        ----------
        losses : gets the loss of each microbatch in the last stage.
        return_outputs : whether the last stage puts the results together.
        **kwargs : of all stages that are given them; tensors are cut.

        Returns
        -------
        The result in the last stage, None in the others.
        """
        with fb.set_grad_enabled(fb.is_grad_enabled() and self._has_backward):
            return self._run(
                args, kwargs, target, losses, return_outputs, loss_kwargs or {}, self._has_backward
            )

    def eval(self, *args: Any, target: Any = None, losses: list | None = None, **kwargs: Any) -> Any:
        """The same without backwards."""
        with fb.no_grad():
            return self._run(args, kwargs, target, losses, True, {}, False)

    def _run(
        self, args: tuple, kwargs: dict, target: Any, losses: list | None, return_outputs: bool,
        loss_kwargs: dict, backward: bool,
    ) -> Any:  # fmt: skip
        stage, count = self._stage, self._n_microbatches
        stage.has_backward = backward
        if args and not stage.is_first:
            raise ValueError(
                "arguments go to the first stage; the others get the results of the stage before"
            )
        rows, named = split_args_kwargs_into_chunks(
            args, kwargs, count, self._args_chunk_spec, self._kwargs_chunk_spec
        )
        rows = rows if args else [()] * count
        targets = None
        if target is not None and stage.is_last:
            targets = [row[0] for row in split_args_kwargs_into_chunks((target,), None, count)[0]]
        made: list[Any] = [None] * count
        found: list[Any] = [None] * count
        for what, k in self.order():
            if what == "F":
                made[k] = stage.forward_one_chunk(k, rows[k], named[k])
                if stage.is_last and self._loss_fn is not None and targets is not None:
                    found[k] = self._loss_fn(made[k], targets[k], **loss_kwargs)
            elif backward:
                if stage.is_last and found[k] is None:
                    raise RuntimeError("the last stage has no target, so there is no loss to go back from")
                stage.backward_one_chunk(k, found[k] if stage.is_last else None)
        stage.settle()
        if backward and self.scale_grads:
            stage.scale_grads(count)
        if losses is not None:
            losses[:] = [loss for loss in found if loss is not None]
        if not stage.is_last or not return_outputs:
            return None
        return merge_chunks(made, self._output_merge_spec)


class ScheduleGPipe(PipelineScheduleSingle):
    """All forwards, then all backwards (Huang et al., 2019)."""

    def order(self) -> list[tuple[str, int]]:
        """What this process does."""
        pieces = range(self._n_microbatches)
        return [("F", k) for k in pieces] + [("B", k) for k in pieces]


class Schedule1F1B(PipelineScheduleSingle):
    """A backward follows as soon as there is one, so that fewer microbatches are kept (Narayanan et al.,
    2019).

    Raises
    ------
    ValueError : there are fewer microbatches than stages.
    """

    def __init__(self, stage: PipelineStage, n_microbatches: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(stage, n_microbatches, *args, **kwargs)
        if n_microbatches < self._num_stages:
            raise ValueError(
                f"Number of microbatches ({n_microbatches}) must be greater than or equal to the number of "
                f"stages ({self._num_stages})."
            )

    def order(self) -> list[tuple[str, int]]:
        """What this process does."""
        count = self._n_microbatches
        ahead = min(count, self._num_stages - self._stage.stage_index)
        made = [("F", k) for k in range(ahead)]
        for k in range(count):
            made.append(("B", k))
            if ahead + k < count:
                made.append(("F", ahead + k))
        return made
