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
