"""Scaling of losses when gradients are cut among processes."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.amp import GradScaler

__all__ = ["ShardedGradScaler"]


class ShardedGradScaler(GradScaler):
    """A `GradScaler` whose processes skip a step together when one of them found infinite gradients."""

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, backoff_factor: float = 0.5,
        growth_factor: float = 2.0, growth_interval: int = 2000, enabled: bool = True,
        process_group: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            device, init_scale=init_scale, backoff_factor=backoff_factor, growth_factor=growth_factor,
            growth_interval=growth_interval, enabled=enabled,
        )  # fmt: skip
        self.process_group = process_group

    def unscale_(self, optimizer: fb.optim.Optimizer) -> None:
        """Divide the gradients by the scale, and tell the others what was found."""
        if not self._enabled:
            return
        super().unscale_(optimizer)
        for found in self._per_optimizer_states[id(optimizer)]["found_inf_per_device"].values():
            dist.all_reduce(found, group=self.process_group)
