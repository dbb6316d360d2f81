"""Writes through the real and imaginary parts of tensors, and through pairs seen as complex numbers."""

import warnings

import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck


def write_real(z):
    y = z * z
    r = y.real
    r += 2
    r *= r.clone()
    return y


def write_both(z):
    y = z * z
    y.imag.mul_(3)
    y.real[0] = 5
    return y


def write_pairs(z):
    y = z.clone()
    v = fb.view_as_real(y)[..., 1]
    v.exp_()
    return v * y.real


def write_transposed(z):
    y = z * z
    y.t().real[1].add_(z.abs()[0])
    return y


def seen_before_the_write(z):
    y = z.clone()
    r = y.real
    y.mul_(2 + 1j)
    return r**3


def write_as_complex(x):
    y = x * x
    w = fb.view_as_complex(y)
    w.mul_(1j)
    w[0] *= 2
    return y**3


def complex_seen_before_the_write(x):
    y = x * x
    w = fb.view_as_complex(y)
    y.mul_(3)
    return w * w


@pytest.mark.parametrize(
    "function, dtype",
    [
        (write_real, fb.complex128),
        (write_both, fb.complex128),
        (write_pairs, fb.complex128),
        (write_transposed, fb.complex128),
        (seen_before_the_write, fb.complex128),
        (write_as_complex, fb.float64),
        (complex_seen_before_the_write, fb.float64),
    ],
)
def test_gradients(function, dtype):
    fb.manual_seed(0)
    x = fb.randn(3, 3 if dtype.is_complex else 2, dtype=dtype, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradcheck(function, (x,))
        assert gradgradcheck(function, (x,))


def test_numbers_of_pytorch():
    z = fb.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    y = z.clone()
    fb.view_as_real(y)[..., 1].pow_(2)
    assert y.tolist() == [1 + 4j, 3 + 1j]
    assert type(y.grad_fn).__name__ == "CopySlices"
    (y.real * y.imag).sum().backward()
    assert z.grad.tolist() == [4 + 4j, 1 - 6j]


def test_saved_result_of_a_write_through_a_view():
    """Its history is that of the view after the write: second derivatives went twice through the operator."""
    z = fb.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=fb.float64, requires_grad=True)

    def function(z):
        y = z.clone()
        v = y[:, 1]
        v.exp_()
        return v * y[:, 0]

    assert gradgradcheck(function, (z,))


def test_conjugated_tensors():
    z = fb.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    y = (z * 2).conj()
    y.real.mul_(3)
    assert y.tolist() == [6 - 4j, 18 + 2j]
    (y.real + y.imag).sum().backward()
    assert z.grad.tolist() == [6 - 2j, 6 - 2j]
    with pytest.raises(NotImplementedError, match="of a conjugated tensor: write to the tensor itself"):
        y.imag.mul_(2)
