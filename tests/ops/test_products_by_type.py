"""Products of doubles, integers and complex numbers at sizes that no tile divides, beside NumPy."""

import itertools

import numpy
import pytest

import flambeau as fb

TYPES = ["float64", "int64", "int32", "int16", "int8", "uint8", "complex64", "complex128"]
SIZES = [
    (1, 1, 1),
    (1, 64, 70),
    (5, 3, 7),
    (13, 17, 9),
    (33, 35, 37),
    (70, 512, 40),
    (3, 600, 50),
    (130, 20, 61),
    (2, 33, 200),
    (77, 600, 1),
    (200, 5, 6),
]
RANDOM = numpy.random.default_rng(0)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = fb.get_num_threads()
    fb.set_num_threads(request.param)
    yield
    fb.set_num_threads(before)


def numbers(shape, name):
    if name.startswith("float"):
        return RANDOM.standard_normal(shape).astype(name)
    if name.startswith("complex"):
        return (RANDOM.standard_normal(shape) + 1j * RANDOM.standard_normal(shape)).astype(name)
    info = numpy.iinfo(name)
    return RANDOM.integers(info.min, info.max, shape, dtype=name, endpoint=True)


def pair(rows, columns, form, name):
    """The same matrix for both: as it lies, transposed, or with gaps."""
    if form == "transposed":
        x = numbers((columns, rows), name)
        return x.T, fb.from_numpy(x).t()
    x = numbers((2 * rows, 3 * columns), name)
    if form == "gaps":
        return x[::2, ::3], fb.from_numpy(x)[::2, ::3]
    x = numpy.ascontiguousarray(x[:rows, :columns])
    return x, fb.from_numpy(x)


def close(got, want, name):
    got = got.numpy()
    assert got.dtype == want.dtype and got.shape == want.shape
    if "int" in name:
        assert (got == want).all()
    else:
        error = 1e-5 if name == "complex64" else 1e-13
        assert numpy.abs(got - want).max(initial=0) <= error * (1 + numpy.abs(want).max(initial=0)) * 10


def factors(name):
    return (3, 2) if "int" in name else (0.5 - 1j, 1 + 2j) if name.startswith("complex") else (0.5, -1.5)


@pytest.mark.parametrize("name", TYPES)
def test_matrices(name, threads):
    alpha, beta = factors(name)
    for (m, k, n), left, right in itertools.product(
        SIZES, ("plain", "transposed", "gaps"), ("plain", "transposed")
    ):
        a, ta = pair(m, k, left, name)
        b, tb = pair(k, n, right, name)
        c = numbers((m, n), name)
        with numpy.errstate(all="ignore"):
            want = a @ b
            added = (numpy.asarray(beta).astype(name) * c + numpy.asarray(alpha).astype(name) * want).astype(
                name
            )
        close(ta @ tb, want, name)
        close(fb.addmm(fb.from_numpy(c), ta, tb, beta=beta, alpha=alpha), added, name)


@pytest.mark.parametrize("name", TYPES)
def test_batches(name, threads):
    alpha, beta = factors(name)
    for batch, m, k, n in [
        (5, 3, 3, 3),
        (7, 13, 20, 17),
        (3, 65, 40, 33),
        (6, 1, 32, 1),
        (4, 8, 1, 8),
        (3, 2, 9, 1),
    ]:
        a, b, c = numbers((batch, m, k), name), numbers((batch, n, k), name), numbers((batch, m, n), name)
        ta, tb, tc = (fb.from_numpy(x) for x in (a, b, c))
        with numpy.errstate(all="ignore"):
            want = a @ b.transpose(0, 2, 1)
            added = (numpy.asarray(beta).astype(name) * c + numpy.asarray(alpha).astype(name) * want).astype(
                name
            )
            shared = a[:1] @ b.transpose(0, 2, 1)
        close(fb.bmm(ta, tb.transpose(1, 2)), want, name)
        close(fb.bmm(ta, tb.transpose(1, 2).contiguous()), want, name)
        close(fb.baddbmm(tc, ta, tb.transpose(1, 2), beta=beta, alpha=alpha), added, name)
        close(ta[0] @ tb.transpose(1, 2), shared, name)


@pytest.mark.parametrize("name", ["float64", "complex64", "complex128"])
def test_special_numbers(name, threads):
    a = numbers((40, 30), name)
    a[7, 3], a[8, 4] = numpy.nan, numpy.inf
    b = numpy.abs(numbers((30, 50), name)).astype(name) + 1
    got = (fb.from_numpy(a) @ fb.from_numpy(b)).numpy()
    assert numpy.isnan(got[7]).all() and not numpy.isfinite(got[8]).any()
    assert numpy.isfinite(numpy.delete(got, (7, 8), 0)).all()
    c = numpy.full((40, 50), numpy.nan).astype(name)  # not read
    plain = fb.addmm(fb.from_numpy(c), fb.from_numpy(a), fb.from_numpy(b), beta=0).numpy()
    assert numpy.array_equal(plain, got, equal_nan=True)


@pytest.mark.parametrize("name", TYPES)
def test_nothing_and_overlap(name):
    kind = getattr(fb, name)
    assert fb.zeros(0, 4, dtype=kind).mm(fb.zeros(4, 5, dtype=kind)).shape == (0, 5)
    assert (fb.ones(3, 0, dtype=kind) @ fb.ones(0, 5, dtype=kind) == 0).all()
    a = numbers((40, 40), name)
    with numpy.errstate(all="ignore"):
        want = a @ a
    x = fb.from_numpy(a.copy())
    fb.mm(x, x, out=x)
    close(x, want, name)


def halves(shape, name):
    return fb.from_numpy(RANDOM.standard_normal(shape).astype("float32")).to(getattr(fb, name))


def near(got, want, k):
    """Summed in float, rounded once: half a unit of eight bits, more where a sum nearly vanishes."""
    assert (got.float() - want).abs().le(0.004 * want.abs() + 0.0015 * k**0.5).all()


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_halves(name, threads):
    for m, k, n in [
        *SIZES,
        (12, 17, 40),
        (160, 160, 159),
        (64, 31, 1),
        (1, 100, 33),
        (20, 1, 50),
        (13, 64, 15),
    ]:
        for left, right in itertools.product((False, True), repeat=2):
            a = halves((k, m), name).t() if left else halves((m, k), name)
            b = halves((n, k), name).t() if right else halves((k, n), name)
            c = halves((m, n), name)
            want = a.float() @ b.float()
            near(a @ b, want, k)
            near(fb.addmm(c, a, b, beta=0.5, alpha=2), c.float() / 2 + 2 * want, 4 * k)
            near(fb.addmm(c[0], a, b), c[0].float() + want, k)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_batches_of_halves(name, threads):
    for batch, m, k, n in [(20, 16, 64, 16), (9, 17, 33, 19), (50, 32, 1, 32), (6, 64, 64, 1), (5, 1, 40, 1)]:
        rows, columns = halves((batch, m, k), name), halves((batch, k, m), name).transpose(1, 2)
        b, c = halves((batch, k, n), name), halves((batch, m, n), name)
        for a in (rows, columns, rows[:1].expand(batch, m, k)):
            want = fb.bmm(a.float(), b.float())
            near(fb.bmm(a, b), want, k)
            near(fb.baddbmm(c, a, b, beta=0.5, alpha=2), c.float() / 2 + 2 * want, 4 * k)


def test_batches_of_squares_of_four(threads):
    a, b = (RANDOM.standard_normal((37, 4, 4)).astype("float32") for _ in range(2))
    c = RANDOM.standard_normal((37, 4, 4)).astype("float32")
    ta, tb, tc = (fb.from_numpy(x) for x in (a, b, c))
    close(fb.bmm(ta, tb), a @ b, "complex64")
    close(fb.bmm(ta[:, :3], tb), a[:, :3] @ b, "complex64")
    close(fb.baddbmm(tc, ta, tb.transpose(1, 2), beta=2), a @ b.transpose(0, 2, 1) + 2 * c, "complex64")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize("m, n, k", [(2, 2, 2), (1, 3, 4), (3, 3, 3), (4, 4, 4), (5, 1, 1)])
def test_batches_of_tiny_matrices(dtype, m, n, k):
    rng = numpy.random.default_rng(0)
    a, b, c = (
        rng.integers(0, 120, (50, *size)).astype(dtype) - 40 * (dtype != "uint8")
        for size in ((m, k), (k, n), (m, n))
    )
    x, y, z = (fb.tensor(v.astype(dtype)) for v in (a, b, c))
    want = a.astype("int64") @ b.astype("int64")
    numpy.testing.assert_array_equal(fb.bmm(x, y).numpy(), want.astype(dtype))
    want = 2 * want + 3 * c.astype("int64")
    numpy.testing.assert_array_equal(fb.baddbmm(z, x, y, beta=3, alpha=2).numpy(), want.astype(dtype))
    turned = x.mT.contiguous().mT @ y[:1]
    numpy.testing.assert_array_equal(
        turned.numpy(), (a.astype("int64") @ b[:1].astype("int64")).astype(dtype)
    )
