"""What operators do with sparse tensors, by name of the operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import given, name_of, noting
from .._type_names import type_word
from .gradients import node_of_whole, whole
from .shapes import RULES as _SHAPES
from .shapes import kept_dims, masked_by
from .tensor import SparseTensor, coo, emptied, flat_index, is_sparse, replace, starts_of

__all__ = ["call", "product", "sum_over", "softmax"]

_RULES: dict[str, Callable] = dict(_SHAPES)
_rule = noting(_RULES)


@SparseTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator some of whose arguments are sparse."""
    name = name_of(func)
    rule = _RULES.get(name)
    if rule is None and (uncommon := _uncommon().get(name)) is not None:
        return uncommon(*args, **kwargs)
    if rule is None and args and is_sparse(args[0]) and (own := SparseTensor.__dict__.get(name)) is not None:
        # the plain class's method, called with a sparse tensor
        return own.fget(args[0]) if isinstance(own, property) else own(*args, **kwargs)
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
    "_backward_hooks", "name", "volatile", "is_pinned", "is_xpu", "is_mps", "is_mtia", "is_maia", "is_ipu",
    "is_xla", "is_vulkan",
)  # fmt: skip
def _of_values(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _plain(func, args, kwargs)


@_rule("requires_grad_", "detach_")
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
    "chalf",
    "cfloat",
    "cdouble",
    "type_as",
    "cpu",
)
def _converted(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(), *args[1:]), kwargs))


# functions f with f(0) = 0, which have a form in place too
_ZERO_AT_ZERO = (
    "abs absolute sqrt sin sinh asin asinh arcsin arcsinh tan tanh atan atanh arctan arctanh sign sgn relu"
    " floor ceil round trunc fix expm1 log1p erf erfinv deg2rad rad2deg frac nan_to_num"
).split()


@_rule(
    *_ZERO_AT_ZERO,
    "__abs__", "signbit", "square", "isnan", "isinf", "isposinf", "isneginf", "angle",
)  # fmt: skip
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0].coalesce() if args[0].kind == "coo" else args[0]
    return s.like(_plain(func, (s._values(), *args[1:]), kwargs))


@_rule(*(name + "_" for name in _ZERO_AT_ZERO))
def _elementwise_in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if s.kind == "coo" and not s.is_coalesced():
        name = func.__name__.replace("arc", "a")
        raise RuntimeError(
            f"{ {'absolute_': 'abs_', 'fix_': 'trunc_'}.get(name, name) } requires coalesced input"
        )
    return _in_place(func, args, kwargs)


@_rule("neg", "__neg__", "negative", "positive", "__pos__", "conj", "conj_physical", "real", "imag")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(),), kwargs))


@_rule("pow", "__pow__", "float_power")
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
        if kind == b.kind != "coo" and all(map(fb.equal, a._both_indices(), b._both_indices())):
            return a.like(a._values() + (b._values() if alpha == 1 else b._values() * alpha))
        x, y = (t.to_sparse() for t in (a, b))
        values = y._values() if alpha == 1 else y._values() * alpha
        blocksize = a.blocksize if kind in ("bsr", "bsc") else None
        if x._indices().shape == y._indices().shape and fb.equal(x._indices(), y._indices()):
            both = coo(x._indices(), x._values() + values, a.shape, x.is_coalesced())
        else:
            both = coo(fb.cat([x._indices(), y._indices()], 1), fb.cat([x._values(), values]), a.shape)
            both = both.coalesce() if x.is_coalesced() and y.is_coalesced() else both
        return both if kind == "coo" else both._to_compressed(kind, blocksize)
    if is_sparse(a) and a.kind != "coo":
        a, b = b, a.to_dense()
        return a + b if alpha == 1 else a * alpha + b
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
    """Values at the places that both tensors have; one of them may name a place several times."""
    a, b = a.to_sparse(), b.to_sparse()
    if b.is_coalesced():
        pass
    elif a.is_coalesced():
        a, b, combine = b, a, lambda x, y, given=combine: given(y, x)
    else:
        b = b.coalesce()
    if a.shape != b.shape:
        raise RuntimeError(f"mul operands have incompatible sizes: {list(a.shape)} and {list(b.shape)}")
    wa, wb = flat_index(a._indices(), a.shape), flat_index(b._indices(), b.shape)
    if wb.numel() == 0 or wa.numel() == 0:
        return coo(a._indices()[:, :0], combine(a._values()[:0], b._values()[:0]), a.shape)
    at = fb.searchsorted(wb, wa).clamp_max(wb.numel() - 1)
    mine = (wb[at] == wa).nonzero().flatten()
    values = combine(a._values().index_select(0, mine), b._values().index_select(0, at[mine]))
    return coo(a._indices().index_select(1, mine), values, a.shape, a.is_coalesced())


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
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor"
            + (f" (got shape {list(b.shape)} for divisor)" if isinstance(b, fb.Tensor) else "")
        )
    rounds = "floor" in func.__name__ or kwargs.get("rounding_mode") is not None
    a = a.coalesce() if rounds and a.kind == "coo" else a
    return a.like(_plain(func, (a._values(), *args[1:]), kwargs))


@_rule(
    "div_", "divide_", "true_divide_", "__itruediv__", "floor_divide_", "__ifloordiv__", "neg_", "negative_",
    "conj_physical_",
)  # fmt: skip
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if "floor" in func.__name__ and s.kind == "coo" and not s.is_coalesced():
        replace(s, s.coalesce())
    _plain(func, (s._values(), *args[1:]), kwargs)
    return s


@_rule("mul_", "multiply_", "__imul__")
def _mul_(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, other = args[0], args[1]
    if not is_sparse(s):
        return s.copy_(_mul(func, args, kwargs).to_dense())
    if not _is_number(other):
        return replace(s, _mul(func, args, kwargs).to(s.dtype))
    _plain(func, (s._values(), other), kwargs)
    return s


@_rule("copy_")
def _copy_(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, source = args[0], args[1]
    if not (is_sparse(s) and is_sparse(source)):
        raise RuntimeError("copy_() between dense and sparse Tensors is not implemented! "
                           f"Found self type = {s.type()} and src type = {source.type()}")  # fmt: skip
    return replace(s, source.detach().clone().to(s.dtype).to_sparse(layout=s.layout))


@_rule("fill_")
def _fill_(func: Callable, args: tuple, kwargs: dict) -> Any:
    if args[0].kind == "coo":
        raise NotImplementedError(
            "flambeau has no 'fill_' for sparse COO tensors yet: call .to_dense() first"
        )
    return _in_place(func, args, kwargs)


@_rule("zero_")
def _zero_(func: Callable, args: tuple, kwargs: dict) -> Any:
    return replace(args[0], emptied(args[0]))


# ---------------------------------------------------------------- sums
def sum_over(s: Any, dim: Any = None, dtype: Any = None, keepdim: bool = False) -> Any:
    """Sum of stored values: a number, or over some dimensions."""
    values = s._values() if dtype is None else s._values().to(dtype)
    if dim is None or (not isinstance(dim, int) and not len(dim)):
        return values.sum()
    if keepdim:
        return kept_dims(sum_over(s, dim, dtype), dim, s)
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
    s, dim, keepdim, dtype = given(args, kwargs, "input dim keepdim dtype", keepdim=False)
    return sum_over(s, dim, dtype, keepdim)


@_rule("norm")
def _norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, p, dim, keepdim, dtype = given(args, kwargs, "input p dim keepdim dtype", p=2, keepdim=False)
    dims = () if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if dims and sorted(d % s.dim() for d in dims) != list(range(s.dim())):
        raise RuntimeError(
            "norm_sparse currently only supports full reductions, so 'dim' must either be empty or contain"
            " all dimensions of the input"
        )
    if keepdim:
        raise RuntimeError("norm_sparse currently does not support keepdim=True")
    if dtype is not None:
        raise RuntimeError("norm_sparse currently does not support 'dtype' argument")
    values = s.coalesce()._values() if s.kind == "coo" else s._values()
    return values.norm(2 if p in (None, "fro") else p)


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
        return made._to_compressed("csr") if a.kind == b.kind and a.kind in ("csr", "csc") else made
    if not is_sparse(a):
        if a.dim() == 1:
            return product(b.t(), a)
        return product(b.t(), a.t()).t()
    if max(a.dim(), b.dim()) > 2:
        if a.kind != "coo" or a.dim() != 3 or b.dim() != 3:
            layout = "Sparse" if a.kind == "coo" else "Sparse" + a.kind.capitalize()
            raise RuntimeError(f"expand is unsupported for {layout} tensors")
        return batched(a, b)
    if a.dim() != 2:
        raise RuntimeError(f"matmul: sparse tensors must be matrices, got {a.dim()}D")
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{'x'.join(map(str, b.shape))})"
        )
    table = b if b.dim() == 2 else b.reshape(b.shape[0], -1)
    if (starts := _sums_rows(a, table)) is not None:
        cols = a._indices()[1] if a.kind == "coo" else a.col_indices()
        sums = fb.embedding_bag(table, cols.to(starts.dtype), starts, False, 0, False, a._values(), True)[0]
        return sums if b.dim() == 2 else sums.reshape(a.shape[0], *b.shape[1:])
    (rows, cols), values = a._elements()
    taken = b.index_select(0, cols)
    terms = taken * (values.unsqueeze(-1) if b.dim() == 2 else values)
    result = fb.zeros((a.shape[0], *b.shape[1:]), dtype=terms.dtype, device=terms.device)
    return result.index_add(0, rows, terms)


def batched(a: Any, b: Any) -> Any:
    """Products of a batch of sparse matrices with one of dense matrices."""
    for name, t in (("mat2", b), ("self", a)):
        if is_sparse(t) is (name == "mat2"):
            raise RuntimeError(
                f"bmm_sparse: Tensor '{name}' must be {'dense' if name == 'mat2' else 'sparse'}"
            )
        if name == "self" and (t.dense_dim() or t.sparse_dim() != 3):
            dims = f"0 dense dims, but has {t.dense_dim()}" if t.dense_dim() else ""
            raise RuntimeError(
                f"bmm_sparse: Tensor 'self' must have {dims or f'3 sparse dims, but has {t.sparse_dim()}'}"
            )
        if name == "mat2" and t.dim() != 3:
            raise RuntimeError(f"bmm_sparse: Tensor 'mat2' must have 3 dims, but has {t.dim()}")
    if a.shape[0] != b.shape[0]:
        raise RuntimeError("bmm_sparse: 'self.size(0)' and 'mat2.size(0)' must match")
    if a.shape[2] != b.shape[1]:
        raise RuntimeError("bmm_sparse: 'self.size(2)' and 'mat2.size(1)' must match")
    (batch, rows, cols), values = a._indices(), a._values()
    terms = b[batch, cols] * values.unsqueeze(-1)
    count = a.shape[0] * a.shape[1]
    result = fb.zeros((count, b.shape[2]), dtype=terms.dtype, device=terms.device)
    return result.index_add(0, batch * a.shape[1] + rows, terms).reshape(a.shape[0], a.shape[1], b.shape[2])


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


@_rule("mm", "spmm", "dsmm")
def _mm(func: Callable, args: tuple, kwargs: dict) -> Any:
    return matrix_product(args[0], args[1])


@_rule("smm")
def _smm(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args
    none = fb.sparse_coo_tensor(size=(a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)
    return _uncommon()["sspaddmm"](none, a, b)


@_rule("bmm")
def _bmm(func: Callable, args: tuple, kwargs: dict) -> Any:
    return batched(args[0], args[1])


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
    return emptied(args[0])


@_rule("new_zeros", "new", "new_empty")
def _new(func: Callable, args: tuple, kwargs: dict) -> Any:
    if func.__name__ == "new" and len(args) > 1 and isinstance(args[1], fb.Tensor):
        # the older constructor: new(indices, values[, size]); the result has the type of the values
        if len(args) < 3:
            raise TypeError(
                "new() received an invalid combination of arguments - got (Tensor), but expected one of:\n"
                " * (*, torch.device device = None)\n"
                " * (Tensor indices, Tensor values, *, torch.device device = None)\n"
                " * (Tensor indices, Tensor values, tuple of ints size, *, torch.device device = None)\n"
                " * (tuple of ints size, *, torch.device device = None)\n"
            )
        size = args[3] if len(args) > 3 else kwargs.get("size")
        options = {k: v for k, v in kwargs.items() if k == "device"}
        return fb.sparse_coo_tensor(*args[1:3], *(() if size is None else (size,)), **options)
    sizes = args[1:] if len(args) != 2 or isinstance(args[1], int) else args[1]
    options = {"dtype": args[0].dtype, "device": args[0].device, **kwargs}
    sizes = kwargs.get("size", sizes) or (0,)
    return fb.zeros(tuple(sizes), **{k: v for k, v in options.items() if k != "size"}, layout=args[0].layout)


@_rule("new_tensor")
def _new_tensor(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _plain(func, (args[0]._values(), *args[1:]), kwargs)


@_rule("as_tensor", "asarray")
def _as_tensor(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].to(**{k: v for k, v in kwargs.items() if k in ("dtype", "device") and v is not None})


@_rule("dist")
def _dist(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = args[0], args[1]
    return (a - b).norm((*args[2:], *kwargs.values(), 2)[0])


@_rule("is_same_size")
def _is_same_size(func: Callable, args: tuple, kwargs: dict) -> bool:
    return args[0].shape == args[1].shape


@_rule("resize_as_")
def _resize_as_(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, other = args
    if s.shape == other.shape:
        return s
    return _uncommon()["resize_as_sparse_"](s, other)


@_rule("addmm_")
def _addmm_(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].copy_(_addmm(func, args, kwargs))


@_rule("svd_lowrank", "pca_lowrank")
def _low_rank(func: Callable, args: tuple, kwargs: dict) -> Any:
    dense = [x.to_dense() if is_sparse(x) else x for x in args]
    return func(*dense, **{k: x.to_dense() if is_sparse(x) else x for k, x in kwargs.items()})


@_rule("tensor")
def _tensor(func: Callable, args: tuple, kwargs: dict) -> Any:
    options = {k: v for k, v in kwargs.items() if k in ("dtype", "device") and v is not None}
    made = args[0].detach().clone().to(**options) if options else args[0].detach().clone()
    return made.requires_grad_(kwargs.get("requires_grad", False))


@_rule("ones_like", "empty_like", "full_like", "rand_like", "randn_like")
def _like(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0].like(_plain(func, (args[0]._values(), *args[1:]), kwargs))


@_rule("sparse_mask")
def _sparse_mask(func: Callable, args: tuple, kwargs: dict) -> Any:
    return args[0] if args[0] is args[1] else masked_by(*args)


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
