"""An optimizer whose parameters are averaged now and then."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as fb
from flambeau.distributed.algorithms.model_averaging.averagers import ModelAverager

__all__ = ["PostLocalSGDOptimizer"]


class PostLocalSGDOptimizer(fb.optim.Optimizer):
    """A step of an optimizer, and then an average over the processes where that is due.

    Parameters
    ----------
    optim : the optimizer.
    averager : when and over which processes; goes with ``post_localSGD_hook``.
    """

    def __init__(self, optim: fb.optim.Optimizer, averager: ModelAverager) -> None:
        self.optim = optim
        self.param_groups = optim.param_groups
        self.averager = averager

    @property
    def state(self) -> Any:
        """That of the optimizer."""
        return self.optim.state

    def __repr__(self) -> str:
        return repr(self.optim)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's, with ``"step"``: the number of steps."""
        made = self.optim.state_dict()
        made["step"] = self.averager.step
        return made

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; without ``"step"`` steps are counted from the start again."""
        self.optim.load_state_dict(state_dict)
        if "step" in state_dict:
            self.averager.step = state_dict["step"]
            return
        warnings.warn(
            "Loaded state dict does not contain a step counter for an averager. Setting step counter to 0.",
            stacklevel=2,
        )
        self.averager.step = 0

    def step(self) -> None:
        """One step, and the average."""
        self.optim.step()
        self.averager.average_parameters(params=self.param_groups)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients."""
        self.optim.zero_grad(set_to_none=set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters."""
        self.optim.add_param_group(param_group)
