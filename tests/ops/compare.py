"""Comparison of results with golden values written as nested lists."""

import math

import flambeau as fb


def plain(x):
    """Results as nested lists of numbers."""
    if isinstance(x, fb.Tensor):
        x = x.detach()
        return (x if x.layout == fb.strided else x.to_dense()).tolist()
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return x


def close(a, b, rtol=1e-4, atol=1e-5):
    """Whether two nested lists have the same shape and nearly the same numbers."""
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(close(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(b, complex) or isinstance(a, complex):
        return close(complex(a).real, complex(b).real) and close(complex(a).imag, complex(b).imag)
    if isinstance(b, bool) or isinstance(b, str) or b is None:
        return a == b
    if math.isnan(b):
        return math.isnan(a)
    return a == b or abs(a - b) <= atol + rtol * abs(b)


def same(result, expected):
    """Assert that a result is what the golden value says."""
    found = plain(result)
    assert close(found, expected), f"{found} is not {expected}"
