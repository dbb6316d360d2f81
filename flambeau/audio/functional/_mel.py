"""Banks of triangular filters, and the cosine transform of their logarithms."""

from __future__ import annotations

import math
import warnings

import flambeau as fb

__all__ = ["create_dct", "linear_fbanks", "melscale_fbanks"]

_SLANEY_STEP = 200.0 / 3  # hertz a mel below 1000 Hz, where the scale becomes logarithmic
_SLANEY_LOG = math.log(6.4) / 27.0


def _hz_to_mel(frequency: float, scale: str) -> float:
    if scale == "htk":
        return 2595.0 * math.log10(1.0 + frequency / 700.0)
    if frequency < 1000.0:
        return frequency / _SLANEY_STEP
    return 1000.0 / _SLANEY_STEP + math.log(frequency / 1000.0) / _SLANEY_LOG


def _mel_to_hz(mels: fb.Tensor, scale: str) -> fb.Tensor:
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    knee = 1000.0 / _SLANEY_STEP
    return fb.where(mels < knee, mels * _SLANEY_STEP, 1000.0 * fb.exp(_SLANEY_LOG * (mels - knee)))


def _triangles(frequencies: fb.Tensor, corners: fb.Tensor) -> fb.Tensor:
    """Filters [frequency, filter], each rising from one corner to the next and falling to the one after."""
    widths = corners[1:] - corners[:-1]
    slopes = corners.unsqueeze(0) - frequencies.unsqueeze(1)
    falling = -slopes[:, :-2] / widths[:-1]
    rising = slopes[:, 2:] / widths[1:]
    return fb.clamp(fb.min(falling, rising), min=0.0)


def melscale_fbanks(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: int,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> fb.Tensor:
    """Filters [n_freqs, n_mels] of equal width on the mel scale ('htk', or 'slaney').

    `norm` 'slaney' gives each the area 1.
    """
    if norm is not None and norm != "slaney":
        raise ValueError('norm must be one of None or "slaney"')
    if mel_scale not in ("htk", "slaney"):
        raise ValueError('mel_scale should be one of "htk" or "slaney".')
    frequencies = fb.linspace(0, sample_rate // 2, n_freqs)
    mels = fb.linspace(_hz_to_mel(f_min, mel_scale), _hz_to_mel(f_max, mel_scale), n_mels + 2)
    corners = _mel_to_hz(mels, mel_scale)
    bank = _triangles(frequencies, corners)
    if norm == "slaney":
        bank = bank * (2.0 / (corners[2 : n_mels + 2] - corners[:n_mels])).unsqueeze(0)
    if bool((bank.amax(dim=0) == 0.0).any()):
        warnings.warn(
            f"At least one mel filterbank has all zero values. The value for `n_mels` ({n_mels}) may be set "
            f"too high. Or, the value for `n_freqs` ({n_freqs}) may be set too low.",
            stacklevel=2,
        )
    return bank


def linear_fbanks(n_freqs: int, f_min: float, f_max: float, n_filter: int, sample_rate: int) -> fb.Tensor:
    """Filters [n_freqs, n_filter] of equal width in hertz."""
    frequencies = fb.linspace(0, sample_rate // 2, n_freqs)
    return _triangles(frequencies, fb.linspace(f_min, f_max, n_filter + 2))


def create_dct(n_mfcc: int, n_mels: int, norm: str | None) -> fb.Tensor:
    """The cosine transform (type II) as a matrix [n_mels, n_mfcc]; `norm` 'ortho' makes it orthonormal."""
    if norm is not None and norm != "ortho":
        raise ValueError('norm must be either "ortho" or None')
    n = fb.arange(float(n_mels))
    k = fb.arange(float(n_mfcc)).unsqueeze(1)
    matrix = fb.cos(math.pi / float(n_mels) * (n + 0.5) * k)
    if norm is None:
        return (matrix * 2.0).t()
    matrix[0] *= 1.0 / math.sqrt(2.0)
    return (matrix * math.sqrt(2.0 / float(n_mels))).t()
