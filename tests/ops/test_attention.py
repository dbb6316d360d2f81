# ruff: noqa: E501 (a table of calls and their values)
"""Attention and the CTC loss: results, gradients and gradients of gradients, against values of PyTorch 2.13."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import digest, same_digest, wave

MASK = fb.arange(35).reshape(5, 7) % 3 != 0
CASES = [
    (
        F.scaled_dot_product_attention,
        lambda: (
            wave(2, 2, 5, 4),
            wave(2, 2, 7, 4, step=0.6),
            wave(2, 2, 7, 3),
        ),
        [
            [2, 2, 5, 3],
            -1.22948986,
            1.12185891,
            0.126812585,
            -0.0983685066,
            -0.236795814,
            0.547442291,
            0.246050256,
            -0.744230242,
        ],
    ),
    (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda: (
            wave(1, 2, 70, 4),
            wave(1, 2, 70, 4, step=0.6),
            wave(1, 2, 70, 3),
        ),
        [
            [1, 2, 70, 3],
            -1.27731405,
            1.81965323,
            -0.179303121,
            3.47131901,
            -3.43725097,
            -0.261978221,
            -0.475677121,
            6.81264348,
        ],
    ),
    (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, MASK, scale=0.3),
        lambda: (
            wave(2, 2, 5, 4),
            wave(2, 2, 7, 4, step=0.6),
            wave(2, 2, 7, 3),
        ),
        [
            [2, 2, 5, 3],
            -1.25829003,
            -0.486645927,
            0.116319004,
            -0.275542652,
            0.887840965,
            0.219920819,
            0.64527591,
            0.487668508,
        ],
    ),
    (
        F.scaled_dot_product_attention,
        lambda: (
            wave(5, 4),
            wave(7, 4, step=0.6),
            wave(7, 3),
        ),
        [
            [5, 3],
            0.269949046,
            -0.190119184,
            -0.0570314947,
            0.0111862553,
            0.280493063,
            0.061350946,
            0.494441404,
            -0.586228721,
        ],
    ),
]


@pytest.mark.parametrize(("function", "inputs", "golden"), CASES)
def test_values(function, inputs, golden):
    same_digest(digest(function, *inputs()), golden)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"attn_mask": True}])
def test_shared_heads(options):
    q, k, v = (
        wave(2, 6, 70, 8),
        wave(2, 2, 70, 8, step=0.6),
        wave(2, 2, 70, 5, step=0.4),
    )
    if "attn_mask" in options:
        options = {"attn_mask": wave(70, 70, grad=False) > 0.3}

    def shared(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, **options, enable_gqa=True)

    def repeated(q, k, v):
        k, v = k.repeat_interleave(3, 1), v.repeat_interleave(3, 1)
        return F.scaled_dot_product_attention(q, k, v, **options)

    same_digest(digest(shared, q, k, v), digest(repeated, q, k, v))


def test_heads_that_differ_need_the_option():
    q, k = fb.ones(1, 4, 2, 3), fb.ones(1, 2, 2, 3)
    with pytest.raises(RuntimeError):
        F.scaled_dot_product_attention(q, k, k)


def floats(*shape, step=0.7):
    """Cosines in float."""
    return wave(*shape, step=step, dtype=fb.float32, grad=False)


@pytest.mark.parametrize("scale", [None, -0.7, 2.0])
@pytest.mark.parametrize(
    "queries, keys, causal", [(1, 300, False), (130, 130, True), (70, 600, False), (65, 2100, False)]
)
def test_against_the_matrix_of_all_scores(queries, keys, causal, scale):
    q, k, v = floats(2, 4, queries, 24), floats(2, 2, keys, 24, step=0.6), floats(2, 2, keys, 20, step=0.3)
    result = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale, enable_gqa=True)
    wide = [x.double().repeat_interleave(2, 1) for x in (k, v)]
    scores = q.double() @ wide[0].transpose(-1, -2) * (24**-0.5 if scale is None else scale)
    if causal:
        scores = scores.masked_fill(~fb.ones(queries, keys, dtype=fb.bool).tril(), -float("inf"))
    assert fb.allclose(result.double(), scores.softmax(-1) @ wide[1], atol=1e-5)
