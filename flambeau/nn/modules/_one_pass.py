"""Modules of a :class:`Sequential` in one pass over memory, for answering.

A convolution with its batch norm and activation, or linear layers with theirs.

Only where nobody can tell: no gradients, no hooks, no modes that watch the calls, modules of exactly these
classes.
"""

from collections.abc import Iterable
from math import inf
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F
from flambeau.nn.modules import activation, batchnorm, conv, dropout, linear
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter

# Convolutions with the batch norm of as many dimensions, activations with their limits.
_NORM_OF = {conv.Conv1d: batchnorm.BatchNorm1d, conv.Conv2d: batchnorm.BatchNorm2d}
_LIMITS = {activation.ReLU: (0.0, inf), activation.ReLU6: (0.0, 6.0)}
# Activations after linear layers, as `_linear_chain` calls them.
_AFTER_LINEAR = {
    activation.ReLU: "relu",
    activation.GELU: "gelu",
    activation.SiLU: "silu",
    activation.Tanh: "tanh",
    activation.Sigmoid: "sigmoid",
}
# What the classes do as long as nobody puts something else in its place.
_FORWARD = {
    c: c.forward
    for c in (
        *(*_NORM_OF, *_NORM_OF.values(), *_LIMITS),
        *(linear.Linear, dropout.Dropout, *_AFTER_LINEAR),
    )
}
_LINEAR, _RELU, _GELU, _SILU = linear._linear, F.relu, F.gelu, F.silu
_CONVOLVE = conv._ConvNd._conv_forward
_BATCH_NORM = F.batch_norm
_TENSORS = (Parameter, Tensor, type(None))
_NO_NORM = (None, None, None, None, 0.0)


def _convolves(first: Module, input: Tensor) -> bool:
    kind = type(first)
    return (
        kind in _NORM_OF
        and first._runs(_FORWARD[kind])
        and kind._conv_forward is _CONVOLVE
        and first.padding_mode == "zeros"
        and not isinstance(first.padding, str)
        and input.dim() == len(first.kernel_size) + 2
        and input.dtype is fb.float32
        and type(first.weight) in _TENSORS
        and type(first.bias) in _TENSORS
    )


def _statistics(norm: Module) -> tuple[Any, ...] | None:
    """What a batch norm that has learnt them computes with; the core looks at the shapes."""
    if norm.training or F.batch_norm is not _BATCH_NORM or not norm._runs(_FORWARD[type(norm)]):
        return None
    mean, var, weight, bias, eps = norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps
    plain = (
        mean is not None
        and var is not None
        and type(mean) in _TENSORS
        and type(var) in _TENSORS
        and type(weight) in _TENSORS
        and type(bias) in _TENSORS
    )
    return (weight, bias, mean, var, eps) if plain and eps >= 0 else None


def _activation_after(module: Module) -> str | None:
    """The name of an activation in the form that `_linear_chain` knows."""
    kind = type(module)
    if kind not in _AFTER_LINEAR or not module._runs(_FORWARD[kind]):
        return None
    if kind is activation.GELU and module.approximate == "tanh":
        return "gelu_tanh"
    return _AFTER_LINEAR[kind]


def _linear_chain(modules: list[Module], at: int, input: Tensor) -> tuple[Tensor, int]:
    """The linear layers from `at` on with what follows them, and the place of the next module; or `at`."""
    weights, biases, names, in_place = [], [], [], False
    if input.dtype is not fb.float32 or input.dim() < 2:
        return input, at
    if (linear._linear, F.relu, F.gelu, F.silu) != (_LINEAR, _RELU, _GELU, _SILU):
        return input, at
    start, end = at, len(modules)
    while at < end:
        module = modules[at]
        kind = type(module)
        if kind is linear.Linear and module._runs(_FORWARD[kind]):
            if type(module.weight) not in _TENSORS or type(module.bias) not in _TENSORS:
                break
            weights.append(module.weight)
            biases.append(module.bias)
            names.append("none")
            in_place = False
        elif kind is dropout.Dropout and not module.training and module._runs(_FORWARD[kind]):
            pass
        elif weights and names[-1] == "none" and (name := _activation_after(module)):
            names[-1] = name
            in_place = getattr(module, "inplace", False)
        else:
            break
        at += 1
    if len(weights) < 2 and names in ([], ["none"]):
        return input, start
    try:
        return fb._linear_chain(input, weights, biases, " ".join(names), in_place), at
    except RuntimeError:
        return input, start  # one by one it goes wrong again, and the error names the module


def run(modules: Iterable[Module], input: Any) -> Any:
    """Call `modules` one after the other, some of them together."""
    modules = list(modules)
    at, end = 0, len(modules)
    while at < end:
        first = modules[at]
        if type(first) is linear.Linear and type(input) is Tensor:
            input, after = _linear_chain(modules, at, input)
            if after > at:
                at = after
                continue
        at += 1
        if at == end or type(input) is not Tensor or not _convolves(first, input):
            input = first(input)
            continue
        statistics, limits, in_place, after = None, None, False, at
        if type(modules[after]) is _NORM_OF[type(first)]:
            statistics = _statistics(modules[after])
            after += statistics is not None
        if after < end:
            activation_after = modules[after]
            limits = _LIMITS.get(type(activation_after))
            if limits and activation_after._runs(_FORWARD[type(activation_after)]):
                in_place = activation_after.inplace
                after += 1
            else:
                limits = None
        if after == at:
            input = first(input)
            continue
        taken, at = after - at + 1, after
        where = (first.stride, first.padding, first.dilation, first.groups)
        try:
            input = fb._convolution_norm(
                input,
                first.weight,
                first.bias,
                *(statistics or _NO_NORM),
                *where,
                *(limits or (-inf, inf)),
                in_place,
            )
        except RuntimeError:
            # one by one it goes wrong again, and the error names the module
            for module in modules[at - taken : at]:
                input = module(input)
    return input
