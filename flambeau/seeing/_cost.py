"""The multiply-adds of an operator, from its arguments and result.

Matrix products, convolutions, attention and recurrent layers are counted; what works element by
element is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any


def _product(*args: Any) -> int:
    a, _, out = args[0], args[1], args[-1]
    return out.numel() * a.shape[-1]


def _added_product(*args: Any) -> int:  # addmm(bias, a, b)
    return args[-1].numel() * args[1].shape[-1]


def _convolution(*args: Any) -> int:
    return args[-1].numel() * math.prod(args[1].shape[1:])


def _transposed_convolution(*args: Any) -> int:
    return args[0].numel() * math.prod(args[1].shape[1:])


def _attention(*args: Any) -> int:
    query, key, value = args[:3]
    return query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _bilinear(*args: Any) -> int:
    return args[-1].numel() * math.prod(args[2].shape[1:])


def _recurrent(*args: Any) -> int:
    """Every time step of every sequence meets each matrix of weights once."""
    data, *rest = args[:-1]
    lists = [part for part in rest if isinstance(part, (list, tuple))]
    weights = [w for w in max(lists, key=len, default=()) if w.dim() == 2]
    return data.shape[:-1].numel() * sum(w.numel() for w in weights)


def _cell(*args: Any) -> int:
    data = args[0]
    weights = [w for w in args[2:-1] if hasattr(w, "dim") and w.dim() == 2]
    return data.shape[:-1].numel() * sum(w.numel() for w in weights)


def _einsum(*args: Any) -> int:
    equation, operands = args[0], args[1:-1]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not isinstance(equation, str) or "." in equation or len(operands) < 2:
        return 0
    sizes: dict[str, int] = {}
    for labels, operand in zip(equation.replace(" ", "").split("->")[0].split(","), operands):
        sizes.update(zip(labels, operand.shape))
    return math.prod(sizes.values())


_RULES: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("linear", "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "__matmul__"), _product),
    **dict.fromkeys(("addmm", "addmv", "baddbmm", "addbmm"), _added_product),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed_convolution),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _cell),
    "scaled_dot_product_attention": _attention,
    "bilinear": _bilinear,
    "einsum": _einsum,
}


def multiply_adds(name: str, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> int:
    """How many multiplications (each with its addition) an operator of this name did."""
    rule = _RULES.get(name)
    return rule(*args, *kwargs.values(), result) if rule else 0
