"""Another number of samples a second, by a windowed sinc. (Smith, Digital Audio Resampling Home Page)"""

from __future__ import annotations

import math

import flambeau as fb
from flambeau import nn

__all__ = ["resample"]

_KAISER_BETA = 14.769656459379492


def _kernel(
    orig_freq: int,
    new_freq: int,
    gcd: int,
    lowpass_filter_width: int,
    rolloff: float,
    method: str,
    beta: float | None,
    dtype: fb.dtype | None,
) -> tuple[fb.Tensor, int]:
    """A filter for each of the new samples in a period, and how far they reach."""
    if orig_freq != int(orig_freq) or new_freq != int(new_freq):
        raise Exception(
            "Frequencies must be of integer type to ensure quality resampling computation. To work around "
            "this, manually convert both frequencies to integer values that maintain their resampling rate "
            "ratio before passing them into the function. Example: To downsample a 44100 hz waveform by a "
            "factor of 8, use `orig_freq=8` and `new_freq=1` instead of `orig_freq=44100` and "
            "`new_freq=5512.5`. "
        )
    if method not in ("sinc_interp_hann", "sinc_interp_kaiser"):
        raise ValueError(f"Invalid resampling method: {method}")
    if lowpass_filter_width <= 0:
        raise ValueError("Low pass filter width should be positive.")
    orig, new = int(orig_freq) // gcd, int(new_freq) // gcd
    cutoff = min(orig, new) * rolloff
    width = math.ceil(lowpass_filter_width * orig / cutoff)
    exact = dtype or fb.float64
    places = fb.arange(-width, width + orig, dtype=exact)[None, None] / orig
    t = (fb.arange(0, -new, -1, dtype=exact)[:, None, None] / new + places) * cutoff
    t = t.clamp(-lowpass_filter_width, lowpass_filter_width)
    if method == "sinc_interp_hann":
        window = fb.cos(t * math.pi / lowpass_filter_width / 2) ** 2
    else:
        beta = fb.tensor(float(_KAISER_BETA if beta is None else beta), dtype=exact)
        window = fb.i0(beta * fb.sqrt(1 - (t / lowpass_filter_width) ** 2)) / fb.i0(beta)
    t = t * math.pi
    sinc = fb.where(t == 0, fb.ones((), dtype=exact), t.sin() / t)
    kernel = sinc * window * (cutoff / orig)
    return kernel if dtype is not None else kernel.to(fb.float32), width


def _apply(
    waveform: fb.Tensor, orig_freq: int, new_freq: int, gcd: int, kernel: fb.Tensor, width: int
) -> fb.Tensor:
    if not waveform.is_floating_point():
        raise TypeError(f"Expected floating point type for waveform tensor, but received {waveform.dtype}.")
    orig, new = int(orig_freq) // gcd, int(new_freq) // gcd
    shape = waveform.shape
    rows = nn.functional.pad(waveform.reshape(-1, shape[-1]), (width, width + orig))
    result = (
        nn.functional.conv1d(rows[:, None], kernel, stride=orig).transpose(1, 2).reshape(rows.shape[0], -1)
    )
    return result[..., : math.ceil(new * shape[-1] / orig)].reshape(*shape[:-1], -1)


def resample(
    waveform: fb.Tensor,
    orig_freq: int,
    new_freq: int,
    lowpass_filter_width: int = 6,
    rolloff: float = 0.99,
    resampling_method: str = "sinc_interp_hann",
    beta: float | None = None,
) -> fb.Tensor:
    """A sound [..., time] of `orig_freq` samples a second with `new_freq` of them.

    `lowpass_filter_width` is the number of zero crossings of the sinc, `rolloff` the cutoff as a part of the
    highest frequency. `transforms.Resample` keeps the filters for many sounds.
    """
    if orig_freq <= 0.0 or new_freq <= 0.0:
        raise ValueError("Original frequency and desired frequecy should be positive")
    if orig_freq == new_freq:
        return waveform
    gcd = math.gcd(int(orig_freq), int(new_freq))
    kernel, width = _kernel(
        orig_freq, new_freq, gcd, lowpass_filter_width, rolloff, resampling_method, beta, waveform.dtype
    )
    return _apply(waveform, orig_freq, new_freq, gcd, kernel, width)
