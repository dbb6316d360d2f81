"""Norms of matrices, and what is counted from singular values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from ..autograd.function import Function
from .registry import _type_name, composite, wrap_dim

# functions whose element type a kernel checks, and those that refuse the half types themselves
_KERNELS = {
    "cholesky": "cholesky_cpu",
    "cholesky_inverse": "cholesky_inverse_out_cpu",
    "linalg.eigh": "linalg_eigh_cpu",
    "linalg.lu": "lu_cpu",
    "torch.linalg.lu_factor": "lu_cpu",
    "torch.linalg.householder_product": "orgqr_cpu",
}
_EXACT = (fb.float32, fb.float64, fb.complex64, fb.complex128)
_NO_HALF = ("linalg.inv", "linalg.slogdet", "logdet")


def check_matrix(t: Any, name: str) -> None:
    """Raises unless `t` is a batch of matrices of floats."""
    if t.dim() < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if name in _NO_HALF and t.dtype in (fb.float16, fb.bfloat16):
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {_type_name(t.dtype)}")
    if not (t.is_floating_point() or t.is_complex()):
        if name in _KERNELS:
            raise NotImplementedError(f"\"{_KERNELS[name]}\" not implemented for '{_type_name(t.dtype)}'")
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {_type_name(t.dtype)}"
        )


def check_square(t: Any, name: str) -> None:
    """Raises unless `t` is a batch of square matrices of floats."""
    check_matrix(t, name)
    if t.shape[-1] != t.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {t.shape[-2]} by {t.shape[-1]}"
            " matrices"
        )


def _cast(t: Any, dtype: fb.dtype | None, name: str) -> Any:
    """The input of a norm in the dtype asked for."""
    if dtype is None:
        return t
    if dtype.is_complex != t.is_complex() and t.is_complex():
        raise RuntimeError(f"{name}: dtype should be complex for complex inputs, but got {dtype}")
    return t.to(dtype)


@composite(
    'linalg_matrix_norm(Tensor self, Scalar|str ord="fro", int[] dim=[-2,-1], bool keepdim=False, *,'
    " ScalarType? dtype=None) -> Tensor",
    out=True,
)
def linalg_matrix_norm(
    input: fb.Tensor,
    ord: str | float = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: fb.dtype | None = None,
) -> fb.Tensor:
    """Norm of matrices: ``"fro"``, ``"nuc"``, or ±1, ±2, ±inf."""
    check_matrix(input, "linalg.matrix_norm")
    if len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    rows, cols = (wrap_dim(d, input.dim()) for d in dim)
    if rows == cols:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    t = _cast(input, dtype, "linalg.matrix_norm")
    if ord == "fro":
        return fb.linalg.vector_norm(t, 2, (rows, cols), keepdim)
    if ord == "nuc" or (not isinstance(ord, str) and abs(ord) == 2):
        if input.dtype in (fb.float16, fb.bfloat16):
            raise RuntimeError(
                f"linalg.matrix_norm: Low precision dtypes not supported. Got {_type_name(input.dtype)}"
            )
        values = fb.linalg.svdvals(fb.movedim(t, (rows, cols), (-2, -1)))
        if ord == "nuc" or values.shape[-1] == 0:
            norm = values.sum(-1)
        else:
            norm = values.amax(-1) if ord == 2 else values.amin(-1)
        if keepdim:
            for d in sorted((rows, cols)):
                norm = norm.unsqueeze(d)
        return norm
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    added, compared = (rows, cols) if abs(ord) == 1 else (cols, rows)
    sums = fb.linalg.vector_norm(t, 1, added, True)
    if sums.shape[compared] == 0 and ord > 0:
        sums = fb.linalg.vector_norm(t, 1, (rows, cols), True)
    norm = sums.amax(compared, True) if ord > 0 else sums.amin(compared, True)
    return norm if keepdim else norm.squeeze((rows, cols))


@composite(
    "linalg_norm(Tensor self, Scalar|str? ord=None, int[1]? dim=None, bool keepdim=False, *, ScalarType?"
    " dtype=None) -> Tensor",
    out=True,
)
def linalg_norm(
    input: fb.Tensor,
    ord: str | float | None = None,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: fb.dtype | None = None,
) -> fb.Tensor:
    """Norm of vectors (one dimension, or all without `ord`) or matrices (two dimensions)."""
    dims = [dim] if isinstance(dim, int) else dim if dim is None else list(dim)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {dims}")
    if dims is None and ord is not None and input.dim() not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{input.dim()}D."
        )
    if ord is not None and (len(dims) == 2 if dims is not None else input.dim() == 2):
        return linalg_matrix_norm(input, ord, dims or (-2, -1), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: Order {ord} not supported for vectors.")
    return fb.linalg.vector_norm(input, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@composite("linalg_cond(Tensor self, Scalar|str? p=None) -> Tensor", out=True)
def linalg_cond(input: fb.Tensor, p: str | float | None = None) -> fb.Tensor:
    """Condition number: norm of a matrix times norm of its inverse; of singular values where `p` is None, 2
    or -2."""
    check_matrix(input, "linalg.svd" if p in (None, 2, -2) and input.dim() > 1 else "linalg.cond")
    if p is None or p in (2, -2):
        values = fb.linalg.svdvals(input)
        if values.shape[-1] == 0:
            return values.new_zeros(values.shape[:-1])
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    check_square(input, "linalg.cond")
    if input.numel() == 0:
        real = input.real.dtype if input.is_complex() else input.dtype
        return fb.zeros(input.shape[:-2], dtype=real, device=input.device)
    inverse, info = fb.linalg.inv_ex(input)
    result = linalg_matrix_norm(input, p) * linalg_matrix_norm(inverse, p)
    return result.masked_fill(info.ne(0), math.inf)


def _tolerance(values: Any, shape: Sequence[int], atol: Any, rtol: Any) -> Any:
    """Singular values up to this count as zero; by batch."""
    largest = values.amax(-1) if values.shape[-1] else values.new_zeros(values.shape[:-1])
    default = fb.finfo(values.dtype).eps * max(shape[-2:])
    if rtol is None:
        if isinstance(atol, fb.Tensor):
            rtol = fb.where(atol > 0, 0.0, default)
        else:
            rtol = default if atol is None or atol <= 0 else 0.0
    atol = 0.0 if atol is None else atol
    relative = rtol * largest
    if isinstance(atol, fb.Tensor):
        return fb.maximum(atol.to(values.dtype), relative)
    return relative.clamp_min(atol)


def _check_tolerance(value: Any, name: str, of: str) -> None:
    if isinstance(value, fb.Tensor) and value.is_complex():
        raise RuntimeError(f"{of}: {name} tensor of complex type is not supported. Got {value.dtype}")


@composite(
    "linalg_matrix_rank(Tensor A, Tensor|float? tol=None, bool hermitian=False, *, Tensor|float? atol=None,"
    " Tensor|float? rtol=None) -> Tensor",
    out=True,
)
def linalg_matrix_rank(
    A: fb.Tensor,
    tol: float | fb.Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | fb.Tensor | None = None,
    rtol: float | fb.Tensor | None = None,
) -> fb.Tensor:
    """Number of singular values above ``max(atol, rtol * largest)``; `tol` is an absolute tolerance."""
    if A.dim() < 2:
        raise RuntimeError(
            "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."
        )
    if A.dtype not in _EXACT and tol is None and atol is None and rtol is None:
        raise RuntimeError("This function doesn't handle types other than float and double")
    check_matrix(A, "linalg.matrix_rank")
    for value, name in ((tol, "tol"), (atol, "atol"), (rtol, "rtol")):
        _check_tolerance(value, name, "linalg.matrix_rank")
    if tol is not None:
        atol, rtol = tol, 0.0
    if hermitian:
        check_square(A, "linalg.matrix_rank")
    with fb.no_grad():
        if A.numel() == 0:
            return fb.zeros(A.shape[:-2], dtype=fb.int64, device=A.device)
        values = fb.linalg.eigvalsh(A).abs() if hermitian else fb.linalg.svdvals(A)
        return (values > _tolerance(values, A.shape, atol, rtol).unsqueeze(-1)).sum(-1)


class _Pinv(Function):
    """A value with the derivative of the pseudo-inverse at constant rank (Golub and Pereyra, 1973).

    The saved result carries this node, so that derivatives of any order come out right.
    """

    @staticmethod
    def forward(a: Any, inverse: Any) -> Any:
        return inverse.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, result: Any) -> None:
        ctx.save_for_backward(inputs[0], result)
        ctx.save_for_forward(inputs[0], result)

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple:
        a, p = ctx.saved_tensors
        ph, gh = p.mH, g.mH
        left, right = gh @ p @ ph, ph @ p @ gh
        return left - a @ (p @ left) + right - (right @ p) @ a - ph @ g @ ph, None

    @staticmethod
    def jvp(ctx: Any, da: Any, _: Any) -> Any:
        a, p = ctx.saved_tensors
        ph, dh = p.mH, da.mH
        left, right = p @ ph @ dh, dh @ ph @ p
        return left - (left @ a) @ p + right - p @ (a @ right) - p @ da @ p


@composite(
    "linalg_pinv(Tensor self, Tensor|float? rcond=None, bool hermitian=False, *, Tensor|float? atol=None,"
    " Tensor|float? rtol=None) -> Tensor",
    out=True,
    node="LinalgPinvBackward0",
)
def linalg_pinv(
    input: fb.Tensor,
    rcond: float | fb.Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | fb.Tensor | None = None,
    rtol: float | fb.Tensor | None = None,
) -> fb.Tensor:
    """Moore-Penrose inverse; singular values up to ``max(atol, rtol * largest)`` count as zero."""
    if input.dim() < 2 or input.dtype not in _EXACT:
        raise RuntimeError(
            f"linalg.pinv({_type_name(input.dtype)}{{{list(input.shape)}}}): expected a tensor with 2 or more"
            " dimensions of float, double, cfloat or cdouble types"
        )
    for value, name in ((rcond, "rcond"), (atol, "atol"), (rtol, "rtol")):
        _check_tolerance(value, name, "linalg.pinv")
    if rcond is not None:
        atol, rtol = 0.0, rcond
    if hermitian:
        check_square(input, "linalg.pinv")
    if input.numel() == 0:
        return input.mH.clone()
    with fb.no_grad():
        if hermitian:
            values, vectors = fb.linalg.eigh(input)
            size = values.abs()
            u, vh = vectors, vectors.mH
        else:
            u, values, vh = fb.linalg.svd(input, full_matrices=False)
            size = values
        small = size <= _tolerance(size, input.shape, atol, rtol).unsqueeze(-1)
        inverse_values = fb.where(small, 0, 1 / fb.where(small, 1, values)).to(input.dtype)
        inverse = (vh.mH * inverse_values.unsqueeze(-2)) @ u.mH
    return _Pinv.apply(input, inverse)


@composite(
    "norm(Tensor self, Scalar|str? p=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) ->"
    " Tensor",
    method=True,
    out=True,
    python=True,
)
def norm(
    input: fb.Tensor,
    p: str | float | None = "fro",
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    out: fb.Tensor | None = None,
    dtype: fb.dtype | None = None,
) -> fb.Tensor:
    """Norm over `dim` (old function): ``"fro"``, ``"nuc"`` or a number for vectors of all those
    dimensions."""
    if out is not None:  # given by position
        return norm(input, p, dim, keepdim, dtype=dtype, out=out)
    if isinstance(p, str):
        dims = [dim] if isinstance(dim, int) else dim
        if p == "fro":
            return fb.linalg.vector_norm(input, 2, dims, keepdim, dtype=dtype)
        if p == "nuc":
            return linalg_matrix_norm(input, "nuc", dims or (-2, -1), keepdim, dtype=dtype)
        raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
    dims = [dim] if isinstance(dim, int) else dim
    return fb.linalg.vector_norm(input, 2 if p is None else p, dims, keepdim, dtype=dtype)


@composite("frobenius_norm(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", out=True)
def frobenius_norm(input: fb.Tensor, dim: int | Sequence[int], keepdim: bool = False) -> fb.Tensor:
    """Root of the sum of squares over one or two dimensions, or all of them."""
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(
            "norm(): input dtype should be either floating point or complex. "
            f"Got {_type_name(input.dtype)} instead."
        )
    return fb.linalg.vector_norm(input, 2, [dim] if isinstance(dim, int) else list(dim) or None, keepdim)


@composite("nuclear_norm(Tensor self, int[2]|bool? dim=None, bool keepdim=False) -> Tensor", out=True)
def nuclear_norm(
    input: fb.Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> fb.Tensor:
    """Sum of the singular values."""
    if isinstance(dim, bool):
        dim, keepdim = None, dim
    dim = (-2, -1) if dim is None else dim
    return linalg_matrix_norm(input, "nuc", dim, keepdim)


@composite("norm_except_dim(Tensor v, int pow=2, int dim=0) -> Tensor")
def norm_except_dim(v: fb.Tensor, pow: int = 2, dim: int = 0) -> fb.Tensor:
    """Norms of the slices along `dim`, with all other sizes 1; of the whole where `dim` is -1."""
    if dim == -1:
        return v.norm(pow)
    return fb.linalg.vector_norm(v, pow, [d for d in range(v.dim()) if d != dim], True)
