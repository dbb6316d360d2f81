"""What can be quantized in a graph, and how its result is scaled."""

from __future__ import annotations

import operator
from typing import Any

import flambeau as fb
from flambeau import fx, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.nn import qat
from flambeau.ao.nn.intrinsic import qat as nniqat
from flambeau.nn import functional as F

__all__ = ["ADDS_AND_PRODUCTS", "CAT", "RELUS", "Kind", "kind_of"]


class Kind:
    """How the result of a node is scaled."""

    WEIGHTED = "weighted"  # a layer with weights, and an observer of its own
    PAIR = "pair"  # a sum or a product
    OWN = "own"  # an observer of its own
    SHARED = "shared"  # the observer of its input
    TABLE = "table"  # a table whose weights alone are quantized
    RECURRENT = "recurrent"  # activations are quantized at the call
    UNSEEN = "unseen"  # neither input nor result is observed


ADDS_AND_PRODUCTS = {operator.add: "add", fb.add: "add", operator.mul: "mul", fb.mul: "mul"}
RELUS = (nn.ReLU, F.relu, fb.relu)
CAT = (fb.cat,)


def _both(names: str) -> list[Any]:
    """Functions of these names, those of tensors and those of networks."""
    homes = (F, fb)
    return [getattr(home, name) for name in names.split() for home in homes if hasattr(home, name)]


_NUMBERS = (1, 2, 3)
LINEAR = (nn.Linear, nni.LinearReLU, nni.LinearBn1d, qat.Linear, nniqat.LinearReLU, nniqat.LinearBn1d)
_CONVS = [
    getattr(home, f"{name}{n}d")
    for home, names in (
        (nn, "Conv ConvTranspose"), (nni, "ConvReLU ConvBn ConvBnReLU"), (qat, "Conv"),
        (nniqat, "ConvReLU ConvBn ConvBnReLU"),
    )
    for name in names.split() for n in _NUMBERS
]  # fmt: skip
_OWN_MODULES = """ELU LeakyReLU Hardswish InstanceNorm1d InstanceNorm2d InstanceNorm3d Dropout PReLU LayerNorm
Hardsigmoid Sigmoid Softmax Tanh BatchNorm2d BatchNorm3d"""
_OWN_FUNCTIONS = """elu hardswish leaky_relu dropout instance_norm group_norm layer_norm hardsigmoid sigmoid
tanh matmul"""
_SHARED_MODULES = """AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AvgPool1d AvgPool2d AvgPool3d
Hardtanh Identity MaxPool1d MaxPool2d MaxPool3d PixelShuffle PixelUnshuffle ReLU ReLU6"""
_SHARED_FUNCTIONS = """adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d hardtanh hardtanh_
interpolate max_pool1d max_pool2d max_pool3d pixel_shuffle pixel_unshuffle relu relu6 avg_pool1d avg_pool2d
avg_pool3d clamp flatten mean narrow repeat_interleave transpose squeeze stack unsqueeze cat"""
_SHARED_METHODS = """contiguous clamp detach detach_ mean permute repeat repeat_interleave reshape resize_
relu relu_ squeeze squeeze_ transpose unsqueeze unsqueeze_ view"""

_KINDS: dict[Any, str] = {
    **dict.fromkeys((*LINEAR, *_CONVS), Kind.WEIGHTED),
    **dict.fromkeys(ADDS_AND_PRODUCTS, Kind.PAIR),
    **dict.fromkeys((getattr(nn, n) for n in _OWN_MODULES.split()), Kind.OWN),
    **dict.fromkeys((nni.BNReLU2d, nni.BNReLU3d), Kind.OWN),
    **dict.fromkeys(_both(_OWN_FUNCTIONS), Kind.OWN),
    **dict.fromkeys("hardsigmoid hardsigmoid_ sigmoid sigmoid_ tanh tanh_".split(), Kind.OWN),
    **dict.fromkeys((getattr(nn, n) for n in _SHARED_MODULES.split()), Kind.SHARED),
    **dict.fromkeys(_both(_SHARED_FUNCTIONS), Kind.SHARED),
    **dict.fromkeys(_SHARED_METHODS.split(), Kind.SHARED),
    **dict.fromkeys((nn.Embedding, nn.EmbeddingBag, qat.Embedding, qat.EmbeddingBag), Kind.TABLE),
    **dict.fromkeys((nn.GRUCell, nn.LSTMCell, nn.RNNCell, nn.LSTM, nn.GRU), Kind.RECURRENT),
    **dict.fromkeys(("shape", "size"), Kind.UNSEEN),
}


def kind_of(node: fx.Node, modules: dict[str, nn.Module]) -> str | None:
    """How the result of a node is scaled; None for what is left as it is."""
    if node.op == "call_module":
        return _KINDS.get(type(modules[node.target]))
    if node.op == "call_function" and node.target is getattr:
        return Kind.UNSEEN
    return _KINDS.get(node.target) if node.op in ("call_function", "call_method") else None


def is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node is a ReLU."""
    if node.op == "call_module":
        return type(modules[node.target]) is nn.ReLU
    return node.op == "call_function" and node.target in RELUS
