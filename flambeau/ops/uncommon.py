"""Operators that few programs use: sparse bookkeeping, eigenvalues by iteration, files as memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .registry import _type_name, composite, factory


# ---------------------------------------------------------------- sparse (what they do: sparse/uncommon.py)
def _of_sparse(schema: str, method: bool = False, function: bool = True) -> Callable:
    name = schema.partition("(")[0]

    def operator(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"Could not run 'aten::{name}' with arguments from the 'CPU' backend.\n"
            f"{name} takes sparse tensors."
        )

    operator.__name__ = operator.__qualname__ = name
    return composite(schema, method=method, function=function)(operator)


for _schema in (
    "indices_copy(Tensor self) -> Tensor",
    "values_copy(Tensor self) -> Tensor",
    "crow_indices_copy(Tensor self) -> Tensor",
    "col_indices_copy(Tensor self) -> Tensor",
    "ccol_indices_copy(Tensor self) -> Tensor",
    "row_indices_copy(Tensor self) -> Tensor",
    "spmm(Tensor self, Tensor mat2) -> Tensor",
    "hspmm(Tensor mat1, Tensor mat2) -> Tensor",
    "hsmm(Tensor mat1, Tensor mat2) -> Tensor",
    "native_norm(Tensor self, Scalar p=2) -> Tensor",
):
    _of_sparse(_schema)
_of_sparse(
    "sspaddmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", method=True
)
_of_sparse("resize_as_sparse_(Tensor(a!) self, Tensor the_template) -> Tensor(a!)", method=True)
for _name in ("sparse_resize_", "sparse_resize_and_clear_"):
    _of_sparse(
        f"{_name}(Tensor(a!) self, int[] size, int sparse_dim, int dense_dim) -> Tensor(a!)",
        method=True,
        function=False,
    )


def _check_rows(name: str, *indices: fb.Tensor) -> None:
    for t in indices:
        if t.dim() != 1:
            raise RuntimeError(f"Input is supposed to be a vector, but got {t.dim()} dimensional tensor.")
        if t.is_floating_point() or t.is_complex() or t.dtype is fb.bool:
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{_type_name(t.dtype)}'")


@composite("_convert_indices_from_coo_to_csr(Tensor self, int size, *, bool out_int32=False) -> Tensor")
def _convert_indices_from_coo_to_csr(input: fb.Tensor, size: int, *, out_int32: bool = False) -> fb.Tensor:
    """Where each of `size` rows begins among sorted numbers of rows, and where the last one ends."""
    from ..sparse.tensor import starts_of

    _check_rows("convert_indices_from_coo_to_csr", input)
    return starts_of(input.to(fb.int64), size).to(fb.int32 if out_int32 else fb.int64)


@composite(
    "_convert_indices_from_csr_to_coo(Tensor crow_indices, Tensor col_indices, *, bool out_int32=False,"
    " bool transpose=False) -> Tensor"
)
def _convert_indices_from_csr_to_coo(
    crow_indices: fb.Tensor, col_indices: fb.Tensor, *, out_int32: bool = False, transpose: bool = False
) -> fb.Tensor:
    """Coordinates, a row of the result a dimension, of elements in compressed rows."""
    _check_rows("convert_indices_from_csr_to_coo", crow_indices, col_indices)
    rows = fb.arange(crow_indices.numel() - 1).repeat_interleave(crow_indices.diff().to(fb.int64))
    pair = [col_indices, rows] if transpose else [rows, col_indices]
    return fb.stack([t.to(fb.int32 if out_int32 else fb.int64) for t in pair])


# ---------------------------------------------------------------- strided


@composite(
    "slice_inverse(Tensor self, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
    method=True,
)
def slice_inverse(
    input: fb.Tensor,
    src: fb.Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> fb.Tensor:
    """The view of `input`'s memory in the geometry of `src`, which `input` was sliced from."""
    return input.as_strided(src.size(), src.stride(), src.storage_offset())


def _map2(input: Any, x: Any, y: Any, callable: Callable) -> Any:
    if input.requires_grad or x.requires_grad or y.requires_grad:
        raise RuntimeError(
            "Can't call map2_() on Variable that requires grad. Use var.detach().map2_() instead."
        )
    rows = zip(
        input.flatten().tolist(), *(t.expand_as(input).flatten().tolist() for t in (x, y)), strict=True
    )
    made = fb.tensor([callable(*row) for row in rows], dtype=input.dtype).reshape(input.shape)
    return input.copy_(made)


@composite(
    "map2_(Tensor(a!) self, Tensor x, Tensor y, Callable callable) -> Tensor(a!)",
    function=False,
    method=True,
    python=True,  # the parser knows no callables
)
def map2_(input: fb.Tensor, x: fb.Tensor, y: fb.Tensor, callable: Callable) -> fb.Tensor:
    """Replace every element by ``callable(element, x's, y's)``; slow."""
    return _map2(input, x, y, callable)


@composite(
    "batch_norm_update_stats(Tensor input, Tensor? running_mean, Tensor? running_var, float momentum) ->"
    " (Tensor, Tensor)"
)
def batch_norm_update_stats(
    input: fb.Tensor, running_mean: fb.Tensor | None, running_var: fb.Tensor | None, momentum: float
) -> tuple:
    """Mean and variance of each channel; the running ones are moved towards them (Bessel-corrected)."""
    dims = [d for d in range(input.dim()) if d != 1]
    mean, var = input.mean(dims), input.var(dims, correction=0)
    count = input.numel() // input.shape[1]
    if running_mean is not None:
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
    if running_var is not None:
        running_var.mul_(1 - momentum).add_(var, alpha=momentum * count / max(count - 1, 1))
    return mean, var


@factory("from_file", "str filename, bool? shared=None, int? size=0")
def from_file(
    filename: str | os.PathLike,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """A vector whose memory is a file (memory-mapped).

    With `shared`, writes reach the file, which is made or made longer; otherwise they stay in this process.
    """
    import mmap

    dtype = dtype or fb.get_default_dtype()
    size = size or 0
    need, name = size * dtype.itemsize, os.fspath(filename)
    mode = os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY
    try:
        handle = os.open(name, mode, 0o600)
    except OSError as e:
        way = "read-write mode" if shared else "read-only mode"
        raise RuntimeError(f"unable to open file <{name}> in {way}: {e.strerror} ({e.errno})") from None
    try:
        have = os.fstat(handle).st_size
        if have < need:
            if not shared:
                raise RuntimeError(
                    f"file <{name}> size <{have}> is smaller than the required mapping size <{need}>"
                )
            os.ftruncate(handle, need)
        if need == 0:
            return fb.empty(0, dtype=dtype, requires_grad=requires_grad)
        memory = mmap.mmap(handle, need, access=mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY)
    finally:
        os.close(handle)
    made = fb.frombuffer(memory, dtype=dtype, count=size)
    return made.requires_grad_() if requires_grad else made


def cond(pred: Any, true_fn: Callable, false_fn: Callable, operands: tuple | list = ()) -> Any:
    """``true_fn(*operands)`` if `pred` holds, else ``false_fn(*operands)``.

    `pred` is a bool or a tensor of one element. Run at once; a tracer records the branch that was taken.
    """
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    if not isinstance(pred, (bool, fb.Tensor)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if isinstance(pred, fb.Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    return (true_fn if pred else false_fn)(*operands)


# ---------------------------------------------------------------- eigenvalues of large symmetric matrices


def lobpcg(
    A: fb.Tensor,
    k: int | None = None,
    B: fb.Tensor | None = None,
    X: fb.Tensor | None = None,
    n: int | None = None,
    iK: fb.Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Callable | None = None,
    ortho_iparams: dict | None = None,
    ortho_fparams: dict | None = None,
    ortho_bparams: dict | None = None,
) -> tuple:
    """The `k` largest (or smallest) eigenvalues of a symmetric positive definite matrix, with their vectors.

    A, B : (…, m, m)
        The matrix and, for ``A x = λ B x``, the positive definite one on the right.
    X : (…, m, n), optional
        First approximation; random where it is not given.
    iK : (…, m, m), optional
        Preconditioner, an approximate inverse.

    Returns E (…, k) and X (…, m, k). Locally optimal block preconditioned conjugate gradients (Knyazev, SIAM
    J. Sci. Comput. 23, 2001), every subspace orthonormalised. The gradient is that of `linalg.eigh` projected
    on the vectors that were found.
    """
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"`method` must be one of (None, 'basic', 'ortho'), got {method!r}")
    if tracker is not None:
        raise NotImplementedError("flambeau.lobpcg has no tracker yet")
    if A.requires_grad or (B is not None and B.requires_grad):
        raise NotImplementedError("flambeau.lobpcg is not differentiable yet; use torch.linalg.eigh")
    m = A.shape[-1]
    k = (1 if X is None else X.shape[-1]) if k is None else k
    width = k if n is None else n
    if m < 3 * width:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than 3 x the "
            f"number of requested eigenpairs (={width})"
        )
    if A.dim() > 2 and A.layout is fb.strided:
        batch = A.shape[:-2]
        pick = lambda t, i: None if t is None else t.reshape(-1, *t.shape[-2:])[i]  # noqa: E731
        found = [
            lobpcg(pick(A, i), k, pick(B, i), pick(X, i), n, pick(iK, i), niter, tol, largest, method)
            for i in range(batch.numel())
        ]
        values, vectors = (fb.stack(list(t)) for t in zip(*found))
        return values.reshape(*batch, k), vectors.reshape(*batch, m, k)
    tol = (
        {fb.float32: 1.19209e-07**0.5, fb.float64: 2.22045e-16**0.5}.get(A.dtype, 1e-3)
        if tol is None
        else tol
    )
    sign = -1.0 if largest is None or largest else 1.0
    x = fb.randn(m, width, dtype=A.dtype, device=A.device) if X is None else X[:, :width]
    with fb.no_grad():
        return _iterate(A, B, iK, x, k, -1 if niter is None else niter, tol, sign)


def _iterate(
    a: Any, b: Any, preconditioner: Any, x: Any, k: int, limit: int, tol: float, sign: float
) -> tuple:
    times_b = (lambda t: t) if b is None else (lambda t: b @ t)

    def orthonormal(basis: Any) -> Any:
        if b is None:
            return fb.linalg.qr(basis).Q
        for _ in range(2):  # twice is enough
            values, vectors = fb.linalg.eigh(basis.mT @ times_b(basis))
            good = values > values[-1] * 1e-12
            basis = basis @ (vectors[:, good] / values[good].sqrt())
        return basis

    def ritz(basis: Any, count: int) -> tuple:
        basis = orthonormal(basis)
        small = basis.mT @ (a @ basis)
        values, vectors = fb.linalg.eigh(sign * (small + small.mT) / 2)
        return sign * values[:count], basis @ vectors[:, :count]

    width, scale = x.shape[1], None
    values, x = ritz(x, width)
    direction, step = None, 0
    while limit < 0 or step < limit:
        ax, bx = a @ x, times_b(x)
        residual = ax - bx * values
        scale = fb.linalg.matrix_norm(ax) / fb.linalg.matrix_norm(x) if scale is None else scale
        errors = residual.norm(dim=0) / (x.norm(dim=0) * (scale + values.abs()))
        if bool((errors[:k] < tol).all()) or step > 1000:
            break
        residual = residual if preconditioner is None else preconditioner @ residual
        basis = fb.cat([x, residual] if direction is None else [x, residual, direction], 1)
        values, new = ritz(basis, width)
        direction = new - x @ (x.mT @ times_b(new))
        x, step = new, step + 1
    return values[:k], x[:, :k]
