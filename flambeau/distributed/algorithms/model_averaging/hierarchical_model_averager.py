"""Averages of small groups often, and of large ones seldom."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from flambeau import distributed as dist

from . import averagers, utils

__all__ = ["HierarchicalModelAverager"]

logger = logging.getLogger(__name__)


class HierarchicalModelAverager(averagers.ModelAverager):
    """Averages in groups of neighbours, of a size that depends on the step.

    Parameters
    ----------
    period_group_size_dict : period to size of the groups, both rising; the last one is all processes. At a
    step
        that several periods divide the largest counts.
    warmup_steps : steps without.
    process_group : the group; None for all processes.

    Raises
    ------
    ValueError : sizes or periods do not rise, or the last size is not that of the group.
    """

    def __init__(
        self, period_group_size_dict: dict[int, int] | None = None, warmup_steps: int = 0,
        process_group: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(process_group)
        if not period_group_size_dict:
            raise ValueError("Arg ``period_group_size_dict`` must not be empty.")
        self._periods = list(period_group_size_dict)
        if self._periods[0] <= 0:
            raise ValueError("The minimum period in arg ``period_group_size_dict`` must be a positive value.")
        if self._periods[-1] % self._periods[0]:
            raise ValueError(
                "The greatest period in arg ``period_group_size_dict`` must be divisible by the smallest one."
            )
        self.period_process_group_dict: dict[int, Any] = {}
        overall = dist.get_world_size(self.process_group)
        sizes = list(period_group_size_dict.values())
        if sizes != sorted(sizes) or self._periods != sorted(self._periods):
            raise ValueError("Periods and sizes of groups must rise.")
        if sizes[-1] != overall:
            raise ValueError(
                f"The last value in arg ``period_process_group_dict`` {sizes[-1]} must be equal to the "
                "size of "
                f"arg ``process_group`` {overall}."
            )
        for period, size in period_group_size_dict.items():
            group = self.process_group if size == overall else dist.new_subgroups(size, self.process_group)[0]
            self.period_process_group_dict[period] = group
        if warmup_steps < 0:
            raise ValueError("Arg ``warmup_steps`` must be a non-negative number.")
        self.warmup_steps = warmup_steps

    def _find_process_group(self) -> Any:
        """The group of the largest period that divides the step."""
        for period in reversed(self._periods):
            if self.step % period == 0:
                return self.period_process_group_dict[period]
        return None

    def average_parameters(self, params: Iterable[Any]) -> None:
        """Average the parameters if the step is one of those, and count it."""
        if self.step >= self.warmup_steps:
            group = self._find_process_group()
            if group is not None:
                utils.average_parameters_or_parameter_groups(params, group)
        self.step += 1
