"""Random numbers, beside values written down from PyTorch."""

import builtins
import copy
import hashlib
import json
import pathlib
import pickle

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden" / "random.json").read_text())
CASES = GOLDEN["cases"]
# These go through operations whose last bit is not fixed (QR, softmax).
INEXACT = ("orthogonal_", "gumbel_softmax")


def digest(t, n):
    t = t.detach().contiguous()
    if t.dtype is fb.bfloat16:
        t = t.view(fb.int16)
    return hashlib.sha256(t.numpy().tobytes()).hexdigest()[:n]


@pytest.mark.parametrize(("expression", "values", "state", "first"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.filterwarnings("ignore")
def test_numbers_of_pytorch(expression, values, state, first):
    fb.manual_seed(123)
    t = eval(expression, {"torch": fb, "nn": nn, "F": F})
    got = [[v.real, v.imag] if isinstance(v, complex) else v for v in t.detach().flatten()[:3].tolist()]
    if any(name in expression for name in INEXACT):
        assert got == pytest.approx(first, rel=1e-5)
    else:
        assert got == first
        assert digest(t, 16) == values
    assert digest(fb.get_rng_state(), 8) == state


def test_any_thread_count_gives_the_same():
    def draw():
        fb.manual_seed(5)
        return [fb.randn(300_001), fb.empty(200_000).exponential_(), fb.randn(100_000, dtype=fb.float64)]

    before = fb.get_num_threads()
    try:
        fb.set_num_threads(1)
        one = draw()
        fb.set_num_threads(2)
        two = draw()
    finally:
        fb.set_num_threads(before)
    assert all(fb.equal(a, b) for a, b in zip(one, two, strict=True))


def test_generator_state():
    g = fb.Generator()
    assert g.initial_seed() == 67280421310721
    assert g.manual_seed(-5) is g
    assert g.initial_seed() == 2**64 - 5
    g.manual_seed(2**64 - 1)
    fb.rand(700, generator=g)
    fb.randn(1, generator=g)  # keeps a second number
    state = g.get_state()
    assert state.shape == (5056,)
    expected = fb.randn(3, generator=g)
    other = fb.Generator()
    other.set_state(state)
    assert fb.equal(fb.randn(3, generator=other), expected)
    for twin in (pickle.loads(pickle.dumps(g)), g.clone_state(), copy.deepcopy(g)):
        twin.set_state(state)
        assert fb.equal(fb.randn(3, generator=twin), expected)


def test_own_generator_leaves_the_default_alone():
    fb.manual_seed(1)
    before = fb.get_rng_state()
    fb.rand(10, generator=fb.Generator().manual_seed(3))
    assert fb.equal(fb.get_rng_state(), before)


def test_fork_rng():
    fb.manual_seed(1)
    with fb.random.fork_rng():
        inside = fb.rand(3)
    assert fb.equal(fb.rand(3), inside)


def test_seed_is_new_each_time():
    first, second = fb.seed(), fb.seed()
    assert first != second
    assert fb.initial_seed() == second


@pytest.mark.parametrize(
    ("expression", "error", "line"), GOLDEN["errors"], ids=[c[0] for c in GOLDEN["errors"]]
)
@pytest.mark.filterwarnings("ignore")
def test_errors_of_pytorch(expression, error, line):
    with pytest.raises(getattr(builtins, error)) as e:
        eval(expression, {"torch": fb, "F": F})
    assert str(e.value).splitlines()[0] == line


def test_dropout_gradient_is_its_mask():
    fb.manual_seed(0)
    x = fb.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    assert fb.equal(x.grad, y.detach())
    assert 600 < int((y != 0).sum()) < 900


def test_gamma_and_dirichlet_gradients():
    """Against the closed form of Beta(a, 1), whose distribution function is x**a."""
    alpha = fb.full((50,), 1.0, dtype=fb.float64, requires_grad=True)
    x = fb._standard_gamma(alpha)
    (grad,) = fb.autograd.grad(x.sum(), alpha)
    assert bool((grad > 0).all())
    p = fb.linspace(0.05, 0.95, 10, dtype=fb.float64)
    a = fb.full_like(p, 3.0)
    exact = -p * p.log() / a / (1 - p)
    assert fb.allclose(fb._dirichlet_grad(p, a, a + 1), exact, rtol=1e-10)


def test_meta_device_draws_nothing():
    before = fb.get_rng_state()
    assert fb.randn(3, 4, device="meta").shape == (3, 4)
    assert fb.equal(fb.get_rng_state(), before)


def test_normal_of_a_transposed_mean_or_deviation_is_plain():
    t = fb.arange(1.0, 7.0).reshape(2, 3).T
    fb.manual_seed(3)
    r = fb.normal(t, 1.0)
    assert r.stride() == (2, 1)
    assert r.flatten().tolist() == pytest.approx(
        [1.80328, 4.17483, 2.08898, 4.38628, 3.04618, 4.63174], abs=1e-5
    )
    fb.manual_seed(3)
    r = fb.normal(0.0, t)
    assert r.stride() == (2, 1)
    assert r.flatten().tolist() == pytest.approx(
        [0.80328, 0.69933, 0.17796, -3.06859, 0.13855, -8.20955], abs=1e-5
    )


def test_a_layer_that_takes_batches_first_drops_what_pytorch_drops():
    # the attention's result lies by position, and the dropout after it draws in the order of memory
    fb.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.5, batch_first=True)
    x = fb.arange(12.0).reshape(2, 3, 2).repeat(1, 1, 2).sin()
    fb.manual_seed(1)
    expected = [
        -0.75877, 0.0493, -0.90426, 1.61373, 1.24736, -1.46075, 0.48585, -0.27246,
        -1.53599, -0.07266, 1.21758, 0.39106, -0.90935, 0.62846, -1.02973, 1.31062,
        0.68974, -0.41417, 1.14959, -1.42516, 1.02731, 0.05875, 0.54127, -1.62732,
    ]  # fmt: skip
    assert layer(x).flatten().tolist() == pytest.approx(expected, abs=2e-5)
    assert layer.self_attn(x, x, x, need_weights=False)[0].stride() == (4, 8, 1)
