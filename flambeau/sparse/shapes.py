"""What operators that move, choose and join elements do with sparse tensors, by name of the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import name_of, noting
from .tensor import compressed, coo, is_sparse, replace

__all__ = ["RULES", "kept_dims"]

RULES: dict[str, Callable] = {}
_rule = noting(RULES)

_PERMUTES = ("T", "permute", "movedim", "moveaxis")
_TURNED = {"csr": "csc", "csc": "csr", "bsr": "bsc", "bsc": "bsr"}


def _layout_word(s: Any) -> str:
    return "Sparse" if s.kind == "coo" else "Sparse" + s.kind.capitalize()


def _probed(s: Any, func: Callable, args: tuple, kwargs: dict) -> Any:
    """What an operator makes of a strided tensor of these sizes, whose dimension d has stride d + 1."""
    strides = tuple(range(1, s.dim() + 1))
    probe = fb.empty_strided(s.shape, strides, dtype=s.dtype, device="meta")
    with _C.DisableTorchFunctionSubclass(), fb.no_grad():
        return func(probe, *args[1:], **kwargs)


# ---------------------------------------------------------------- order of dimensions
@_rule(*_PERMUTES, "mT", "H", "mH", "adjoint", "transpose", "swapaxes", "swapdims", "t")
def _reordered(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if getattr(func, "__name__", "") == "t" and s.kind == "coo" and (s.dim() > 2 or s.dense_dim()):
        raise RuntimeError(
            f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got {s.sparse_dim()} sparse"
            f" and {s.dense_dim()} dense dimensions"
        )
    made = _probed(s, func, args, kwargs)
    order = [stride - 1 for stride in made.stride()]
    name = name_of(func)
    if s.kind != "coo":
        turned = _turned(s, order, name)
    else:
        _check_order(s, order, name, args[1:])
        turned = permuted(s, order)
    return turned.conj() if made.is_conj() else turned


def _check_order(s: Any, order: list[int], name: str, dims: tuple) -> None:
    """Raise where dimensions of coordinates and of values would be exchanged."""
    k = s.sparse_dim()
    moved = [d for d, n in enumerate(order) if d != n]
    if name in _PERMUTES:
        if sorted(order[:k]) != list(range(k)):
            raise RuntimeError(
                "permute(sparse_coo): transpositions between sparse and dense dimensions are not allowed."
                "Only transpositions within sparse and dense dimensions are supported."
            )
    elif moved and moved[-1] >= k:
        pair = [d % s.dim() for d in dims] if len(dims) == 2 else moved
        raise RuntimeError(
            f"sparse transpose: transposed dimensions must be sparse Got sparse_dim: {k}, d0: {pair[0]}, "
            f"d1: {pair[1]}"
        )


def permuted(s: Any, order: list[int]) -> Any:
    """A COO tensor with its dimensions in another order."""
    if order == list(range(s.dim())):
        return coo(s._indices(), s._values(), s.shape, s.is_coalesced())
    k = s.sparse_dim()
    values = s._values()
    if order[k:] != list(range(k, s.dim())):
        values = values.permute(0, *(d - k + 1 for d in order[k:]))
    in_order = s.is_coalesced() and order[:k] == list(range(k))
    return coo(s._indices()[order[:k]], values, [s.shape[d] for d in order], in_order)


def _turned(s: Any, order: list[int], name: str) -> Any:
    """A compressed matrix transposed: its rows are those columns."""
    if name in _PERMUTES:
        raise NotImplementedError(
            f"Could not run 'aten::as_strided' with arguments from the '{_layout_word(s)}CPU' backend."
        )
    if order == list(range(s.dim())):
        return s
    b = s.batch_dim()
    moved = [d for d, n in enumerate(order) if d != n]
    if moved != [b, b + 1]:
        kinds = ["Batch"] * b + ["Sparse"] * 2 + ["Dense"] * s.dense_dim()
        pair = " and ".join(f"{d}({kinds[d]})" for d in (moved[0], moved[-1]))
        raise RuntimeError(
            f"transpose(): can only transpose dimensions of the same type (Batch, Sparse, Dense), got {pair}"
        )
    starts, plain = s._both_indices()
    values = s._values().transpose(b + 1, b + 2) if s.kind in ("bsr", "bsc") else s._values()
    return compressed(_TURNED[s.kind], starts, plain, values, [s.shape[d] for d in order])


@_rule("transpose_", "swapaxes_", "swapdims_", "t_")
def _reordered_in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    if s.kind != "coo":
        raise RuntimeError(
            f"torch.transpose_: in-place transposition is not supported for {_layout_word(s)} layout"
        )
    return replace(s, _reordered(getattr(fb.Tensor, func.__name__[:-1]), args, kwargs))


# ---------------------------------------------------------------- more and fewer dimensions
def unsqueezed(s: Any, dim: int) -> Any:
    """A COO tensor with one more dimension of size 1."""
    k = s.sparse_dim()
    shape = (*s.shape[:dim], 1, *s.shape[dim:])
    if dim > k:
        return coo(s._indices(), s._values().unsqueeze(dim - k + 1), shape)
    index = s._indices()
    zero = fb.zeros((1, index.shape[1]), dtype=fb.int64, device=index.device)
    return coo(fb.cat([index[:dim], zero, index[dim:]]), s._values(), shape)


@_rule("unsqueeze")
def _unsqueeze(func: Callable, args: tuple, kwargs: dict) -> Any:
    s = args[0]
    _probed(s, func, args, kwargs)
    s._has_none("strides")
    return unsqueezed(s, (args[1] if len(args) > 1 else kwargs["dim"]) % (s.dim() + 1))


def kept_dims(summed: Any, dim: Any, s: Any) -> Any:
    """A sum over some dimensions of `s` with those as dimensions of size 1, in the layout of `s`."""
    dims = sorted({d % s.dim() for d in ([dim] if isinstance(dim, int) else dim)})
    if not is_sparse(summed):  # all of the coordinates are gone
        made = summed
        for d in dims:
            made = made.unsqueeze(d)
        return made if s.kind == "coo" else made.to_sparse(layout=s.layout)
    for d in dims:
        summed = unsqueezed(summed, d)
    return summed if s.kind == "coo" else summed._to_compressed(s.kind)


@_rule("flatten")
def _flatten(func: Callable, args: tuple, kwargs: dict) -> Any:
    made = _probed(args[0], func, args, kwargs)
    if made.shape != args[0].shape:
        _reshape(func, args, kwargs)
    return args[0]


@_rule("reshape", "ravel", "unflatten")
def _reshape(func: Callable, args: tuple, kwargs: dict) -> Any:
    args[0]._has_none("is_contiguous")
    raise RuntimeError("reshape is not implemented for sparse tensors")


@_rule("atleast_1d", "atleast_2d", "atleast_3d")
def _at_least(func: Callable, args: tuple, kwargs: dict) -> Any:
    if len(args) > 1 or not is_sparse(args[0]):
        return tuple(func(t) for t in (args if len(args) > 1 else args[0]))
    s, wanted = args[0], int(func.__name__[-2])
    if s.dim() == 1 and wanted > 1:
        s = unsqueezed(s, 0)
    return unsqueezed(s, 2) if s.dim() == 2 and wanted > 2 else s


@_rule("broadcast_tensors")
def _broadcast(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
    shape = fb.broadcast_shapes(*(t.shape for t in tensors))
    return tuple(t if t.shape == shape else t.expand(shape) for t in tensors)


@_rule("expand", "expand_as", "repeat")
def _expand(func: Callable, args: tuple, kwargs: dict) -> Any:
    if not is_sparse(args[0]):  # only the sizes of the other one are asked for
        return args[0].expand(args[1].shape)
    raise RuntimeError(f"expand is unsupported for {_layout_word(args[0])} tensors")


# ---------------------------------------------------------------- some of the elements
@_rule("index_select")
def _index_select(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, dim, chosen = args
    dim %= s.dim()
    k = s.sparse_dim()
    shape = list(s.shape)
    shape[dim] = chosen.numel()
    if dim >= k:
        return coo(s._indices(), s._values().index_select(dim - k + 1, chosen), shape, s.is_coalesced())
    low, high = (int(e) for e in chosen.aminmax()) if chosen.numel() else (0, -1)
    if low < -s.shape[dim] or high >= s.shape[dim]:
        raise IndexError(
            f"index_select(): index contains {high if high >= s.shape[dim] else low} that is out of range for"
            f" tensor of size {list(s.shape)} at dimension {dim}"
        )
    chosen = chosen.where(chosen >= 0, chosen + s.shape[dim])
    # every pair of a stored place and a chosen index that are the same
    pairs = (s._indices()[dim].unsqueeze(1) == chosen).nonzero()
    index = s._indices().index_select(1, pairs[:, 0]).clone()
    index[dim] = pairs[:, 1]
    return coo(index, s._values().index_select(0, pairs[:, 0]), shape)


def selected(s: Any, dim: int, at: int) -> Any:
    """One index of a dimension; dense where no coordinate is left."""
    if b := s.batch_dim():
        if b <= dim < b + 2:
            raise RuntimeError(
                "select(): selecting sparse dimensions is not supported for batched sparse compressed "
                "tensors."
            )
        if dim < b:
            parts = (t.select(dim, at) for t in (*s._both_indices(), s._values()))
            return compressed(s.kind, *parts, s.shape[:dim] + s.shape[dim + 1 :])
    if s.kind != "coo":
        chosen = selected(s.to_sparse().coalesce(), dim, at)
        return chosen.coalesce() if is_sparse(chosen) else chosen
    at = at + s.shape[dim] if at < 0 else at
    k = s.sparse_dim()
    shape = s.shape[:dim] + s.shape[dim + 1 :]
    if dim >= k:
        return coo(s._indices(), s._values().select(dim - k + 1, at), shape)
    here = (s._indices()[dim] == at).nonzero().flatten()
    values = s._values().index_select(0, here)
    if k == 1:
        return values.sum(0)
    index = s._indices().index_select(1, here)
    return coo(fb.cat([index[:dim], index[dim + 1 :]]), values, shape)


@_rule("select", "select_copy")
def _select(func: Callable, args: tuple, kwargs: dict) -> Any:
    _probed(args[0], func, args, kwargs)
    s, dim, at = (*args, *kwargs.values())
    return selected(s, dim % s.dim(), int(at))


@_rule("__getitem__")
def _getitem(func: Callable, args: tuple, kwargs: dict) -> Any:
    s, items = args[0], args[1] if isinstance(args[1], tuple) else (args[1],)
    whole = slice(None)
    at = [int(i) if isinstance(i, fb.Tensor) and i.dim() == 0 and not i.dtype.is_floating_point else i
          for i in items]  # fmt: skip
    if any(i is not None and type(i) is not int and i != whole for i in at):
        raise NotImplementedError("flambeau indexes sparse tensors only with integers, None and ':' yet")
    _probed(s, func, (s, tuple(at)), kwargs)  # the errors of places out of range
    dim, made = 0, s
    for i in at:
        if i is None:
            made._has_none("strides")
            made, dim = unsqueezed(made, dim), dim + 1
        elif i == whole and type(i) is slice:
            dim += 1
        else:
            made = selected(made, dim, i) if is_sparse(made) else made.select(dim, i)
    return made


@_rule("unbind")
def _unbind(func: Callable, args: tuple, kwargs: dict) -> Any:
    _probed(args[0], func, args, kwargs)
    s, dim = (*args, *kwargs.values(), 0)[:2]
    return tuple(selected(s, dim % s.dim(), i) for i in range(s.shape[dim]))


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


# ---------------------------------------------------------------- several tensors
def joined(tensors: list, dim: int) -> Any:
    """COO tensors one after the other along a dimension."""
    if not all(is_sparse(t) for t in tensors):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found")
    first = tensors[0]
    for t in tensors:
        t._has_none("is_contiguous")
    _probed(first, lambda probe: fb.cat([_meta(t) for t in tensors], dim), (first,), {})
    dim %= first.dim()
    k, offset, indices, values = first.sparse_dim(), 0, [], []
    total = sum(t.shape[dim] for t in tensors)
    for t in tensors:
        index, stored = t._indices(), t._values()
        if dim < k:
            index = index.clone()
            index[dim] += offset
        else:  # the values of one tensor have zeros where those of the others are
            wide = [stored.shape[0], *t.shape[k:]]
            wide[dim - k + 1] = offset
            before = stored.new_zeros(wide)
            wide[dim - k + 1] = total - offset - t.shape[dim]
            stored = fb.cat([before, stored, stored.new_zeros(wide)], dim - k + 1)
        offset += t.shape[dim]
        indices.append(index)
        values.append(stored)
    shape = [total if d == dim else n for d, n in enumerate(first.shape)]
    return coo(fb.cat(indices, 1), fb.cat(values), shape)


def _meta(t: Any) -> Any:
    return fb.empty(t.shape, dtype=t.dtype, device="meta")


@_rule("cat", "concat", "concatenate")
def _cat(func: Callable, args: tuple, kwargs: dict) -> Any:
    return joined(list(args[0]), args[1] if len(args) > 1 else kwargs.get("dim", 0))


@_rule("stack")
def _stack(func: Callable, args: tuple, kwargs: dict) -> Any:
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    tensors = list(args[0])
    if not all(is_sparse(t) for t in tensors):
        raise RuntimeError("Concatenating sparse tensors, but a dense tensor was found")
    _probed(tensors[0], lambda probe: fb.stack([_meta(t) for t in tensors], dim), (tensors[0],), {})
    dim %= tensors[0].dim() + 1
    for t in tensors:
        t._has_none("is_contiguous")
    return joined([unsqueezed(t, dim) for t in tensors], dim)


@_rule("vstack", "row_stack")
def _vstack(func: Callable, args: tuple, kwargs: dict) -> Any:
    return joined([unsqueezed(t, 0) if t.dim() == 1 else t for t in args[0]], 0)


@_rule("hstack", "column_stack")
def _hstack(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = list(args[0])
    if tensors[0].dim() == 1 and func.__name__ == "column_stack":
        _reshape(func, (tensors[0],), {})
    return joined(tensors, 0 if tensors[0].dim() == 1 else 1)


@_rule("dstack")
def _dstack(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = [unsqueezed(t, 0) if t.dim() == 1 else t for t in args[0]]
    return joined([unsqueezed(t, 2) if t.dim() == 2 else t for t in tensors], 2)


def masked_by(t: Any, mask: Any) -> Any:
    """Values of `t` at the places of the sparse `mask`."""
    index = mask._coordinates()
    if is_sparse(t):
        t = t.to_dense()
    return mask.like_elements(t[tuple(index)])
