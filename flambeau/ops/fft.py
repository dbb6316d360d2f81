"""Fourier transforms on the core's three: complex to complex, real to complex, complex to real."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .registry import _type_name, composite, core, factory, wrap_dim

_FORWARD = {None: 0, "backward": 0, "ortho": 1, "forward": 2}
_INVERSE = {None: 2, "backward": 2, "ortho": 1, "forward": 0}


def _scaling(norm: str | None, forward: bool) -> int:
    """How the core divides: 0 not at all, 1 by the root of the size, 2 by the size."""
    table = _FORWARD if forward else _INVERSE
    if norm not in table:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return table[norm]


def _floating(t: Any, need_complex: bool) -> Any:
    """The input in a dtype that is transformed."""
    if t.dtype in (fb.float16, fb.bfloat16) or (
        t.element_size() == 1 and t.is_floating_point() and not need_complex
    ):
        raise RuntimeError(f"Unsupported dtype {_type_name(t.dtype)}")
    if not (t.is_floating_point() or t.is_complex()):
        t = t.to(fb.get_default_dtype())
    if need_complex and not t.is_complex():
        t = t.to(t.dtype.to_complex())
    return t


def _resized(t: Any, sizes: Sequence[int | None], dims: Sequence[int]) -> Any:
    """Cut or padded with zeros to sizes along dimensions."""
    pad = [0] * (2 * t.dim())
    for n, d in zip(sizes, dims):
        size = t.shape[d]
        if n is None or n == -1 or n == size:
            continue
        if n < size:
            t = t.narrow(d, 0, n)
        else:
            pad[2 * (t.dim() - 1 - d) + 1] = n - size
    return fb.constant_pad_nd(t, pad) if any(pad) else t


def _check_size(n: int) -> None:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")


def _one_dim(t: Any, dim: int) -> int:
    if t.dim() == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim, t.dim())


def _c2c(t: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    t = _floating(t, True)
    dim = _one_dim(t, dim)
    _check_size(t.shape[dim] if n is None else n)
    return core("_fft_c2c")(_resized(t, [n], [dim]), [dim], _scaling(norm, forward), forward)


def _r2c(t: Any, n: int | None, dim: int, norm: str | None, forward: bool, name: str) -> Any:
    if t.is_complex():
        raise RuntimeError(f"{name} expects a real input tensor, but got {_type_name(t.dtype)}")
    t = _floating(t, False)
    dim = _one_dim(t, dim)
    _check_size(t.shape[dim] if n is None else n)
    result = core("_fft_r2c")(_resized(t, [n], [dim]), [dim], _scaling(norm, forward), True)
    return result if forward else result.conj_physical()


def _c2r(t: Any, n: int | None, dim: int, norm: str | None, forward: bool) -> Any:
    t = _floating(t, True)
    dim = _one_dim(t, dim)
    size = 2 * (t.shape[dim] - 1) if n is None else n
    _check_size(size)
    t = _resized(t, [size // 2 + 1], [dim])
    return core("_fft_c2r")(t.conj() if forward else t, [dim], _scaling(norm, forward), size)


def _dims(t: Any, s: Any, dim: Any) -> tuple[list[int], list[int | None]]:
    """Dimensions to transform and their sizes (None: as they are)."""
    s = [s] if isinstance(s, int) else None if s is None else list(s)
    dim = [dim] if isinstance(dim, int) else None if dim is None else list(dim)
    if dim is not None:
        dims = [wrap_dim(d, t.dim()) for d in dim]
        if len(set(dims)) != len(dims):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > t.dim():
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {t.dim()} dimensions."
            )
        dims = list(range(t.dim() - len(s), t.dim()))
    else:
        dims = list(range(t.dim()))
    sizes: list[int | None] = [None] * len(dims) if s is None else [None if n == -1 else n for n in s]
    for n, d in zip(sizes, dims):
        _check_size(t.shape[d] if n is None else n)
    return dims, sizes


def _c2c_n(t: Any, s: Any, dim: Any, norm: str | None, forward: bool) -> Any:
    t = _floating(t, True)
    dims, sizes = _dims(t, s, dim)
    t = _resized(t, sizes, dims)
    return core("_fft_c2c")(t, dims, _scaling(norm, forward), forward) if dims else t.clone()


def _r2c_n(t: Any, s: Any, dim: Any, norm: str | None, forward: bool, name: str) -> Any:
    if t.is_complex():
        if name == "rfftn":
            raise RuntimeError(f"rfftn expects a real-valued input tensor, but got {_type_name(t.dtype)}")
        raise RuntimeError(f"Only supports floating-point dtypes, but found: {_type_name(t.dtype)}")
    t = _floating(t, False)
    dims, sizes = _dims(t, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    t = _resized(t, sizes, dims)
    scaling = _scaling(norm, forward)
    if forward:
        return core("_fft_r2c")(t, dims, scaling, True)
    half = core("_fft_r2c")(t, dims[-1:], scaling, True).conj_physical()
    return core("_fft_c2c")(half, dims[:-1], scaling, False) if dims[:-1] else half


def _c2r_n(t: Any, s: Any, dim: Any, norm: str | None, forward: bool, name: str) -> Any:
    t = _floating(t, True)
    given = s is not None
    s = [s] if isinstance(s, int) else None if s is None else list(s)
    dims, sizes = _dims_of_half(t, s, dim)
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    last = dims[-1]
    size = sizes[-1] if given and sizes[-1] is not None else 2 * (t.shape[last] - 1)
    _check_size(size)
    sizes[-1] = size // 2 + 1
    t = _resized(t, sizes, dims)
    scaling = _scaling(norm, forward)
    if not forward:
        return core("_fft_c2r")(t, dims, scaling, size)
    if dims[:-1]:
        t = core("_fft_c2c")(t, dims[:-1], scaling, True)
    return core("_fft_c2r")(t.conj(), [last], scaling, size)


def _dims_of_half(t: Any, s: Any, dim: Any) -> tuple[list[int], list]:
    dims, sizes = _dims(t, s, dim)
    return dims, list(sizes)


_ONE = "(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor"
_TWO = "(Tensor self, SymInt[1]? s=None, int[1] dim=[-2,-1], str? norm=None) -> Tensor"
_MANY = "(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? norm=None) -> Tensor"


@composite("fft_fft" + _ONE, out=True)
def fft_fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Discrete Fourier transform along `dim`, of `n` points (cut or padded with zeros)."""
    return _c2c(input, n, dim, norm, True)


@composite("fft_ifft" + _ONE, out=True)
def fft_ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse of `fft`."""
    return _c2c(input, n, dim, norm, False)


@composite("fft_rfft" + _ONE, out=True)
def fft_rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The first half of the transform of real input."""
    return _r2c(input, n, dim, norm, True, "rfft")


@composite("fft_irfft" + _ONE, out=True)
def fft_irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse of `rfft`: real output of `n` points (default: even)."""
    return _c2r(input, n, dim, norm, False)


@composite("fft_hfft" + _ONE, out=True)
def fft_hfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Real transform of a Hermitian signal of which the first half is given."""
    return _c2r(input, n, dim, norm, True)


@composite("fft_ihfft" + _ONE, out=True)
def fft_ihfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """Inverse of `hfft`."""
    return _r2c(input, n, dim, norm, False, "ihfft")


@composite("fft_fftn" + _MANY, out=True)
def fft_fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Transform over several dimensions (default all)."""
    return _c2c_n(input, s, dim, norm, True)


@composite("fft_ifftn" + _MANY, out=True)
def fft_ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse of `fftn`."""
    return _c2c_n(input, s, dim, norm, False)


@composite("fft_rfftn" + _MANY, out=True)
def fft_rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Transform of real input; half of the last dimension is given."""
    return _r2c_n(input, s, dim, norm, True, "rfftn")


@composite("fft_irfftn" + _MANY, out=True)
def fft_irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse of `rfftn`."""
    return _c2r_n(input, s, dim, norm, False, "irfftn")


@composite("fft_hfftn" + _MANY, out=True)
def fft_hfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Real transform of a Hermitian signal; half of its last dimension is given."""
    return _c2r_n(input, s, dim, norm, True, "hfftn")


@composite("fft_ihfftn" + _MANY, out=True)
def fft_ihfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None) -> Any:
    """Inverse of `hfftn`."""
    return _r2c_n(input, s, dim, norm, False, "ihfftn")


@composite("fft_fft2" + _TWO, out=True)
def fft_fft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`fftn` over two dimensions."""
    return _c2c_n(input, s, dim, norm, True)


@composite("fft_ifft2" + _TWO, out=True)
def fft_ifft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`ifftn` over two dimensions."""
    return _c2c_n(input, s, dim, norm, False)


@composite("fft_rfft2" + _TWO, out=True)
def fft_rfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`rfftn` over two dimensions."""
    return _r2c_n(input, s, dim, norm, True, "rfftn")


@composite("fft_irfft2" + _TWO, out=True)
def fft_irfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`irfftn` over two dimensions."""
    return _c2r_n(input, s, dim, norm, False, "irfftn")


@composite("fft_hfft2" + _TWO, out=True)
def fft_hfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`hfftn` over two dimensions."""
    return _c2r_n(input, s, dim, norm, True, "hfftn")


@composite("fft_ihfft2" + _TWO, out=True)
def fft_ihfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Any:
    """`ihfftn` over two dimensions."""
    return _r2c_n(input, s, dim, norm, False, "ihfftn")


def _frequencies(
    numbers: Any, n: int, d: float, name: str, out: fb.Tensor | None, dtype: fb.dtype | None, options: dict
) -> Any:
    dtype = dtype or (out.dtype if out is not None else fb.get_default_dtype())
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    grad = options.pop("requires_grad", False)
    options.pop("pin_memory", None)
    result = numbers(dtype, options) * (1.0 / (n * d) if n * d else fb.inf)
    if out is not None:
        from .registry import write

        return write(out, result)
    return result.requires_grad_(grad) if grad else result


@factory("fft_fftfreq", "int n, float d=1.0", out=True)
def fft_fftfreq(
    n: int, d: float = 1.0, *, out: fb.Tensor | None = None, dtype: fb.dtype | None = None, **options: Any
) -> Any:
    """Frequencies that `fft` of `n` points in steps of `d` gives: 0, 1, …, -2, -1 over ``n d``."""

    def numbers(dtype: fb.dtype | None, options: dict) -> Any:
        half = (n + 1) // 2
        return fb.cat(
            [fb.arange(0, half, dtype=dtype, **options), fb.arange(-(n // 2), 0, dtype=dtype, **options)]
        )

    return _frequencies(numbers, n, d, "fftfreq", out, dtype, options)


@factory("fft_rfftfreq", "int n, float d=1.0", out=True)
def fft_rfftfreq(
    n: int, d: float = 1.0, *, out: fb.Tensor | None = None, dtype: fb.dtype | None = None, **options: Any
) -> Any:
    """Frequencies that `rfft` of `n` points in steps of `d` gives."""
    return _frequencies(
        lambda dtype, options: fb.arange(0, int(n / 2) + 1, dtype=dtype, **options),
        n,
        d,
        "rfftfreq",
        out,
        dtype,
        options,
    )


def _shift(t: Any, dim: Any, amount: Any) -> Any:
    dims = list(range(t.dim())) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return t.roll([amount(t.shape[wrap_dim(d, t.dim())]) for d in dims], dims) if dims else t.clone()


@composite("fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor")
def fft_fftshift(input: fb.Tensor, dim: int | Sequence[int] | None = None) -> fb.Tensor:
    """The zero frequency moved to the middle."""
    return _shift(input, dim, lambda n: n // 2)


@composite("fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor")
def fft_ifftshift(input: fb.Tensor, dim: int | Sequence[int] | None = None) -> fb.Tensor:
    """The zero frequency moved back to the front."""
    return _shift(input, dim, lambda n: (n + 1) // 2)


def _frame_window(window: Any, win_length: int, n_fft: int, like: Any, name: str) -> Any:
    """The window, with zeros around it up to `n_fft`."""
    real = like.real.dtype if like.is_complex() else like.dtype
    if window is None:
        window = fb.ones(win_length, dtype=real, device=like.device)
    if win_length < n_fft:
        left = (n_fft - win_length) // 2
        window = fb.constant_pad_nd(window, [left, n_fft - win_length - left])
    return window


@functools.cache
def _stft_check() -> Any:
    start = "stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, "
    rest = (
        "bool normalized=False, bool? onesided=None, bool? return_complex=None, bool? align_to_window=None)"
        " -> Tensor"
    )
    return fb._C._ArgumentCheck(
        (start + rest, start + "bool center=True, str pad_mode='reflect', " + rest), False, False
    )


@composite(
    "stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool"
    ' center=True, str pad_mode="reflect", bool normalized=False, bool? onesided=None, bool?'
    " return_complex=None, bool? align_to_window=None) -> Tensor",
    method=True,
    python=True,
)
def stft(
    input: fb.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: fb.Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> fb.Tensor:
    """Transforms of overlapping windowed frames: (…, time) to (…, frequency, frame).

    Frames of `n_fft` points start every `hop_length` (default a quarter of it); with `center`, the first is
    centred on the first point, the signal being padded by `pad_mode`.
    """
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        rank = input.dim()
        side = int(n_fft // 2)
        padded = fb.nn.functional.pad(
            input.view([1] * (3 - rank) + list(input.size())), [side, side], mode=pad_mode
        )
        input = padded.view(padded.shape[-rank:])
    _stft_check()(
        input, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, align_to_window
    )
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if return_complex is None:
        return_complex = input.is_complex() or (window is not None and window.is_complex())
        if not return_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further"
                " require that return_complex=True in a future PyTorch release."
            )
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(
            f"stft({_type_name(input.dtype)}): expected a tensor of floating point or complex values"
        )
    if input.dim() not in (1, 2):
        raise RuntimeError("stft: expected a 1D or 2D tensor")
    x = input.unsqueeze(0) if input.dim() == 1 else input
    size = x.shape[1]
    if not 0 < n_fft <= size:
        raise RuntimeError(f"stft: expected 0 < n_fft < {size}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"stft: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"stft: expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and (window.dim() != 1 or window.shape[0] != length):
        raise RuntimeError(
            f"stft: expected a 1D window tensor of size equal to win_length={length}, but got window with"
            f" size {list(window.shape)}"
        )
    frames = x.unfold(-1, n_fft, hop)
    if window is not None or length < n_fft:
        frames = frames * _frame_window(window, length, n_fft, x, "stft")
    complex_input = frames.is_complex()
    if onesided is None:
        onesided = not complex_input
    if onesided and complex_input:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    scaling = 1 if normalized else 0
    if complex_input:
        result = core("_fft_c2c")(frames, [2], scaling, True)
    else:
        result = core("_fft_r2c")(frames, [2], scaling, bool(onesided))
    result = result.transpose(1, 2)
    if input.dim() == 1:
        result = result.squeeze(0)
    return result if return_complex else fb.view_as_real(result)


@composite(
    "istft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None, Tensor? window=None, bool"
    " center=True, bool normalized=False, bool? onesided=None, int? length=None, bool return_complex=False)"
    " -> Tensor",
    method=True,
)
def istft(
    input: fb.Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: fb.Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> fb.Tensor:
    """The signal whose `stft` is closest: frames are transformed back, windowed, added up and divided by the
    added squares of the window."""
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if input.numel() == 0:
        raise RuntimeError("istft(): input tensor cannot be empty.")
    if input.dim() not in (2, 3):
        raise RuntimeError(f"istft(): expected a tensor with 2 or 3 dimensions, but got {input.dim()}")
    x = input.unsqueeze(0) if input.dim() == 2 else input
    bins = x.shape[1]
    onesided = bins != n_fft if onesided is None else onesided
    expected = n_fft // 2 + 1 if onesided else n_fft
    if bins != expected:
        what = (
            "onesided is True, expected the frequency dimension (3rd to the last) of the input tensor to"
            " match n_fft / 2 + 1"
            if onesided
            else (
                "onesided is False, expected the frequency dimension (3rd to the last) of the input tensor to"
                " match n_fft"
            )
        )
        raise RuntimeError(f"istft(): {what} when {what.split(',')[0]}, but got {bins}")
    if not 0 < hop <= width:
        raise RuntimeError(f"istft(): expected 0 < hop_length <= win_length, but got hop_length={hop}")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"istft(): expected 0 < win_length <= n_fft, but got win_length={width}")
    if window is not None and (window.dim() != 1 or window.shape[0] != width):
        raise RuntimeError(
            "istft(): Invalid window shape. window has to be 1D and length of `win_length`, but got"
            f" {list(window.shape)}"
        )
    shape = _frame_window(window, width, n_fft, x, "istft")
    frames = x.transpose(1, 2)
    count = frames.shape[1]
    scaling = 1 if normalized else 2
    if return_complex:
        if onesided:
            raise RuntimeError("istft(): Cannot have onesided output if window or input is complex")
        parts = core("_fft_c2c")(frames, [2], scaling, False)
    else:
        if window is not None and window.is_complex():
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
        half = frames if onesided else frames.narrow(-1, 0, n_fft // 2 + 1)
        parts = core("_fft_c2r")(half, [2], scaling, n_fft)
    total = n_fft + hop * (count - 1)
    places = (
        fb.arange(count, device=x.device).unsqueeze(1) * hop + fb.arange(n_fft, device=x.device)
    ).reshape(-1)
    weighted = (parts * shape).reshape(parts.shape[0], -1)
    signal = weighted.new_zeros((weighted.shape[0], total)).index_add(1, places, weighted)
    squares = (shape * shape).expand(count, n_fft).reshape(-1)
    envelope = squares.new_zeros(total).index_add(0, places, squares)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    signal, envelope = signal[:, start:end], envelope[start:end]
    smallest = envelope.abs().min()
    if not float(smallest) > 1e-11:
        raise RuntimeError(f"window overlap add min: {smallest}")
    signal = signal / envelope
    if length is not None and end > total:
        import warnings

        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in"
            " the tail. Please check your center and hop_length settings.",
            stacklevel=3,
        )
        signal = fb.constant_pad_nd(signal, [0, end - total])
    return signal.squeeze(0) if input.dim() == 2 else signal
