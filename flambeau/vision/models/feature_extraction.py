"""The results of inner layers of a network, by hooks: ``create_feature_extractor(resnet, ["layer2"])``."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from flambeau import nn

__all__ = ["create_feature_extractor", "get_graph_node_names"]

Nodes = list[str] | dict[str, str]


class _AllFound(Exception):
    """Raised to leave a network when nothing wanted is to come."""


class FeatureExtractor(nn.Module):
    """A network that returns a dictionary of what its layers gave, in the order they were called.

    It has the network's own children and parameters, under the same names.
    """

    def __init__(self, model: nn.Module, train_nodes: dict[str, str], eval_nodes: dict[str, str]) -> None:
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        for name, parameter in model.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in model.named_buffers(recurse=False):
            self.register_buffer(name, buffer, persistent=name not in model._non_persistent_buffers_set)
        self._model = (model,)  # within a tuple: its children are registered above
        self._nodes = {True: train_nodes, False: eval_nodes}
        self.train(model.training)

    def train(self, mode: bool = True) -> FeatureExtractor:
        self._model[0].train(mode)
        return super().train(mode)

    def forward(self, *args: Any, **kwargs: Any) -> OrderedDict[str, Any]:
        model, wanted = self._model[0], self._nodes[self.training]
        found: OrderedDict[str, Any] = OrderedDict()
        calls: Counter[str] = Counter()

        def keep(name: str, result: Any) -> None:
            node = f"{name}_{calls[name]}" if calls[name] else name
            calls[name] += 1
            if node in wanted:
                found[wanted[node]] = result
            if len(found) == len(wanted):
                raise _AllFound

        layers = {_split(node, model)[0] for node in wanted}
        hooks = [
            layer.register_forward_hook(lambda _, __, result, name=name: keep(name, result))
            for name, layer in model.named_modules()
            if name in layers
        ]
        try:
            model(*args, **kwargs)
        except _AllFound:
            return found
        finally:
            for hook in hooks:
                hook.remove()
        missing = sorted(node for node, name in wanted.items() if name not in found)
        raise ValueError(f"the network did not call {', '.join(missing)}")


def _split(node: str, model: nn.Module) -> tuple[str, int]:
    """The name of a layer and which of its calls is meant: "relu_1" is the second of "relu"."""
    names = {name for name, _ in model.named_modules() if name}
    name, _, count = node.rpartition("_")
    if node not in names and name in names and count.isdigit():
        return name, int(count)
    return node, 0


def _checked(nodes: Nodes, model: nn.Module) -> dict[str, str]:
    names = {name for name, _ in model.named_modules() if name}
    chosen = dict(nodes) if isinstance(nodes, dict) else {name: name for name in nodes}
    for node in chosen:
        if _split(node, model)[0] not in names:
            raise ValueError(
                f"node: '{node}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                "`return_nodes` you specified are present. It may even be that you need to specify "
                "`train_return_nodes` and `eval_return_nodes` separately.\n"
                "Networks are not traced here: layers are nodes, results of functions are not."
            )
    return chosen


def create_feature_extractor(
    model: nn.Module,
    return_nodes: Nodes | None = None,
    train_return_nodes: Nodes | None = None,
    eval_return_nodes: Nodes | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> FeatureExtractor:
    """A network that returns what layers of `model` give.

    Parameters
    ----------
    return_nodes : names of layers, or a dictionary of these and the names that the results shall have; a
        number behind a name, as in "layer1.0.relu_1", means a later call of the same layer
    train_return_nodes, eval_return_nodes : the same, for training and evaluation apart
    tracer_kwargs, suppress_diff_warning, concrete_args : for a tracer; there is none, and they are not used

    Raises
    ------
    ValueError : no nodes are given, or a name is not that of a layer
    """
    apart = train_return_nodes is not None, eval_return_nodes is not None
    if return_nodes is None and not all(apart) and not any(apart):
        raise ValueError(
            "Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be "
            "specified"
        )
    if any(apart) and not all(apart):
        raise ValueError(
            "If any of `train_return_nodes` and `eval_return_nodes` are specified, then both should be "
            "specified"
        )
    if return_nodes is not None and any(apart):
        raise ValueError(
            "If `train_return_nodes` and `eval_return_nodes` are specified, then both should be specified\n"
            "and `return_nodes` should not be."
        )
    train_nodes = _checked(return_nodes if return_nodes is not None else train_return_nodes, model)
    eval_nodes = _checked(return_nodes if return_nodes is not None else eval_return_nodes, model)
    return FeatureExtractor(model, train_nodes, eval_nodes)


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names that `create_feature_extractor` takes: of layers, twice (for training and evaluation)."""
    names = [name for name, _ in model.named_modules() if name]
    return names, list(names)
