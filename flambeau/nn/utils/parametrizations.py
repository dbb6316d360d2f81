"""Parametrizations ready to use: orthogonal matrices, weight and spectral normalisation."""

from enum import Enum, auto
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F
from flambeau.nn.modules.module import Module
from flambeau.nn.utils import parametrize
from flambeau.nn.utils.weight_norm import norm_except, normalised

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _is_orthogonal(q: Tensor, eps: float | None = None) -> bool:
    rows, columns = q.size(-2), q.size(-1)
    identity = fb.eye(columns, dtype=q.dtype, device=q.device)
    eps = 10.0 * rows * fb.finfo(q.dtype).eps if eps is None else eps
    return fb.allclose(q.mH @ q, identity, atol=eps)


def _make_orthogonal(matrix: Tensor) -> Tensor:
    """The orthogonal factor of a QR decomposition whose R has a positive diagonal."""
    reflectors, tau = fb.geqrf(matrix)
    q = fb.linalg.householder_product(reflectors, tau)
    # the diagonal of R has the signs of that of the packed result
    q *= reflectors.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)
    return q


class _OrthMaps(Enum):
    matrix_exp = auto()
    cayley = auto()
    householder = auto()


class _Orthogonal(Module):
    """Maps any matrix to one with orthonormal columns (or rows, whichever are fewer)."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        """The orthogonal matrix of `x`."""
        rows, columns = x.size(-2), x.size(-1)
        transposed = rows < columns
        if transposed:
            x = x.mT
            rows, columns = columns, rows
        if self.orthogonal_map == _OrthMaps.householder:
            # the reflectors below the diagonal; their first entries are one
            below = x.tril(diagonal=-1)
            tau = 2.0 / (1.0 + (below * below).sum(dim=-2))
            q = fb.linalg.householder_product(below, tau)
            q = q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            skew = x.tril()
            if rows != columns:
                fill = x.new_zeros(rows, rows - columns).expand(*x.shape[:-2], -1, -1)
                skew = fb.cat([skew, fill], dim=-1)
            skew = skew - skew.mH
            if self.orthogonal_map == _OrthMaps.matrix_exp:
                q = fb.matrix_exp(skew)
            else:
                identity = fb.eye(rows, dtype=skew.dtype, device=skew.device)
                q = fb.linalg.solve(fb.add(identity, skew, alpha=-0.5), fb.add(identity, skew, alpha=0.5))
            if rows != columns:
                q = q[..., :columns]
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if transposed else q

    @fb.no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        """A matrix that is mapped to the orthogonal matrix nearest `q`."""
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape "
                f"{q.shape}."
            )
        start = q
        rows, columns = q.size(-2), q.size(-1)
        transposed = rows < columns
        if transposed:
            start = start.mT
            rows, columns = columns, rows
        if not hasattr(self, "base"):
            if self.orthogonal_map != _OrthMaps.householder:
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations "
                    "when use_trivialization=False."
                )
            reflectors, tau = fb.geqrf(start)
            reflectors.diagonal(dim1=-2, dim2=-1).sign_()
            # no reflection at all turns the sign around
            reflectors.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
            return reflectors.mT if transposed else reflectors
        if rows == columns:
            start = start.clone() if _is_orthogonal(start) else _make_orthogonal(start)
        else:
            more = fb.randn(*start.shape[:-2], rows, rows - columns, dtype=start.dtype, device=start.device)
            start = _make_orthogonal(fb.cat([start, more], dim=-1))
        self.base = start
        # zero would do, but the householder map wants a diagonal of signs
        identity = fb.zeros_like(q)
        identity.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return identity


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix (or batch of matrices) orthogonal (Lezcano-Casado 2019).

    Parameters
    ----------
    module : Module
    name : str
    orthogonal_map : {"matrix_exp", "cayley", "householder"}, optional
        By default the first for square or complex matrices, else the last.
    use_trivialization : bool
        Go out from the matrix at hand, as a fixed factor.
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    chosen = getattr(_OrthMaps, orthogonal_map, None)
    if chosen is None:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    return parametrize.register_parametrization(
        module, name, _Orthogonal(weight, chosen, use_trivialization=use_trivialization), unsafe=True
    )


class _WeightNorm(Module):
    """A tensor from its magnitude and its direction."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The tensor."""
        return normalised(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitude and direction."""
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int = 0) -> Module:
    """Keep a weight as its magnitude and its direction (Salimans & Kingma 2016).

    Parameters
    ----------
    module : Module
    name : str
    dim : int or None
        The dimension with a magnitude for each index; None: one for all.
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename_older_keys(
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        g_key, v_key = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if g_key in state_dict and v_key in state_dict:
            state_dict[f"{prefix}parametrizations.{name}.original0"] = state_dict.pop(g_key)
            state_dict[f"{prefix}parametrizations.{name}.original1"] = state_dict.pop(v_key)

    module._register_load_state_dict_pre_hook(rename_older_keys)
    return module


class _SpectralNorm(Module):
    """Divides a tensor by its largest singular value, estimated by power iteration."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.ndim
        if dim >= ndim or dim < -ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            # a vector needs no iteration
            self.n_power_iterations = n_power_iterations
            matrix = self._as_matrix(weight)
            rows, columns = matrix.size()
            u = matrix.new_empty(rows).normal_(0, 1)
            v = matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=self.eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=self.eps))
            self._power_method(matrix, 15)

    def _as_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1) if self.dim != 0 else weight.flatten(1)

    @fb.no_grad()
    def _power_method(self, matrix: Tensor, steps: int) -> None:
        for _ in range(steps):
            self._u = F.normalize(fb.mv(matrix, self._v), dim=0, eps=self.eps, out=self._u)
            self._v = F.normalize(fb.mv(matrix.mH, self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight: Tensor) -> Tensor:
        """The normalised tensor; in training the iteration goes on."""
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._as_matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # the buffers change at the next call; what autograd saves must not
        u = self._u.clone(memory_format=fb.contiguous_format)
        v = self._v.clone(memory_format=fb.contiguous_format)
        return weight / fb.vdot(u, fb.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """`value`, which is normalised when it is read."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Keep the largest singular value of a weight at one (Miyato et al. 2018).

    Parameters
    ----------
    module : Module
    name : str
    n_power_iterations : int
        Steps of the power iteration each time the weight is read in training.
    eps : float
    dim : int, optional
        The dimension of the outputs; by default 0, or 1 for transposed convolutions.
    """
    weight = _tensor_of(module, name)
    if dim is None:
        from flambeau.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    return parametrize.register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
