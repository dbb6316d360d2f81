"""Statistics, counting, differences and integrals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .._type_names import cpp_word
from ..return_types import named
from .registry import composite, core, wrap_dim


def _name(t: Any) -> str:
    from .registry import _type_name

    return _type_name(t.dtype)


@composite(
    "nanmean(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    method=True,
    out=True,
)
def nanmean(
    input: fb.Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: fb.dtype | None = None,
) -> fb.Tensor:
    """Mean of what is not NaN."""
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {_name(input)}"
        )
    count = (
        input.isnan().logical_not().sum(dim, keepdim)
        if dim is not None
        else input.isnan().logical_not().sum()
    )
    if dim is None and keepdim:
        count = count.reshape((1,) * input.dim())
    return fb.nansum(input, dim, keepdim, dtype=dtype) / count


def _ordered(input: Any, dim: int, ignore_nan: bool) -> tuple[Any, Any]:
    """Values in ascending order along the last dimension, and how many of them count (None: all)."""
    values = input.movedim(dim, -1).sort(-1).values
    return values, (values.isnan().logical_not().sum(-1, keepdim=True) if ignore_nan else None)


def _quantile(
    input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, ignore_nan: bool, name: str
) -> Any:
    if isinstance(q, (int, float)):
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
        q = fb.tensor(q, dtype=input.dtype, device=input.device)
    if input.numel() == 0:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q.dim() > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input.dtype not in (fb.float32, fb.float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if input.dtype != q.dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    modes = ("linear", "lower", "higher", "midpoint", "nearest")
    if interpolation not in modes:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got"
            f" {interpolation}"
        )
    if not q.is_meta and not bool(((q >= 0) & (q <= 1)).all()):
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    original = input.dim()
    where = None if dim is None else wrap_dim(dim, original)
    if where is None:
        input = input.reshape(-1)
    elif original == 0:
        input = input.reshape(1)
    values, count = _ordered(input, where or 0, ignore_nan)
    size = values.shape[-1]
    if count is None:
        ranks = (q * (size - 1)).reshape(-1).expand(*values.shape[:-1], q.numel())
        nan = values.isnan().any(-1, keepdim=True)
    else:
        ranks = q.reshape(-1) * (count - 1).clamp_min(0).to(q.dtype)
        nan = count == 0
    if interpolation == "lower":
        ranks = ranks.floor()
    elif interpolation == "higher":
        ranks = ranks.ceil()
    elif interpolation == "nearest":
        ranks = ranks.round()
    below = ranks.to(fb.int64)
    low = values.gather(-1, below)
    if interpolation in ("linear", "midpoint"):
        high = values.gather(-1, ranks.ceil().to(fb.int64))
        weight = fb.full_like(ranks, 0.5) if interpolation == "midpoint" else ranks - below
        # halves of equal neighbours would not matter, those of a whole rank do
        low = fb.lerp(low, high, weight)
    result = low.masked_fill(nan, math.nan)
    if keepdim:
        if where is None:
            result = result.reshape(*(1,) * original, q.numel())
        elif original:
            result = result.unsqueeze(-1).transpose(-1, -2) if where == original - 1 else result
            if where != original - 1:
                result = result.unsqueeze(where)
        else:
            result = result.reshape(q.numel())
    if q.dim() == 0:
        return result.squeeze(-1)
    return result.movedim(-1, 0)


@composite(
    'quantile(Tensor self, Tensor|float q, int? dim=None, bool keepdim=False, *, str interpolation="linear")'
    " -> Tensor",
    method=True,
    out=True,
)
def quantile(
    input: fb.Tensor,
    q: float | fb.Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> fb.Tensor:
    """Quantiles along `dim` (of all elements where None); several `q` make a first dimension."""
    return _quantile(input, q, dim, keepdim, interpolation, False, "quantile")


@composite(
    "nanquantile(Tensor self, Tensor|float q, int? dim=None, bool keepdim=False, *, str"
    ' interpolation="linear") -> Tensor',
    method=True,
    out=True,
)
def nanquantile(
    input: fb.Tensor,
    q: float | fb.Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> fb.Tensor:
    """Quantiles of what is not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, True, "nanquantile")


@composite("bincount(Tensor self, Tensor? weights=None, SymInt minlength=0) -> Tensor", method=True)
def bincount(input: fb.Tensor, weights: fb.Tensor | None = None, minlength: int = 0) -> fb.Tensor:
    """How often each number from 0 occurs in a vector, or the sum of its weights."""
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if input.dtype.is_floating_point or input.dtype.is_complex or input.dtype == fb.bool:
        raise NotImplementedError('"bincount_cpu" not implemented for \'' + _name(input) + "'")
    if input.dim() == 1 and input.numel() == 0:
        return fb.zeros(minlength, dtype=fb.int64, device=input.device)
    if input.dim() != 1 or (weights is not None and int(input.min()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return core("_bincount")(input, minlength)
    if weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    size = max(int(input.max()) + 1, minlength)
    source = weights if weights.dtype == fb.float32 else weights.to(fb.float64)
    return fb.zeros(size, dtype=source.dtype, device=input.device).index_add_(
        0, input.to(fb.int64), source.detach()
    )


@composite("histc(Tensor self, int bins=100, Scalar min=0, Scalar max=0) -> Tensor", method=True, out=True)
def histc(input: fb.Tensor, bins: int = 100, min: float = 0, max: float = 0) -> fb.Tensor:
    """Counts of elements in equal bins from `min` to `max` (of the data where both are 0); what is outside
    does not count."""
    if bins <= 0:
        raise RuntimeError("bins must be > 0" if bins < 0 else "torch.histc(): bins must be > 0")
    if not input.is_floating_point():
        loop = (
            "aminmax_cpu"
            if input.is_complex()
            else "linspace_cpu"
            if input.dtype is fb.bool
            else "histogram_cpu"
        )
        raise NotImplementedError(f"\"{loop}\" not implemented for '{_name(input)}'")
    if input.is_meta:
        return input.new_empty(bins)
    all_inside = min == max
    if all_inside and input.numel():
        min, max = float(input.min()), float(input.max())
    if not (math.isfinite(min) and math.isfinite(max)):
        raise RuntimeError(f"range of [{min}, {max}] is not finite")
    if min == max:
        min, max = min - 1, max + 1
    if min > max:
        raise RuntimeError("max must be larger than min")
    flat = input.detach().reshape(-1)
    if not all_inside:
        flat = flat[(flat >= min) & (flat <= max)]
    share = flat.to(fb.float64, copy=True).sub_(min).div_(max - min)
    where = share.mul_(bins).to(fb.int64).clamp_max_(bins - 1)
    if input.is_meta:
        return fb.empty(bins, dtype=input.dtype, device=input.device)
    return fb.bincount(where, minlength=bins).to(input.dtype)


def _edges(values: Any, bins: int, low: float | None, high: float | None, name: str) -> Any:
    if low is None:
        if values.numel() == 0:
            low, high = 0.0, 1.0
        else:
            low, high = map(float, fb.aminmax(values))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: min should not exceed max, but got min {low} max {high}")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return fb.linspace(low, high, bins + 1, dtype=values.dtype)


def _bin_numbers(values: Any, edges: Any) -> Any:
    """The bin of each value, -1 outside; the last bin has its upper edge."""
    last = edges.numel() - 2
    where = fb.searchsorted(edges, values.contiguous(), right=True) - 1
    where = fb.where((where == last + 1) & (values == edges[-1]), last, where)
    return fb.where((where > last) | values.isnan(), -1, where)


def _counts_on_a_line(values: Any, edges: Any, bins: int, weight: Any) -> Any:
    """Counts between edges, the last finite: what lies before and behind them has bins of its own."""
    beyond = fb.nextafter(edges[-1:], edges.new_full((1,), math.inf))  # the last bin has its upper edge
    where = fb.searchsorted(fb.cat([edges[:-1], beyond]), values, right=True)
    if weight is None:
        return core("_bincount")(where, bins + 2)[1:-1].to(values.dtype)
    return values.new_zeros(bins + 2).index_add_(0, where, weight.reshape(-1))[1:-1].clone()


def _histogram(points: Any, edges: Sequence[Any], weight: Any, density: bool) -> Any:
    """Counts of points (n, D) in the bins between D lists of edges."""
    shape = [e.numel() - 1 for e in edges]
    if len(edges) == 1 and shape[0] > 0 and math.isfinite(float(edges[0][-1])):
        counts = _counts_on_a_line(points.reshape(-1), edges[0], shape[0], weight)
        return counts / counts.sum() / edges[0].diff() if density else counts
    flat = fb.zeros(points.shape[0], dtype=fb.int64)
    inside = fb.ones(points.shape[0], dtype=fb.bool)
    for d, e in enumerate(edges):
        where = _bin_numbers(points[:, d], e)
        inside &= where >= 0
        flat = flat * shape[d] + where.clamp_min(0)
    source = fb.ones(points.shape[0], dtype=points.dtype) if weight is None else weight.reshape(-1)
    counts = (
        fb.zeros(math.prod(shape), dtype=points.dtype)
        .index_add_(0, flat[inside], source[inside])
        .reshape(shape)
    )
    if density:
        counts = counts / counts.sum()
        for d, e in enumerate(edges):
            counts = counts / e.diff().reshape([-1 if k == d else 1 for k in range(len(shape))])
    return counts


def _check_weight(input: Any, weight: Any, points: int, name: str) -> None:
    if weight is None:
        return
    if weight.dtype != input.dtype:
        raise RuntimeError(
            f"{name}: if weight tensor is provided, input tensor and weight tensor should have the same"
            f" dtype, but got input({cpp_word(input.dtype)}), and weight({cpp_word(weight.dtype)})"
        )
    if weight.numel() != points:
        raise RuntimeError(
            f"{name}: if weight tensor is provided it should have the same shape as the input tensor"
            f" excluding its innermost dimension, but got input with shape {list(input.shape)} and weight"
            f" with shape {list(weight.shape)}"
        )


_HISTOGRAM = named("histogram", "hist bin_edges")


@composite(
    "histogram(Tensor self, Tensor|int bins=100, *, float[]? range=None, Tensor? weight=None, bool"
    " density=False) -> (Tensor hist, Tensor bin_edges)",
    method=True,
    out=True,
)
def histogram(
    input: fb.Tensor,
    bins: int | fb.Tensor = 100,
    *,
    range: Sequence[float] | None = None,
    weight: fb.Tensor | None = None,
    density: bool = False,
) -> tuple:
    """Counts of elements in bins (a number, or a tensor of edges), and the edges."""
    if input.dtype not in (fb.float32, fb.float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{_name(input)}'")
    flat = input.detach().reshape(-1, 1)
    _check_weight(input, weight, flat.shape[0], "torch.histogram")
    if isinstance(bins, fb.Tensor):
        edges = bins.detach().clone()
        if edges.dim() != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {edges.dim()} dimensions"
                " in the bins tensor for dimension 0"
            )
        if edges.dtype != input.dtype:
            raise RuntimeError(
                "torch.histogramdd(): input tensor and bins tensors should have the same dtype, but got"
                f" input with dtype {input.dtype} and bins for dimension 0 with dtype {edges.dtype}"
            )
    else:
        if bins <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
        edges = _edges(flat, bins, *(range or (None, None)), "torch.histogram")
    return _HISTOGRAM((_histogram(flat, [edges], weight, density), edges))


_HISTOGRAMDD = named("histogramdd", "hist bin_edges")


@composite(
    "histogramdd(Tensor self, int[]|int|Tensor[] bins, float[]? range=None, Tensor? weight=None, bool"
    " density=False) -> (Tensor hist, Tensor[] bin_edges)"
)
def histogramdd(
    input: fb.Tensor,
    bins: int | Sequence[int] | Sequence[fb.Tensor],
    range: Sequence[float] | None = None,
    weight: fb.Tensor | None = None,
    density: bool = False,
) -> tuple:
    """Counts of points (…, D) in a grid of bins, and D lists of edges."""
    if input.dim() < 2:
        raise RuntimeError(
            "torch.histogramdd: input tensor should have at least 2 dimensions, but got " + str(input.dim())
        )
    points = input.detach().reshape(-1, input.shape[-1])
    dims = points.shape[1]
    _check_weight(input, weight, points.shape[0], "torch.histogramdd")
    per_dim = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(per_dim) != dims:
        raise RuntimeError(
            f"torch.histogramdd: expected {dims} sequences of bin edges for a {dims}-dimensional histogram"
            f" but got {len(per_dim)}"
        )
    bounds = [None] * (2 * dims) if range is None else list(range)
    if len(bounds) != 2 * dims:
        raise RuntimeError(
            f"torch.histogramdd: for a {dims}-dimensional histogram range should have {2 * dims} elements,"
            f" but got {len(bounds)}"
        )
    edges = [
        (
            b
            if isinstance(b, fb.Tensor)
            else _edges(points[:, d], b, bounds[2 * d], bounds[2 * d + 1], "torch.histogramdd")
        )
        for d, b in enumerate(per_dim)
    ]
    return _HISTOGRAMDD((_histogram(points, edges, weight, density), tuple(edges)))


@composite(
    "cov(Tensor self, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor",
    method=True,
)
def cov(
    input: fb.Tensor,
    *,
    correction: int = 1,
    fweights: fb.Tensor | None = None,
    aweights: fb.Tensor | None = None,
) -> fb.Tensor:
    """Covariances of variables (rows) over observations (columns), each counted and weighted as given."""
    if input.dim() > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.dim()}"
            " dimensions"
        )
    if input.dtype == fb.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input.reshape(1, -1) if input.dim() < 2 else input
    n = x.shape[1]
    weights = None
    if fweights is not None:
        _check_cov_weights(fweights, n, "fweights", integral=True)
        weights = fweights
    if aweights is not None:
        _check_cov_weights(aweights, n, "aweights", integral=False)
        weights = aweights if weights is None else weights * aweights
    total = n if weights is None else weights.sum()
    if weights is not None and float(total) == 0:
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    mean = x.mean(1, keepdim=True) if weights is None and (x.is_floating_point() or x.is_complex()) else None
    if mean is None:
        mean = (x if weights is None else x * weights).sum(1, keepdim=True) / total
    if weights is None:
        freedom: Any = n - correction
    elif aweights is not None:
        freedom = total - correction * (weights * aweights).sum() / total if correction else total
    else:
        freedom = total - correction
    if float(freedom) <= 0:
        import warnings

        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of"
            " observations.",
            stacklevel=3,
        )
        freedom = 0
    centred = x - mean
    weighted = centred if weights is None else centred * weights
    return (weighted @ centred.mH).div(freedom).squeeze()


def _check_cov_weights(w: Any, n: int, name: str, integral: bool) -> None:
    if w.dim() > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w.dim()} dimensions"
        )
    if integral == (w.is_floating_point() or w.is_complex()):
        kind = "integral" if integral else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with {_name(w)} dtype"
        )
    if w.numel() != n:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got"
            f" {w.numel()} != {n}"
        )
    if n and float(w.min()) < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")


@composite("corrcoef(Tensor self) -> Tensor", method=True)
def corrcoef(input: fb.Tensor) -> fb.Tensor:
    """Correlation coefficients of variables (rows)."""
    if input.dim() > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.dim()}"
            " dimensions"
        )
    c = cov(input)
    if c.dim() == 0:
        return c / c
    d = c.diagonal()
    scale = (d.real if d.is_complex() else d).sqrt()
    c = c / scale.unsqueeze(1) / scale.unsqueeze(0)
    if c.is_complex():
        return fb.complex(c.real.clip(-1, 1), c.imag.clip(-1, 1))
    return c.clip(-1, 1)


@composite(
    "diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor",
    method=True,
    out=True,
)
def diff(
    input: fb.Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: fb.Tensor | None = None,
    append: fb.Tensor | None = None,
) -> fb.Tensor:
    """Differences of neighbours along `dim`, `n` times."""
    if input.dim() == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n == 0 and prepend is None and append is None:
        return input.clone()
    dim = wrap_dim(dim, input.dim())
    for t in (prepend, append):
        if t is None:
            continue
        if t.dim() != input.dim():
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        if any(a != b for d, (a, b) in enumerate(zip(t.shape, input.shape)) if d != dim):
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along "
                f"the differencing dimension; input.size({dim}) = {input.shape[dim]}, but got "
                f"tensor.size({dim}) = {t.shape[dim]}"
            )
    if n == 0:
        return input.clone()
    parts = [t for t in (prepend, input, append) if t is not None]
    x = fb.cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[dim])):
        size = x.shape[dim]
        a, b = x.narrow(dim, min(1, size), max(size - 1, 0)), x.narrow(dim, 0, max(size - 1, 0))
        x = a.logical_xor(b) if x.dtype == fb.bool else a - b
    return x


def _spacings(spacing: Any, count: int) -> list:
    if spacing is None:
        return [1] * count
    if isinstance(spacing, (int, float, complex)):
        return [spacing] * count
    if isinstance(spacing, fb.Tensor):
        return [spacing]
    return list(spacing)


@composite(
    "gradient(Tensor self, *, Scalar|Scalar[]|Tensor[]? spacing=None, int|int[]? dim=None, int edge_order=1)"
    " -> Tensor[]",
    method=True,
)
def gradient(input: fb.Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple:
    """Derivative estimates along dimensions from central differences, one-sided at the ends.

    `spacing` is a distance, one a dimension, or coordinates (a vector a dimension).
    """
    dims = list(range(input.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    steps = _spacings(spacing, len(dims))
    if input.is_complex() is False and input.dtype in (fb.bool, fb.uint8):
        raise RuntimeError(
            "torch.gradient: The input tensor type must be a signed integer, floating point or complex type"
        )
    if len(steps) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to"
            f" 'self.dim() = {input.dim()}', since dim argument was not given, but got a list of length"
            f" {len(steps)}"
            if dim is None
            else (
                "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim"
                f" arguments to have the same length, but got a spacing argument of length {len(steps)} and a"
                f" dim argument of length {len(dims)}."
            )
        )
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    wrapped = [wrap_dim(d, input.dim()) for d in dims]
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(
            f"dim {next(d for d in wrapped if wrapped.count(d) > 1)} appears multiple times in the list of"
            " dims"
        )
    for d, h in zip(wrapped, steps):
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
        if isinstance(h, fb.Tensor) and h.dim() and h.dim() != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element"
                f" with {h.dim()} dimensions!"
            )
        if isinstance(h, fb.Tensor) and h.dim() == 1 and h.numel() != input.shape[d]:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have the same length as the "
                f"corresponding dimension of input, but got {h.numel()} and {input.shape[d]}"
            )
    return tuple(_gradient(input, d, h, edge_order) for d, h in zip(wrapped, steps))


def _gradient(x: Any, dim: int, h: Any, order: int) -> Any:
    n = x.shape[dim]
    if not (x.is_floating_point() or x.is_complex()):
        x = x.to(fb.get_default_dtype())

    def part(start: int, length: int) -> Any:
        return x.narrow(dim, start, length)

    coordinates = isinstance(h, fb.Tensor) and h.dim() == 1
    if coordinates:
        shape = [-1 if d == dim else 1 for d in range(x.dim())]
        steps = h.diff().reshape(shape)
        a, b = steps.narrow(dim, 0, n - 2), steps.narrow(dim, 1, n - 2)
        wa, wb, wc = -b / (a * (a + b)), (b - a) / (a * b), a / (b * (a + b))
        middle = wa * part(0, n - 2) + wb * part(1, n - 2) + wc * part(2, n - 2)
        first, last = steps.narrow(dim, 0, 1), steps.narrow(dim, n - 2, 1)
    else:
        middle = (part(2, n - 2) - part(0, n - 2)) / (2 * h)
        first = last = h
    if order == 1:
        start = (part(1, 1) - part(0, 1)) / first
        end = (part(n - 1, 1) - part(n - 2, 1)) / last
    elif coordinates:
        start = _one_sided(part(0, 1), part(1, 1), part(2, 1), first, steps.narrow(dim, 1, 1))
        end = _one_sided(part(n - 1, 1), part(n - 2, 1), part(n - 3, 1), -last, -steps.narrow(dim, n - 3, 1))
    else:
        start = _one_sided(part(0, 1), part(1, 1), part(2, 1), h, h)
        end = _one_sided(part(n - 1, 1), part(n - 2, 1), part(n - 3, 1), -h, -h)
    return fb.cat([start, middle, end], dim)


def _one_sided(f0: Any, f1: Any, f2: Any, a: Any, b: Any) -> Any:
    """Second-order derivative at the first of three points with distances a and b."""
    return -(2 * a + b) / (a * (a + b)) * f0 + (a + b) / (a * b) * f1 - a / (b * (a + b)) * f2


def _panels(y: Any, x: Any, dx: Any, dim: int, name: str) -> Any:
    """Areas between neighbours along `dim`."""
    if y.dim() == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, y.dim())
    n = y.shape[dim]
    if n == 0:
        return y.narrow(dim, 0, 0) / 2.0, dim
    sums = y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)
    if x is None:
        return sums * (dx / 2.0), dim
    if x.dim() == 1:
        if x.shape[0] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        x = x.reshape([-1 if d == dim else 1 for d in range(y.dim())])
    elif x.dim() < y.dim():
        x = x.reshape((1,) * (y.dim() - x.dim()) + tuple(x.shape))
    at = dim - y.dim() + x.dim()
    m = x.shape[at]
    steps = x.narrow(at, 1, m - 1) - x.narrow(at, 0, m - 1)
    return sums * steps / 2.0, dim


@composite("trapezoid(Tensor y, Tensor? x=None, *, Scalar dx=1, int dim=-1) -> Tensor")
def trapezoid(y: fb.Tensor, x: fb.Tensor | None = None, *, dx: float = 1, dim: int = -1) -> fb.Tensor:
    """Integral along `dim` by the trapezoidal rule, at points `x` or in steps of `dx`."""
    if y.dtype == fb.bool or (x is not None and x.dtype == fb.bool):
        raise RuntimeError("trapezoid: received a bool input for `y` or `x`, but bool is not supported")
    if y.dim() == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if y.shape[wrap_dim(dim, y.dim())] == 0:
        return y.new_zeros([s for d, s in enumerate(y.shape) if d != wrap_dim(dim, y.dim())])
    if x is None:  # every point once but for half the ends; small integers do not overflow
        ends = (y.select(dim, 0) + y.select(dim, -1)) * 0.5
        return (y.sum(dim) - ends) * dx
    areas, at = _panels(y, x, dx, dim, "trapezoid")
    return areas.sum(at)


@composite("trapz(Tensor y, Tensor? x=None, *, float dx=1, int dim=-1) -> Tensor")
def trapz(y: fb.Tensor, x: fb.Tensor | None = None, *, dx: float = 1, dim: int = -1) -> fb.Tensor:
    """`trapezoid` under its old name."""
    return trapezoid(y, x, dim=dim) if x is not None else trapezoid(y, dx=dx, dim=dim)


@composite("cumulative_trapezoid(Tensor y, Tensor? x=None, *, Scalar dx=1, int dim=-1) -> Tensor")
def cumulative_trapezoid(
    y: fb.Tensor, x: fb.Tensor | None = None, *, dx: float = 1, dim: int = -1
) -> fb.Tensor:
    """Integrals from the first point to each following one."""
    if y.dtype == fb.bool or (x is not None and x.dtype == fb.bool):
        raise RuntimeError(
            "cumulative_trapezoid: received a bool input for `y` or `x`, but bool is not supported"
        )
    areas, at = _panels(y, x, dx, dim, "cumulative_trapezoid")
    return areas.cumsum(at)


_REDUCE = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin", "prod": "prod"}
_NEUTRAL = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}


@composite(
    "segment_reduce(Tensor data, str reduce, *, Tensor? lengths=None, Tensor? indices=None, Tensor?"
    " offsets=None, int axis=0, bool unsafe=False, Scalar? initial=None) -> Tensor",
    node="SegmentReduceBackward0",
)
def segment_reduce(
    data: fb.Tensor,
    reduce: str,
    *,
    lengths: fb.Tensor | None = None,
    indices: fb.Tensor | None = None,
    offsets: fb.Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> fb.Tensor:
    """Sums, means, products, maxima or minima of neighbouring segments along `axis`, given by lengths or
    offsets (batched before it)."""
    if reduce not in _REDUCE:
        raise RuntimeError(f"segment_reduce(): unsupported reduction {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    axis = wrap_dim(axis, data.dim())
    if not data.is_floating_point():
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{_name(data)}'")
    if lengths is None:
        lengths = offsets.diff(dim=-1)
    if not (unsafe or lengths.is_meta):
        if lengths.numel() and int(lengths.min()) < 0:
            raise RuntimeError("segment_reduce(): lengths contains negative value!")
        if bool((lengths.sum(-1) != data.shape[axis]).any()):
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to "
                "data.size(lengths.dim()-1) when !unsafe."
            )
    segments = lengths.shape[-1]
    batch = data.shape[:axis]
    ends = lengths.cumsum(-1)
    places = fb.arange(data.shape[axis], device=data.device).expand(*batch, data.shape[axis]).contiguous()
    number = fb.searchsorted(ends.contiguous(), places, right=True)
    shape = (*batch, segments, *data.shape[axis + 1 :])
    wide = number.reshape(*number.shape, *(1,) * (data.dim() - axis - 1)).expand(data.shape)
    start = _NEUTRAL[reduce] if initial is None else initial
    count = lengths.to(data.dtype).reshape(*lengths.shape, *(1,) * (data.dim() - axis - 1))
    if reduce == "mean":
        # an initial value adds to the sum but does not count
        base = fb.zeros(shape, dtype=data.dtype, device=data.device)
        total = base.scatter_add(axis, wide, data) + (0.0 if initial is None else initial)
        return fb.where(count > 0, total / count.clamp_min(1), start)
    base = fb.full(shape, start, dtype=data.dtype, device=data.device)
    if reduce == "sum":
        return base.scatter_add(axis, wide, data)
    return base.scatter_reduce(axis, wide, data, _REDUCE[reduce], include_self=True)
