"""Float products of every shape and memory order against NumPy in float64, with each set of kernels."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as fb

SIZES = [1, 3, 8, 13, 17, 33, 70]


def check_products():
    """Products of all combinations of sizes, with operands row by row, column by column, and spread out."""
    generator = np.random.default_rng(0)

    def operand(rows, columns, order):
        shape = {"rows": (rows, columns), "columns": (columns, rows), "spread": (2 * rows, 3 * columns)}[
            order
        ]
        x = generator.standard_normal((3, *shape)).astype("f")
        t = fb.from_numpy(x)
        if order == "columns":
            return t.transpose(1, 2), x.transpose(0, 2, 1)
        return (t, x) if order == "rows" else (t[:, ::2, ::3], x[:, ::2, ::3])

    orders = itertools.cycle(itertools.product(("rows", "columns", "spread"), repeat=2))
    shapes = [
        *itertools.product(SIZES, repeat=3),
        (260, 140, 530),
        (130, 150, 520),
        (140, 130, 700),
        (1, 400, 600),
        (300, 40, 800),
        (270, 20, 530),
        (40, 300, 800),
        (6, 90, 300),
        (350, 330, 340),
    ]
    for (m, n, k), (left, right) in zip(shapes, orders, strict=False):
        (a, x), (b, y) = operand(m, k, left), operand(k, n, right)
        bias = generator.standard_normal(n).astype("f")
        wanted = x.astype("d") @ y.astype("d")
        close = {"rtol": 0, "atol": 1e-5 * (k + 1) ** 0.5}
        where = f"{m}x{k} by {k}x{n}, {left} and {right}"
        np.testing.assert_allclose(fb.bmm(a, b).numpy(), wanted, err_msg=where, **close)
        np.testing.assert_allclose(fb.mm(a[0], b[0]).numpy(), wanted[0], err_msg=where, **close)
        np.testing.assert_allclose(fb.mv(a[0], b[0, :, 0]).numpy(), wanted[0, :, 0], err_msg=where, **close)
        one = fb.addmm(fb.from_numpy(bias[:1]), a[2], b[2, :, :1])
        np.testing.assert_allclose(one.numpy(), wanted[2, :, :1] + bias[0], err_msg=where, **close)
        sum = fb.addmm(fb.from_numpy(bias), a[1], b[1], beta=0.5, alpha=2)
        np.testing.assert_allclose(sum.numpy(), 2 * wanted[1] + 0.5 * bias, err_msg=where, **close)
        plain = fb.addmm(fb.from_numpy(bias), a[1], b[1])
        np.testing.assert_allclose(plain.numpy(), wanted[1] + bias, err_msg=where, **close)
        more = generator.standard_normal((3, m, n)).astype("f")
        for beta, alpha in ((1, 1), (1, -1), (-0.5, 1), (0, 1), (1, 0.5)):
            got = fb.baddbmm(fb.from_numpy(more), a, b, beta=beta, alpha=alpha)
            np.testing.assert_allclose(got.numpy(), alpha * wanted + beta * more, err_msg=where, **close)
    for (m, n, k), (left, right) in itertools.product(
        ((2, 2, 2), (3, 3, 3), (4, 4, 4), (4, 2, 7), (6, 8, 8), (5, 3, 9)),
        itertools.product(("rows", "columns", "spread"), repeat=2),
    ):
        (a, x), (b, y) = operand(m, k, left), operand(k, n, right)
        more = generator.standard_normal((3, m, n)).astype("f")
        where = f"few {m}x{k} by {k}x{n}, {left} and {right}"
        np.testing.assert_allclose(fb.bmm(a, b).numpy(), x @ y, rtol=0, atol=1e-5, err_msg=where)
        got = fb.baddbmm(fb.from_numpy(more), a, b, beta=-0.5, alpha=2)
        np.testing.assert_allclose(got.numpy(), 2 * (x @ y) - 0.5 * more, rtol=0, atol=1e-5, err_msg=where)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.bfloat16])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1), (3, 3), ()])
def test_addend_is_broadcast(shape, dtype):
    a, b = fb.arange(6.0).reshape(3, 2), fb.arange(6.0).reshape(2, 3)
    addend = fb.ones(shape).cumsum(0) if shape else fb.tensor(2.0)
    got = fb.addmm(addend.to(dtype), a.to(dtype), b.to(dtype))
    assert got.dtype == dtype
    assert got.float().equal(a @ b + addend)


@pytest.mark.parametrize("level", ["avx512", "avx2", "baseline"])
def test_shapes_and_orders(level):
    here = os.path.dirname(os.path.abspath(__file__))
    code = f"import sys; sys.path.append({here!r}); import test_product_shapes as t; t.check_products()"
    env = dict(os.environ, FLAMBEAU_CPU=level)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
