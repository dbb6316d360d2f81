"""Products of half values with a result in float (`out_dtype`)."""

import pytest

import flambeau as fb


@pytest.mark.parametrize("dtype", [fb.bfloat16, fb.float16])
def test_products_are_of_the_widened_values(dtype):
    a, b, c = (fb.randn(*s).to(dtype) for s in ((5, 7), (7, 6), (5, 6)))
    want = a.float() @ b.float()
    for got in (fb.mm(a, b, fb.float32), fb.bmm(a[None], b[None], out_dtype=fb.float32)[0]):
        assert got.dtype is fb.float32 and fb.equal(got, want)
    fb.testing.assert_close(fb.addmm(c, a, b, fb.float32, beta=2, alpha=3), 2 * c.float() + 3 * want)
    fb.testing.assert_close(fb.baddbmm(c[None], a[None], b[None], fb.float32)[0], c.float() + want)


def test_gradients_have_the_type_of_the_operands():
    a, b = (fb.randn(3, 3).bfloat16().requires_grad_() for _ in range(2))
    fb.mm(a, b, fb.float32).sum().backward()
    assert a.grad.dtype is b.grad.dtype is fb.bfloat16


@pytest.mark.parametrize(
    ("of", "to"), [(fb.float32, fb.float64), (fb.bfloat16, fb.float16), (fb.float32, fb.bfloat16)]
)
def test_other_types_are_refused(of, to):
    a = fb.ones(2, 2, dtype=of)
    with pytest.raises(RuntimeError, match="out_dtype must be the same as input dtype or fp32"):
        fb.mm(a, a, to)
