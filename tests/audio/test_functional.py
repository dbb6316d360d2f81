"""Filters and the cosine transform against numbers from SciPy; spectra and banks against NumPy."""

import math

import numpy as np
import pytest

import flambeau as fb
from flambeau.audio import functional as F

T = np.arange(24)
X = fb.from_numpy(np.sin(T * 0.7) * 0.4 + ((T * 7) % 5 - 2) * 0.1)  # float64
BUTTER_B = [
    0.01856301062689717,
    0.07425204250758868,
    0.11137806376138303,
    0.07425204250758868,
    0.01856301062689717,
]
BUTTER_A = [1.0, -1.570398851228172, 1.27561332498328, -0.4844033683350857, 0.07619706461033242]
BIQUADS = {  # scipy.signal.lfilter with the cookbook's coefficients, the first eight results
    F.lowpass_biquad: [
        -0.0195252,
        -0.0323011,
        0.0648511,
        0.2370221,
        0.3305864,
        0.2690835,
        0.0658699,
        -0.1477111,
    ],
    F.highpass_biquad: [
        -0.1138014,
        0.2669409,
        0.2206274,
        -0.2709544,
        -0.1368720,
        -0.3591000,
        0.0291222,
        0.2404292,
    ],
    F.bandpass_biquad: [
        -0.0666734,
        0.0230472,
        0.3087013,
        0.2792160,
        0.0402808,
        -0.2502968,
        -0.4436225,
        -0.2856991,
    ],
    F.bandreject_biquad: [
        -0.1333266,
        0.2346398,
        0.2854786,
        -0.0339323,
        0.1937145,
        -0.0900165,
        0.0949922,
        0.0927180,
    ],
    F.allpass_biquad: [
        -0.0666532,
        0.2115926,
        -0.0232228,
        -0.3131483,
        0.1534337,
        0.1602802,
        0.5386146,
        0.3784171,
    ],
}


def near(actual, expected, tolerance=1e-6):
    assert np.allclose(np.asarray(actual), expected, rtol=0, atol=tolerance), np.abs(actual - expected).max()


@pytest.mark.parametrize("function", BIQUADS, ids=lambda f: f.__name__)
def test_biquads(function):
    near(function(X, 8000, 1000.0)[:8], BIQUADS[function])


def test_equalizer_is_cut_off_at_one():
    expected = [-0.2520446, 0.2703852, 0.8389357, 0.4916335, 0.2807998, -0.5613418, -0.7534257, -0.4719831]
    near(F.equalizer_biquad(X, 8000, 1000.0, 6.0)[:8], expected)
    assert F.equalizer_biquad(X * 10, 8000, 1000.0, 6.0).abs().max() == 1


def test_lfilter():
    a, b = fb.tensor(BUTTER_A, dtype=fb.float64), fb.tensor(BUTTER_B, dtype=fb.float64)
    expected = [0.1342311, -0.1574235, -0.3717264, -0.3881773, -0.2113629, 0.0496852, 0.2665782, 0.3606866]
    near(F.lfilter(X, a, b)[-8:], expected)
    near(F.lfilter(X, 2 * a, 2 * b)[-8:], expected)
    long = fb.sin(fb.arange(700, dtype=fb.float64) * 0.05)  # several blocks
    expected = [0.0, 0.0553180, 0.1051515, 0.1547222, 0.2849705, 0.3325212, -0.2611349]
    near(F.lfilter(long, a, b)[[0, 255, 256, 257, 511, 512, 699]], expected)
    for length in (1, 2, 4, 256, 258):  # the same beginning, whatever the length
        near(F.lfilter(long[:length], a, b), F.lfilter(long, a, b)[:length], 1e-12)
    two = F.lfilter(fb.stack([X, X]), fb.stack([a, a]), fb.stack([b, b * 0]))
    near(two[0], F.lfilter(X, a, b))
    assert two[1].abs().max() == 0
    assert F.lfilter(X, fb.stack([a, a, a]), fb.stack([b, b, b]), batching=False).shape == (3, 24)
    with pytest.raises(ValueError, match="same size"):
        F.lfilter(X, a, b[:2])


def test_gradients():
    x = X[:9].clone().requires_grad_()
    a = fb.tensor([1.0, -0.5, 0.2], dtype=fb.float64, requires_grad=True)
    b = fb.tensor([0.3, 0.1, 0.2], dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(lambda *args: F.lfilter(*args, clamp=False), (x, a, b))
    assert fb.autograd.gradcheck(lambda x: F.resample(x, 3, 2), (x,))


def test_emphasis():
    expected = [-0.02, 0.0063687, 0.0655956, 0.0881561, 0.1089110, 0.0716123]
    near(F.deemphasis(X * 0.1)[:6], expected)
    near(F.preemphasis(F.deemphasis(X * 0.1)), X * 0.1, 1e-12)
    near(F.gain(X, 20.0), X * 10)


def test_spectrogram():
    window = fb.hann_window(16, dtype=fb.float64)
    x = fb.from_numpy(np.sin(np.arange(50) * 0.3) + np.arange(50) * 0.01)
    padded = np.pad(x.numpy(), 16, mode="reflect")  # half of n_fft = 32
    wide = np.zeros(32)
    wide[8:24] = window.numpy()  # a window shorter than the transform stands in its middle
    frames = np.stack([padded[k : k + 32] * wide for k in range(0, len(padded) - 31, 5)])
    expected = np.fft.rfft(frames).T
    args = (0, window, 32, 5, 16)
    near(F.spectrogram(x, *args, None, False), expected, 1e-12)
    near(F.spectrogram(x, *args, 1.0, False), np.abs(expected), 1e-12)
    near(F.spectrogram(x[None], *args, 2.0, False)[0], np.abs(expected) ** 2, 1e-11)
    near(F.spectrogram(x, *args, None, True), expected / np.sqrt((window.numpy() ** 2).sum()), 1e-12)
    near(F.spectrogram(x, *args, None, "frame_length"), expected / np.sqrt(32), 1e-12)
    for normalized in (False, True, "frame_length"):
        spectra = F.spectrogram(x, 7, window, 32, 5, 16, None, normalized)
        near(F.inverse_spectrogram(spectra, 50, 7, window, 32, 5, 16, normalized), x, 1e-12)
    with pytest.raises(ValueError, match="complex"):
        F.inverse_spectrogram(spectra.abs(), None, 0, window, 32, 5, 16, False)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
def test_mel_bank(scale, norm):
    def to_mel(f):
        if scale == "htk":
            return 2595 * math.log10(1 + f / 700)
        return 3 * f / 200 if f < 1000 else 15 + 27 * math.log(f / 1000) / math.log(6.4)

    def to_hz(m):
        if scale == "htk":
            return 700 * (10 ** (m / 2595) - 1)
        return 200 * m / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)

    edges = [to_hz(m) for m in np.linspace(to_mel(50.0), to_mel(7000.0), 12)]
    expected = np.zeros((101, 10))
    for k in range(101):
        f = 8000 * k / 100
        for j, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:])):
            expected[k, j] = max(0, min((f - low) / (middle - low), (high - f) / (high - middle)))
            expected[k, j] *= 2 / (high - low) if norm else 1
    near(F.melscale_fbanks(101, 50.0, 7000.0, 10, 16000, norm, scale), expected, 2e-4 if not norm else 1e-6)


def test_banks():
    bank = F.linear_fbanks(5, 0.0, 4.0, 3, 8)
    near(bank, [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    with pytest.warns(UserWarning, match="all zero values"):
        F.melscale_fbanks(20, 0.0, 8000.0, 128, 16000)
    with pytest.raises(ValueError, match="norm must be"):
        F.melscale_fbanks(20, 0.0, 8000.0, 4, 16000, norm="area")


def test_dct():
    ortho = [0.4472136, 0.6015010, 0.5116673, 0.4472136, 0.3717480, -0.1954395, 0.4472136, 0.0, -0.6324555]
    near(F.create_dct(3, 5, "ortho")[:3].flatten(), ortho)
    plain = [2.0, 1.9021130, 1.6180340, 2.0, 1.1755705, -0.6180340, 2.0, 0.0, -2.0]  # scipy.fft.dct, type 2
    near(F.create_dct(3, 5, None)[:3].flatten(), plain)


def test_decibels():
    x = fb.tensor([[1.0, 10.0, 100.0, 1e-12]])
    near(F.amplitude_to_DB(x, 10.0, 1e-10, 0.0), [[0, 10, 20, -100]], 1e-5)
    near(F.amplitude_to_DB(x, 20.0, 1e-10, 1.0, top_db=30.0), [[-10, 0, 20, -10]], 1e-5)
    batch = fb.stack([x, x * 10])[:, None]  # [batch, channel, frequency, time]: each has its own top
    near(F.amplitude_to_DB(batch, 10.0, 1e-10, 0.0, 15.0)[:, 0, 0], [[5, 10, 20, 5], [15, 20, 30, 15]], 1e-5)
    near(F.DB_to_amplitude(fb.tensor([20.0]), 2.0, 0.5), [20.0], 1e-5)


def test_mu_law():
    x = fb.linspace(-1, 1, 101, dtype=fb.float64)
    mu = 255
    squeezed = np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu)
    codes = F.mu_law_encoding(x, 256)
    assert (
        codes.dtype == fb.int64
        and codes.tolist() == ((squeezed + 1) / 2 * mu + 0.5).numpy().astype(int).tolist()
    )
    assert F.mu_law_encoding(fb.tensor([-1.0, 0.0, 1.0]), 256).tolist() == [0, 128, 255]
    near(F.mu_law_decoding(codes, 256), x, 0.025)
    near(F.mu_law_decoding(fb.tensor([0, 255]), 256), [-1, 1])


@pytest.mark.parametrize("method", ["sinc_interp_hann", "sinc_interp_kaiser"])
@pytest.mark.parametrize("orig, new", [(3, 2), (2, 3), (5, 1), (8000, 16000)])
def test_resample(method, orig, new):
    gcd = math.gcd(orig, new)
    p, q = orig // gcd, new // gcd
    x = X.numpy()
    cutoff, zeros = min(p, q) * 0.99, 6
    expected = []
    for n in range(math.ceil(q * len(x) / p)):  # each new sample is a sum over the old ones near it
        t = np.clip((np.arange(len(x)) / p - n / q) * cutoff, -zeros, zeros)
        if method == "sinc_interp_hann":
            window = np.cos(np.pi * t / zeros / 2) ** 2
        else:
            window = np.i0(14.769656459379492 * np.sqrt(1 - (t / zeros) ** 2)) / np.i0(14.769656459379492)
        expected.append((x * np.sinc(t) * window * cutoff / p).sum())
    near(F.resample(X, orig, new, resampling_method=method), expected, 1e-9 if "hann" in method else 3e-8)


def test_resample_keeps_a_tone():
    t = fb.arange(4410, dtype=fb.float64) / 44100
    sound = F.resample(fb.sin(2 * math.pi * 440 * t), 44100, 16000)
    expected = fb.sin(2 * math.pi * 440 * fb.arange(1600, dtype=fb.float64) / 16000)
    assert sound.shape == (1600,)
    near(sound[100:-100], expected[100:-100], 5e-3)
    assert F.resample(X, 8000, 8000) is X
    with pytest.raises(Exception, match="must be of integer type"):
        F.resample(X, 44100.5, 8000)
    with pytest.raises(TypeError, match="floating point"):
        F.resample(fb.arange(5), 2, 1)


def test_deltas():
    ramp = fb.arange(10.0).expand(2, 3, 10)
    near(F.compute_deltas(ramp)[..., 2:-2], np.ones((2, 3, 6)))
    x = X.reshape(1, 1, -1)
    padded = np.pad(X.numpy(), 2, mode="edge")
    near(
        F.compute_deltas(x)[0, 0],
        [(padded[n : n + 5] * np.arange(-2, 3)).sum() / 10 for n in range(24)],
        1e-12,
    )


def test_griffinlim():
    fb.manual_seed(0)
    t = fb.arange(2048) / 8000
    sound = fb.sin(2 * math.pi * 500 * t) * 0.5
    window = fb.hann_window(128)
    magnitudes = F.spectrogram(sound, 0, window, 128, 32, 128, 2.0, False)
    errors = []
    for iterations in (1, 60):
        found = F.griffinlim(magnitudes, window, 128, 32, 128, 2.0, iterations, 0.9, 2048, True)
        again = F.spectrogram(found, 0, window, 128, 32, 128, 2.0, False)
        errors.append(((again - magnitudes).norm() / magnitudes.norm()).item())
    assert found.shape == (2048,) and errors[1] < 0.15 < errors[0]
    with pytest.raises(ValueError, match="momentum"):
        F.griffinlim(magnitudes, window, 128, 32, 128, 2.0, 1, 1.0, None, False)


@pytest.mark.parametrize("axis", [1, 2])
def test_masks(axis):
    fb.manual_seed(0)
    spectra = fb.ones(4, 20, 30)
    strips = set()
    for _ in range(20):
        masked = F.mask_along_axis(spectra, 8, 0.0, axis)
        rows = (masked == 0).all(0).all(3 - axis - 1)
        count = int(rows.sum())
        strips.add(count)
        places = rows.nonzero().flatten()
        assert count < 8 and (count == 0 or places[-1] - places[0] == count - 1)  # one strip
        assert (masked == 0).sum() == count * spectra.numel() / spectra.shape[axis]
    assert len(strips) > 3
    each = F.mask_along_axis_iid(spectra, 8, 5.0, axis)
    assert len({tuple(map(tuple, one.tolist())) for one in each}) > 1 and set(each.unique().tolist()) <= {
        1.0,
        5.0,
    }
    assert F.mask_along_axis(spectra, 8, 0.0, axis, p=0.0) is spectra
    with pytest.raises(ValueError, match="at least three dimensions"):
        F.mask_along_axis_iid(spectra[0], 8, 0.0, 1)
    with pytest.raises(ValueError, match="Only Frequency and Time"):
        F.mask_along_axis(spectra, 8, 0.0, 0)
