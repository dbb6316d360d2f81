"""In what order a stage runs the forwards and backwards of the microbatches."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import flambeau as fb

from ._orders import (
    BACKWARD_INPUT,
    BACKWARD_WEIGHT,
    FORWARD,
    FULL_BACKWARD,
    _Action,
    _ComputationType,
    dual_pipe,
    in_all,
    interleaved,
    looped_breadth_first,
    zero_bubble_v,
)
from .microbatch import merge_chunks, split_args_kwargs_into_chunks
from .stage import PipelineStage

__all__ = [
    "get_schedule_class",
    "PipelineScheduleSingle",
    "PipelineScheduleMulti",
    "Schedule1F1B",
    "ScheduleGPipe",
    "ScheduleInterleaved1F1B",
    "ScheduleLoopedBFS",
    "ScheduleInterleavedZeroBubble",
    "ScheduleZBVZeroBubble",
    "ScheduleDualPipeV",
]

logger = logging.getLogger(__name__)


class _PipelineSchedule(ABC):
    """Runs the actions of a process."""

    def __init__(
        self, stages: list[PipelineStage], n_microbatches: int, loss_fn: Callable[..., fb.Tensor] | None,
        args_chunk_spec: Any, kwargs_chunk_spec: Any, output_merge_spec: Any, scale_grads: bool,
    ) -> None:  # fmt: skip
        if n_microbatches < 1:
            raise ValueError(f"there must be a microbatch, got n_microbatches={n_microbatches}")
        self._own = {stage.stage_index: stage for stage in stages}
        self._num_stages, self._n_microbatches = stages[0].num_stages, n_microbatches
        self._loss_fn, self.scale_grads = loss_fn, scale_grads
        self._has_backward = loss_fn is not None
        for stage in stages:
            stage.has_backward = self._has_backward
        self._args_chunk_spec, self._kwargs_chunk_spec = args_chunk_spec, kwargs_chunk_spec
        self._output_merge_spec = output_merge_spec

    @abstractmethod
    def order(self) -> list[_Action]:
        """What this process does."""

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
        The result in the process of the last stage, None in the others.
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
        stages, count = self._own, self._n_microbatches
        last = stages.get(self._num_stages - 1)
        for stage in stages.values():
            stage.has_backward = backward
        if args and 0 not in stages:
            raise ValueError(
                "arguments go to the first stage; the others get the results of the stage before"
            )
        rows, named = split_args_kwargs_into_chunks(
            args, kwargs, count, self._args_chunk_spec, self._kwargs_chunk_spec
        )
        rows = rows if args else [()] * count
        targets = None
        if target is not None and last is not None:
            targets = [row[0] for row in split_args_kwargs_into_chunks((target,), None, count)[0]]
        made: list[Any] = [None] * count
        found: list[Any] = [None] * count

        def act(action: _Action) -> None:
            kind, k = action.computation_type, action.microbatch_index
            if action.sub_actions is not None:
                for part in action.sub_actions:
                    act(part)
                return
            stage = stages[action.stage_index]
            if kind is FORWARD:
                result = stage.forward_one_chunk(k, rows[k] if stage.is_first else (), named[k])
                if stage is last:
                    made[k] = result
                    if self._loss_fn is not None and targets is not None:
                        found[k] = self._loss_fn(result, targets[k], **loss_kwargs)
            elif not backward:
                return
            elif kind is BACKWARD_WEIGHT:
                stage.backward_weight_one_chunk(k)
            else:
                if stage is last and found[k] is None:
                    raise RuntimeError("the last stage has no target, so there is no loss to go back from")
                loss = found[k] if stage is last else None
                if kind is FULL_BACKWARD:
                    stage.backward_one_chunk(k, loss)
                elif kind is BACKWARD_INPUT:
                    stage.backward_input_one_chunk(k, loss)

        for action in self.order():
            act(action)
        for stage in stages.values():
            stage.settle()
            if backward and self.scale_grads:
                stage.scale_grads(count)
        if losses is not None:
            losses[:] = [loss for loss in found if loss is not None]
        if last is None or not return_outputs:
            return None
        return merge_chunks(made, self._output_merge_spec)


class PipelineScheduleSingle(_PipelineSchedule):
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
        self._stage, self._num_stages = stage, stage.num_stages
        super().__init__(
            [stage], n_microbatches, loss_fn, args_chunk_spec, kwargs_chunk_spec, output_merge_spec,
            scale_grads,
        )  # fmt: skip

    def _actions(self, *kinds_and_pieces: tuple[_ComputationType, int]) -> list[_Action]:
        return [_Action(self._stage.stage_index, kind, k) for kind, k in kinds_and_pieces]


class ScheduleGPipe(PipelineScheduleSingle):
    """All forwards, then all backwards (Huang et al., 2019)."""

    def order(self) -> list[_Action]:
        """What this process does."""
        pieces = range(self._n_microbatches)
        return self._actions(*[(FORWARD, k) for k in pieces], *[(FULL_BACKWARD, k) for k in pieces])


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

    def order(self) -> list[_Action]:
        """What this process does."""
        count = self._n_microbatches
        ahead = min(count, self._num_stages - self._stage.stage_index)
        made = [(FORWARD, k) for k in range(ahead)]
        for k in range(count):
            made.append((FULL_BACKWARD, k))
            if ahead + k < count:
                made.append((FORWARD, ahead + k))
        return self._actions(*made)


class PipelineScheduleMulti(_PipelineSchedule):
    """Base of all with several stages in each process.

    Parameters
    ----------
    stages : those of this process, in their order.
    use_full_backward : accepted; the order of each schedule says where a backward is in two parts.
    backward_requires_autograd : accepted; only backwards by autograd are run.

    The others are those of :class:`PipelineScheduleSingle`.

    Attributes
    ----------
    pipeline_order : what each process does.
    """

    _form = "loop"

    def __init__(
        self, stages: list[PipelineStage], n_microbatches: int,
        loss_fn: Callable[..., fb.Tensor] | None = None, args_chunk_spec: Any = None,
        kwargs_chunk_spec: Any = None, output_merge_spec: Any = None, use_full_backward: bool | None = None,
        scale_grads: bool = True, backward_requires_autograd: bool = True,
    ) -> None:  # fmt: skip
        self._stages = stages
        super().__init__(
            stages, n_microbatches, loss_fn, args_chunk_spec, kwargs_chunk_spec, output_merge_spec,
            scale_grads,
        )  # fmt: skip
        self.pp_group_size, self.rank = stages[0].group_size, stages[0].group_rank
        self.n_local_stages, self.backward_requires_autograd = len(stages), backward_requires_autograd
        places = {k: self._place(k) for k in range(self._num_stages)}
        mine = sorted(k for k, rank in places.items() if rank == self.rank)
        if sorted(self._own) != mine:
            raise AssertionError(
                f"process {self.rank} has the stages {sorted(self._own)}, in {type(self).__name__} these are"
                f" {mine}"
            )
        for stage in stages:
            stage.stage_index_to_group_rank = dict(places)
            stage.neighbours = {k: s for k, s in self._own.items() if s is not stage}
        self.pipeline_order = self._orders()

    def _place(self, stage: int) -> int:
        """The process of a stage."""
        turn, place = divmod(stage, self.pp_group_size)
        return self.pp_group_size - 1 - place if self._form == "v" and turn % 2 else place

    @abstractmethod
    def _orders(self) -> dict[int, list[_Action]]:
        """What each process does."""

    def order(self) -> list[_Action]:
        """What this process does."""
        return self.pipeline_order[self.rank]


def _check_rounds(what: str, microbatches: int, size: int) -> None:
    rounds = max(1, microbatches // size)
    if microbatches % rounds:
        raise ValueError(
            f"{what} requires the number of microbatches to be a multiple of the number of rounds ({rounds}),"
            f" but got {microbatches}."
        )


class ScheduleLoopedBFS(PipelineScheduleMulti):
    """Each stage runs all microbatches before the next one does (Lamy-Poirier, 2023)."""

    def __init__(
        self, stages: list[PipelineStage], n_microbatches: int,
        loss_fn: Callable[..., fb.Tensor] | None = None, output_merge_spec: Any = None,
        scale_grads: bool = True, backward_requires_autograd: bool = True, defer_pp_recv: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            stages, n_microbatches, loss_fn, output_merge_spec=output_merge_spec, scale_grads=scale_grads,
            backward_requires_autograd=backward_requires_autograd,
        )  # fmt: skip

    def _orders(self) -> dict[int, list[_Action]]:
        return in_all(looped_breadth_first, self.pp_group_size, self._num_stages, self._n_microbatches)


class _Ordered(PipelineScheduleMulti):
    """Those with the parameters of most."""

    def __init__(
        self, stages: list[PipelineStage], n_microbatches: int,
        loss_fn: Callable[..., fb.Tensor] | None = None, args_chunk_spec: Any = None,
        kwargs_chunk_spec: Any = None, output_merge_spec: Any = None, scale_grads: bool = True,
        backward_requires_autograd: bool = True, defer_pp_recv: bool = False,
    ) -> None:  # fmt: skip
        self._check(len(stages), n_microbatches, stages[0].group_size, stages[0].num_stages)
        super().__init__(
            stages, n_microbatches, loss_fn, args_chunk_spec, kwargs_chunk_spec, output_merge_spec,
            scale_grads=scale_grads, backward_requires_autograd=backward_requires_autograd,
        )  # fmt: skip

    def _check(self, local: int, microbatches: int, size: int, stages: int) -> None:
        raise NotImplementedError


class ScheduleInterleaved1F1B(_Ordered):
    """A backward follows as soon as there is one, over several stages (Narayanan et al., 2021)."""

    def _check(self, local: int, microbatches: int, size: int, stages: int) -> None:
        _check_rounds("Interleaved 1F1B", microbatches, size)

    def _orders(self) -> dict[int, list[_Action]]:
        return in_all(interleaved, self.pp_group_size, self._num_stages, self._n_microbatches)


class ScheduleInterleavedZeroBubble(_Ordered):
    """The same with backwards in two parts, so that gradients of weights fill pauses (Qi et al., 2023).

    The graph is walked once for each part.
    """

    def _check(self, local: int, microbatches: int, size: int, stages: int) -> None:
        _check_rounds("Zero bubble", microbatches, size)

    def _orders(self) -> dict[int, list[_Action]]:
        return in_all(interleaved, self.pp_group_size, self._num_stages, self._n_microbatches, True)


class _InAV(_Ordered):
    _form = "v"

    def _check(self, local: int, microbatches: int, size: int, stages: int) -> None:
        if local != 2:
            raise ValueError(f"ZBV requires exactly 2 stages per rank, but got {local}.")


class ScheduleZBVZeroBubble(_InAV):
    """Two stages in each process, the second in the order backwards; backwards in two parts (Qi et al.,
    2024)."""

    def _orders(self) -> dict[int, list[_Action]]:
        return in_all(zero_bubble_v, self.pp_group_size, self._n_microbatches)


class ScheduleDualPipeV(_InAV):
    """Two stages in each process; a forward of one and a backward of the other are a pair (DeepSeek-AI,
    2024). They run one after the other here."""

    def _check(self, local: int, microbatches: int, size: int, stages: int) -> None:
        super()._check(local, microbatches, size, stages)
        if microbatches < stages:
            raise ValueError(
                "DualPipeV requires at least as many microbatches as stages, but got"
                f" {microbatches} microbatches and {stages} stages."
            )

    def _orders(self) -> dict[int, list[_Action]]:
        return in_all(dual_pipe, self.pp_group_size, self._n_microbatches)


_SCHEDULES: dict[str, type] = {
    "1F1B": Schedule1F1B,
    "Interleaved1F1B": ScheduleInterleaved1F1B,
    "GPipe": ScheduleGPipe,
    "LoopedBFS": ScheduleLoopedBFS,
    "InterleavedZeroBubble": ScheduleInterleavedZeroBubble,
    "PipelineScheduleSingle": PipelineScheduleSingle,
    "PipelineScheduleMulti": PipelineScheduleMulti,
    "ZBVZeroBubble": ScheduleZBVZeroBubble,
    "DualPipeV": ScheduleDualPipeV,
}


def get_schedule_class(schedule_name: str) -> type:
    """The class of a schedule by its name, whatever the case of its letters."""
    found = {name.lower(): cls for name, cls in _SCHEDULES.items()}.get(schedule_name.lower())
    if found is None:
        raise ValueError(f"Unknown schedule name '{schedule_name}'. The valid options are {list(_SCHEDULES)}")
    return found
