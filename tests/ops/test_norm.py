# ruff: noqa: E501 (a table of calls and their values)
"""Normalisations and softmax: results, gradients and gradients of gradients, against values of PyTorch 2.13."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import digest, same_digest, wave

CASES = [
    (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        lambda: (
            wave(3, 4, 5),
            wave(4),
            wave(4, step=0.2),
        ),
        [
            [3, 4, 5],
            -0.313576721,
            0.0162114329,
            0.770667101,
            -0.953086876,
            -2.22630946,
            44.2809506,
            0.0,
            -61.8412377,
        ],
    ),
    (
        lambda x, w, b: F.batch_norm(x, fb.zeros(4).double(), fb.full((4,), 2.0).double(), w, b),
        lambda: (
            wave(3, 4, 2, 2),
            wave(4),
            wave(4, step=0.2),
        ),
        [
            [3, 4, 2, 2],
            3.43990944,
            2.42618256,
            1.02371793,
            -1.34844399,
            7.67536276,
            9.50580776,
            0.0,
            -14.0804784,
        ],
    ),
    (
        lambda x: F.batch_norm(x, None, None, None, None, True),
        lambda: (wave(6, 4),),
        [[6, 4], -0.1220285, -3.78040223, -6.2827127, -11.9173363],
    ),
    (
        lambda x, w, b: F.layer_norm(x, (3, 4), w, b),
        lambda: (
            wave(2, 5, 3, 4),
            wave(3, 4),
            wave(3, 4, step=0.2),
        ),
        [
            [2, 5, 3, 4],
            2.39430854,
            -0.238540473,
            1.45307041,
            41.1406436,
            2.4129712,
            -1.55617767,
            0.0,
            60.358193,
        ],
    ),
    (
        lambda x, w, b: F.group_norm(x, 2, w, b),
        lambda: (
            wave(2, 4, 3, 2),
            wave(4),
            wave(4, step=0.2),
        ),
        [
            [2, 4, 3, 2],
            1.90322186,
            9.12485186,
            3.62131282,
            0.210536513,
            136.049715,
            25.915682,
            0.0,
            38.516544,
        ],
    ),
    (
        lambda x, w, b: F.instance_norm(x, None, None, w, b),
        lambda: (
            wave(2, 4, 5),
            wave(4),
            wave(4, step=0.2),
        ),
        [
            [2, 4, 5],
            -1.33516227,
            1.09957506,
            0.923822978,
            1.65060795,
            -2.39353187,
            30.1581479,
            0.0,
            49.9702725,
        ],
    ),
    (
        lambda x, w: F.rms_norm(x, (4,), w, 1e-3),
        lambda: (
            wave(3, 4),
            wave(4),
        ),
        [[3, 4], 0.316577249, 0.607126613, 3.81027431, 3.96064622, 0.381712094, -0.692640054],
    ),
    (
        lambda x: F.local_response_norm(x, 3),
        lambda: (wave(2, 5, 4),),
        [[2, 5, 4], 0.892006732, 3.11886294, -0.00249799099, 6.23739913],
    ),
    (
        lambda x: F.softmax(x, 1),
        lambda: (wave(2, 5, 3),),
        [[2, 5, 3], 0.203984271, 0.226703494, 0.145880423, 0.23711491],
    ),
    (
        lambda x: F.softmax(x, -1),
        lambda: (wave(3, 7),),
        [[3, 7], 0.42100857, 0.00852117307, -0.0597917695, 0.00778737191],
    ),
    (
        lambda x: F.log_softmax(x, 0),
        lambda: (wave(4, 3),),
        [[4, 3], -0.502957474, 2.43013586, 0.297841036, 4.69355925],
    ),
    (
        lambda x: F.log_softmax(x, -1),
        lambda: (wave(4, 9),),
        [[4, 9], 7.78498302, 2.54842807, 3.47625232, 7.82198208],
    ),
]


@pytest.mark.parametrize(("function", "inputs", "golden"), CASES)
def test_values(function, inputs, golden):
    same_digest(digest(function, *inputs()), golden)


@pytest.mark.parametrize("width", [3, 16, 33, 100, 1030])
def test_softmax_of_rows_finds_every_largest_number(width):
    for place in {0, 1, width // 2, width - 1}:
        x = fb.zeros(1, width)
        x[0, place] = 90.0
        y = fb.softmax(x, -1)
        assert y[0, place] == 1 and y.sum() == 1
        x[0, place] = float("nan")
        assert fb.softmax(x, -1).isnan().all()
        x[0, place] = float("inf")
        assert fb.log_softmax(x, -1)[0, place].isnan()


@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("width", [1, 9, 31, 32, 33, 64, 100])
def test_batch_norm_of_rows_that_answers(kind, width):
    dtype = getattr(fb, kind)
    x = fb.arange(7 * width).reshape(7, width).to(dtype) / 16
    mean, var = fb.arange(width).double() / 8, 1 + fb.arange(width).double()
    got = fb.nn.functional.batch_norm(x, mean.to(dtype), var.to(dtype), eps=0.5)
    want = (x.double() - mean.to(dtype).double()) / (var.to(dtype).double() + 0.5).sqrt()
    assert fb.allclose(got.double(), want, rtol=2e-2 if kind == "bfloat16" else 2e-3, atol=2e-2)
