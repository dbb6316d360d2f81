"""The results of inner layers of a network: ``create_feature_extractor(resnet, ["layer2"])``.

The network is traced (docs/fx.md), and what the wanted results do not need is left out.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections import Counter, OrderedDict
from typing import Any

from flambeau import fx, nn
from flambeau.fx.graph_module import _copy_attr
from flambeau.vision import ops

from . import _windows, swin_transformer

__all__ = ["create_feature_extractor", "get_graph_node_names"]

Nodes = list[str] | dict[str, str]
_AS_THEY_ARE = (
    ops.stochastic_depth, ops.drop_block2d, ops.roi_align, ops.roi_pool, ops.nms, ops.deform_conv2d,
    swin_transformer._merge_patches, swin_transformer.shifted_window_attention, _windows.cut, _windows.join,
)  # fmt: skip


class NodePathTracer(fx.Tracer):
    """Gives each node a name that tells where it is: ``"layer1.0.relu_1"`` is a second call."""

    def __init__(self, leaf_modules: list[type] | None = None, **kwargs: Any) -> None:
        kwargs["autowrap_functions"] = (*kwargs.get("autowrap_functions", ()), *_AS_THEY_ARE)
        super().__init__(**kwargs)
        self.leaf_modules = tuple(leaf_modules or ())
        self.names: OrderedDict[fx.Node, str] = OrderedDict()
        self._taken: Counter[str] = Counter()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualified_name)

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, target, *args, **kwargs)
        name = target if kind == "call_module" else re.sub(r"_\d+$", "", node.name)
        if kind not in ("call_module", "placeholder", "output") and self.scope.module_path:
            name = f"{self.scope.module_path}.{name}"
        calls = self._taken[name]
        self._taken[name] += 1
        self.names[node] = f"{name}_{calls}" if calls else name
        return node


class FeatureExtractor(fx.GraphModule):
    """A network that returns a dictionary of what its layers gave, in the order they were called."""

    def __init__(
        self,
        root: nn.Module,
        train_graph: fx.Graph,
        eval_graph: fx.Graph,
        class_name: str = "FeatureExtractor",
    ) -> None:
        super().__init__(root, eval_graph, class_name)
        for node in train_graph.nodes:
            if node.op in ("get_attr", "call_module"):
                _copy_attr(root, self, node.target)
        self.__dict__["train_graph"], self.__dict__["eval_graph"] = train_graph, eval_graph
        self.train(root.training)

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Use the graph for training, or that for evaluation."""
        wanted = self.__dict__["train_graph" if mode else "eval_graph"]
        if self.graph is not wanted:
            self.graph = wanted
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> FeatureExtractor:
        root = nn.Module()
        for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training"):
            root.__dict__[name] = copy.deepcopy(self.__dict__[name], memo)
        graphs = (copy.deepcopy(self.__dict__[name]) for name in ("train_graph", "eval_graph"))
        return FeatureExtractor(root, *graphs, class_name=type(self).__name__)


def _traced(
    model: nn.Module,
    training: bool,
    tracer_kwargs: dict[str, Any] | None,
    concrete_args: dict[str, Any] | None,
) -> tuple[fx.Graph, dict[fx.Node, str]]:
    modes = {m: m.training for m in model.modules()}
    try:
        tracer = NodePathTracer(**(tracer_kwargs or {}))
        graph = tracer.trace(model.train(training), concrete_args=concrete_args)
    finally:
        for m, mode in modes.items():
            m.training = mode
    return graph, tracer.names


def _warn_of_difference(train: list[str], evaluation: list[str]) -> None:
    if train == evaluation:
        return
    kind = "the other has fewer nodes" if len(train) != len(evaluation) else "they differ"
    warnings.warn(
        "NOTE: The nodes obtained by tracing the model in eval mode are not the same as those in train mode "
        f"({kind}). When choosing nodes for feature extraction, you may need to specify output nodes for "
        "train and eval mode separately"
    )


def _wanted(nodes: Nodes, names: list[str]) -> dict[str, str]:
    chosen = dict(nodes) if isinstance(nodes, dict) else {name: name for name in nodes}
    for node in chosen:
        if not any(name == node or name.startswith(node + ".") for name in names):
            raise ValueError(
                f"node: '{node}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                "`return_nodes` you specified are present. It may even be that you need to specify "
                "`train_return_nodes` and `eval_return_nodes` separately."
            )
    return chosen


def _cut(graph: fx.Graph, names: dict[fx.Node, str], chosen: dict[str, str]) -> fx.Graph:
    """Let the graph return what is wanted, and nothing else be computed."""
    found: dict[str, fx.Node] = {}
    rest = dict(chosen)
    for node in reversed(graph.nodes):
        here = [w for w in rest if names[node] == w or names[node].startswith(w + ".")]
        if node.op != "output" and here:
            for w in here:
                found[rest.pop(w)] = node
    graph.erase_node(graph.output_node())
    graph.output(dict(reversed(found.items())))
    graph.eliminate_dead_code(lambda n: n.op in ("placeholder", "output"))
    return graph


def create_feature_extractor(
    model: nn.Module,
    return_nodes: Nodes | None = None,
    train_return_nodes: Nodes | None = None,
    eval_return_nodes: Nodes | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> FeatureExtractor:
    """A network that returns what inner nodes of `model` give, and computes nothing else.

    Parameters
    ----------
    return_nodes : names of nodes (see `get_graph_node_names`) or of layers, whose last node is meant; or a
        dictionary of these and the names that the results shall have
    train_return_nodes, eval_return_nodes : the same, for training and evaluation apart
    tracer_kwargs : ``leaf_modules``, types of modules that are not entered, and arguments of ``fx.Tracer``
    suppress_diff_warning : do not warn if training and evaluation have different nodes
    concrete_args : arguments that become constants, see ``fx.symbolic_trace``

    Raises
    ------
    ValueError : no nodes are given, or a name does not exist
    fx.proxy.TraceError : the network cannot be traced
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
    graphs = [_traced(model, training, tracer_kwargs, concrete_args) for training in (True, False)]
    if not any(apart) and not suppress_diff_warning:
        _warn_of_difference(*(list(names.values()) for _, names in graphs))
    chosen = (train_return_nodes, eval_return_nodes) if any(apart) else (return_nodes, return_nodes)
    cut = [
        _cut(graph, names, _wanted(nodes, list(names.values())))
        for (graph, names), nodes in zip(graphs, chosen)
    ]
    return FeatureExtractor(model, *cut, class_name=type(model).__name__)


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names that `create_feature_extractor` takes: of nodes in training, and in evaluation."""
    found = [
        [name for node, name in names.items() if node.op != "output"]
        for _, names in (_traced(model, training, tracer_kwargs, concrete_args) for training in (True, False))
    ]
    if not suppress_diff_warning:
        _warn_of_difference(*found)
    return found[0], found[1]
