"""Averaging gradients of all processes first, and later those of a machine alone (or none)."""

from __future__ import annotations

import logging
from typing import Any

from flambeau import distributed as dist
from flambeau.futures import Future

from . import default_hooks as default

__all__ = ["PostLocalSGDState", "post_localSGD_hook"]

logger = logging.getLogger(__name__)


class PostLocalSGDState:
    """What the hook knows.

    Parameters
    ----------
    process_group : of the first steps; None for all processes.
    subgroup : of the later ones; None for the processes of one machine.
    start_localSGD_iter : the step from which the subgroup counts.
    post_local_gradient_allreduce : whether later gradients are averaged at all.
    """

    def __init__(
        self, process_group: Any, subgroup: Any, start_localSGD_iter: int,
        post_local_gradient_allreduce: bool = True,
    ) -> None:  # fmt: skip
        self.process_group, self.subgroup = process_group, subgroup
        self.start_localSGD_iter = start_localSGD_iter
        self.post_local_gradient_allreduce = post_local_gradient_allreduce
        self.iter = 0

    def maybe_increase_iter(self, bucket: Any) -> None:
        """Count a step at its last bucket."""
        if bucket.is_last():
            self.iter += 1
            if self.iter == self.start_localSGD_iter:
                logger.info("Start to apply local SGD after %s iterations.", self.iter)


def post_localSGD_hook(state: PostLocalSGDState, bucket: Any) -> Future:
    """The average of the gradients of the group that counts now; goes with `PostLocalSGDOptimizer`."""
    if state.iter < state.start_localSGD_iter:
        state.maybe_increase_iter(bucket)
        return default.allreduce_hook(state.process_group, bucket)
    if not state.post_local_gradient_allreduce:
        future = Future()
        future.set_result(bucket.buffer())
        return future
    if state.subgroup is None:
        state.subgroup, _ = dist.new_subgroups()
    return default.allreduce_hook(state.subgroup, bucket)
