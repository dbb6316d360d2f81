"""Masked reductions: values of PyTorch 2.13."""

import math

import pytest

import flambeau as fb

from .compare import same

X = fb.arange(6.0).reshape(2, 3)
M = fb.tensor([[True, False, True], [False, False, False]])
K = fb.masked

CASES = [
    ("K.sum(X, 1, mask=M)", [2.0, 0.0]),
    ("K.prod(X, 1, mask=M)", [0.0, 1.0]),
    ("K.amax(X, 1, mask=M)", [2.0, -math.inf]),
    ("K.amin(X, 1, mask=M)", [0.0, math.inf]),
    ("K.mean(X, 1, mask=M)", [1.0, math.nan]),
    ("K.norm(X, 2, 1, mask=M)", [2.0, 0.0]),
    ("K.var(X, 1, mask=M)", [2.0, math.nan]),
    ("K.std(X, 1, unbiased=False, mask=M)", [1.0, math.nan]),
    ("K.argmax(X, 1, mask=M)", [2.0, 0.0]),
    ("K.median(X, 1, mask=M)", [0.0, math.nan]),
    ("K.logsumexp(X, 1, mask=M)", [2.126928, -math.inf]),
    ("K.cumsum(X, 1, mask=M)", [[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]]),
    ("K.cumprod(X, 1, mask=M)", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
    ("K.softmax(X, 1, mask=M)", [[0.1192029, 0.0, 0.880797], [math.nan, math.nan, math.nan]]),
    ("K.log_softmax(X, 1, mask=M)", [[-2.126928, -math.inf, -0.126928], [math.nan, math.nan, math.nan]]),
    ("K.softmin(X, 1, mask=M)", [[0.880797, 0.0, 0.1192029], [math.nan, math.nan, math.nan]]),
    ("K.normalize(X, 2, 1, mask=M)", [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
    (
        "K.logaddexp(X, X, input_mask=M, other_mask=M)",
        [[0.6931472, -math.inf, 2.693147], [-math.inf, -math.inf, -math.inf]],
    ),
    ("K.sum(X, mask=M)", 2.0),
    ("K.sum(X.int(), (0, 1))", 15),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


def test_functions_are_in_the_module_that_documents_them():
    assert K._ops.sum is K.sum and K._ops.sum.__module__ == "flambeau.masked._ops"
