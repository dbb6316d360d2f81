"""Spectra and back; decibels; the mu-law."""

from __future__ import annotations

import flambeau as fb
from flambeau import nn

__all__ = [
    "DB_to_amplitude", "amplitude_to_DB", "compute_deltas", "griffinlim", "inverse_spectrogram",
    "mu_law_decoding", "mu_law_encoding", "spectrogram",
]  # fmt: skip


def _norms(normalized: bool | str) -> tuple[bool, bool]:
    """Whether to divide by the frame's length in the transform, and by the window's energy after it."""
    if isinstance(normalized, str):
        if normalized not in ("frame_length", "window"):
            raise ValueError(f"Invalid normalized parameter: {normalized}")
        return normalized == "frame_length", normalized == "window"
    return False, bool(normalized)


def spectrogram(
    waveform: fb.Tensor,
    pad: int,
    window: fb.Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float | None,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
    return_complex: bool | None = None,
) -> fb.Tensor:
    """Short-time spectra [..., frequency, time] of a sound [..., time].

    `power` 1 gives magnitudes, 2 energies, None complex numbers. `normalized` divides by the window's energy
    (True, 'window') or by the root of the frame's length ('frame_length').
    """
    if pad > 0:
        waveform = nn.functional.pad(waveform, (pad, pad))
    by_frame, by_window = _norms(normalized)
    shape = waveform.shape
    spectrum = fb.stft(
        waveform.reshape(-1, shape[-1]), n_fft, hop_length, win_length, window, center, pad_mode, by_frame,
        onesided, return_complex=True,
    )  # fmt: skip
    spectrum = spectrum.reshape(*shape[:-1], *spectrum.shape[-2:])
    if by_window:
        spectrum = spectrum / window.pow(2.0).sum().sqrt()
    if power is None:
        return spectrum
    return spectrum.abs() if power == 1.0 else spectrum.abs().pow(power)


def inverse_spectrogram(
    spectrogram: fb.Tensor,
    length: int | None,
    pad: int,
    window: fb.Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    normalized: bool | str,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
) -> fb.Tensor:
    """The sound of complex short-time spectra."""
    if not spectrogram.is_complex():
        raise ValueError("Expected `spectrogram` to be complex dtype.")
    by_frame, by_window = _norms(normalized)
    if by_window:
        spectrogram = spectrogram * window.pow(2.0).sum().sqrt()
    shape = spectrogram.shape
    wanted = length + 2 * pad if length is not None else None
    waveform = fb.istft(
        spectrogram.reshape(-1, *shape[-2:]), n_fft, hop_length, win_length, window, center, by_frame,
        onesided, wanted, return_complex=False,
    )  # fmt: skip
    if length is not None and pad > 0:
        waveform = waveform[:, pad:-pad]
    return waveform.reshape(*shape[:-2], *waveform.shape[-1:])


def griffinlim(
    specgram: fb.Tensor,
    window: fb.Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
) -> fb.Tensor:
    """A sound with the given magnitudes (to the power of `power`); phases are found by iteration.

    (Griffin and Lim 1984; with the momentum of Perraudin, Balazs and Søndergaard 2013.)
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in range [0, 1). Found: {momentum}")
    momentum = momentum / (1 + momentum)
    shape = specgram.shape
    specgram = specgram.reshape(-1, *shape[-2:]).pow(1 / power)
    kind = fb.complex128 if specgram.dtype == fb.float64 else fb.complex64
    angles = fb.rand(specgram.shape, dtype=kind) if rand_init else fb.ones(specgram.shape, dtype=kind)
    before: fb.Tensor | None = None
    for _ in range(n_iter):
        sound = fb.istft(specgram * angles, n_fft, hop_length, win_length, window, length=length)
        rebuilt = fb.stft(
            sound, n_fft, hop_length, win_length, window, center=True, pad_mode="reflect", return_complex=True
        )
        angles = rebuilt if before is None or not momentum else rebuilt - before * momentum
        angles = angles / (angles.abs() + 1e-16)
        before = rebuilt
    sound = fb.istft(specgram * angles, n_fft, hop_length, win_length, window, length=length)
    return sound.reshape(*shape[:-2], *sound.shape[-1:])


def amplitude_to_DB(
    x: fb.Tensor, multiplier: float, amin: float, db_multiplier: float, top_db: float | None = None
) -> fb.Tensor:
    """Decibels: 10 (of energies) or 20 (of amplitudes) times the logarithm, at most `top_db` below the top.

    With more than two dimensions the top is that of each [channel, frequency, time].
    """
    decibels = multiplier * fb.log10(fb.clamp(x, min=amin)) - multiplier * db_multiplier
    if top_db is None:
        return decibels
    shape = decibels.shape
    packed = decibels.reshape(-1, shape[-3] if len(shape) > 2 else 1, shape[-2], shape[-1])
    floor = packed.amax(dim=(-3, -2, -1)) - top_db
    return fb.max(packed, floor.view(-1, 1, 1, 1)).reshape(shape)


def DB_to_amplitude(x: fb.Tensor, ref: float, power: float) -> fb.Tensor:
    """Back from decibels: `power` 1 gives energies, 0.5 amplitudes."""
    return ref * (10.0 ** (0.1 * x)).pow(power)


def mu_law_encoding(x: fb.Tensor, quantization_channels: int) -> fb.Tensor:
    """Numbers from -1 to 1 as integers from 0 to `quantization_channels` - 1, finer near 0."""
    mu = fb.tensor(quantization_channels - 1.0, dtype=x.dtype if x.is_floating_point() else fb.float)
    x = x if x.is_floating_point() else x.to(fb.float)
    squeezed = fb.sign(x) * fb.log1p(mu * fb.abs(x)) / fb.log1p(mu)
    return ((squeezed + 1) / 2 * mu + 0.5).to(fb.int64)


def mu_law_decoding(x_mu: fb.Tensor, quantization_channels: int) -> fb.Tensor:
    """Back from `mu_law_encoding`."""
    x_mu = x_mu if x_mu.is_floating_point() else x_mu.to(fb.float)
    mu = fb.tensor(quantization_channels - 1.0, dtype=x_mu.dtype)
    x = x_mu / mu * 2 - 1.0
    return fb.sign(x) * (fb.exp(fb.abs(x) * fb.log1p(mu)) - 1.0) / mu


def compute_deltas(specgram: fb.Tensor, win_length: int = 5, mode: str = "replicate") -> fb.Tensor:
    """The slope of each coefficient over time, fitted over `win_length` frames."""
    if win_length < 3:
        raise ValueError(f"Window length should be greater than or equal to 3. Found win_length {win_length}")
    shape = specgram.shape
    rows = specgram.reshape(1, -1, shape[-1])
    reach = (win_length - 1) // 2
    weights = fb.arange(-reach, reach + 1, dtype=specgram.dtype).repeat(rows.shape[1], 1, 1)
    rows = nn.functional.pad(rows, (reach, reach), mode=mode)
    norm = reach * (reach + 1) * (2 * reach + 1) / 3.0
    return (nn.functional.conv1d(rows, weights, groups=rows.shape[1]) / norm).reshape(shape)
