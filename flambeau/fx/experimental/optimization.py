"""Making a trained network faster: batch norms merged into convolutions, dropouts taken out."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from flambeau import fx, nn
from flambeau.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["matches_module_pattern", "replace_node_module", "fuse", "remove_dropout"]

_PAIRS = (
    (nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d),
)  # fmt: skip


def matches_module_pattern(pattern: Iterable[type], node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node's first argument and the node call modules of these two types."""
    if not node.args or not isinstance(node.args[0], fx.Node):
        return False
    return all(
        n.op == "call_module" and n.target in modules and type(modules[n.target]) is kind
        for kind, n in zip(pattern, (node.args[0], node))
    )


def replace_node_module(node: fx.Node, modules: dict[str, Any], new_module: nn.Module) -> None:
    """Put another module where the one that the node calls was."""
    owner, _, name = node.target.rpartition(".")
    modules[node.target] = new_module
    setattr(modules[owner], name, new_module)


def fuse(model: nn.Module, inplace: bool = False, no_trace: bool = False) -> nn.Module:
    """Merge batch norms into the convolutions before them; for evaluation.

    Parameters
    ----------
    inplace : bool
        Whether ``model`` itself may be changed.
    no_trace : bool
        ``model`` is a GraphModule already.
    """
    model = model if inplace else copy.deepcopy(model)
    traced = model if no_trace and isinstance(model, fx.GraphModule) else fx.symbolic_trace(model)
    modules = dict(traced.named_modules())
    graph = copy.deepcopy(traced.graph)
    for pair in _PAIRS:
        for node in graph.nodes:
            if not matches_module_pattern(pair, node, modules) or len(node.args[0].users) > 1:
                continue
            conv, norm = modules[node.args[0].target], modules[node.target]
            if not norm.track_running_stats:
                continue
            replace_node_module(node.args[0], modules, fuse_conv_bn_eval(conv, norm))
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return fx.GraphModule(traced, graph)


class _WithoutDropout(fx.Transformer):
    def call_module(self, target: Any, args: tuple, kwargs: dict) -> Any:
        if isinstance(self.submodules[target], nn.Dropout):
            return args[0]
        return super().call_module(target, args, kwargs)


def remove_dropout(model: nn.Module) -> nn.Module:
    """The model without its Dropout modules."""
    return _WithoutDropout(fx.symbolic_trace(model)).transform()
