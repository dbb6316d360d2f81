"""Layers of a graph that follow one another made one."""

from __future__ import annotations

import copy
from typing import Any

from flambeau import fx, nn
from flambeau.ao.quantization.fuser_method_mappings import (
    _DEFAULT_OP_LIST_TO_FUSER_METHOD,
    get_fuser_method,
)
from flambeau.ao.quantization.fx._kinds import is_relu
from flambeau.ao.quantization.utils import _parent_name
from flambeau.nn.utils.parametrize import type_before_parametrizations

__all__ = ["fuse"]


def put(model: nn.Module, path: str, module: nn.Module) -> None:
    """Set a module inside by its name."""
    where, last = _parent_name(path)
    setattr(model.get_submodule(where) if where else model, last, module)


def _follower(node: fx.Node) -> fx.Node | None:
    """The only user of a node, if it has just one."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def _class_of(node: fx.Node, modules: dict[str, nn.Module]) -> type | None:
    if is_relu(node, modules):
        return nn.ReLU
    return type_before_parametrizations(modules[node.target]) if node.op == "call_module" else None


def fuse(model: fx.GraphModule, is_qat: bool) -> fx.GraphModule:
    """A graph module with convolutions, normalisations and ReLU made one.

    Parameters
    ----------
    model : GraphModule
        Its modules are not changed.
    is_qat : bool
        Whether normalisations stay for training.
    """
    model = copy.deepcopy(model)
    modules = dict(model.named_modules(remove_duplicate=False))
    for node in list(model.graph.nodes):
        if node.op != "call_module" or node._erased:
            continue
        chain, kinds, best = [node], [_class_of(node, modules)], None
        while len(chain) < 3 and (after := _follower(chain[-1])) is not None:
            kind = _class_of(after, modules)
            if kind is None or after.args[:1] != (chain[-1],):
                break
            chain.append(after)
            kinds.append(kind)
            if tuple(kinds) in _DEFAULT_OP_LIST_TO_FUSER_METHOD:
                best = len(chain)
        if best is None:
            continue
        chain, kinds = chain[:best], kinds[:best]
        layers: list[Any] = []
        for each, kind in zip(chain, kinds):
            layer = modules[each.target] if each.op == "call_module" else kind()
            if each.op != "call_module":
                layer.training = model.training
            layers.append(layer)
        made = get_fuser_method(tuple(kinds))(is_qat, *layers)
        put(model, node.target, made)
        modules[node.target] = made
        chain[-1].replace_all_uses_with(node)
        for each in reversed(chain[1:]):
            model.graph.erase_node(each)
    training, model = model.training, fx.GraphModule(model, model.graph)
    model.training = training
    return model
