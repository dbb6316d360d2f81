"""Fourier transforms and windows: values of PyTorch 2.13."""

import pytest

import flambeau as fb

from .compare import same

X = fb.tensor([1.0, 2.0, -1.0, 3.0])
A = fb.arange(6.0).reshape(2, 3)
Z = fb.tensor([1 + 2j, 3 - 1j, 0.5j])
W = fb.signal.windows
H = fb.hann_window(4)

CASES = [
    ("fb.fft.fft(X)", [(5 + 0j), (2 + 1j), (-5 + 0j), (2 - 1j)]),
    ("fb.fft.fft(X, 3)", [(2 + 0j), (0.5 - 2.598076j), (0.5 + 2.598076j)]),
    ("fb.fft.fft(X, 5, norm='ortho')", [(2.236068 + 0j), 0.2008114j, -2.227033j, 2.227033j, -0.2008114j]),
    ("fb.fft.ifft(Z)", [(1.333333 + 0.5j), (0.266346 + 1.616025j), (-0.5996794 - 0.1160254j)]),
    ("fb.fft.rfft(X)", [(5 + 0j), (2 + 1j), (-5 + 0j)]),
    ("fb.fft.irfft(Z)", [1.75, 0.75, -1.25, -0.25]),
    ("fb.fft.irfft(Z, 3)", [2.333333, -0.08931637, -1.244017]),
    ("fb.fft.hfft(Z)", [7.0, -1.0, -5.0, 3.0]),
    ("fb.fft.ihfft(X)", [(1.25 - 0j), (0.5 - 0.25j), (-1.25 - 0j)]),
    ("fb.fft.fft2(A)", [[(15 + 0j), (-3 + 1.732051j), (-3 - 1.732051j)], [(-9 + 0j), 0j, 0j]]),
    ("fb.fft.ifft2(A)", [[(2.5 + 0j), (-0.5 - 0.2886751j), (-0.5 + 0.2886751j)], [(-1.5 + 0j), 0j, 0j]]),
    ("fb.fft.rfftn(A)", [[(15 + 0j), (-3 + 1.732051j)], [(-9 + 0j), 0j]]),
    ("fb.fft.irfftn(fb.fft.rfftn(A), s=(2, 3))", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ("fb.fft.hfftn(A)", [[20.0, -4.0, 0.0, -4.0], [-12.0, 0.0, 0.0, 0.0]]),
    ("fb.fft.ihfftn(A)", [[(2.5 - 0j), (-0.5 - 0.2886751j)], [(-1.5 + 0j), 0j]]),
    (
        "fb.fft.fftn(A, s=(3, 2))",
        [
            [(8 + 0j), (-2 + 0j)],
            [(-2.5 - 6.062178j), (-0.5 + 0.8660254j)],
            [(-2.5 + 6.062178j), (-0.5 - 0.8660254j)],
        ],
    ),
    ("fb.fft.fftshift(X)", [-1.0, 3.0, 1.0, 2.0]),
    ("fb.fft.ifftshift(A, dim=1)", [[1.0, 2.0, 0.0], [4.0, 5.0, 3.0]]),
    (
        "fb.stft(fb.arange(8.0), 4, window=fb.hann_window(4), return_complex=True)",
        [
            [(1 + 0j), (2 + 0j), (4 + 0j), (6 + 0j), (8 + 0j), (10 + 0j), (12 + 0j), (13 + 0j), (12 + 0j)],
            [0j, (-1 + 1j), (-2 + 1j), (-3 + 1j), (-4 + 1j), (-5 + 1j), (-6 + 1j), (-7 + 0j), (-6 - 1j)],
            [(-1 + 0j), 0j, 0j, 0j, 0j, 0j, 0j, (1 + 0j), 0j],
        ],
    ),
    (
        "fb.istft(fb.stft(fb.arange(8.0), 4, window=H, return_complex=True), 4, window=H)",
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    ),
    ("fb.hann_window(5)", [0.0, 0.3454915, 0.9045085, 0.9045085, 0.3454914]),
    ("fb.hamming_window(4, False)", [0.08000001, 0.77, 0.77, 0.08000001]),
    ("fb.blackman_window(4)", [-2.980232e-08, 0.34, 1.0, 0.34]),
    ("fb.bartlett_window(5)", [0.0, 0.4, 0.8, 0.8, 0.4]),
    ("fb.kaiser_window(4)", [5.277344e-05, 0.2156727, 1.0, 0.2156727]),
    ("W.hann(4)", [0.0, 0.75, 0.7499999, 0.0]),
    ("W.cosine(4)", [0.3826835, 0.9238796, 0.9238796, 0.3826835]),
    ("W.gaussian(4, std=0.5)", [0.011109, 0.6065307, 0.6065307, 0.011109]),
    ("W.exponential(4, tau=2.0)", [0.4723665, 0.7788008, 0.7788008, 0.4723665]),
    ("W.kaiser(4, beta=3.0)", [0.2048847, 0.8712419, 0.8712419, 0.2048847]),
    ("W.nuttall(4, sym=False)", [0.0003627967, 0.2269824, 0.9999999, 0.2269824]),
    ("W.general_cosine(4, a=[0.5, 0.3, 0.2])", [0.4, 0.5500001, 0.55, 0.4]),
    ("W.general_hamming(4, alpha=0.6)", [0.2, 0.8000001, 0.8, 0.2]),
    ("W.bartlett(4)", [0.0, 0.6666667, 0.6666667, 0.0]),
    ("W.blackman(4)", [-1.490116e-08, 0.63, 0.6299999, -1.490116e-08]),
    ("W.hamming(4)", [0.08000001, 0.77, 0.77, 0.08000001]),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fb.fft.fft(X, 0), RuntimeError, "Invalid number of data points .0. specified"),
        (lambda: fb.fft.fft(X, norm="x"), RuntimeError, "Invalid normalization mode"),
        (lambda: fb.fft.fftn(A, dim=(0, 0)), RuntimeError, "FFT dims must be unique"),
        (lambda: fb.fft.rfft(Z), RuntimeError, "rfft expects a real input tensor, but got ComplexFloat"),
        (lambda: W.hann(-1), ValueError, "requires non-negative window length, got M=-1"),
        (lambda: W.kaiser(4, beta=-1), ValueError, "beta must be non-negative"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_derivative():
    x = fb.tensor([1.0, 2.0, -1.0], dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(lambda t: fb.view_as_real(fb.fft.rfft(t, 5)), (x,))


def test_roots_of_unity_are_exact_where_they_are_rational():
    # an imaginary part of -4.9e-16 came out of sin(pi)
    assert fb.fft.rfft(fb.arange(4)).tolist() == [6, -2 + 2j, -2]
    assert fb.fft.rfft(fb.arange(2.0, dtype=fb.float64)).imag.tolist() == [0, 0]
