"""gradcheck, gradgradcheck, and derivatives of functions."""

import pytest

import flambeau as fb
from flambeau.autograd import GradcheckError, gradcheck, gradgradcheck
from flambeau.autograd import functional as F


class Wrong(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, g):
        return g * 3 * ctx.saved_tensors[0]


def double(*values):
    return fb.tensor(values, dtype=fb.float64, requires_grad=True)


@pytest.mark.parametrize("fast", [False, True])
def test_right_derivatives_pass(fast):
    z = fb.tensor([1 + 2j, 2], dtype=fb.complex128, requires_grad=True)
    assert gradcheck(lambda x, y: x * y.exp(), (double(1, 2), double(3, 4)), fast_mode=fast)
    assert gradcheck(lambda t: t**2, (z,), fast_mode=fast)
    assert gradcheck(lambda t: t.abs(), (z,), fast_mode=fast)
    assert gradgradcheck(fb.sin, (double(1, 2),), fast_mode=fast)
    assert gradcheck(fb.sin, (double(1, 2),), check_forward_ad=True, fast_mode=fast)


def test_wrong_derivatives_are_shown():
    with pytest.raises(GradcheckError) as e:
        gradcheck(Wrong.apply, (double(1, 2),))
    assert str(e.value) == (
        "Jacobian mismatch for output 0 with respect to input 0,\n"
        "numerical:tensor([[2.0000, 0.0000],\n        [0.0000, 4.0000]], dtype=torch.float64)\n"
        "analytical:tensor([[3., 0.],\n        [0., 6.]], dtype=torch.float64)\n"
    )
    assert gradcheck(Wrong.apply, (double(1, 2),), raise_exception=False) is False
    with pytest.raises(GradcheckError, match=r"(?s)computed.*in fast mode"):
        gradcheck(Wrong.apply, (double(1, 2),), fast_mode=True)


def test_bad_arguments():
    with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
        gradcheck(fb.sin, (double(1).detach(),))
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(fb.sin, (fb.ones(1, requires_grad=True),), raise_exception=False)
    with pytest.raises(RuntimeError, match="has a dimension with stride 0"):
        gradcheck(fb.sin, (double(1).expand(3),))
    with pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda x: x.detach(), (double(1, 2),))


X = fb.tensor([1.0, 2.0])


def test_products():
    def f(x):
        return (x**3).sum()

    assert F.vjp(f, X)[1].tolist() == [3, 12]
    assert F.jvp(f, X, fb.tensor([1.0, 1.0]))[1].tolist() == 15
    assert F.hvp(f, X, fb.ones(2))[1].tolist() == [6, 12]
    assert F.vhp(f, X, fb.ones(2))[1].tolist() == [6, 12]


def test_jacobians():
    assert F.jacobian(lambda x, y: x * y, (X, X))[0].tolist() == [[1, 0], [0, 2]]
    assert F.hessian(lambda x: (x**3).sum(), X).tolist() == [[6, 0], [0, 12]]
    assert F.jacobian(lambda x: x**2, X, strategy="forward-mode", vectorize=True).tolist() == [[2, 0], [0, 4]]
    assert F.jacobian(lambda x: fb.ones(3), X).tolist() == [[0, 0]] * 3
    assert F.jacobian(lambda x: x**2, X, create_graph=True).requires_grad is True
    assert F.jacobian(lambda x: x**2, X).requires_grad is False


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: F.vjp(lambda x: x * 2, X), RuntimeError, "The vector v can only be None"),
        (lambda: F.vjp(lambda x: 3, X), TypeError, "must be either a Tensor or a tuple of Tensors"),
        (
            lambda: F.jacobian(lambda x: fb.ones(2), X, strict=True),
            RuntimeError,
            "does not require gradients",
        ),
        (lambda: F.hessian(lambda x: x * 2, X), RuntimeError, "should contain a single element"),
        (lambda: F.hessian(lambda x: x.sum(), X, strict=True), RuntimeError, "While computing the hessian"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
