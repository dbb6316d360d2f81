"""Training with numbers of inputs that differ between processes: those that are done shadow what the others
exchange."""

from __future__ import annotations

import abc
import warnings
from types import TracebackType
from typing import Any

import flambeau as fb
import flambeau.distributed as dist

__all__ = ["Join", "JoinHook", "Joinable"]


class JoinHook:
    """What a process does once it has no input left."""

    def main_hook(self) -> None:
        """Called while others still have inputs: the collectives of one of their iterations."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once all are done; `is_last_joiner` on the processes that were last."""


class Joinable(abc.ABC):
    """What takes part in a `Join`: it exchanges something in every iteration, and tells first, with
    `Join.notify_join_context`."""

    @abc.abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config: _Config | None = None

    @abc.abstractmethod
    def join_hook(self, **kwargs: Any) -> JoinHook:
        """The hook of one `Join`, made when it begins with what was given to it by keyword."""

    @property
    @abc.abstractmethod
    def join_device(self) -> fb.device:
        """Device of the tensors that the processes count themselves with."""

    @property
    @abc.abstractmethod
    def join_process_group(self) -> Any:
        """The processes that count themselves."""


class _Config:
    def __init__(self, throw_on_early_termination: bool, first: bool) -> None:
        self.throw_on_early_termination, self.first = throw_on_early_termination, first


class Join:
    """Context in which processes may have different numbers of inputs.

    Parameters
    ----------
    joinables : what exchanges something in every iteration, in the order of the exchanges.
    enable : False where the numbers are known to be equal.
    throw_on_early_termination : raise in all processes as soon as one is done.
    kwargs : given to each `Joinable.join_hook`.

    Raises
    ------
    ValueError : without joinables, or where they differ in device or processes.
    RuntimeError : in all processes, with `throw_on_early_termination`.
    """

    def __init__(
        self,
        joinables: list[Joinable],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        self._joinables = joinables
        self._hooks = [j.join_hook(**kwargs) for j in joinables]
        self._enable, self._throw = enable, throw_on_early_termination
        self._device, self._group = joinables[0].join_device, joinables[0].join_process_group
        if any(j.join_device != self._device for j in joinables):
            raise ValueError("Using join context manager with multiple devices")
        if any(j.join_process_group is not self._group for j in joinables):
            raise ValueError("Using join context manager with multiple process groups")

    def __enter__(self) -> None:
        for i, joinable in enumerate(self._joinables):
            joinable._join_config = _Config(self._throw, i == 0) if self._enable else None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if not self._enable or kind is not None:
            return None
        is_last, rounds = True, 0
        while (left := _count(0, self._device, self._group)) > 0:
            if self._throw:
                _tell_end(1, self._device, self._group)
                raise RuntimeError(f"Rank {dist.get_rank(self._group)} exhausted all inputs.")
            is_last = False
            rounds += 1
            if rounds == 1000:
                warnings.warn(
                    "Detected uneven input skew of greater than 1000. This means that rank "
                    f"{dist.get_rank(self._group)} has at least 1000 fewer inputs than other "
                    f"currently-active ranks ({left}). This level of skew could lead to performance "
                    "degradation during training.",
                    stacklevel=2,
                )
            for hook in self._hooks:
                hook.main_hook()
        for hook in self._hooks:
            hook.post_hook(is_last)
        return None

    @staticmethod
    def notify_join_context(joinable: Joinable) -> Any:
        """Tell the processes that are done that this one begins an iteration; nothing outside of a `Join`.

        Of several joinables only the first tells.
        """
        config = getattr(joinable, "_join_config", None)
        if config is None or not config.first:
            return None
        device, group = joinable.join_device, joinable.join_process_group
        work = dist.all_reduce(fb.ones(1, device=device), group=group, async_op=True)
        if config.throw_on_early_termination and _tell_end(0, device, group):
            raise RuntimeError("Detected at least one rank that exhausted inputs. Throwing across all ranks.")
        return work


def _count(one: int, device: fb.device, group: Any) -> int:
    """How many processes still have inputs."""
    number = fb.full((1,), float(one), device=device)
    dist.all_reduce(number, group=group)
    return int(number.item())


def _tell_end(done: int, device: fb.device, group: Any) -> bool:
    """Whether a process is done and wants all to stop."""
    return _count(done, device, group) > 0
