"""Linear algebra on top of the core's factorizations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from ..return_types import named
from .norms import check_matrix, check_square
from .registry import composite, core, wrap_dim


def _fail_at(name: str, info: Any, reason: str) -> None:
    """Raises `LinAlgError` for the first matrix of a batch that LAPACK could not treat."""
    if info.is_meta or not bool(info.any()):
        return
    flat = info.reshape(-1)
    k = int(flat.ne(0).nonzero()[0])
    where = f"(Batch element {k}): " if info.dim() else ""
    raise fb.linalg.LinAlgError(f"{name}: {where}{reason.format(int(flat[k]))}")


_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the leading minor"
    " of order {} is not positive-definite)."
)
_SINGULAR = (
    "The diagonal element {} is zero, the inversion could not be completed because the input matrix is"
    " singular."
)
_UNSOLVABLE = "The solver failed because the input matrix is singular."
_NO_LU = "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero."


@composite("linalg_cholesky(Tensor self, *, bool upper=False) -> Tensor", out=True)
def linalg_cholesky(input: fb.Tensor, *, upper: bool = False) -> fb.Tensor:
    """The lower (upper) triangular factor of Hermitian positive-definite matrices."""
    check_square(input, "linalg.cholesky")
    factor, info = core("linalg_cholesky_ex")(input, upper=upper)
    _fail_at("linalg.cholesky", info, _NOT_POSITIVE)
    return factor


@composite(
    "cholesky(Tensor self, bool upper=False) -> Tensor", method=True, out=True, node="CholeskyBackward0"
)
def cholesky(input: fb.Tensor, upper: bool = False) -> fb.Tensor:
    """`linalg.cholesky` under its old name."""
    check_square(input, "cholesky")
    factor, info = core("linalg_cholesky_ex")(input, upper=upper)
    _fail_at("cholesky", info, _NOT_POSITIVE)
    return factor


@composite("cholesky_solve(Tensor self, Tensor input2, bool upper=False) -> Tensor", method=True, out=True)
def cholesky_solve(input: fb.Tensor, input2: fb.Tensor, upper: bool = False) -> fb.Tensor:
    """Solves ``A X = input`` with the Cholesky factor `input2` of A."""
    for t, name in ((input, "b"), (input2, "u")):
        if t.dim() < 2:
            raise RuntimeError(
                f"{name} should have at least 2 dimensions, but has {t.dim()} dimensions instead"
            )
    if input2.shape[-1] != input2.shape[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {input2.shape[-1]} by {input2.shape[-2]}"
            " matrices"
        )
    if input.dtype != input2.dtype:
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {_short(input)} and A of type"
            f" {_short(input2)} instead."
        )
    if input.shape[-2] != input2.shape[-1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {input2.shape[-1]} by"
            f" {input2.shape[-1]} but each b matrix is {input.shape[-2]} by {input.shape[-1]}"
        )
    return core("_cholesky_solve")(input, input2, upper)


@composite("cholesky_inverse(Tensor self, bool upper=False) -> Tensor", method=True, out=True)
def cholesky_inverse(input: fb.Tensor, upper: bool = False) -> fb.Tensor:
    """The inverse of A from its Cholesky factor."""
    if input.dim() < 2:
        raise RuntimeError("linalg.cholesky_inverse: The input tensor A must have at least 2 dimensions.")
    check_square(input, "cholesky_inverse")
    return core("_cholesky_inverse")(input, upper)


@composite("linalg_inv(Tensor A) -> Tensor", out=True)
def linalg_inv(A: fb.Tensor) -> fb.Tensor:
    """Inverses of square matrices."""
    check_square(A, "linalg.inv")
    inverse, info = core("linalg_inv_ex")(A)
    _fail_at("linalg.inv", info, _SINGULAR)
    return inverse


@composite("inverse(Tensor self) -> Tensor", method=True, out=True)
def inverse(input: fb.Tensor) -> fb.Tensor:
    """`linalg.inv`."""
    return linalg_inv(input)


_LU_RESULT = named("linalg_lu_factor", "LU pivots")
_LDL_RESULT = named("linalg_ldl_factor", "LD pivots")


@composite("linalg_lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)", out=True)
def linalg_lu_factor(A: fb.Tensor, *, pivot: bool = True) -> tuple:
    """Both triangular factors in one matrix, and LAPACK's row exchanges (from 1)."""
    check_matrix(A, "torch.linalg.lu_factor")
    lu, pivots, info = core("linalg_lu_factor_ex")(A, pivot=pivot)
    _fail_at("torch.linalg.lu_factor", info, _NO_LU)
    return _LU_RESULT((lu, pivots))


@composite("linalg_ldl_factor(Tensor self, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)", out=True)
def linalg_ldl_factor(input: fb.Tensor, *, hermitian: bool = False) -> tuple:
    """LDL factorization of symmetric (Hermitian) matrices."""
    check_square(input, "torch.linalg.ldl_factor_ex")
    ld, pivots, info = core("linalg_ldl_factor_ex")(input, hermitian=hermitian)
    _fail_at("torch.linalg.ldl_factor", info, "The diagonal element {} of D is zero: the matrix is singular.")
    return _LDL_RESULT((ld, pivots))


_UNPACKED = named("lu_unpack", "P L U")


@composite(
    "lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor"
    " P, Tensor L, Tensor U)",
    out=True,
    node="LuUnpackBackward0",
)
def lu_unpack(
    LU_data: fb.Tensor, LU_pivots: fb.Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple:
    """P, L and U of ``A = P L U`` from the packed factorization."""
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    lower = upper = p = LU_data.new_empty((0,))
    if unpack_pivots:
        if LU_pivots.dtype != fb.int32:
            raise RuntimeError(
                "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32"
                " dtype.\nNote: this function is intended to be used with the output produced by"
                " torch.linalg.lu_factor"
            )
        order = core("_lu_permutation")(LU_pivots, m)
        p = fb.zeros((*order.shape, m), dtype=LU_data.dtype, device=LU_data.device)
        p.scatter_(-2, order.unsqueeze(-2), 1)
    if unpack_data:
        eye = fb.eye(m, k, dtype=LU_data.dtype, device=LU_data.device)
        lower = LU_data[..., :, :k].tril(-1) + eye
        upper = LU_data[..., :k, :].triu()
    return _UNPACKED((p, lower, upper))


_LU = named("linalg_lu", "P L U")


@composite(
    "linalg_lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)",
    out=True,
    node="LinalgLuBackward0",
)
def linalg_lu(A: fb.Tensor, *, pivot: bool = True) -> tuple:
    """P, L and U of ``A = P L U``; P is empty without pivoting."""
    check_matrix(A, "linalg.lu")
    lu, pivots, _ = core("linalg_lu_factor_ex")(A, pivot=pivot)
    return _LU(lu_unpack(lu, pivots, True, pivot))


@composite(
    "linalg_lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor",
    out=True,
    node="LinalgLuSolveBackward0",
)
def linalg_lu_solve(
    LU: fb.Tensor, pivots: fb.Tensor, B: fb.Tensor, *, left: bool = True, adjoint: bool = False
) -> fb.Tensor:
    """Solves ``A X = B`` (``X A = B`` where not `left`, with the adjoint of A where asked for) from the
    factorization of A."""
    check_square(LU, "torch.linalg.lu_solve")
    if pivots.dtype != fb.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if LU.dtype != B.dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type {_short(LU)}"
            f" and B of type {_short(B)} instead"
        )
    if pivots.dim() == 0 or pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(
            "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if pivots.shape != LU.shape[:-1]:
        raise RuntimeError(
            "linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with"
            f" shape {list(pivots.shape)} instead"
        )
    if B.dim() < 2:
        raise RuntimeError("linalg.lu_solve: The input tensor B must have at least 2 dimensions.")
    if B.shape[-2 if left else -1] != LU.shape[-1]:
        a, b = ("x".join(str(n) for n in t.shape[-2:]) for t in (LU, B))
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation {equation} ({a} and {b})"
        )
    if not left:
        return linalg_lu_solve(LU, pivots, B.mH, left=True, adjoint=not adjoint).mH
    solve = fb.linalg.solve_triangular
    batch = fb.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    n = LU.shape[-1]
    order = core("_lu_permutation")(pivots, n).expand(*batch, n).unsqueeze(-1).expand(*batch, n, B.shape[-1])
    B = B.expand(*batch, *B.shape[-2:])
    if adjoint:
        y = solve(LU.mH, solve(LU.mH, B, upper=False), upper=True, unitriangular=True)
        back = order.argsort(-2)
        return y.gather(-2, back)
    y = solve(LU, B.gather(-2, order), upper=False, unitriangular=True)
    return solve(LU, y, upper=True)


@composite(
    "lu_solve(Tensor self, Tensor LU_data, Tensor LU_pivots) -> Tensor",
    method=True,
    out=True,
    node="LinalgLuSolveBackward0",
)
def lu_solve(input: fb.Tensor, LU_data: fb.Tensor, LU_pivots: fb.Tensor) -> fb.Tensor:
    """Solves ``A X = input`` from the factorization of A."""
    return linalg_lu_solve(LU_data, LU_pivots, input)


@composite(
    "lu(Tensor A, bool pivot=True, bool get_infos=False) -> (Tensor, Tensor, Tensor)",
    method=True,
    out=True,
    python=True,
)
def lu(A: fb.Tensor, pivot: bool = True, get_infos: bool = False) -> tuple:
    """`linalg.lu_factor` under its old name: takes singular matrices; `get_infos` adds LAPACK's codes."""
    factor, pivots, info = core("linalg_lu_factor_ex")(A, pivot=pivot)
    if get_infos:
        return factor, pivots, info
    return factor, pivots


@composite("linalg_svdvals(Tensor A, *, str? driver=None) -> Tensor", out=True)
def linalg_svdvals(A: fb.Tensor, *, driver: str | None = None) -> fb.Tensor:
    """Singular values in descending order: (…, m, n) to (…, min(m, n))."""
    check_matrix(A, "linalg.svd")
    if not (A.requires_grad and fb.is_grad_enabled()):
        return core("_linalg_svdvals")(A)
    return core("linalg_svd")(A, full_matrices=False, driver=driver)[1]


_SVD = named("svd", "U S V")


@composite(
    "svd(Tensor self, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)",
    method=True,
    out=True,
)
def svd(input: fb.Tensor, some: bool = True, compute_uv: bool = True) -> tuple:
    """`linalg.svd` under its old name, with V in place of its adjoint."""
    check_matrix(input, "linalg.svd")
    if not compute_uv:
        m, n = input.shape[-2:]
        batch = input.shape[:-2]
        return _SVD((input.new_zeros((*batch, m, m)), linalg_svdvals(input), input.new_zeros((*batch, n, n))))
    u, s, vh = core("linalg_svd")(input, full_matrices=not some)
    return _SVD((u, s, vh.mH))


@composite('linalg_eigvalsh(Tensor self, str UPLO="L") -> Tensor', out=True)
def linalg_eigvalsh(input: fb.Tensor, UPLO: str = "L") -> fb.Tensor:
    """Eigenvalues of Hermitian matrices in ascending order."""
    check_square(input, "linalg.eigh")
    if not (input.requires_grad and fb.is_grad_enabled()):
        return core("_linalg_eigvalsh")(input, UPLO)
    return core("linalg_eigh")(input, UPLO=UPLO)[0]


@composite("linalg_eigvals(Tensor self) -> Tensor", out=True)
def linalg_eigvals(input: fb.Tensor) -> fb.Tensor:
    """Eigenvalues of square matrices (complex)."""
    check_square(input, "linalg.eigvals")
    return core("linalg_eig")(input)[0]


_QR = named("qr", "Q R")


@composite("qr(Tensor self, bool some=True) -> (Tensor Q, Tensor R)", method=True, out=True)
def qr(input: fb.Tensor, some: bool = True) -> tuple:
    """`linalg.qr` under its old name."""
    return _QR(fb.linalg.qr(input, "reduced" if some else "complete"))


_SLOGDET = named("linalg_slogdet", "sign logabsdet")


@composite(
    "linalg_slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)", out=True, node="LinalgSlogdetBackward0"
)
def linalg_slogdet(A: fb.Tensor) -> tuple:
    """Sign and logarithm of the absolute value of determinants."""
    check_square(A, "linalg.slogdet")
    lu, pivots, _ = core("linalg_lu_factor_ex")(A)
    diagonal = lu.diagonal(0, -2, -1)
    places = fb.arange(1, pivots.shape[-1] + 1, device=pivots.device)
    exchanges = pivots.ne(places).sum(-1) % 2
    sign = diagonal.sgn().prod(-1) * (1 - 2 * exchanges)
    return _SLOGDET((sign, diagonal.abs().log().sum(-1)))


@composite(
    "slogdet(Tensor self) -> (Tensor sign, Tensor logabsdet)",
    method=True,
    out=True,
    node="LinalgSlogdetBackward0",
)
def slogdet(input: fb.Tensor) -> tuple:
    """`linalg.slogdet`."""
    return named("slogdet", "sign logabsdet")(linalg_slogdet(input))


@composite("logdet(Tensor self) -> Tensor", method=True)
def logdet(input: fb.Tensor) -> fb.Tensor:
    """Logarithm of determinants; NaN where negative."""
    check_matrix(input, "logdet")
    sign, logabs = linalg_slogdet(input)
    if input.is_complex():
        return sign.log() + logabs
    return fb.where(sign == -1, math.nan, logabs)


def _zero(t: Any) -> Any:
    """Zeros that still depend on `t`, as far as derivatives are concerned."""
    return t.masked_fill(fb.ones((), dtype=fb.bool, device=t.device), 0)


@composite("linalg_matrix_power(Tensor self, int n) -> Tensor", out=True)
def linalg_matrix_power(input: fb.Tensor, n: int) -> fb.Tensor:
    """Square matrices multiplied by themselves; of the inverse where `n` is negative."""
    if input.dim() < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    if input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"linalg.matrix_power: A must be batches of square matrices, but they are {input.shape[-2]} by"
            f" {input.shape[-1]} matrices"
        )
    if n == 0:
        return _zero(input) + fb.eye(input.shape[-1], dtype=input.dtype, device=input.device)
    base = linalg_inv(input) if n < 0 else input
    n, result = abs(n), None
    while True:
        if n & 1:
            result = base if result is None else result @ base
        n >>= 1
        if not n:
            return result.clone() if result is input else result
        base = base @ base


@composite("matrix_power(Tensor self, int n) -> Tensor", method=True, out=True)
def matrix_power(input: fb.Tensor, n: int) -> fb.Tensor:
    """`linalg.matrix_power`."""
    return linalg_matrix_power(input, n)


# numerator coefficients of the diagonal Padé approximation of order 13 (Higham, 2005), and the norm up to
# which it is exact
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_PADE_NORM = 5.37


@composite("linalg_matrix_exp(Tensor self) -> Tensor", node="LinalgMatrixExpBackward0")
def linalg_matrix_exp(input: fb.Tensor) -> fb.Tensor:
    """Exponentials of square matrices, by scaling and squaring of a Padé approximation (Higham, 2005)."""
    check_square(input, "linalg.matrix_exp")
    if input.is_meta:
        return fb.empty_like(input)
    if input.numel() == 0 or input.shape[-1] == 1:
        return input.exp()
    dtype = input.dtype
    a = input.to(fb.float32) if dtype in (fb.float16, fb.bfloat16) else input
    norm = float(a.detach().abs().sum(-2).max())
    squarings = max(0, math.ceil(math.log2(norm / _PADE_NORM))) if 0 < norm < math.inf else 0
    a = a / 2.0**squarings
    eye = fb.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a2 @ a4
    # divided by the largest coefficient, so that float32 does not overflow
    c = [x / _PADE[0] for x in _PADE]
    odd = a @ (a6 @ (c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * eye)
    even = a6 @ (c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * eye
    result = fb.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        result = result @ result
    return result.to(dtype)


@composite("matrix_exp(Tensor self) -> Tensor", method=True, node="LinalgMatrixExpBackward0")
def matrix_exp(input: fb.Tensor) -> fb.Tensor:
    """`linalg.matrix_exp`."""
    return linalg_matrix_exp(input)


def _reflectors(input: Any) -> list:
    """The vectors of the Householder reflections that LAPACK packs below a diagonal."""
    m, k = input.shape[-2:]
    below = input.tril(-1)
    eye = fb.eye(m, k, dtype=input.dtype, device=input.device)
    return list((below + eye).unbind(-1))


def _reflect(v: Any, tau: Any, t: Any) -> Any:
    """``(I - tau v v^H) t``."""
    v = v.unsqueeze(-1)
    return t - tau.unsqueeze(-1).unsqueeze(-1) * (v @ (v.mH @ t))


@composite(
    "linalg_householder_product(Tensor input, Tensor tau) -> Tensor",
    out=True,
    node="LinalgHouseholderProductBackward0",
)
def linalg_householder_product(A: fb.Tensor, tau: fb.Tensor) -> fb.Tensor:
    """First columns of the product of Householder reflections ``I - tau v v^H``: (…, m, n), (…, k) to (…, m,
    n)."""
    check_matrix(A, "torch.linalg.householder_product")
    m, n = A.shape[-2:]
    k = tau.shape[-1]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to "
            "input.shape[-1]"
        )
    if n < k:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if A.dim() - tau.dim() != 1:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected tau to have one dimension less than input, but got"
            f" tau.ndim equal to {tau.dim()} and input.ndim is equal to {A.dim()}"
        )
    if tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected batch dimensions of tau to be equal to "
            f"input.shape[:-2], but got {list(tau.shape[:-1])}"
        )
    if tau.dtype != A.dtype:
        raise RuntimeError(
            f"torch.linalg.householder_product: tau dtype {_short(tau)} does not match input dtype"
            f" {_short(A)}"
        )
    q = fb.eye(m, n, dtype=A.dtype, device=A.device).expand(A.shape)
    if k == 0:
        return q + _zero(A)
    vs = _reflectors(A[..., :k])
    for i in reversed(range(k)):
        q = _reflect(vs[i], tau[..., i], q)
    return q


def _short(t: Any) -> str:
    from .registry import _type_name

    return _type_name(t.dtype)


@composite(
    "orgqr(Tensor self, Tensor input2) -> Tensor",
    method=True,
    out=True,
    node="LinalgHouseholderProductBackward0",
)
def orgqr(input: fb.Tensor, input2: fb.Tensor | None = None, *, tau: fb.Tensor | None = None) -> fb.Tensor:
    """`linalg.householder_product`."""
    return linalg_householder_product(input, input2 if tau is None else tau)


@composite(
    "ormqr(Tensor self, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor",
    method=True,
    out=True,
    node="OrmqrBackward0",
)
def ormqr(
    input: fb.Tensor,
    input2: fb.Tensor | None = None,
    input3: fb.Tensor | None = None,
    left: bool = True,
    transpose: bool = False,
    *,
    tau: fb.Tensor | None = None,
    other: fb.Tensor | None = None,
) -> fb.Tensor:
    """The product of reflections `(input, input2)` times `input3` (from the right where not `left`), or its
    adjoint."""
    tau, other = input2 if tau is None else tau, input3 if other is None else other
    if input.dim() < 2:
        raise RuntimeError("torch.ormqr: input must have at least 2 dimensions.")
    if other.dim() < 2:
        raise RuntimeError("torch.ormqr: other must have at least 2 dimensions.")
    side = -2 if left else -1
    if other.shape[side] < tau.shape[-1]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1]")
    if other.shape[side] != input.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if tau.shape[-1] > input.shape[-1]:
        raise RuntimeError("torch.ormqr: tau.shape[-1] must be less than or equal to input.shape[-1]")
    if input.dim() - tau.dim() != 1:
        raise RuntimeError(
            "torch.ormqr: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{tau.dim()} and input.ndim is equal to {input.dim()}"
        )
    if input.dim() != other.dim():
        raise RuntimeError(
            "torch.ormqr: Expected other to have the same number of dimensions as input, but got other.ndim"
            f" equal to {other.dim()} and input.ndim is equal to {input.dim()}"
        )
    if tau.shape[:-1] != input.shape[:-2]:
        raise RuntimeError(
            "torch.ormqr: Expected batch dimensions of tau to be equal to input.shape[:-2], but got"
            f" {list(tau.shape[:-1])}"
        )
    if other.shape[:-2] != input.shape[:-2]:
        raise RuntimeError(
            "torch.ormqr: Expected batch dimensions of other to be equal to input.shape[:-2], but got"
            f" {list(other.shape[:-2])}"
        )
    for t, name in ((tau, "tau"), (other, "other")):
        if t.dtype != input.dtype:
            raise RuntimeError(
                f"torch.ormqr: Expected input and {name} to have the same dtype, but input has dtype"
                f"{_short(input)} and {name} has dtype {_short(t)}"
            )
    if not left:
        return ormqr(input, tau, other.mH, True, not transpose).mH
    k = tau.shape[-1]
    vs = _reflectors(input[..., :k])
    result = other if k else other.clone()
    for i in range(k) if transpose else reversed(range(k)):
        t = tau[..., i]
        result = _reflect(vs[i], t.conj() if transpose else t, result)
    return result


@composite("linalg_tensorinv(Tensor self, int ind=2) -> Tensor", out=True)
def linalg_tensorinv(input: fb.Tensor, ind: int = 2) -> fb.Tensor:
    """Inverse of a tensor as a map from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    first, last = input.shape[:ind], input.shape[ind:]
    rows, cols = math.prod(first), math.prod(last)
    if rows != cols:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but"
            f" got {cols} != {rows}"
        )
    result, info = core("linalg_inv_ex")(input.reshape(rows, cols))
    _fail_at("linalg.tensorinv", info, _SINGULAR)
    return result.reshape(*last, *first)


@composite("linalg_tensorsolve(Tensor self, Tensor other, int[]? dims=None) -> Tensor", out=True)
def linalg_tensorsolve(A: fb.Tensor, B: fb.Tensor, dims: Sequence[int] | None = None) -> fb.Tensor:
    """Solves ``tensordot(A, X, X.dim()) = B``; `dims` of A are moved to its end first."""
    a = A
    if dims is not None:
        ds = [wrap_dim(d, A.dim()) for d in dims]
        a = A.movedim(ds, list(range(A.dim() - len(ds), A.dim())))
    shape = a.shape[B.dim() :]
    size = math.prod(shape)
    if size != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {size} != {B.numel()}"
        )
    result, info = core("linalg_solve_ex")(a.reshape(size, size), B.reshape(size))
    _fail_at("linalg.tensorsolve", info, _UNSOLVABLE)
    return result.reshape(shape)


@composite("linalg_vander(Tensor x, *, SymInt? N=None) -> Tensor")
def linalg_vander(x: fb.Tensor, *, N: int | None = None) -> fb.Tensor:
    """Powers from 0 to N - 1 of elements: (…, n) to (…, n, N)."""
    if x.dtype in (fb.float16, fb.bfloat16, fb.bool):
        raise RuntimeError(
            f"linalg.vander supports floating point, complex, and integer tensors, but got {_short(x)}"
        )
    x = fb.atleast_1d(x)
    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise RuntimeError("N must be greater than 1.")
    wide = x.unsqueeze(-1).expand(*x.shape, max(n - 1, 0))
    powers = wide.cumprod(-1)
    return fb.cat([fb.ones((*x.shape, 1), dtype=powers.dtype, device=x.device), powers], -1)


@composite("vander(Tensor x, int? N=None, bool increasing=False) -> Tensor")
def vander(x: fb.Tensor, N: int | None = None, increasing: bool = False) -> fb.Tensor:
    """Powers of a vector's elements as columns, from N - 1 to 0 (or increasing)."""
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.shape[0] if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    if n == 0:
        return fb.empty(
            (x.shape[0], 0),
            dtype=(
                fb.result_type(x, fb.tensor(1))
                if not x.dtype.is_floating_point and not x.is_complex()
                else x.dtype
            ),
        )
    ones = fb.ones((x.shape[0], 1), dtype=x.dtype, device=x.device)
    powers = x.unsqueeze(1).expand(-1, n - 1).cumprod(1) if n > 1 else ones[:, :0]
    made = fb.cat([ones.to(powers.dtype), powers], 1)
    return made if increasing else made.flip(1)


@composite("linalg_diagonal(Tensor(a) A, *, int offset=0, int dim1=-2, int dim2=-1) -> Tensor(a)")
def linalg_diagonal(A: fb.Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> fb.Tensor:
    """A view of the diagonals of matrices."""
    return A.diagonal(offset, dim1, dim2)


@composite("linalg_matmul(Tensor self, Tensor other) -> Tensor", out=True)
def linalg_matmul(input: fb.Tensor, other: fb.Tensor) -> fb.Tensor:
    """`matmul`."""
    return fb.matmul(input, other)


@composite("pinverse(Tensor self, float rcond=1e-15) -> Tensor", method=True, node="LinalgPinvBackward0")
def pinverse(input: fb.Tensor, rcond: float = 1e-15) -> fb.Tensor:
    """`linalg.pinv` with its old tolerance."""
    return fb.linalg.pinv(input, rcond=rcond)


_TRIANGULAR = named("triangular_solve", "solution cloned_coefficient")


@composite(
    "triangular_solve(Tensor self, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False)"
    " -> (Tensor solution, Tensor cloned_coefficient)",
    method=True,
    out=True,
    node="TriangularSolveBackward0",
)
def triangular_solve(
    input: fb.Tensor, A: fb.Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple:
    """Solves ``A X = input`` for triangular A (old name of `linalg.solve_triangular`); also returns A."""
    for t, name in ((input, "b"), (A, "A")):
        if t.dim() < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {name} to have at least 2 dimensions, but it has {t.dim()}"
                " dimensions instead"
            )
    if input.dtype is not A.dtype:
        from .registry import _type_name

        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {_type_name(input.dtype)} and A"
            f" of type {_type_name(A.dtype)} instead."
        )
    batch = fb.broadcast_shapes(input.shape[:-2], A.shape[:-2])
    a = A.expand(*batch, *A.shape[-2:])
    factor = a.mT if transpose else a
    solution = fb.linalg.solve_triangular(
        factor, input.expand(*batch, *input.shape[-2:]), upper=upper != transpose, unitriangular=unitriangular
    )
    return _TRIANGULAR((solution, a.clone()))


def _range_basis(a: fb.Tensor, q: int, niter: int, m: fb.Tensor | None) -> Any:
    """Orthonormal columns near the range of A (Halko et al., 2009, algorithm 4.4)."""
    r = fb.randn(a.shape[-1], q, dtype=a.dtype, device=a.device)

    def times(x: Any) -> Any:
        return a @ x if m is None else a @ x - m @ x

    def adjoint_times(x: Any) -> Any:
        return a.mH @ x if m is None else a.mH @ x - m.mH @ x

    basis = fb.linalg.qr(times(r)).Q
    for _ in range(niter):
        basis = fb.linalg.qr(adjoint_times(basis)).Q
        basis = fb.linalg.qr(times(basis)).Q
    return basis


@composite(
    "svd_lowrank(Tensor A, int? q=6, int? niter=2, Tensor? M=None) -> (Tensor, Tensor, Tensor)", python=True
)
def svd_lowrank(A: fb.Tensor, q: int | None = 6, niter: int | None = 2, M: fb.Tensor | None = None) -> tuple:
    """U, S and V of a nearly low-rank matrix (less M where given), by random projections (Halko et al.,
    2009)."""
    q = 6 if q is None else q
    m, n = A.shape[-2:]
    if M is not None:
        M = M.expand(A.shape)
    a, shift = (A, M) if m >= n else (A.mH, None if M is None else M.mH)
    basis = _range_basis(a, q, 2 if niter is None else niter, shift)
    small = basis.mH @ a if shift is None else basis.mH @ (a - shift)
    u, s, vh = fb.linalg.svd(small, full_matrices=False)
    u, v = basis @ u, vh.mH
    return (u, s, v) if m >= n else (v, s, u)


@composite(
    "pca_lowrank(Tensor A, int? q=None, bool center=True, int niter=2) -> (Tensor, Tensor, Tensor)",
    python=True,
)
def pca_lowrank(A: fb.Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple:
    """Principal components of rows: `svd_lowrank` of the matrix less its column means."""
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


@composite(
    "linalg_lstsq(Tensor self, Tensor b, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor "
    "residuals, Tensor rank, Tensor singular_values)",
    out=True,
)
def linalg_lstsq(
    input: fb.Tensor, b: fb.Tensor, rcond: float | None = None, *, driver: str | None = None
) -> tuple:
    """Least squares: X with the smallest ``|A X - B|``, residuals, rank, singular values."""
    result = core("linalg_lstsq")(input, b, rcond, driver=driver)
    if not result.solution.requires_grad or result.residuals.numel() == 0:
        return result
    # the core's residuals are numbers from LAPACK: these can be differentiated
    vector = result.solution.dim() == input.dim() - 1
    solution, right = (t.unsqueeze(-1) if vector else t for t in (result.solution, b))
    residuals = (input @ solution - right).abs().square().sum(-2)
    return type(result)((result.solution, residuals.reshape(result.residuals.shape), *result[2:]))
