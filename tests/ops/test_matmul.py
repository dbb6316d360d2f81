"""Matrix products: results, gradients and gradients of gradients, against values of PyTorch 2.13."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import digest, same_digest, wave

CASES = [
    (
        fb.mm,
        lambda: (
            wave(3, 4),
            wave(4, 5),
        ),
        [[3, 5], -0.934524598, 0.119251646, -0.200179257, -10.3697538, 31.8085271, 9.02559436],
    ),
    (
        fb.mm,
        lambda: (
            wave(4, 3).mT,
            wave(5, 4).mT,
        ),
        [[3, 5], 0.0795699528, -1.00284654, -0.203567915, 1.9366291, 3.46776505, -0.695564833],
    ),
    (
        fb.bmm,
        lambda: (
            wave(2, 3, 4),
            wave(2, 4, 5),
        ),
        [[2, 3, 5], -0.0529262141, -1.18094014, 1.10107568, -0.885675971, 23.3951067, -15.0742183],
    ),
    (
        fb.matmul,
        lambda: (
            wave(4),
            wave(4),
        ),
        [[], 1.86874199, 1.55714422, 1.55714422, 3.11428843, 3.11428843, 7.47496796],
    ),
    (
        fb.matmul,
        lambda: (
            wave(3, 4),
            wave(4),
        ),
        [[3], 1.42790573, 1.51882237, 1.01464017, 1.81046398, 6.42190483, 10.2846907],
    ),
    (
        fb.matmul,
        lambda: (
            wave(4),
            wave(2, 4, 3),
        ),
        [[2, 3], -1.00286262, 1.95272785, 4.68721391, 8.97566194, -4.09770694, 32.2306848],
    ),
    (
        fb.matmul,
        lambda: (
            wave(2, 1, 3, 4),
            wave(3, 4, 2),
        ),
        [[2, 3, 3, 2], -0.400295945, 1.35591373, -0.0246583719, 4.03475844, 10.3274241, 1.4228494],
    ),
    (
        fb.matmul,
        lambda: (
            wave(2, 3, 4),
            wave(4, 5),
        ),
        [[2, 3, 5], 0.383660288, 1.42530663, 1.20353124, 6.70271973, 40.9809595, 25.2424961],
    ),
    (
        lambda c, a, b: fb.addmm(c, a, b, beta=0.5, alpha=2),
        lambda: (
            wave(5),
            wave(3, 4),
            wave(4, 5),
        ),
        [
            [3, 5],
            -1.27818579,
            0.904185365,
            0.238503292,
            -0.400358515,
            0.0,
            -41.4790151,
            127.234108,
            35.6508333,
        ],
    ),
    (
        lambda c, a, b: fb.baddbmm(c, a, b, beta=0.5, alpha=2),
        lambda: (
            wave(3, 5),
            wave(2, 3, 4),
            wave(2, 4, 5),
        ),
        [
            [2, 3, 5],
            0.309097297,
            -2.03076992,
            -2.36188029,
            2.20215135,
            0.0,
            -3.54270388,
            93.580427,
            -65.5076874,
        ],
    ),
    (
        lambda c, a, b: fb.addbmm(c, a, b, beta=0.5, alpha=2),
        lambda: (
            wave(3, 5),
            wave(2, 3, 4),
            wave(2, 4, 5),
        ),
        [[3, 5], 0.87126299, 0.285439648, -3.31326555, 14.2598808, 0.0, -13.1023626, 118.043648, 124.572049],
    ),
    (
        lambda c, a, b: fb.addmv(c, a, b, beta=0.5, alpha=2),
        lambda: (
            wave(3),
            wave(3, 4),
            wave(4),
        ),
        [[3], 3.79129225, 1.14215869, 3.03764475, 2.02928034, 0.0, 7.2418559, 25.6876193, 42.2809217],
    ),
    (
        lambda c, a, b: fb.addr(c, a, b, beta=0.5, alpha=2),
        lambda: (
            wave(3, 4),
            wave(3),
            wave(4),
        ),
        [[3, 4], 3.10521361, 1.25523266, 0.214530834, 0.647605792, 0.0, 1.40943093, 48.7520992, 34.8781234],
    ),
    (
        fb.outer,
        lambda: (
            wave(3),
            wave(4),
        ),
        [[3, 4], 1.85434289, 0.107265417, 0.323802896, 0.352357732, 12.1880248, 8.40572268],
    ),
    (
        fb.inner,
        lambda: (
            wave(2, 4),
            wave(3, 4),
        ),
        [[2, 3], 0.883778517, 1.13932434, 0.054766128, 7.95313063, -0.12391978, 9.52685791],
    ),
    (
        F.linear,
        lambda: (
            wave(2, 3, 4),
            wave(5, 4),
            wave(5),
        ),
        [
            [2, 3, 5],
            3.35521992,
            -0.146887016,
            -4.49676006,
            2.22004161,
            6.70271973,
            3.71015923,
            0.0,
            38.1836815,
        ],
    ),
    (
        F.bilinear,
        lambda: (
            wave(2, 3),
            wave(2, 4),
            wave(5, 3, 4),
            wave(5),
        ),
        [
            [2, 5],
            2.56972255,
            0.95695083,
            0.385794074,
            1.35015968,
            -0.825011214,
            -2.68872147,
            4.61495017,
            -0.241962501,
            0.0,
            14.2048151,
        ],
    ),
]


@pytest.mark.parametrize(("function", "inputs", "golden"), CASES)
def test_values(function, inputs, golden):
    same_digest(digest(function, *inputs()), golden)


@pytest.mark.parametrize("alpha, beta", [(1, 0.3), (2.5, 0.5), (-4.775, 2.03), (0, 1), (2, 0)])
def test_bfloat16_products_with_factors_round_once(alpha, beta):
    fb.manual_seed(0)
    for m, k, n in ((3, 5, 4), (40, 30, 50)):
        a, b, c = (fb.randn(s).bfloat16() for s in ((m, k), (k, n), (m, n)))
        want = alpha * (a.double() @ b.double()) + beta * c.double()
        for right in (b, b.T.contiguous().T):
            got = fb.addmm(c, a, right, beta=beta, alpha=alpha)
            assert ((got.double() - want).abs() <= 8e-3 * (want.abs() + 0.1)).all()


def floats(*shape, step=0.7):
    """Cosines in float."""
    return wave(*shape, step=step, dtype=fb.float32, grad=False)


def close_to_double(result, a, b, scale=1.0, tolerance=1e-6):
    """Whether a product is that of doubles, up to rounding of its terms."""
    exact, size = a.double() @ b.double() * scale, a.double().abs() @ b.double().abs() * scale
    return bool(((result.double() - exact).abs() <= tolerance * size + 1e-30).all())


@pytest.mark.parametrize(
    "m, n, k", [(4, 4, 4), (3, 3, 3), (2, 4, 3), (4, 1, 4), (1, 5, 3), (4, 4, 5), (2, 2, 8)]
)
@pytest.mark.parametrize("turned", [False, True])
def test_many_tiny_products(m, n, k, turned):
    a, b, c = floats(7, m, k), floats(7, k, n, step=0.6), floats(7, m, n, step=0.3)
    if turned:
        a = floats(7, k, m).transpose(1, 2)
        b = floats(7, n, k, step=0.6).transpose(1, 2)
    assert close_to_double(fb.bmm(a, b), a, b)
    assert close_to_double(fb.bmm(a, b[:1].expand(7, k, n)), a, b[:1].expand(7, k, n))
    assert close_to_double(fb.baddbmm(c, a, b, beta=0, alpha=2), a, b, 2)
    expected = c.double() * 0.5 + 2 * (a.double() @ b.double())
    assert fb.allclose(fb.baddbmm(c, a, b, beta=0.5, alpha=2).double(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "m, n, k", [(12, 12, 2), (13, 33, 17), (64, 64, 64), (40, 100, 31), (100, 16, 160), (30, 70, 50)]
)
@pytest.mark.parametrize("left, right", [(False, False), (False, True), (True, False), (True, True)])
def test_small_bfloat16_products(m, n, k, left, right):
    a = floats(k, m).bfloat16().t() if left else floats(m, k).bfloat16()
    b = floats(n, k, step=0.6).bfloat16().t() if right else floats(k, n, step=0.6).bfloat16()
    half = 2.0**-8  # of the last of eight bits
    assert close_to_double(a @ b, a, b, tolerance=half)
    bias = floats(n, step=0.3).bfloat16()
    expected = (a.double() @ b.double() + bias.double()).bfloat16()
    assert fb.allclose(fb.addmm(bias, a, b), expected, rtol=2 * half, atol=1e-3)


def test_small_bfloat16_batches():
    a, b = floats(5, 20, 30).bfloat16(), floats(5, 40, 30, step=0.6).bfloat16().transpose(1, 2)
    assert close_to_double(fb.bmm(a, b), a, b, tolerance=2.0**-8)
    assert close_to_double(fb.bmm(a[:, :, 1:], b[:, 1:]), a[:, :, 1:], b[:, 1:], tolerance=2.0**-8)


@pytest.mark.parametrize("rows", [8, 13, 70, 300])
@pytest.mark.parametrize("inputs, outputs", [(64, 80), (130, 50)])
def test_bfloat16_linear_layers_that_answer(rows, inputs, outputs):
    layer = fb.nn.Linear(inputs, outputs, dtype=fb.bfloat16)
    x = floats(rows, inputs).bfloat16()
    with fb.no_grad():
        for change in (0.0, 0.0, 0.25):  # the weight is packed, kept, and packed again once it has changed
            layer.weight += change
            expected = (x.double() @ layer.weight.double().t() + layer.bias.double()).bfloat16()
            assert fb.allclose(layer(x), expected, rtol=2.0**-7, atol=2e-3)
    assert fb.allclose(layer(x), expected, rtol=2.0**-7, atol=2e-3)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("columns", [64, 70, 200, 300])
def test_few_rows_and_many_columns(rows, columns):
    a, b = floats(rows, 90), floats(90, columns, step=0.6)
    assert close_to_double(a @ b, a, b)
