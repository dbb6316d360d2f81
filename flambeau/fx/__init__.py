"""``torch.fx``: a module's forward as a graph of Python calls that can be read, changed and run.

``symbolic_trace(model)`` runs the forward once on stand-ins (:class:`Proxy`) that note what is done with
them. The result is a :class:`GraphModule`: a module whose forward is the Python written from its graph.

=======================  ==================================================================
``node``, ``graph``      nodes, the list of them, the Python that is written from it
``proxy``                stand-ins of values, and what makes nodes of what is done with them
``_symbolic_trace``      running a module on stand-ins
``graph_module``         the module whose forward is a graph
``interpreter``          running a graph node by node, or into another graph
``subgraph_rewriter``    replacing a pattern
``passes``               shapes of all nodes, and other passes
=======================  ==================================================================
"""

from flambeau.fx._symbolic_trace import PH, ProxyableClassMeta, Tracer, symbolic_trace, wrap
from flambeau.fx.graph import CodeGen, Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.interpreter import Interpreter, Transformer
from flambeau.fx.node import Node, has_side_effect, map_arg
from flambeau.fx.proxy import Proxy
from flambeau.fx.subgraph_rewriter import replace_pattern

__all__ = [
    "symbolic_trace", "Tracer", "wrap", "Graph", "GraphModule", "Interpreter", "Transformer", "Node", "Proxy",
    "replace_pattern", "has_side_effect", "map_arg",
]  # fmt: skip

_EXTRA = (PH, ProxyableClassMeta, CodeGen)  # public names of torch.fx outside of its __all__


def __getattr__(name: str) -> object:
    import importlib
    import importlib.util

    full = f"{__name__}.{name}"
    if name.startswith("__") or importlib.util.find_spec(full) is None:
        raise AttributeError(f"module 'torch.fx' has no attribute '{name}'")
    return importlib.import_module(full)
