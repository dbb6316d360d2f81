import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.audio import functional as F
from flambeau.audio import transforms as T

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel")


def sound(*shape):
    fb.manual_seed(1)
    return fb.randn(*shape) * 0.1


def test_spectrogram_and_back():
    x = sound(2, 1600)
    spectra = T.Spectrogram()(x)
    assert spectra.shape == (2, 201, 9) and spectra.dtype == fb.float32
    assert T.Spectrogram().hop_length == 200
    complex_spectra = T.Spectrogram(n_fft=64, hop_length=16, power=None, pad=5)(x)
    back = T.InverseSpectrogram(n_fft=64, hop_length=16, pad=5)(complex_spectra, 1600)
    assert (back - x).abs().max() < 1e-5
    kaiser = T.Spectrogram(window_fn=fb.kaiser_window, wkwargs={"periodic": True, "beta": 5.0})
    assert fb.equal(kaiser.window, fb.kaiser_window(400, periodic=True, beta=5.0))


def test_state_dict_keys():
    assert list(T.MelSpectrogram().state_dict()) == ["spectrogram.window", "mel_scale.fb"]
    assert set(T.MFCC().state_dict()) == {
        "dct_mat", "MelSpectrogram.spectrogram.window", "MelSpectrogram.mel_scale.fb"
    }  # fmt: skip
    assert list(T.Resample(2, 1).state_dict()) == ["kernel"] and not T.Resample().state_dict()


def test_mel_and_cepstra():
    x = sound(2, 1600)
    mel = T.MelSpectrogram(sample_rate=8000, n_fft=256, n_mels=20)
    spectra = T.Spectrogram(256)(x)
    bank = F.melscale_fbanks(129, 0.0, 4000.0, 20, 8000)
    expected = np.einsum("cft,fm->cmt", spectra.numpy(), bank.numpy())
    assert np.allclose(mel(x), expected, rtol=1e-4, atol=1e-7)
    mfcc = T.MFCC(8000, n_mfcc=5, melkwargs={"n_fft": 256, "n_mels": 20})
    decibels = 10 * np.log10(np.maximum(expected, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    n, k = np.arange(20), np.arange(5)[:, None]
    dct = np.cos(math.pi / 20 * (n + 0.5) * k) * math.sqrt(2 / 20)
    dct[0] /= math.sqrt(2)
    assert np.allclose(mfcc(x), np.einsum("cmt,km->ckt", decibels, dct), atol=1e-3)
    logs = T.MFCC(8000, n_mfcc=5, log_mels=True, melkwargs={"n_fft": 256, "n_mels": 20})
    assert np.allclose(logs(x), np.einsum("cmt,km->ckt", np.log(expected + 1e-6), dct), atol=1e-3)
    lfcc = T.LFCC(8000, n_filter=20, n_lfcc=5, speckwargs={"n_fft": 256})
    linear = np.einsum("cft,fm->cmt", spectra.numpy(), F.linear_fbanks(129, 0.0, 4000.0, 20, 8000).numpy())
    decibels = 10 * np.log10(np.maximum(linear, 1e-10))
    assert np.allclose(lfcc(x), np.einsum("cmt,km->ckt", decibels, dct), atol=1e-3)
    with pytest.raises(ValueError, match="more MFCC coefficients"):
        T.MFCC(n_mfcc=200)
    with pytest.raises(ValueError, match="DCT type"):
        T.MFCC(dct_type=3)


def test_amplitude_to_db():
    x = fb.tensor([1.0, 0.1, 1e-20])[None]
    assert fb.allclose(T.AmplitudeToDB()(x), fb.tensor([[0.0, -10.0, -100.0]]), atol=1e-4)
    assert fb.allclose(T.AmplitudeToDB("magnitude", 30.0)(x), fb.tensor([[0.0, -20.0, -30.0]]), atol=1e-4)


def test_vol():
    x = fb.tensor([0.1, -0.2, 0.9])
    assert fb.allclose(T.Vol(2.0)(x), fb.tensor([0.2, -0.4, 1.0]))
    assert fb.allclose(T.Vol(20.0, "db")(x), fb.tensor([1.0, -1.0, 1.0]))
    assert fb.allclose(T.Vol(4.0, "power")(x), fb.tensor([0.2, -0.4, 1.0]))
    with pytest.raises(ValueError, match="must be positive"):
        T.Vol(-1.0)


@pytest.mark.parametrize(
    "shape, middle",  # the value half way, and that it mirrors
    [
        ("linear", 0.5),
        ("exponential", 0.5 * 2**-0.5),
        ("logarithmic", math.log10(0.6) + 1),
        ("quarter_sine", math.sin(math.pi / 4)),
        ("half_sine", 0.5),
    ],
)
def test_fade(shape, middle):
    faded = T.Fade(5, 3, shape)(fb.ones(1, 12))[0]
    assert faded[2].item() == pytest.approx(middle, abs=1e-6) and faded[-2].item() == pytest.approx(
        middle, abs=1e-6
    )
    assert faded[4:9].tolist() == pytest.approx([1] * 5, abs=0.05) and faded[0].item() == pytest.approx(
        0, abs=1e-6
    )
    assert faded[-1].item() == pytest.approx(0, abs=1e-6)


def test_masking():
    fb.manual_seed(0)
    spectra = fb.rand(3, 2, 40, 50) + 1
    for transform in (T.TimeMasking(20, iid_masks=True), T.FrequencyMasking(20), T.TimeMasking(20, p=0.2)):
        found = [transform(spectra) for _ in range(5)]
        assert any((one == 0).any() for one in found) and all(one.shape == spectra.shape for one in found)
    augmented = T.SpecAugment(2, 10, 2, 10)(spectra)
    changed = augmented != spectra
    assert changed.any() and (augmented[changed] - spectra.mean()).abs().max() < 0.05
    zero = T.SpecAugment(2, 10, 2, 10, zero_masking=True, iid_masks=False)(spectra)
    assert (zero[zero != spectra] == 0).all()


def test_the_rest_follows_the_functions():
    x = sound(2, 800)
    assert fb.allclose(T.Resample(8000, 5000)(x), F.resample(x, 8000, 5000), atol=1e-5)
    assert T.Resample(8000, 5000)(x).shape == (2, 500) and T.Resample()(x) is x
    assert fb.equal(T.MuLawEncoding(64)(x), F.mu_law_encoding(x, 64))
    assert fb.equal(
        T.MuLawDecoding(64)(T.MuLawEncoding(64)(x)), F.mu_law_decoding(F.mu_law_encoding(x, 64), 64)
    )
    assert fb.equal(T.ComputeDeltas()(x[None]), F.compute_deltas(x[None]))
    assert fb.allclose(T.Deemphasis()(T.Preemphasis()(x)), x, atol=1e-5)
    found = T.GriffinLim(n_fft=64, n_iter=4, length=800)(T.Spectrogram(64)(x))
    assert found.shape == (2, 800)
