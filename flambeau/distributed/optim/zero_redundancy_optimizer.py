"""An optimizer whose state is divided among processes (Rajbhandari et al., 2020, "ZeRO", stage 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.optim import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """Each process updates some of the parameters, and gives them to the others.

    Parameters
    ----------
    params : the same in all processes, with the same gradients.
    optimizer_class : of the optimizer inside, which is made with `defaults`.
    process_group : the processes; all by default.
    parameters_as_bucket_view : accepted.
    """

    def __init__(
        self, params: Any, optimizer_class: type[Optimizer], process_group: Any = None,
        parameters_as_bucket_view: bool = False, overlap_with_ddp: bool = False, **defaults: Any,
    ) -> None:  # fmt: skip
        if overlap_with_ddp:
            raise NotImplementedError("ZeroRedundancyOptimizer with overlap_with_ddp")
        self.process_group = process_group
        self.world_size, self.rank = dist.get_world_size(process_group), dist.get_rank(process_group)
        self._optim_constructor, self._optim_defaults = optimizer_class, defaults
        self._all_states: list[dict[str, Any]] = []
        self.optim: Optimizer | None = None
        super().__init__(params, dict(defaults))
        self._build()

    def _owners(self) -> list[list[list[fb.Tensor]]]:
        """For each process and group its parameters: the largest first, to whom has least."""
        loads = [0] * self.world_size
        owners = [[[] for _ in self.param_groups] for _ in range(self.world_size)]
        for k, group in enumerate(self.param_groups):
            for p in sorted(group["params"], key=lambda p: p.numel(), reverse=True):
                rank = loads.index(min(loads))
                owners[rank][k].append(p)
                loads[rank] += p.numel()
        return owners

    def _build(self) -> None:
        self._shares = self._owners()
        mine = self._shares[self.rank]
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": share}
            for group, share in zip(self.param_groups, mine)
        ]
        self.optim = self._optim_constructor(groups, **self._optim_defaults)
        for group, inner in zip(self.param_groups, self.optim.param_groups):
            for key, value in inner.items():
                group.setdefault(key, value) if key != "params" else None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; the shares of the processes are made anew, without the state so far."""
        super().add_param_group(param_group)
        if self.optim is not None:
            self._build()

    def _sync_options(self, source: list, target: list) -> None:
        for a, b in zip(source, target):
            b.update({key: value for key, value in a.items() if key != "params"})

    def step(self, closure: Callable[[], float] | None = None, **kwargs: Any) -> float | None:
        """Update the share of this process, and take those of the others."""
        self._sync_options(self.param_groups, self.optim.param_groups)
        loss = self.optim.step(**kwargs) if closure is None else self.optim.step(closure=closure, **kwargs)
        self._sync_options(self.optim.param_groups, self.param_groups)
        for rank, shares in enumerate(self._shares):
            tensors = [p.detach() for share in shares for p in share]
            if tensors:
                dist._broadcast_coalesced(self.process_group, tensors, src=rank)
        return loss

    def _numbers(self) -> dict[int, int]:
        parameters = [p for group in self.param_groups for p in group["params"]]
        return {id(p): k for k, p in enumerate(parameters)}

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Bring the state of all processes to one of them, for `state_dict`."""
        numbers = self._numbers()
        mine = {numbers[id(p)]: value for p, value in self.optim.state.items()}
        everything = [None] * self.world_size if self.rank == to else None
        dist.gather_object(mine, everything, dst=dist.get_process_group_ranks(self.process_group)[to],
                           group=self.process_group)  # fmt: skip
        self._all_states = everything or []

    def state_dict(self) -> dict[str, Any]:
        """The state of all processes, in the one that `consolidate_state_dict` named."""
        if not self._all_states:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.rank})` on all ranks beforehand if you meant to save the "
                "global state."
            )
        numbers = self._numbers()
        groups = [
            {**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups
        ]
        merged = {number: value for state in self._all_states for number, value in state.items()}
        return {"state": dict(sorted(merged.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict` gave; each process its share."""
        numbers = self._numbers()
        self._sync_options(state_dict["param_groups"], self.param_groups)
        inner = self.optim.state_dict()
        flat = [p for group in self.optim.param_groups for p in group["params"]]
        inner["state"] = {
            k: state_dict["state"][numbers[id(p)]]
            for k, p in enumerate(flat)
            if numbers[id(p)] in state_dict["state"]
        }
        self._sync_options(state_dict["param_groups"], inner["param_groups"])
        self.optim.load_state_dict(inner)
