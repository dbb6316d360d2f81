"""How products and factors of matrices work on all samples of batched tensors at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from .._rules import noting
from ..utils._pytree import tree_flatten
from .batched import aligned, is_batched, levels_of, logical_dim, looped, make, physical, sizes, union
from .rules import _RULES, _elementwise, _t, _wrap_all

_rule = noting(_RULES)


def _product(a: Any, b: Any) -> Any:
    """`matmul` of samples."""
    la, lb = logical_dim(a), logical_dim(b)
    levels = union((a, b))
    if lb == 2 and la and not is_batched(b):  # samples are rows of one product
        return make(fb.matmul(physical(a), b), levels)
    if la == 2 and lb == 1 and not is_batched(a):
        return make(fb.matmul(physical(b), a.t()), levels)
    n = len(levels)
    left, right = aligned(a, levels), aligned(b, levels)
    if la == 1:
        left = left.unsqueeze(-2)
    if lb == 1:
        right = right.unsqueeze(-1)
    rank = max(max(la, 2), max(lb, 2))
    left = left.reshape(*left.shape[:n], *(1,) * (rank - max(la, 2)), *left.shape[n:])
    right = right.reshape(*right.shape[:n], *(1,) * (rank - max(lb, 2)), *right.shape[n:])
    result = fb.matmul(left, right)
    if la == 1:
        result = result.squeeze(-2)
    if lb == 1:
        result = result.squeeze(-1)
    return make(result, levels)


@_rule("matmul", "__matmul__", "mm", "bmm", "mv", "dot")
def _matmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) != 2 or kwargs:
        return looped(func, args, kwargs)
    return _product(*args)


@_rule("__rmatmul__")
def _rmatmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _product(args[1], args[0])


@_rule("linear")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    names = {**dict(zip(("input", "weight", "bias"), args)), **kwargs}
    t, weight, bias = names["input"], names["weight"], names.get("bias")
    if not is_batched(weight) and not is_batched(bias):
        return make(fb.nn.functional.linear(physical(t), weight, bias), levels_of(t))
    levels = union((t, weight, bias))
    if levels_of(t) == levels == levels_of(weight) == levels_of(bias) and logical_dim(t) in (1, 2):
        n = len(levels)
        rows, weights, biases = (physical(x).flatten(0, n - 1) for x in (t, weight, bias))
        rows = rows.unsqueeze(1) if logical_dim(t) == 1 else rows
        result = fb.baddbmm(biases.unsqueeze(1), rows, weights.mT)
        result = result.squeeze(1) if logical_dim(t) == 1 else result
        return make(result.unflatten(0, sizes(levels)), levels)
    weight = _t(fb.Tensor.t, (weight,), {}) if is_batched(weight) else weight.t()
    result = _product(t, weight)
    return result if bias is None else _elementwise(fb.add, (result, bias), {})


@_rule("addmm", "addmv", "baddbmm")
def _addmm(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) != 3 or set(kwargs) - {"beta", "alpha"}:
        return looped(func, args, kwargs)
    base, a, b = args
    product = _product(a, b)
    alpha, beta = kwargs.get("alpha", 1), kwargs.get("beta", 1)
    if alpha != 1:
        product = _elementwise(fb.mul, (product, alpha), {})
    if beta == 0:
        return product
    return _elementwise(fb.add, (_elementwise(fb.mul, (base, beta), {}) if beta != 1 else base, product), {})


def _matrices(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Samples are a batch of matrices like any other; only where nothing but the input is batched."""
    t = args[0] if args else None
    if not is_batched(t) or logical_dim(t) < 2 or any(map(is_batched, tree_flatten((args[1:], kwargs))[0])):
        return looped(func, args, kwargs)
    return _wrap_all(func(physical(t), *args[1:], **kwargs), levels_of(t))


_OF_MATRICES = """
cholesky cholesky_ex det eig eigh inv_ex inverse linalg_cholesky linalg_det linalg_eigvals linalg_eigvalsh
linalg_inv linalg_lu linalg_lu_factor linalg_matrix_exp linalg_matrix_power linalg_pinv linalg_slogdet
linalg_svdvals logdet lu lu_factor_ex matrix_exp matrix_power pinverse qr slogdet svd
""".split()
for _n in _OF_MATRICES:
    _RULES[_n] = _matrices
