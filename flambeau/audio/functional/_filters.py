"""Recursive filters. The coefficients are those of Bristow-Johnson's Audio EQ Cookbook."""

from __future__ import annotations

import math

import flambeau as fb
from flambeau import nn

__all__ = [
    "allpass_biquad", "bandpass_biquad", "bandreject_biquad", "biquad", "deemphasis", "equalizer_biquad",
    "gain", "highpass_biquad", "lfilter", "lowpass_biquad", "preemphasis",
]  # fmt: skip

_BLOCK = 256


def lfilter(
    waveform: fb.Tensor, a_coeffs: fb.Tensor, b_coeffs: fb.Tensor, clamp: bool = True, batching: bool = True
) -> fb.Tensor:
    """A sound [..., time] through the filter b / a; coefficients [order + 1] start with those of no delay.

    Several filters [filters, order + 1] each take the channel of their number, or with ``batching=False`` all
    take the whole sound, and their results are stacked before time.

    The recursion runs block by block: within a block it is the solution of a triangular system.
    """
    if a_coeffs.size() != b_coeffs.size():
        raise ValueError(
            f"Expected coeffs to be the same size.Found: a_coeffs size: {a_coeffs.size()}, b_coeffs size: "
            f"{b_coeffs.size()}"
        )
    if a_coeffs.dim() > 2:
        raise ValueError(f"Expected coeffs to have greater than 1 dimension. Found: {a_coeffs.dim()}")
    if a_coeffs.dim() == 2:
        if batching and waveform.shape[-2] != a_coeffs.shape[0]:
            raise ValueError(
                "Expected number of batches in waveform and coeffs to be the same.Found: coeffs batches: "
                f"{a_coeffs.shape[0]}, waveform batches: {waveform.shape[-2]}"
            )
        channels = waveform.unbind(-2) if batching else [waveform] * a_coeffs.shape[0]
        parts = [lfilter(part, a, b, clamp) for part, a, b in zip(channels, a_coeffs, b_coeffs)]
        return fb.stack(parts, dim=-2)
    shape = waveform.shape
    a, b = a_coeffs / a_coeffs[0], b_coeffs / a_coeffs[0]
    order = a.numel() - 1
    rows = nn.functional.pad(waveform.reshape(-1, 1, shape[-1]), (order, 0))
    driven = nn.functional.conv1d(rows, b.flip(0)[None, None])[:, 0]
    result = _recursion(driven, a).reshape(shape)
    return result.clamp(-1.0, 1.0) if clamp else result


def _recursion(driven: fb.Tensor, a: fb.Tensor) -> fb.Tensor:
    """y[n] = driven[n] - a[1] y[n-1] - a[2] y[n-2] - …, for rows [row, time]."""
    order, length = a.numel() - 1, driven.shape[-1]
    size = min(_BLOCK, length)
    if not order or not length:
        return driven
    system = fb.eye(size, dtype=a.dtype)
    for delay in range(1, min(order, size - 1) + 1):
        system = system + a[delay] * fb.diag(fb.ones(size - delay, dtype=a.dtype), -delay)
    response = fb.linalg.solve_triangular(system, fb.eye(size, dtype=a.dtype), upper=False).t()
    # what the last `order` results before a block add to its first `order` inputs
    carry = fb.zeros(order, order, dtype=a.dtype)
    for delay in range(1, order + 1):
        carry = carry + a[delay] * fb.diag(fb.ones(delay, dtype=a.dtype), order - delay).t()
    past = fb.zeros(driven.shape[0], order, dtype=driven.dtype)
    blocks = []
    for start in range(0, length, size):
        block = driven[:, start : start + size]
        missing = max(order - block.shape[1], 0)
        begun = nn.functional.pad(block, (0, missing))
        begun = fb.cat([begun[:, :order] - past @ carry, begun[:, order:]], 1)[:, : block.shape[1]]
        result = begun @ response[: begun.shape[1], : begun.shape[1]]
        past = fb.cat([past, result], 1)[:, -order:]
        blocks.append(result)
    return fb.cat(blocks, 1)


def biquad(
    waveform: fb.Tensor, b0: float, b1: float, b2: float, a0: float, a1: float, a2: float
) -> fb.Tensor:
    """A filter of order two, given by its coefficients; results are cut off at -1 and 1."""
    a = fb.tensor([a0, a1, a2], dtype=waveform.dtype)
    b = fb.tensor([b0, b1, b2], dtype=waveform.dtype)
    return lfilter(waveform, a, b)


def _angle(sample_rate: int, frequency: float, Q: float) -> tuple[float, float]:
    w0 = 2 * math.pi * float(frequency) / sample_rate
    return math.cos(w0), math.sin(w0) / 2 / float(Q)


def lowpass_biquad(waveform: fb.Tensor, sample_rate: int, cutoff_freq: float, Q: float = 0.707) -> fb.Tensor:
    """Lets pass what is below a frequency."""
    c, alpha = _angle(sample_rate, cutoff_freq, Q)
    return biquad(waveform, (1 - c) / 2, 1 - c, (1 - c) / 2, 1 + alpha, -2 * c, 1 - alpha)


def highpass_biquad(waveform: fb.Tensor, sample_rate: int, cutoff_freq: float, Q: float = 0.707) -> fb.Tensor:
    """Lets pass what is above a frequency."""
    c, alpha = _angle(sample_rate, cutoff_freq, Q)
    return biquad(waveform, (1 + c) / 2, -1 - c, (1 + c) / 2, 1 + alpha, -2 * c, 1 - alpha)


def bandpass_biquad(
    waveform: fb.Tensor,
    sample_rate: int,
    central_freq: float,
    Q: float = 0.707,
    const_skirt_gain: bool = False,
) -> fb.Tensor:
    """Lets pass what is near a frequency; the peak's gain is 1, or Q with `const_skirt_gain`."""
    c, alpha = _angle(sample_rate, central_freq, Q)
    peak = alpha * Q if const_skirt_gain else alpha
    return biquad(waveform, peak, 0.0, -peak, 1 + alpha, -2 * c, 1 - alpha)


def bandreject_biquad(
    waveform: fb.Tensor, sample_rate: int, central_freq: float, Q: float = 0.707
) -> fb.Tensor:
    """Takes out what is near a frequency."""
    c, alpha = _angle(sample_rate, central_freq, Q)
    return biquad(waveform, 1.0, -2 * c, 1.0, 1 + alpha, -2 * c, 1 - alpha)


def allpass_biquad(waveform: fb.Tensor, sample_rate: int, central_freq: float, Q: float = 0.707) -> fb.Tensor:
    """Turns phases around a frequency and leaves the amplitudes."""
    c, alpha = _angle(sample_rate, central_freq, Q)
    return biquad(waveform, 1 - alpha, -2 * c, 1 + alpha, 1 + alpha, -2 * c, 1 - alpha)


def equalizer_biquad(
    waveform: fb.Tensor, sample_rate: int, center_freq: float, gain: float, Q: float = 0.707
) -> fb.Tensor:
    """Raises or lowers what is near a frequency by `gain` decibels."""
    c, alpha = _angle(sample_rate, center_freq, Q)
    A = math.exp(gain / 40.0 * math.log(10))
    return biquad(waveform, 1 + alpha * A, -2 * c, 1 - alpha * A, 1 + alpha / A, -2 * c, 1 - alpha / A)


def gain(waveform: fb.Tensor, gain_db: float = 1.0) -> fb.Tensor:
    """Louder by some decibels."""
    return waveform if gain_db == 0 else waveform * 10.0 ** (gain_db / 20.0)


def preemphasis(waveform: fb.Tensor, coeff: float = 0.97) -> fb.Tensor:
    """y[n] = x[n] - coeff x[n-1]."""
    return fb.cat([waveform[..., :1], waveform[..., 1:] - coeff * waveform[..., :-1]], -1)


def deemphasis(waveform: fb.Tensor, coeff: float = 0.97) -> fb.Tensor:
    """Back from `preemphasis`."""
    a = fb.tensor([1.0, -coeff], dtype=waveform.dtype)
    return lfilter(waveform, a, fb.tensor([1.0, 0.0], dtype=waveform.dtype))
