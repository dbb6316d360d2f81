"""Window functions: the old ones of the package and those of `signal.windows`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import flambeau as fb

from .registry import factory

__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming",
    "hamming", "hann", "kaiser",
    "nuttall",
]  # fmt: skip


def _made(
    name: str,
    M: int,
    sym: bool,
    dtype: fb.dtype | None,
    layout: fb.layout | None,
    device: fb.device | str | int | None,
    requires_grad: bool,
    shape: Callable,
) -> fb.Tensor:
    """Checks the arguments and samples ``shape(positions, last position)`` at M points; a period more where
    not symmetric."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not None and layout is not fb.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    dtype = fb.get_default_dtype() if dtype is None else dtype
    if dtype not in (fb.float32, fb.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    if M == 0:
        return fb.empty((0,), dtype=dtype, device=device, requires_grad=requires_grad)
    if M == 1:
        return fb.ones((1,), dtype=dtype, device=device, requires_grad=requires_grad)
    last = M - 1 if sym else M
    result = shape(fb.arange(M, dtype=fb.float64, device=device), last).to(dtype)
    return result.requires_grad_() if requires_grad else result


def _cosines(a: Iterable[float]) -> Callable:
    """Sum of cosines with alternating signs."""
    weights = list(a)

    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        return sum((-1) ** i * w * fb.cos(k * (2 * math.pi * i / last)) for i, w in enumerate(weights))

    return shape


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Sum of cosines with weights `a` and alternating signs."""
    if not isinstance(a, (list, tuple)) and not hasattr(a, "__iter__"):
        raise TypeError("Coefficients must be a list/tuple")
    weights = list(a)
    if not weights:
        raise ValueError("Coefficients cannot be empty")
    return _made("general_cosine", M, sym, dtype, layout, device, requires_grad, _cosines(weights))


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """``alpha - (1 - alpha) cos``."""
    return general_cosine(
        M,
        a=[alpha, 1.0 - alpha],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Hamming window."""
    return general_hamming(M, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad)


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Hann window."""
    return general_hamming(
        M, alpha=0.5, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Blackman window."""
    return general_cosine(
        M,
        a=[0.42, 0.5, 0.08],
        sym=sym,
        dtype=dtype,
        layout=layout,
        device=device,
        requires_grad=requires_grad,
    )


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Nuttall's four-term window (Nuttall, 1981)."""
    weights = [0.3635819, 0.4891775, 0.1365995, 0.0106411]
    return general_cosine(
        M, a=weights, sym=sym, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad
    )


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Triangle from 0 to 1 and back."""

    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        return 1 - fb.abs(k * (2 / last) - 1)

    return _made("bartlett", M, sym, dtype, layout, device, requires_grad, shape)


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Half a period of a sine, sampled at the middles of its parts."""

    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        return fb.sin((k + 0.5) * (math.pi / (last + 1)))

    return _made("cosine", M, sym, dtype, layout, device, requires_grad, shape)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """``exp(-|k - center| / tau)``."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")

    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        return fb.exp(-fb.abs(k - (last / 2 if center is None else center)) / tau)

    return _made("exponential", M, sym, dtype, layout, device, requires_grad, shape)


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """``exp(-(k - middle)^2 / (2 std^2))``."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")

    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        return fb.exp(-(((k - last / 2) / (std * math.sqrt(2))) ** 2))

    return _made("gaussian", M, sym, dtype, layout, device, requires_grad, shape)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Kaiser window: a Bessel function of a half circle."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _made("kaiser", M, sym, dtype, layout, device, requires_grad, _kaiser(beta))


def _kaiser(beta: float) -> Callable:
    def shape(k: fb.Tensor, last: float) -> fb.Tensor:
        circle = (1 - (2 * k / last - 1) ** 2).clamp_min(0).sqrt()
        return fb.i0(beta * circle) / fb.i0(fb.tensor(beta, dtype=fb.float64))

    return shape


def _old(
    name: str,
    size: int,
    periodic: bool,
    dtype: fb.dtype | None,
    layout: fb.layout | None,
    device: fb.device | str | int | None,
    requires_grad: bool,
    shape: Callable,
) -> fb.Tensor:
    """What the windows of the package itself share."""
    if size < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={size}")
    if layout is not None and layout is not fb.strided:
        raise RuntimeError(f"{name} is not implemented for sparse types, got: TensorOptions(layout={layout})")
    dtype = fb.get_default_dtype() if dtype is None else dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} expects floating point dtypes, got: TensorOptions(dtype={dtype})")
    if size <= 1:
        result = fb.ones((size,), dtype=dtype, device=device)
    else:
        last = size if periodic else size - 1
        result = shape(fb.arange(size, dtype=fb.float64, device=device), last).to(dtype)
    return result.requires_grad_() if requires_grad else result


@factory("hann_window", "int window_length", "int window_length, bool periodic")
def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Hann window."""
    return _old(
        "hann_window", window_length, periodic, dtype, layout, device, requires_grad, _cosines([0.5, 0.5])
    )


@factory(
    "hamming_window",
    "int window_length",
    "int window_length, bool periodic",
    "int window_length, bool periodic, float alpha",
    "int window_length, bool periodic, float alpha, float beta",
)
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> fb.Tensor:
    """``alpha - beta cos``."""
    return _old(
        "hamming_window",
        window_length,
        periodic,
        dtype,
        layout,
        device,
        requires_grad,
        _cosines([alpha, beta]),
    )


@factory("blackman_window", "int window_length", "int window_length, bool periodic")
def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Blackman window."""
    return _old(
        "blackman_window",
        window_length,
        periodic,
        dtype,
        layout,
        device,
        requires_grad,
        _cosines([0.42, 0.5, 0.08]),
    )


@factory("bartlett_window", "int window_length", "int window_length, bool periodic")
def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Triangle from 0 to 1 and back."""
    return _old(
        "bartlett_window",
        window_length,
        periodic,
        dtype,
        layout,
        device,
        requires_grad,
        lambda k, last: 1 - fb.abs(k * (2 / last) - 1),
    )


@factory(
    "kaiser_window",
    "int window_length",
    "int window_length, bool periodic",
    "int window_length, bool periodic, float beta",
)
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: fb.dtype | None = None,
    layout: fb.layout | None = None,
    device: fb.device | str | int | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> fb.Tensor:
    """Kaiser window."""
    return _old("kaiser_window", window_length, periodic, dtype, layout, device, requires_grad, _kaiser(beta))
