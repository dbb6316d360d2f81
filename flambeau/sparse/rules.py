"""What operators do with sparse tensors, by name of the operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import name_of, noting
from .._type_names import type_word
from .gradients import node_of_whole, whole
from .tensor import coo, flat_index, is_sparse, replace, starts_of

__all__ = ["call", "product", "sum_over", "softmax"]

_RULES: dict[str, Callable] = {}
_rule = noting(_RULES)


def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are sparse."""
    name = name_of(func)
    rule = _RULES.get(name)
    if rule is None and (uncommon := _uncommon().get(name)) is not None:
        return uncommon(*args, **kwargs)
    if rule is None:
        _check_places(func, args, kwargs)
        raise NotImplementedError(f"flambeau has no '{name}' for sparse tensors yet: call .to_dense() first")
    try:
        return _run(rule, name, func, args, kwargs)
    except (AttributeError, NotImplementedError, ValueError):
        _check_places(func, args, kwargs)
        raise


def _check_places(func: Callable, args: tuple, kwargs: dict) -> None:
    """Raises the operator's own message where a tensor stands at the place of something else."""

    def plain(a: Any) -> Any:
        if isinstance(a, fb.Tensor):
            return fb.empty(a.shape, dtype=a.dtype, device="meta")
        return type(a)(plain(x) for x in a) if type(a) in (list, tuple) else a

    with _C.DisableTorchFunctionSubclass(), fb.no_grad():
        try:
            func(*[plain(a) for a in args], **{k: plain(a) for k, a in kwargs.items()})
        except TypeError:
            raise
        except Exception:
            return


def _run(rule: Callable, name: str, func: Callable, args: tuple, kwargs: dict) -> Any:
    if kwargs.get("out") is None:
        return rule(func, args, kwargs)
    options = dict(kwargs)
    return _written(name, args, options.pop("out"), lambda: rule(func, args, options))


def _written(name: str, args: tuple, out: Any, compute: Callable) -> Any:
    """The result of an operator in `out`, which has to be of its layout."""
    tensors = [t for t in (*args, out) if isinstance(t, fb.Tensor)]
    if fb.is_grad_enabled() and any(t.requires_grad for t in tensors):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    if not any(is_sparse(t) for t in args):
        raise RuntimeError(f"{name}: expected strided result tensor, got tensor with layout {out.layout}")
    result = compute()
    if result.layout != out.layout:
        raise RuntimeError(f"{name}: expected result tensor with layout {result.layout}, got {out.layout}")
    if not fb.can_cast(result.dtype, out.dtype):
        raise RuntimeError(f"Found dtype {type_word(out.dtype)} but expected {type_word(result.dtype)}")
    if is_sparse(out):
        return replace(out, result.to(out.dtype))
    return out.resize_(result.shape).copy_(result)


def _uncommon() -> dict[str, Callable]:
    from .uncommon import RULES

    return RULES


def _plain(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


@_rule(
    "dtype", "device", "requires_grad", "is_leaf", "grad_fn", "is_floating_point", "is_complex",
    "is_signed", "_version", "output_nr",
    "register_hook", "retain_grad", "retains_grad", "is_cuda", "is_meta", "is_cpu", "is_inference",
    "set requires_grad", "element_size",
    "itemsize", "get_device", "is_quantized", "is_nested", "is_mkldnn", "names", "is_conj", "is_neg",
    "_backward_hooks",
)  # fmt: skip
def _of_values(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _plain(func, args, kwargs)


@_rule("requires_grad_")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    _plain(func, args, kwargs)
    return args[0]


@_rule("grad")
def _grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    g = _plain(func, args, kwargs)
    if g is None:
        return None
    with _C.DisableTorchFunctionSubclass():
        return _gradient_of(args[0], g)


def _gradient_of(leaf: Any, g: Any) -> Any:
    """What the engine found for the stored values of a leaf, as its gradient."""
    return g.to_dense() if is_sparse(g) else leaf.like(g.as_subclass(fb.Tensor))


def _of_stored(out: Any, cotangent: Any) -> Any:
    """The part of a cotangent that belongs to stored values."""
    if cotangent is None or not is_sparse(out):
        return cotangent
    if is_sparse(cotangent):
        if cotangent.shape != out.shape:
            return cotangent._values()  # the error is autograd's
        cotangent = cotangent.to_dense()
    elif node_of_whole(out) is not None:
        return whole(cotangent)
    return cotangent[tuple(out._coordinates())].reshape(out._values().shape)


def _paired(outs: Any, cotangents: Any) -> tuple[tuple, list]:
    """Outputs with their values in place of sparse ones, and the cotangents of those."""
    outs = (outs,) if isinstance(outs, fb.Tensor) else tuple(outs)
    given = (cotangents,) if cotangents is None or isinstance(cotangents, fb.Tensor) else tuple(cotangents)
    given = given if len(given) == len(outs) else (None,) * len(outs)
    stored = [_of_stored(o, c) for o, c in zip(outs, given)]
    return tuple(_seed_place(o, c) for o, c in zip(outs, stored)), stored


def _seed_place(out: Any, cotangent: Any) -> Any:
    """Where a cotangent enters the graph; that of a whole matrix has another shape than the stored values."""
    if not is_sparse(out):
        return out
    if is_sparse(cotangent):
        return fb.autograd.graph.GradientEdge(node_of_whole(out), 0)
    return out._values()


@_rule("grad ")
def _autograd_grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    options = dict(kwargs)
    outs, cotangents = _paired(args[0], options.pop("grad_outputs", args[2] if len(args) > 2 else None))
    ins = (args[1],) if isinstance(args[1], fb.Tensor) else tuple(args[1])
    with _C.DisableTorchFunctionSubclass():
        grads = fb.autograd.grad(outs, ins, cotangents, **options)
        return tuple(_gradient_of(x, g) if is_sparse(x) and g is not None else g for g, x in zip(grads, ins))


@_rule("backward", "_backward")
def _backward(func: Callable, args: tuple, kwargs: dict) -> Any:
    options = dict(kwargs)
    given = options.pop("gradient", options.pop("grad_tensors", args[1] if len(args) > 1 else None))
    outs, cotangents = _paired(args[0], given)
    names = ("retain_graph", "create_graph")
    options.update(zip(names, args[2:]))
    with _C.DisableTorchFunctionSubclass():
        fb.autograd.backward(outs, cotangents, **options)


@_rule("data", "detach", "clone", "contiguous", "alias", "resolve_conj", "resolve_neg")
def _copied(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(), *args[1:]), kwargs))


@_rule(
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "int",
    "long",
    "short",
    "char",
    "byte",
    "bool",
    "cfloat",
    "cdouble",
    "type_as",
    "cpu",
)
def _converted(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(), *args[1:]), kwargs))


# functions f with f(0) = 0
@_rule(
    "abs", "__abs__", "absolute", "sqrt", "sin", "sinh", "asin", "asinh", "arcsin", "arcsinh", "tan",
    "tanh", "atan", "atanh", "arctan", "arctanh",
    "sign", "sgn", "signbit", "relu", "floor", "ceil", "round", "trunc", "expm1", "log1p", "erf", "erfinv",
    "square", "deg2rad", "rad2deg", "frac",
    "isnan", "isinf", "isposinf", "isneginf", "nan_to_num", "angle", "conj_physical", "real", "imag",
)  # fmt: skip
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0].coalesce() if args[0].kind == "coo" else args[0]
    return s.like(_plain(func, (s._values(), *args[1:]), kwargs))


@_rule("neg", "__neg__", "negative", "positive", "__pos__", "conj")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(),), kwargs))


@_rule("pow", "__pow__")
def _pow(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, exponent = args[0], args[1]
    if not is_sparse(s) or isinstance(exponent, fb.Tensor):
        raise NotImplementedError("flambeau has only powers of sparse tensors with a number as exponent")
    if exponent == 0:
        raise RuntimeError("pow: exponent 0 makes a sparse tensor dense; call .to_dense() first")
    return _elementwise(func, args, kwargs)


def _is_number(x: Any) -> bool:
    return not isinstance(x, fb.Tensor) or (not is_sparse(x) and x.dim() == 0)


def _added(a: Any, b: Any, alpha: Any) -> Any:
    if is_sparse(a) and is_sparse(b):
        if a.shape != b.shape:
            raise RuntimeError(
                f"add: expected sizes of 'self' and 'other' to match, but {list(a.shape)} != {list(b.shape)}"
            )
        kind = a.kind
        x, y = (t.to_sparse() for t in (a, b))
        values = y._values() if alpha == 1 else y._values() * alpha
        both = coo(fb.cat([x._indices(), y._indices()], 1), fb.cat([x._values(), values]), a.shape)
        blocksize = a.blocksize if kind in ("bsr", "bsc") else None
        return both.coalesce() if kind == "coo" else both._to_compressed(kind, blocksize)
    if is_sparse(a):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    dense = b.to_dense()
    return a + (dense if alpha == 1 else dense * alpha)


@_rule("add", "__add__", "__radd__", "__iadd__", "add_")
def _add(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args[0], args[1]
    alpha, in_place = kwargs.get("alpha", 1), func.__name__ in ("add_", "__iadd__")
    if in_place and not is_sparse(a):
        return a.add_(b.to_dense(), **kwargs)
    return replace(a, _added(a, b, alpha)) if in_place else _added(a, b, alpha)


@_rule("sub", "subtract", "__sub__", "sub_", "subtract_", "__isub__")
def _sub(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b, alpha = args[0], args[1], kwargs.get("alpha", 1)
    in_place = func.__name__ in ("sub_", "subtract_", "__isub__")
    if in_place and not is_sparse(a):
        return a.sub_(b.to_dense(), **kwargs)
    return replace(a, _added(a, b, -alpha)) if in_place else _added(a, b, -alpha)


def _intersected(a: Any, b: Any, combine: Callable) -> Any:
    """Values at the places that both tensors have."""
    a, b = a.to_sparse().coalesce(), b.to_sparse().coalesce()
    if a.shape != b.shape:
        raise RuntimeError(f"mul operands have incompatible sizes: {list(a.shape)} and {list(b.shape)}")
    wa, wb = flat_index(a._indices(), a.shape), flat_index(b._indices(), b.shape)
    if wb.numel() == 0 or wa.numel() == 0:
        return coo(a._indices()[:, :0], combine(a._values()[:0], b._values()[:0]), a.shape, True)
    at = fb.searchsorted(wb, wa).clamp_max(wb.numel() - 1)
    mine = (wb[at] == wa).nonzero().flatten()
    values = combine(a._values().index_select(0, mine), b._values().index_select(0, at[mine]))
    return coo(a._indices().index_select(1, mine), values, a.shape, True)


@_rule("mul", "multiply", "__mul__", "__rmul__")
def _mul(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args[0], args[1]
    if _is_number(b):
        return a.like(a._values() * b)
    if _is_number(a):
        return b.like(a * b._values())
    if is_sparse(a) and is_sparse(b):
        common = _intersected(a, b, lambda x, y: x * y)
        return common if a.kind == "coo" else common._to_compressed(a.kind, a.blocksize)
    s, dense = (a, b) if is_sparse(a) else (b, a)
    index, values = s._elements()
    return s.like_elements(values * dense.expand(s.shape)[tuple(index)])


@_rule("div", "divide", "true_divide", "__truediv__", "floor_divide", "__floordiv__")
def _div(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args[0], args[1]
    if not is_sparse(a) or not _is_number(b):
        raise RuntimeError("Sparse division requires a scalar or zero-dim dense tensor divisor")
    return a.like(_plain(func, (a._values(), b), kwargs))


@_rule("mul_", "div_", "__imul__", "__itruediv__", "neg_", "zero_")
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    _plain(func, (args[0]._values(), *args[1:]), kwargs)
    return args[0]


# ---------------------------------------------------------------- shapes
def _with_index(s: Any, index: Any, shape: Any, coalesced: bool = False) -> Any:
    return coo(index, s._values(), shape, coalesced)


@_rule("transpose", "swapaxes", "swapdims", "t")
def _transpose(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    a, b = (0, 1) if func.__name__ == "t" else (*args[1:], *kwargs.values())
    if s.dim() < 2:
        return s
    order = list(range(s.dim()))
    order[a % s.dim()], order[b % s.dim()] = order[b % s.dim()], order[a % s.dim()]
    if s.kind != "coo":
        from .tensor import compressed

        starts, plain = s.__dict__["_parts"]
        kind = {"csr": "csc", "csc": "csr", "bsr": "bsc", "bsc": "bsr"}[s.kind]
        values = s._values().transpose(1, 2) if s.kind in ("bsr", "bsc") else s._values()
        return compressed(kind, starts, plain, values, s.shape[::-1])
    return _permuted(s, order)


def _permuted(s: Any, order: list[int]) -> Any:
    k = s.sparse_dim()
    if sorted(order[:k]) != list(range(k)):
        raise RuntimeError("sparse tensors: dimensions of coordinates and of values cannot be exchanged")
    values = s._values()
    if order[k:] != list(range(k, s.dim())):
        values = values.permute(0, *(d - k + 1 for d in order[k:]))
    return coo(s._indices()[order[:k]], values, [s.shape[d] for d in order])


@_rule("permute")
def _permute(func: Callable, args: tuple, kwargs: dict) -> Any:
    dims = args[1:] if len(args) > 2 or isinstance(args[1], int) else args[1]
    return _permuted(args[0], [d % args[0].dim() for d in dims])


@_rule("unsqueeze")
def _unsqueeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    dim = (args[1] if len(args) > 1 else kwargs["dim"]) % (s.dim() + 1)
    k = s.sparse_dim()
    shape = (*s.shape[:dim], 1, *s.shape[dim:])
    if dim > k:
        return coo(s._indices(), s._values().unsqueeze(dim - k + 1), shape, s.is_coalesced())
    index = s._indices()
    zero = fb.zeros((1, index.shape[1]), dtype=fb.int64, device=index.device)
    return _with_index(s, fb.cat([index[:dim], zero, index[dim:]]), shape, s.is_coalesced())


@_rule("index_select")
def _index_select(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, dim, chosen = args
    dim %= s.dim()
    k = s.sparse_dim()
    shape = list(s.shape)
    shape[dim] = chosen.numel()
    if dim >= k:
        return coo(s._indices(), s._values().index_select(dim - k + 1, chosen), shape, s.is_coalesced())
    # every pair of a stored place and a chosen index that are the same
    pairs = (s._indices()[dim].unsqueeze(1) == chosen).nonzero()
    index = s._indices().index_select(1, pairs[:, 0]).clone()
    index[dim] = pairs[:, 1]
    return coo(index, s._values().index_select(0, pairs[:, 0]), shape)


@_rule("select", "__getitem__")
def _select(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0].to_sparse()
    dim, at = (0, args[1]) if func.__name__ == "__getitem__" else args[1:]
    if not isinstance(at, int):
        raise NotImplementedError("flambeau indexes sparse tensors only with an integer yet")
    dim %= s.dim()
    at = at + s.shape[dim] if at < 0 else at
    k = s.sparse_dim()
    shape = s.shape[:dim] + s.shape[dim + 1 :]
    if dim >= k:
        return coo(s._indices(), s._values().select(dim - k + 1, at), shape, s.is_coalesced())
    here = (s._indices()[dim] == at).nonzero().flatten()
    values = s._values().index_select(0, here)
    if k == 1:
        return values.sum(0)
    index = s._indices().index_select(1, here)
    return coo(fb.cat([index[:dim], index[dim + 1 :]]), values, shape)


@_rule("narrow_copy", "narrow")
def _narrow(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, dim, start, length = args
    dim %= s.dim()
    k = s.sparse_dim()
    shape = [length if d == dim else n for d, n in enumerate(s.shape)]
    if dim >= k:
        return coo(s._indices(), s._values().narrow(dim - k + 1, start, length), shape, s.is_coalesced())
    along = s._indices()[dim]
    here = ((along >= start) & (along < start + length)).nonzero().flatten()
    index = s._indices().index_select(1, here).clone()
    index[dim] -= start
    return coo(index, s._values().index_select(0, here), shape, s.is_coalesced())


@_rule("cat", "concat", "concatenate")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = list(args[0])
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    if not all(is_sparse(t) for t in tensors):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found")
    first = tensors[0]
    dim %= first.dim()
    k, offset, indices = first.sparse_dim(), 0, []
    if dim >= k:
        raise NotImplementedError("flambeau joins sparse tensors only along dimensions of coordinates yet")
    for t in tensors:
        index = t._indices().clone()
        index[dim] += offset
        offset += t.shape[dim]
        indices.append(index)
    shape = [offset if d == dim else n for d, n in enumerate(first.shape)]
    return coo(fb.cat(indices, 1), fb.cat([t._values() for t in tensors]), shape)


# ---------------------------------------------------------------- sums
def sum_over(s: Any, dim: Any = None, dtype: Any = None) -> Any:
    """Sum of stored values: a number, or over some dimensions."""
    values = s._values() if dtype is None else s._values().to(dtype)
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return values.sum()
    s = s.to_sparse()
    dims = sorted({d % s.dim() for d in ([dim] if isinstance(dim, int) else dim)})
    k = s.sparse_dim()
    dense = [d - k + 1 for d in dims if d >= k]
    if dense:
        values = values.sum(dense)
    kept = [d for d in range(k) if d not in dims]
    shape = [n for d, n in enumerate(s.shape) if d not in dims]
    if not kept:
        return values.sum(0)
    if len(kept) == k:
        return coo(s._indices(), values, shape, s.is_coalesced())
    return coo(s._indices()[kept], values, shape).coalesce()


@_rule("sum")
def _sum(func: Callable, args: tuple, kwargs: dict) -> Any:
    return sum_over(args[0], args[1] if len(args) > 1 else kwargs.get("dim"), kwargs.get("dtype"))


def softmax(s: Any, dim: int, logarithm: bool, dtype: Any = None) -> Any:
    """Softmax along a dimension over the stored values; what is not stored counts as minus infinity."""
    s = s.coalesce()
    dim %= s.dim()
    k = s.sparse_dim()
    values = s._values() if dtype is None else s._values().to(dtype)
    if dim >= k:
        return s.like(values.log_softmax(dim - k + 1) if logarithm else values.softmax(dim - k + 1))
    others = [d for d in range(k) if d != dim]
    group = flat_index(s._indices()[others], [s.shape[d] for d in others])
    count = math.prod(s.shape[d] for d in others)
    wide = group.reshape(-1, *(1,) * (values.dim() - 1)).expand(values.shape)
    lowest = fb.full((count, *values.shape[1:]), -math.inf, dtype=values.dtype)
    top = lowest.scatter_reduce(0, wide, values.detach(), "amax").index_select(0, group)
    shifted = values - top
    total = (
        fb.zeros((count, *values.shape[1:]), dtype=values.dtype)
        .index_add(0, group, shifted.exp())
        .index_select(0, group)
    )
    return s.like(shifted - total.log() if logarithm else shifted.exp() / total)


@_rule("softmax", "log_softmax")
def _softmax(func: Callable, args: tuple, kwargs: dict) -> Any:
    dim = args[1] if len(args) > 1 else kwargs["dim"]
    return softmax(args[0], dim, func.__name__ == "log_softmax", kwargs.get("dtype"))


# ---------------------------------------------------------------- products
def product(a: Any, b: Any) -> Any:
    """Matrix product: dense unless both are sparse."""
    if a.dim() == 0 or b.dim() == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.dim()}D and {b.dim()}D"
        )
    if not is_sparse(a) and not is_sparse(b):
        return fb.matmul(a, b)
    if is_sparse(a) and is_sparse(b):
        from .tensor import from_dense

        made = from_dense(product(a, b.to_dense()))
        return made._to_compressed("csr") if (a.kind, b.kind) == ("csr", "csr") else made
    if not is_sparse(a):
        if a.dim() == 1:
            return product(b.t(), a)
        return product(b.t(), a.t()).t()
    if a.dim() != 2:
        raise RuntimeError(f"matmul: sparse tensors must be matrices, got {a.dim()}D")
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{'x'.join(map(str, b.shape))})"
        )
    if (starts := _sums_rows(a, b)) is not None:
        cols = a._indices()[1] if a.kind == "coo" else a.col_indices()
        return fb.embedding_bag(b, cols.to(starts.dtype), starts, False, 0, False, a._values(), True)[0]
    (rows, cols), values = a._elements()
    taken = b.index_select(0, cols)
    terms = taken * (values.unsqueeze(-1) if b.dim() == 2 else values)
    result = fb.zeros((a.shape[0], *b.shape[1:]), dtype=terms.dtype, device=terms.device)
    return result.index_add(0, rows, terms)


def _sums_rows(a: Any, b: Any) -> Any:
    """Where the rows of `a` begin if the product can be taken as weighted sums of rows of `b`, which needs no
    room for the terms; None where it cannot, or where a gradient of any order may be asked for.
    """
    values = a._values()
    recorded = fb.is_grad_enabled() and (values.requires_grad or b.requires_grad)
    if recorded or b.dim() != 2 or values.dim() != 1 or values.dtype is not b.dtype:
        return None
    if b.dtype not in (fb.float32, fb.float64) or type(b) is not fb.Tensor or b.device.type != "cpu":
        return None
    if a.kind == "csr":
        return a.crow_indices()
    return starts_of(a._indices()[0], a.shape[0]) if a.kind == "coo" and a.is_coalesced() else None


def matrix_product(a: Any, b: Any) -> Any:
    """`product` of two matrices only."""
    a.size(-2), b.size(1)  # PyTorch's error where there is no such dimension
    return product(a, b)


@_rule("mm", "smm", "spmm", "dsmm")
def _mm(func: Callable, args: tuple, kwargs: dict) -> Any:
    return matrix_product(args[0], args[1])


@_rule("matmul", "mv", "__matmul__")
def _matmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    return product(args[0], args[1])


@_rule("__rmatmul__")
def _rmatmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    return product(args[1], args[0])


@_rule("linear")
def _linear_layer(func: Callable, args: tuple, kwargs: dict) -> Any:
    values = dict(zip(("input", "weight", "bias"), args), **kwargs)
    made = product(values["input"], values["weight"].t())
    return made if values.get("bias") is None else made + values["bias"]


@_rule("addmm", "saddmm")
def _addmm(func: Callable, args: tuple, kwargs: dict) -> Any:
    base, a, b = args
    beta, alpha = kwargs.get("beta", 1), kwargs.get("alpha", 1)
    result = matrix_product(a, b)
    result = result if alpha == 1 else result * alpha
    return result if beta == 0 else (base if beta == 1 else base * beta) + result


# ---------------------------------------------------------------- comparisons and the like
@_rule("equal")
def _equal(func: Callable, args: tuple, kwargs: dict) -> Any:
    backend = next("SparseCPU" if x.kind == "coo" else "SparseCsrCPU" for x in args if is_sparse(x))
    raise NotImplementedError(
        f"Could not run 'aten::equal' with arguments from the '{backend}' backend.\n"
        "PyTorch has none either: compare what .to_dense() gives."
    )


@_rule("allclose")
def _allclose(func: Callable, args: tuple, kwargs: dict) -> Any:
    dense = [x.to_dense() if is_sparse(x) else x for x in args]
    return func(*dense, **kwargs)


@_rule("zeros_like")
def _zeros_like(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if s.kind != "coo":
        from .tensor import compressed

        starts, plain = s.__dict__["_parts"]
        none = fb.zeros_like(s._values().detach()[:0])
        return compressed(s.kind, fb.zeros_like(starts), plain[:0].clone(), none, s.shape)
    values = s._values()
    return coo(s._indices()[:, :0], values.detach()[:0].clone(), s.shape, True)


@_rule("ones_like", "empty_like", "full_like", "rand_like", "randn_like")
def _like(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(), *args[1:]), kwargs))


@_rule("sparse_mask")
def _sparse_mask(func: Callable, args: tuple, kwargs: dict) -> Any:
    from . import masked_by

    return masked_by(*args)


@_rule("any", "all")
def _any(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) > 1 or kwargs:
        raise NotImplementedError(
            f"flambeau has '{func.__name__}' of sparse tensors only without dimensions yet"
        )
    s = args[0]
    found = _plain(func, (s._values(),), {})
    return found & (s._nnz() == s.numel()) if func.__name__ == "all" else found


@_rule(
    "_fused_sgd", "_fused_adam", "_fused_adagrad", "_fused_rmsprop", "_fused_adadelta", "_fused_adamax",
    "_fused_nadam", "_fused_radam", "_fused_asgd", "_fused_rprop",
)  # fmt: skip
def _fused(func: Callable, args: tuple, kwargs: dict) -> bool:
    return False  # optimizers then treat each parameter by itself


@_rule("type")
def _type(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if len(args) > 1 or kwargs:
        wanted = (*args[1:], *kwargs.values())[0]
        return s.like(s._values().to(wanted if isinstance(wanted, fb.dtype) else wanted.dtype))
    if s.kind != "coo":
        raise RuntimeError("Unimplemented backend SparseCsrCPU")
    return s._values().type().replace("torch.", "torch.sparse.")
