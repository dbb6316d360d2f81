import inspect

import pytest

import flambeau as fb
from flambeau._higher_order_ops.associative_scan import associative_scan
from flambeau.torch_version import TorchVersion


def test_versions_compare_by_number():
    v = TorchVersion("2.13.0+cpu")
    assert v >= (2, 9) and v > "2.12" and v > "2.9.1" and v < (3,) and v != (2, 13, 0)
    assert TorchVersion("2.13.0") == (2, 13) and TorchVersion("2.13.0rc1") < "2.13"
    assert v != "parrot" and isinstance(fb.__version__, TorchVersion) and hash(v) == hash("2.13.0+cpu")
    with pytest.raises(ValueError, match="Unable to convert 3 to TorchVersion"):
        v > 3  # noqa: B015


def test_modules_have_the_signature_of_calls():
    assert str(inspect.signature(fb.nn.ReLU())) == "(*args, **kwargs)"
    assert list(inspect.signature(fb.nn.Linear).parameters)[:2] == ["in_features", "out_features"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_scans(n, reverse):
    x = fb.randn(3, n, 2, dtype=fb.float64)
    got = associative_scan(lambda a, b: a + b, x, 1, reverse)
    fb.testing.assert_close(got, x.flip(1).cumsum(1).flip(1) if reverse else x.cumsum(1))


def test_a_recurrence_as_a_scan():
    a, b = fb.rand(6, 2, dtype=fb.float64), fb.rand(6, 2, dtype=fb.float64, requires_grad=True)

    def combine(p, q):
        return p[0] * q[0], p[1] * q[0] + q[1]

    h, hs = fb.zeros(2, dtype=fb.float64), []
    for i in range(6):
        h = a[i] * h + b[i]
        hs.append(h)
    expected = fb.stack(hs)
    got = associative_scan(combine, (a, b), 0)[1]
    fb.testing.assert_close(got, expected)
    fb.testing.assert_close(fb.autograd.grad(got.sum(), b)[0], fb.autograd.grad(expected.sum(), b)[0])
    with pytest.raises(ValueError, match="xs leaves must be a Tensor"):
        associative_scan(combine, (a, 3), 0)
