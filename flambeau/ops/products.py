"""Products and distances of vectors, matrices and tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .._type_names import cpp_word
from .registry import check_tensors, composite, core, wrap_dim


@composite(
    "tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor", out=True, python=True
)
def tensordot(
    a: fb.Tensor,
    b: fb.Tensor,
    dims: int | Sequence[Sequence[int]] | fb.Tensor = 2,
    out: fb.Tensor | None = None,
) -> fb.Tensor:
    """Sum of products over pairs of dimensions.

    `dims` is a number (the last of `a` with the first of `b`), or two lists of dimensions.
    """
    if out is not None:  # given by position
        return tensordot(a, b, dims, out=out)
    if isinstance(dims, fb.Tensor):
        dims = int(dims) if dims.numel() == 1 else dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        da, db = list(range(-dims, 0)), list(range(dims))
    else:
        da, db = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(da) != len(db):
        raise RuntimeError("both dimension lists should have same length")
    if a.dtype != b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    given = list(zip(da, db))
    da, db = [wrap_dim(d, a.dim()) for d in da], [wrap_dim(d, b.dim()) for d in db]
    for i, j, named in zip(da, db, given):
        if a.shape[i] == b.shape[j]:
            continue
        # size 1 broadcasts: the other side is summed by itself
        if b.shape[j] == 1:
            a = a.sum(i, keepdim=True, dtype=a.dtype)
        elif a.shape[i] == 1:
            b = b.sum(j, keepdim=True, dtype=b.dtype)
        else:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {named[0]} "
                f"and second has size {b.shape[j]} in dim {named[1]}"
            )
    free_a, free_b = [d for d in range(a.dim()) if d not in da], [d for d in range(b.dim()) if d not in db]
    shape = [a.shape[d] for d in free_a] + [b.shape[d] for d in free_b]
    inner = math.prod(a.shape[d] for d in da)
    left = a.permute(free_a + da).reshape(math.prod(a.shape[d] for d in free_a), inner)
    right = b.permute(db + free_b).reshape(inner, math.prod(b.shape[d] for d in free_b))
    if math.prod(shape) == 1 and _C._autocast_active():  # PyTorch takes `dot` there, which is on no list
        with fb.autocast(left.device.type, enabled=False):
            return left.mm(right).reshape(shape)
    return left.mm(right).reshape(shape)


@composite("cross(Tensor self, Tensor other, int? dim=None) -> Tensor", method=True, out=True)
def cross(input: fb.Tensor, other: fb.Tensor, dim: int | None = None) -> fb.Tensor:
    """Cross product of vectors of 3 along `dim` (the first of size 3 where None)."""
    if dim is None:
        import warnings

        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim"
            " explicitly or simply use torch.linalg.cross.\nThe default value of dim will change to agree"
            " with that of linalg.cross in a future release.",
            stacklevel=3,
        )
        dim = next((d for d, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return fb.linalg.cross(input, other, dim=dim)


def _chain_order(sizes: list[int]) -> list[list[int]]:
    """Where to split each product of neighbouring matrices so that the multiplications are fewest."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            options = [
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(options)
    return split


@composite("linalg_multi_dot(Tensor[] tensors) -> Tensor", out=True)
def linalg_multi_dot(tensors: Sequence[fb.Tensor]) -> fb.Tensor:
    """Product of matrices in the cheapest order; the first and last may be vectors."""
    ts = list(tensors)
    if len(ts) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(ts)}")
    first, last = ts[0].dim() == 1, ts[-1].dim() == 1
    for i in (0, -1):
        if ts[i].dim() not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {'first' if i == 0 else 'last'} tensor must be 1D or 2D but got"
                f" {ts[i].dim()}D"
            )
    if first:
        ts[0] = ts[0].unsqueeze(0)
    if last:
        ts[-1] = ts[-1].unsqueeze(-1)
    for i, t in enumerate(ts):
        if t.dim() != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {t.dim()}D")
        if t.dtype != ts[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is"
                f" {cpp_word(ts[0].dtype)} and tensor {i} {cpp_word(t.dtype)}"
            )
        if i and ts[i - 1].shape[1] != t.shape[0]:
            a, b = list(ts[i - 1].shape), list(t.shape)
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {a} and {b} cannot be multiplied"
            )
    split = _chain_order([ts[0].shape[0], *(t.shape[1] for t in ts)])

    def product(i: int, j: int) -> Any:
        if i == j:
            return ts[i]
        k = split[i][j]
        return product(i, k).mm(product(k + 1, j))

    result = product(0, len(ts) - 1)
    if first:
        result = result.squeeze(0)
    return result.squeeze(-1) if last else result


@composite("chain_matmul(Tensor[] matrices) -> Tensor", out=True, python=True)
def chain_matmul(*matrices: fb.Tensor, out: fb.Tensor | None = None) -> fb.Tensor:
    """Product of matrices in the cheapest order (old name of `linalg.multi_dot`)."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    check_tensors(matrices)
    for m in matrices:
        if m.dim() != 2:
            raise RuntimeError(f"Tensor dimension is {m.dim()}, expected 2 instead.")
    return matrices[0].clone() if len(matrices) == 1 else linalg_multi_dot(matrices)


@composite("linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor", out=True)
def linalg_vecdot(x: fb.Tensor, y: fb.Tensor, *, dim: int = -1) -> fb.Tensor:
    """Sum over `dim` of ``conj(x) * y``, other dimensions broadcast."""
    if not (x.is_floating_point() or x.is_complex()) or not (y.is_floating_point() or y.is_complex()):
        raise RuntimeError(
            "linalg.vecdot: Expected a floating point or complex tensor as input. Got "
            f"{_plain(x if not x.is_floating_point() else y)}"
        )
    if x.dtype != y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected x and y to have the same dtype, but found x of type"
            f" {_plain(x)} and y of type {_plain(y)} instead"
        )
    return (x.conj() * y).sum(dim)


def _plain(t: Any) -> str:
    from .registry import _type_name

    return _type_name(t.dtype)


def _euclidean(x1: Any, x2: Any) -> Any:
    """Distances from one matrix product."""
    squares = x1.square().sum(-1, keepdim=True) + x2.square().sum(-1, keepdim=True).mT - 2 * x1.matmul(x2.mT)
    apart = squares > 0
    # no gradient through the root of zero
    return fb.where(apart, fb.where(apart, squares, 1).sqrt(), 0)


@composite(
    "cdist(Tensor x1, Tensor x2, float p=2, int? compute_mode=None) -> Tensor",
    python=True,
    node="CdistBackward0",
)
def cdist(
    x1: fb.Tensor, x2: fb.Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary"
) -> fb.Tensor:
    """Distances of all pairs of rows: (…, n, d), (…, m, d) to (…, n, m).

    `compute_mode` says whether Euclidean distances may come from a matrix product (by default beyond 25
    rows).
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for k, (t, name) in enumerate(((x1, "X1"), (x2, "X2")), 1):
        if not isinstance(t, fb.Tensor):
            kind = type(t).__name__
            raise TypeError(f"cdist(): argument 'x{k}' (position {k}) must be Tensor, not {kind}")
        if not t.is_floating_point():
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {_plain(t)}")
        if t.dim() < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {t.dim()}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if x1.dtype != x2.dtype:
        raise RuntimeError(f"expected scalar type {_plain(x1)} but found {_plain(x2)}")
    if x1.dtype not in (fb.float32, fb.float64):
        raise NotImplementedError(f"\"cdist\" not implemented for '{_plain(x1)}'")
    large = x1.shape[-2] > 25 or x2.shape[-2] > 25
    if p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and large)):
        return _euclidean(x1, x2)
    if _has_loop(p, x1, x2):
        if x1.dim() == 2 == x2.dim():
            return core("_pair_distances")(x1, x2, p)
        batch = fb.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
        pairs = (t.expand(*batch, *t.shape[-2:]) for t in (x1, x2))
        return core("_pair_distances")(*pairs, p)
    return _norm_of_difference(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def _has_loop(p: float, *rows: Any) -> bool:
    """Whether the core has distances of these rows that need not be differentiated."""
    return (
        p in (0, 1, 2, math.inf)
        and rows[0].dtype in (fb.float32, fb.float64)
        and not (fb.is_grad_enabled() and any(t.requires_grad for t in rows))
    )


def _norm_of_difference(difference: Any, p: float) -> Any:
    """p-norm over the last dimension whose gradient at zero is zero."""
    if difference.shape[-1] == 0:
        return difference.sum(-1)
    if p in (0, 1, math.inf):
        return fb.linalg.vector_norm(difference, p, -1)
    size = difference.abs()
    scale = size.detach().amax(-1, keepdim=True)
    scale = fb.where((scale == 0) | scale.isinf(), 1, scale)
    powers = (size / scale).pow(p) if p != 2 else (size / scale).square()
    total = powers.sum(-1)
    apart = total != 0
    return fb.where(apart, fb.where(apart, total, 1).pow(1 / p) * scale.squeeze(-1), 0)


@composite("pdist(Tensor self, float p=2) -> Tensor", node="PdistBackward0")
def pdist(input: fb.Tensor, p: float = 2) -> fb.Tensor:
    """Distances of all pairs of rows of a matrix, each once: (n, d) to (n (n - 1) / 2)."""
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if input.dtype not in (fb.float32, fb.float64):
        raise NotImplementedError(f"\"pdist\" not implemented for '{_plain(input)}'")
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if _has_loop(p, input):
        return core("_own_distances")(input, p)
    n = input.shape[0]
    first, second = fb.triu_indices(n, n, 1, device=input.device)
    return _norm_of_difference(input.index_select(0, first) - input.index_select(0, second), p)


@composite(
    "renorm(Tensor self, Scalar p, int dim, Scalar maxnorm) -> Tensor",
    method=True,
    out=True,
    inplace=True,
    node="RenormBackward0",
)
def renorm(input: fb.Tensor, p: float, dim: int, maxnorm: float) -> fb.Tensor:
    """Slices along `dim` scaled down where their norm exceeds `maxnorm`."""
    if isinstance(p, complex):
        raise RuntimeError("renorm: p must be real-valued")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if isinstance(maxnorm, complex):
        raise RuntimeError("renorm: maxnorm must be real-valued")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.dim() < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions")
    dim = wrap_dim(dim, input.dim())
    others = [d for d in range(input.dim()) if d != dim]
    norms = fb.linalg.vector_norm(input, p, others, keepdim=True)
    factor = fb.where(norms > maxnorm, maxnorm / (norms + 1e-7), 1)
    return (input * factor.to(input.dtype)).contiguous()
