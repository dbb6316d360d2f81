"""Optimizing with other tensors in place of an optimizer's own, for functional training loops."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["swap_in_optimizer_params_and_state"]


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Any, swapin_parameters: dict[str, Any], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """Let an optimizer work on other parameters and state inside a ``with`` block.

    Parameters
    ----------
    optimizer : Optimizer
    swapin_parameters : dict
        The tensors that stand in for the parameters, in the order of the groups.
    swapin_optim_state : dict
        As :meth:`Optimizer.state_dict` gives it; its tensors are changed in place.
    """
    groups, state = optimizer.param_groups, optimizer.state
    given = list(swapin_parameters.values())
    wanted = sum(len(g["params"]) for g in groups)
    if len(given) != wanted:
        raise ValueError(f"the optimizer has {wanted} parameters, but {len(given)} were given")
    by_number: dict[int, Any] = {}
    swapped = []
    for group in swapin_optim_state["param_groups"]:
        for number in group["params"]:
            by_number[number] = given[len(by_number)]
        swapped.append({**group, "params": [by_number[n] for n in group["params"]]})
    optimizer.param_groups = swapped
    optimizer.state = defaultdict(dict)
    for number, entries in swapin_optim_state["state"].items():
        optimizer.state[by_number.get(number, number)] = dict(entries)
    try:
        yield
    finally:
        optimizer.param_groups, optimizer.state = groups, state
