"""einsum, Fourier transforms, quantiles and histograms against NumPy on random shapes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import flambeau as fb

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}
letters = st.text(alphabet="abcde", min_size=0, max_size=3)


@st.composite
def equations(draw):
    parts = draw(st.lists(letters, min_size=1, max_size=3))
    used = sorted(set("".join(parts)))
    output = draw(st.permutations(used))[: draw(st.integers(0, len(used)))] if used else []
    return ",".join(parts) + "->" + "".join(output)


@settings(max_examples=60, deadline=None)
@given(equations(), st.integers(0, 100))
def test_einsum(equation, seed):
    rng = np.random.default_rng(seed)
    parts = equation.split("->")[0].split(",")
    arrays = [rng.standard_normal([SIZES[c] for c in p]) for p in parts]
    found = fb.einsum(equation, *map(fb.tensor, arrays))
    np.testing.assert_allclose(found.numpy(), np.einsum(equation, *arrays), atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 45), st.sampled_from(["backward", "ortho", "forward"]))
def test_transforms(size, n, norm):
    x = np.random.default_rng(size).standard_normal((2, size))
    z = x + 1j * x[::-1]
    for name, values in (("fft", z), ("ifft", z), ("rfft", x), ("irfft", z), ("hfft", z), ("ihfft", x)):
        found = getattr(fb.fft, name)(fb.tensor(values), n, norm=norm).numpy()
        np.testing.assert_allclose(found, getattr(np.fft, name)(values, n, norm=norm), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=12),
    st.floats(0, 1),
    st.sampled_from(["linear", "lower", "higher", "midpoint", "nearest"]),
)
def test_quantile(values, q, interpolation):
    found = fb.tensor(values, dtype=fb.float64).quantile(q, interpolation=interpolation).item()
    np.testing.assert_allclose(found, np.quantile(values, q, method=interpolation), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=30), st.integers(1, 6))
def test_histogram(values, bins):
    counts, edges = fb.histogram(fb.tensor(values, dtype=fb.float64), bins)
    expected, where = np.histogram(values, bins)
    np.testing.assert_allclose(edges.numpy(), where, atol=1e-12)
    assert counts.sum().item() == len(values)
    # a value on an inner edge may go to either side by rounding
    if not np.isin(np.round(np.array(values, float), 9), np.round(where[1:-1], 9)).any():
        np.testing.assert_allclose(counts.numpy(), expected)
