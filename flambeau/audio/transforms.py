"""The functions of `flambeau.audio.functional` as modules that keep windows and filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as fb
from flambeau import nn

from . import functional as F
from .functional import _resample

__all__ = [
    "LFCC", "MFCC", "AmplitudeToDB", "ComputeDeltas", "Deemphasis", "Fade", "FrequencyMasking", "GriffinLim",
    "InverseSpectrogram", "MelScale", "MelSpectrogram", "MuLawDecoding", "MuLawEncoding", "Preemphasis",
    "Resample", "SpecAugment", "Spectrogram", "TimeMasking", "Vol",
]  # fmt: skip

Window = Callable[..., fb.Tensor]


class _Framed(nn.Module):
    """Sizes of frames and their window."""

    window: fb.Tensor

    def __init__(
        self,
        n_fft: int,
        win_length: int | None,
        hop_length: int | None,
        window_fn: Window,
        wkwargs: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.win_length = win_length if win_length is not None else n_fft
        self.hop_length = hop_length if hop_length is not None else self.win_length // 2
        self.register_buffer("window", window_fn(self.win_length, **(wkwargs or {})))


class Spectrogram(_Framed):
    """Short-time spectra [..., n_fft // 2 + 1, time] of a sound.

    Parameters
    ----------
    n_fft : length of the Fourier transform.
    win_length, hop_length : of a frame (`n_fft`), and from one to the next (half a frame).
    pad : zeros put at both ends.
    window_fn, wkwargs : gives the window of a length.
    power : 1 for magnitudes, 2 for energies, None for complex numbers.
    normalized : divide by the window's energy (True, 'window') or by the root of the length ('frame_length').
    center, pad_mode : frames are centred at their times, the ends padded in this way.
    onesided : leave out the mirrored half.
    """

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: Window = fb.hann_window,
        power: float | None = 2.0,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
        return_complex: bool | None = None,
    ) -> None:
        super().__init__(n_fft, win_length, hop_length, window_fn, wkwargs)
        self.pad, self.power, self.normalized = pad, power, normalized
        self.center, self.pad_mode, self.onesided = center, pad_mode, onesided

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        return F.spectrogram(
            waveform, self.pad, self.window, self.n_fft, self.hop_length, self.win_length, self.power,
            self.normalized, self.center, self.pad_mode, self.onesided,
        )  # fmt: skip


class InverseSpectrogram(_Framed):
    """The sound of complex spectra that `Spectrogram` of the same settings gave."""

    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window_fn: Window = fb.hann_window,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool = True,
    ) -> None:
        super().__init__(n_fft, win_length, hop_length, window_fn, wkwargs)
        self.pad, self.normalized = pad, normalized
        self.center, self.pad_mode, self.onesided = center, pad_mode, onesided

    def forward(self, spectrogram: fb.Tensor, length: int | None = None) -> fb.Tensor:
        return F.inverse_spectrogram(
            spectrogram, length, self.pad, self.window, self.n_fft, self.hop_length, self.win_length,
            self.normalized, self.center, self.pad_mode, self.onesided,
        )  # fmt: skip


class GriffinLim(_Framed):
    """A sound with the given magnitudes, see `functional.griffinlim`."""

    def __init__(
        self,
        n_fft: int = 400,
        n_iter: int = 32,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: Window = fb.hann_window,
        power: float = 2.0,
        wkwargs: Mapping[str, Any] | None = None,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in the range [0, 1). Found: {momentum}")
        super().__init__(n_fft, win_length, hop_length, window_fn, wkwargs)
        self.n_iter, self.power, self.momentum = n_iter, power, momentum
        self.length, self.rand_init = length, rand_init

    def forward(self, specgram: fb.Tensor) -> fb.Tensor:
        return F.griffinlim(
            specgram, self.window, self.n_fft, self.hop_length, self.win_length, self.power, self.n_iter,
            self.momentum, self.length, self.rand_init,
        )  # fmt: skip


class AmplitudeToDB(nn.Module):
    """Decibels of energies ('power') or amplitudes ('magnitude'), see `functional.amplitude_to_DB`."""

    def __init__(self, stype: str = "power", top_db: float | None = None) -> None:
        super().__init__()
        if top_db is not None and top_db < 0:
            raise ValueError("top_db must be positive value")
        self.stype, self.top_db = stype, top_db
        self.multiplier = 10.0 if stype == "power" else 20.0
        self.amin, self.ref_value = 1e-10, 1.0
        self.db_multiplier = math.log10(max(self.amin, self.ref_value))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return F.amplitude_to_DB(x, self.multiplier, self.amin, self.db_multiplier, self.top_db)


class MelScale(nn.Module):
    """Spectra [..., n_stft, time] summed by filters on the mel scale to [..., n_mels, time]."""

    fb: fb.Tensor

    def __init__(
        self,
        n_mels: int = 128,
        sample_rate: int = 16000,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_stft: int = 201,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        self.n_mels, self.sample_rate, self.f_min = n_mels, sample_rate, f_min
        self.f_max = f_max if f_max is not None else float(sample_rate // 2)
        self.norm, self.mel_scale = norm, mel_scale
        if f_min > self.f_max:
            raise ValueError(f"Require f_min: {f_min} <= f_max: {self.f_max}")
        bank = F.melscale_fbanks(n_stft, f_min, self.f_max, n_mels, sample_rate, norm, mel_scale)
        self.register_buffer("fb", bank)

    def forward(self, specgram: fb.Tensor) -> fb.Tensor:
        return (specgram.transpose(-1, -2) @ self.fb).transpose(-1, -2)


class MelSpectrogram(nn.Module):
    """`Spectrogram`, then `MelScale`."""

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 128,
        window_fn: Window = fb.hann_window,
        power: float = 2.0,
        normalized: bool | str = False,
        wkwargs: Mapping[str, Any] | None = None,
        center: bool = True,
        pad_mode: str = "reflect",
        onesided: bool | None = None,
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__()
        self.sample_rate, self.n_fft, self.n_mels = sample_rate, n_fft, n_mels
        self.f_min, self.f_max, self.power = f_min, f_max, power
        self.spectrogram = Spectrogram(
            n_fft, win_length, hop_length, pad, window_fn, power, normalized, wkwargs, center, pad_mode, True
        )
        self.win_length, self.hop_length = self.spectrogram.win_length, self.spectrogram.hop_length
        self.mel_scale = MelScale(n_mels, sample_rate, f_min, f_max, n_fft // 2 + 1, norm, mel_scale)

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        return self.mel_scale(self.spectrogram(waveform))


class _Cepstrum(nn.Module):
    dct_mat: fb.Tensor

    def __init__(self, count: int, filters: int, dct_type: int, norm: str | None, logarithm: bool) -> None:
        super().__init__()
        if dct_type != 2:
            raise ValueError(f"DCT type not supported: {dct_type}")
        self.dct_type, self.norm, self._logarithm = dct_type, norm, logarithm
        self.top_db = 80.0
        self.amplitude_to_DB = AmplitudeToDB("power", self.top_db)
        self.register_buffer("dct_mat", F.create_dct(count, filters, norm))

    def _transform(self, bands: fb.Tensor) -> fb.Tensor:
        bands = fb.log(bands + 1e-6) if self._logarithm else self.amplitude_to_DB(bands)
        return (bands.transpose(-1, -2) @ self.dct_mat).transpose(-1, -2)


class MFCC(_Cepstrum):
    """Cepstral coefficients [..., n_mfcc, time] on the mel scale; `melkwargs` go to `MelSpectrogram`."""

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mfcc: int = 40,
        dct_type: int = 2,
        norm: str | None = "ortho",
        log_mels: bool = False,
        melkwargs: Mapping[str, Any] | None = None,
    ) -> None:
        mel = MelSpectrogram(sample_rate=sample_rate, **(melkwargs or {}))
        if n_mfcc > mel.n_mels:
            raise ValueError("Cannot select more MFCC coefficients than # mel bins")
        super().__init__(n_mfcc, mel.n_mels, dct_type, norm, log_mels)
        self.sample_rate, self.n_mfcc, self.log_mels = sample_rate, n_mfcc, log_mels
        self.MelSpectrogram = mel

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        return self._transform(self.MelSpectrogram(waveform))


class LFCC(_Cepstrum):
    """Cepstral coefficients [..., n_lfcc, time] on the linear scale; `speckwargs` go to `Spectrogram`."""

    filter_mat: fb.Tensor

    def __init__(
        self,
        sample_rate: int = 16000,
        n_filter: int = 128,
        f_min: float = 0.0,
        f_max: float | None = None,
        n_lfcc: int = 40,
        dct_type: int = 2,
        norm: str | None = "ortho",
        log_lf: bool = False,
        speckwargs: Mapping[str, Any] | None = None,
    ) -> None:
        spectra = Spectrogram(**(speckwargs or {}))
        if n_lfcc > spectra.n_fft:
            raise ValueError("Cannot select more LFCC coefficients than # fft bins")
        super().__init__(n_lfcc, n_filter, dct_type, norm, log_lf)
        self.sample_rate, self.n_filter, self.n_lfcc, self.log_lf = sample_rate, n_filter, n_lfcc, log_lf
        self.f_min, self.f_max = f_min, f_max if f_max is not None else float(sample_rate // 2)
        self.Spectrogram = spectra
        bank = F.linear_fbanks(spectra.n_fft // 2 + 1, f_min, self.f_max, n_filter, sample_rate)
        self.register_buffer("filter_mat", bank)

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        spectra = self.Spectrogram(waveform)
        return self._transform((spectra.transpose(-1, -2) @ self.filter_mat).transpose(-1, -2))


class MuLawEncoding(nn.Module):
    """See `functional.mu_law_encoding`."""

    def __init__(self, quantization_channels: int = 256) -> None:
        super().__init__()
        self.quantization_channels = quantization_channels

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return F.mu_law_encoding(x, self.quantization_channels)


class MuLawDecoding(nn.Module):
    """See `functional.mu_law_decoding`."""

    def __init__(self, quantization_channels: int = 256) -> None:
        super().__init__()
        self.quantization_channels = quantization_channels

    def forward(self, x_mu: fb.Tensor) -> fb.Tensor:
        return F.mu_law_decoding(x_mu, self.quantization_channels)


class Resample(nn.Module):
    """See `functional.resample`; the filters are made once, in `dtype` (by default exactly, then float32)."""

    kernel: fb.Tensor

    def __init__(
        self,
        orig_freq: int = 16000,
        new_freq: int = 16000,
        resampling_method: str = "sinc_interp_hann",
        lowpass_filter_width: int = 6,
        rolloff: float = 0.99,
        beta: float | None = None,
        *,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__()
        self.orig_freq, self.new_freq = orig_freq, new_freq
        self.gcd = math.gcd(int(orig_freq), int(new_freq))
        self.resampling_method, self.lowpass_filter_width = resampling_method, lowpass_filter_width
        self.rolloff, self.beta = rolloff, beta
        if orig_freq != new_freq:
            kernel, self.width = _resample._kernel(
                orig_freq, new_freq, self.gcd, lowpass_filter_width, rolloff, resampling_method, beta, dtype
            )
            self.register_buffer("kernel", kernel)

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        if self.orig_freq == self.new_freq:
            return waveform
        return _resample._apply(waveform, self.orig_freq, self.new_freq, self.gcd, self.kernel, self.width)


class ComputeDeltas(nn.Module):
    """See `functional.compute_deltas`."""

    def __init__(self, win_length: int = 5, mode: str = "replicate") -> None:
        super().__init__()
        self.win_length, self.mode = win_length, mode

    def forward(self, specgram: fb.Tensor) -> fb.Tensor:
        return F.compute_deltas(specgram, self.win_length, self.mode)


class Preemphasis(nn.Module):
    """See `functional.preemphasis`."""

    def __init__(self, coeff: float = 0.97) -> None:
        super().__init__()
        self.coeff = coeff

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        return F.preemphasis(waveform, self.coeff)


class Deemphasis(nn.Module):
    """See `functional.deemphasis`."""

    def __init__(self, coeff: float = 0.97) -> None:
        super().__init__()
        self.coeff = coeff

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        return F.deemphasis(waveform, self.coeff)


class Vol(nn.Module):
    """Louder or quieter by an 'amplitude', a 'power' or decibels ('db'); cut off at -1 and 1."""

    def __init__(self, gain: float, gain_type: str = "amplitude") -> None:
        super().__init__()
        if gain_type in ("amplitude", "power") and gain < 0:
            raise ValueError("If gain_type = amplitude or power, gain must be positive.")
        self.gain, self.gain_type = gain, gain_type

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        if self.gain_type == "amplitude":
            waveform = waveform * self.gain
        elif self.gain_type == "db":
            waveform = F.gain(waveform, self.gain)
        elif self.gain_type == "power":
            waveform = F.gain(waveform, 10 * math.log10(self.gain))
        return fb.clamp(waveform, -1, 1)


_FADES: dict[str, Callable[[fb.Tensor], fb.Tensor]] = {  # from 0 to 1
    "linear": lambda t: t,
    "exponential": lambda t: fb.pow(2, t - 1) * t,
    "logarithmic": lambda t: fb.log10(0.1 + t) + 1,
    "quarter_sine": lambda t: fb.sin(t * math.pi / 2),
    "half_sine": lambda t: fb.sin(t * math.pi - math.pi / 2) / 2 + 0.5,
}


class Fade(nn.Module):
    """Fades a sound in over its first frames and out over its last.

    `fade_shape` is 'linear', 'exponential', 'logarithmic', 'quarter_sine' or 'half_sine'.
    """

    def __init__(self, fade_in_len: int = 0, fade_out_len: int = 0, fade_shape: str = "linear") -> None:
        super().__init__()
        if fade_shape not in _FADES:
            raise ValueError(f"fade_shape must be one of {', '.join(_FADES)}, not {fade_shape!r}")
        self.fade_in_len, self.fade_out_len, self.fade_shape = fade_in_len, fade_out_len, fade_shape

    def forward(self, waveform: fb.Tensor) -> fb.Tensor:
        length, shape = waveform.size(-1), _FADES[self.fade_shape]
        begin = shape(fb.linspace(0, 1, self.fade_in_len))
        end = shape(1 - fb.linspace(0, 1, self.fade_out_len))
        fade_in = fb.cat([begin, fb.ones(length - self.fade_in_len)]).clamp(0, 1)
        fade_out = fb.cat([fb.ones(length - self.fade_out_len), end]).clamp(0, 1)
        return fade_in * fade_out * waveform


class _AxisMasking(nn.Module):
    def __init__(
        self, mask_param: int, axis: int, iid_masks: bool, p: float = 1.0, zero_masking: bool = False
    ) -> None:
        super().__init__()
        self.mask_param, self.axis, self.iid_masks = mask_param, axis, iid_masks
        self.p, self.zero_masking = p, zero_masking

    def forward(self, specgram: fb.Tensor, mask_value: float | fb.Tensor = 0.0) -> fb.Tensor:
        mask_value = 0.0 if self.zero_masking else mask_value
        axis = self.axis + specgram.dim() - 3
        mask = F.mask_along_axis_iid if self.iid_masks else F.mask_along_axis
        return mask(specgram, self.mask_param, mask_value, axis, self.p)


class FrequencyMasking(_AxisMasking):
    """Sets a random strip of fewer than `freq_mask_param` frequencies to a value."""

    def __init__(self, freq_mask_param: int, iid_masks: bool = False) -> None:
        super().__init__(freq_mask_param, 1, iid_masks)


class TimeMasking(_AxisMasking):
    """Sets a random strip of fewer than `time_mask_param` frames (at most the part `p`) to a value."""

    def __init__(self, time_mask_param: int, iid_masks: bool = False, p: float = 1.0) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"The value of p must be between 0.0 and 1.0 ({p} given).")
        super().__init__(time_mask_param, 2, iid_masks, p=p)


class SpecAugment(nn.Module):
    """Several strips of frames and frequencies set to the mean, or to zero. (Park et al., 2019)"""

    def __init__(
        self,
        n_time_masks: int,
        time_mask_param: int,
        n_freq_masks: int,
        freq_mask_param: int,
        iid_masks: bool = True,
        p: float = 1.0,
        zero_masking: bool = False,
    ) -> None:
        super().__init__()
        self.n_time_masks, self.time_mask_param = n_time_masks, time_mask_param
        self.n_freq_masks, self.freq_mask_param = n_freq_masks, freq_mask_param
        self.iid_masks, self.p, self.zero_masking = iid_masks, p, zero_masking

    def forward(self, specgram: fb.Tensor) -> fb.Tensor:
        value: float | fb.Tensor = 0.0 if self.zero_masking else specgram.mean()
        dim = specgram.dim()
        mask = F.mask_along_axis_iid if dim > 2 and self.iid_masks else F.mask_along_axis
        for _ in range(self.n_time_masks):
            specgram = mask(specgram, self.time_mask_param, value, dim - 1, self.p)
        for _ in range(self.n_freq_masks):
            specgram = mask(specgram, self.freq_mask_param, value, dim - 2, self.p)
        return specgram
