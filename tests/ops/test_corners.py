"""Corners where the obvious rule gives other numbers or errors than PyTorch 2.13; values are PyTorch's."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .compare import same

INF = float("inf")
FACTOR = fb.tensor([[0.9, 0, 0], [0.2, 0.7, 0], [0.1, -0.3, 1.1]], dtype=fb.float64)

VALUES = [
    ("fb.arange(0, -8.000001, -4.0, dtype=fb.int64)", [0, -4]),
    ("fb.arange(2.9, 9.1, 2.6, dtype=fb.int64)", [2, 4, 6, 8]),
    ("fb.arange(2.9, 9.1, 2.6, dtype=fb.int32)", [2, 4, 6]),
    ("fb.linspace(-3, 3, 9, dtype=fb.int64)", [-3, -2, -1, 0, 0, 0, 1, 2, 3]),
    (
        "fb.linspace(0, 1234567890123, 4, dtype=fb.int64)",
        [0, 411522630041, 823045260082, 1234567890123],
    ),
    (
        "fb.logcumsumexp(fb.tensor([1e4, 1e4 + 1j, 3 + 3j, complex(INF, 3)]), 0)",
        [10000 + 0j, 10000.5625 + 0.5j, 10000.5625 + 0.5j, complex(INF, 3)],
    ),
    ("fb.tensor(5).expand(1, 1).stride()", [0, 0]),
    ("fb.zeros(1, 3).expand(4, 1, 3).stride()", [0, 3, 1]),
    ("fb.arange(5.).narrow(0, fb.tensor(2), 2)", [2.0, 3.0]),
    ("fb.tensor([2.]).addbmm_(fb.ones(2, 2, 3), fb.ones(2, 3, 2))", [[8.0, 8.0], [8.0, 8.0]]),
    ("fb.special.legendre_polynomial_p(fb.tensor([float('nan')]), 3).isnan()", [True]),
]


@pytest.mark.parametrize(("text", "expected"), VALUES)
def test_values(text, expected):
    same(eval(text), expected)


@pytest.mark.parametrize(
    ("mode", "antialias", "first", "total"),
    [
        ("bilinear", False, [31, 52, 67, 63, 89, 116, 137], 17610),
        ("bilinear", True, [55, 76, 82, 54, 80, 107, 128], 17646),
        ("bicubic", False, [27, 50, 66, 61, 84, 119, 143], 17695),
        ("bicubic", True, [49, 73, 79, 47, 70, 109, 138], 17600),
    ],
)
def test_pixels_are_resized_in_integers(mode, antialias, first, total):
    x = (fb.arange(120) * 37 % 251).to(fb.uint8).reshape(2, 3, 4, 5)
    y = F.interpolate(x[:1, :1], (3, 7), mode=mode, antialias=antialias)
    assert y.dtype == fb.uint8 and y[0, 0, 0].tolist() == first
    assert int(F.interpolate(x, (6, 4), mode=mode, antialias=antialias).sum()) == total


def test_gradient_of_a_cholesky_factor_is_full():
    factor = FACTOR.clone().requires_grad_()
    right = fb.arange(9.0, dtype=fb.float64).reshape(3, 3)
    (g,) = fb.autograd.grad(fb.cholesky_solve(right, factor).sin().sum(), factor)
    same(
        g,
        [
            [-2.148689449289925, 6.00337565807567, 13.762457185583251],
            [3.978193260242756, -14.904269716920474, -25.515824565330483],
            [4.773322959915196, -10.69445754688636, -20.323912980521133],
        ],
    )
    (g,) = fb.autograd.grad(fb.cholesky_inverse(factor).sin().sum(), factor)
    same(g[0], [0.7793129731097981, -4.027402569925934, -2.5168766220295034])


def test_statistics_of_group_norm_have_gradients():
    x = fb.arange(12.0, dtype=fb.float64).sin().reshape(2, 6).requires_grad_()
    y, mean, rstd = fb.native_group_norm(x, None, None, 2, 6, 1, 3, 1e-5)
    (g,) = fb.autograd.grad(y.sin().sum() + (mean**2).sum() + rstd.cos().sum(), x)
    same(g[0, :4], [-1.5349493725642969, 2.376420357372193, 2.2621000154388056, -1.2116825805532563])


def test_a_leaf_that_is_a_view_may_stop_requiring_gradients():
    view = fb.zeros(4)[:2].requires_grad_()
    assert view.requires_grad_(False).requires_grad is False


ERRORS = [
    ("fb.arange(0, 64, 0.5, dtype=fb.int64)", ValueError, "step must be nonzero"),
    (
        "fb.cat([fb.zeros(2, 2), fb.ones(2, 2)], out=fb.zeros(1, 2).expand(4, 2))",
        RuntimeError,
        "more than one",
    ),
    ("fb.cat([fb.zeros(2)], out=fb.zeros(2, dtype=fb.int32))", TypeError, "can't be cast"),
    (
        "fb.masked_select(fb.zeros(3), fb.ones(3) > 0, out=fb.zeros(1).expand(3))",
        RuntimeError,
        "more than one",
    ),
    ("fb.multinomial(fb.ones(2), 1, out=fb.zeros(1))", RuntimeError, "expects Long tensor out, got: Float"),
    (
        "fb.narrow(fb.zeros(4), 0, fb.tensor([1, 2]), 2)",
        RuntimeError,
        "start must be an 0-dim integral Tensor.",
    ),
    ("fb.ones(1).addmm_(fb.ones(2, 3), fb.ones(3, 2))", RuntimeError, "Bad in-place call"),
    ("fb.zeros(3).copy_(fb.zeros(2, 3))", RuntimeError, "output with shape [3] doesn't match"),
    (
        "F.interpolate(fb.ones(1, 1, 4, 4, dtype=fb.int32), 2)",
        NotImplementedError,
        "not implemented for 'Int'",
    ),
    ("F.adaptive_max_pool1d(fb.zeros(3), 1)", RuntimeError, "Expected 2 to 3 dimensions, but got 1"),
    ("F.adaptive_max_pool1d(fb.zeros(2, 0, 3), 1)", RuntimeError, "with dimension 1 being empty"),
    ("fb.zeros(1).expand(2**40, 2**40)", RuntimeError, "numel: integer multiplication overflow"),
    (
        "fb.as_strided(fb.zeros(1), (2**40, 2**40), (0, 0))",
        RuntimeError,
        "numel: integer multiplication overflow",
    ),
    ("fb.eye(2**31, out=fb.zeros(0))", RuntimeError, "Storage size calculation overflowed"),
    ("fb.ones(1).resize_(2, 2**31, 2**32)", RuntimeError, "Storage size calculation overflowed"),
    ("fb._C._VariableFunctions._bincount(fb.tensor([-1, 3]), 2)", RuntimeError, "non-negative"),
    ("fb._C._VariableFunctions._bincount(fb.tensor([2**63 - 1]), 2)", RuntimeError, "non-negative"),
    ("fb._C._VariableFunctions._bincount(fb.ones(2), 2)", RuntimeError, "counts integers"),
    (
        "fb._log_softmax_backward_data(fb.ones(2), fb.ones(5, 8), 1, fb.float32)",
        RuntimeError,
        "the gradient is",
    ),
]


@pytest.mark.parametrize(("text", "kind", "message"), ERRORS)
def test_errors(text, kind, message):
    with pytest.raises(kind) as e:
        eval(text)
    assert message in str(e.value)


def test_index_put_without_indices_is_an_error():
    for indices in ([], [None], ()):
        with pytest.raises((RuntimeError, IndexError)):
            fb.index_put(fb.tensor(1.0), indices, fb.tensor(1.0), True)


def test_topk_of_a_number_gives_the_number():
    # PyTorch 2.13: topk(tensor(3.), 0) gives values=tensor(3.), indices=tensor(0)
    for k in (0, 1):
        values, indices = fb.topk(fb.tensor(3.0), k)
        assert values.item() == 3 and indices.item() == 0 and values.shape == indices.shape == ()
    with pytest.raises(RuntimeError, match="selected index k out of range"):
        fb.topk(fb.tensor(3.0), 2)


def test_bincount_has_room_for_the_largest_number():
    assert fb._C._VariableFunctions._bincount(fb.tensor([1, 4, 1]), 2).tolist() == [0, 2, 0, 0, 1]
    assert fb.bincount(fb.tensor([], dtype=fb.int64), minlength=2).tolist() == [0, 0]


def test_sampling_ends_whatever_the_parameters():
    nan, inf = float("nan"), float("inf")
    assert fb.binomial(fb.tensor([nan, inf]), fb.tensor([0.5, 0.3])).isinf().tolist() == [False, True]
    # PyTorch never returns from a binomial of NaN trials
    x = fb.tensor([[nan, 1.0, 1e30], [-1.0, inf, 1e-38]], requires_grad=True)
    fb._sample_dirichlet(x).sum().backward()
    fb._standard_gamma(x).sum().backward()
    assert x.grad.shape == x.shape


def test_a_mask_without_dimensions_takes_all_or_nothing():
    x, yes, no = fb.arange(4.0).reshape(2, 2), fb.tensor(True), fb.tensor(False)
    nine = fb.tensor(9.0)
    assert x.index_put((yes,), nine).tolist() == [[9, 9], [9, 9]]
    assert x.index_put((no,), nine).tolist() == x.tolist()
    assert x.index_put((yes,), x, accumulate=True).tolist() == [[0, 2], [4, 6]]
    assert fb.tensor(3.0).index_put_((yes,), nine).item() == 9
    with pytest.raises(IndexError):
        x.index_put((yes, fb.tensor([0])), nine)
    w = fb.ones(2, 2, requires_grad=True)
    (x.index_put((yes,), w) * x).sum().backward()
    assert w.grad.tolist() == x.tolist()
