"""Modules as functions of their parameters, in the form that came before `flambeau.func.functional_call`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.func import functional_call

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "make_functional",
    "make_functional_with_buffers",
]


class FunctionalModule(nn.Module):
    """A module without parameters of its own: called with them, and with the arguments."""

    def __init__(self, stateless_model: nn.Module, param_names: tuple[str, ...]) -> None:
        super().__init__()
        self.stateless_model, self.param_names = stateless_model, param_names

    def forward(self, params: Sequence[fb.Tensor], *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(self.param_names, params, strict=True))
        return functional_call(self.stateless_model, given, args, kwargs)


class FunctionalModuleWithBuffers(nn.Module):
    """The same; called with the parameters, the buffers and the arguments."""

    def __init__(
        self, stateless_model: nn.Module, param_names: tuple[str, ...], buffer_names: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.stateless_model = stateless_model
        self.param_names, self.buffer_names = param_names, buffer_names

    def forward(
        self, params: Sequence[fb.Tensor], buffers: Sequence[fb.Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        given = dict(zip(self.param_names, params, strict=True))
        given.update(zip(self.buffer_names, buffers, strict=True))
        return functional_call(self.stateless_model, given, args, kwargs)


def _taken(model: nn.Module, detached: bool) -> tuple[nn.Module, dict, dict]:
    """A copy of a module on the device without memory, and copies of its parameters and buffers."""
    own = copy.deepcopy(model)
    parameters, buffers = dict(own.named_parameters()), dict(own.named_buffers())
    if detached:
        parameters = {name: p.detach() for name, p in parameters.items()}
    state = [*model.parameters(), *model.buffers()]
    empty = {id(t): t.to("meta") for t in state}
    for t in model.parameters():
        empty[id(t)] = nn.Parameter(empty[id(t)].detach(), t.requires_grad)
    return copy.deepcopy(model, empty), parameters, buffers


def make_functional(
    model: nn.Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModule, tuple[fb.Tensor, ...]]:
    """A module without buffers as a function of its parameters, and the parameters.

    Parameters
    ----------
    model : a module.
    disable_autograd_tracking : whether the parameters that are given back need no gradient.
    """
    if next(model.buffers(), None) is not None:
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) "
            "instead."
        )
    empty, parameters, _ = _taken(model, disable_autograd_tracking)
    return FunctionalModule(empty, tuple(parameters)), tuple(parameters.values())


def make_functional_with_buffers(
    model: nn.Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, tuple[fb.Tensor, ...], tuple[fb.Tensor, ...]]:
    """A module as a function of its parameters and buffers, and these."""
    empty, parameters, buffers = _taken(model, disable_autograd_tracking)
    function = FunctionalModuleWithBuffers(empty, tuple(parameters), tuple(buffers))
    return function, tuple(parameters.values()), tuple(buffers.values())


def combine_state_for_ensemble(
    models: Sequence[nn.Module],
) -> tuple[FunctionalModuleWithBuffers, tuple[fb.Tensor, ...], tuple[fb.Tensor, ...]]:
    """One function for models of one class, and their parameters and buffers stacked, for `vmap`."""
    if not models:
        raise RuntimeError("combine_state_for_ensemble: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise RuntimeError(
            "combine_state_for_ensemble: Expected all models to have the same training/eval mode."
        )
    if len({type(m) for m in models}) > 1:
        raise RuntimeError("combine_state_for_ensemble: Expected all models to be of the same class.")
    functions, params, buffers = zip(*(make_functional_with_buffers(m) for m in models), strict=True)

    def stacked(states: tuple) -> tuple[fb.Tensor, ...]:
        return tuple(fb.stack(same).detach() for same in zip(*states, strict=True))

    return functions[0], stacked(params), stacked(buffers)
