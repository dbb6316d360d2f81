"""Transforms, constraints and the registries between them."""

import pickle

import pytest

import flambeau as fb
from flambeau.distributions import Normal, biject_to, constraints, transform_to
from flambeau.distributions import transforms as t

BIJECTIONS = [
    (t.ExpTransform(), (3,)),
    (t.AffineTransform(1.0, -2.0), (3,)),
    (t.PowerTransform(fb.tensor(2.0)), (3,)),
    (t.SigmoidTransform(), (3,)),
    (t.TanhTransform(), (3,)),
    (t.SoftplusTransform(), (3,)),
    (t.StickBreakingTransform(), (2, 3)),
    (t.CorrCholeskyTransform(), (2, 3)),
    (t.CumulativeDistributionTransform(Normal(0.0, 1.0)), (3,)),
    (t.ComposeTransform([t.AffineTransform(0.0, 2.0), t.ExpTransform()]), (3,)),
    (t.IndependentTransform(t.ExpTransform(), 1), (2, 3)),
    (t.ReshapeTransform((3,), (1, 3)), (2, 3)),
    (t.CatTransform([t.ExpTransform(), t.SigmoidTransform()], dim=-1, lengths=[1, 2]), (2, 3)),
    (t.StackTransform([t.ExpTransform(), t.TanhTransform()], dim=0), (2, 3)),
]


@pytest.mark.parametrize("transform, shape", BIJECTIONS, ids=[type(b).__name__ for b, _ in BIJECTIONS])
def test_inverse_and_jacobian(transform, shape):
    fb.manual_seed(0)
    x = fb.rand(shape, dtype=fb.float64)
    y = transform(x)
    assert fb.allclose(transform.inv(y), x) and transform.inv.inv is transform
    assert y.shape == tuple(transform.forward_shape(x.shape))
    assert x.shape == tuple(transform.inverse_shape(y.shape))
    assert transform.bijective
    jacobian = transform.log_abs_det_jacobian(x, y)
    assert fb.allclose(transform.inv.log_abs_det_jacobian(y, x), -jacobian)
    if x.shape == y.shape and transform.domain.event_dim == 0:
        value = x.clone().requires_grad_()
        (slope,) = fb.autograd.grad(transform(value).sum(), value)
        assert fb.allclose(slope.abs().log(), jacobian)
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)
    assert fb.allclose(transform.with_cache()(x), y)


def test_volume_of_stick_breaking():
    x = fb.tensor([0.3, -0.5], dtype=fb.float64)
    s = t.StickBreakingTransform()
    matrix = fb.autograd.functional.jacobian(lambda v: s(v)[:-1], x)
    assert fb.allclose(fb.linalg.slogdet(matrix).logabsdet, s.log_abs_det_jacobian(x, s(x)))


def test_cache():
    transform = t.ExpTransform(cache_size=1)
    x = fb.ones(2)
    y = transform(x)
    assert transform(x) is y and transform.inv(y) is x
    with pytest.raises(ValueError, match="cache_size must be 0 or 1"):
        t.ExpTransform(cache_size=2)


def test_equality_and_repr():
    assert t.ExpTransform() == t.ExpTransform() and t.ExpTransform() != t.TanhTransform()
    assert t.AffineTransform(1, 2) == t.AffineTransform(1, fb.tensor(2.0))
    assert t.AffineTransform(1, 2) != t.AffineTransform(1, 3)
    assert repr(t.ExpTransform().inv) == "_InverseTransform(ExpTransform())"
    assert repr(t.ComposeTransform([t.ExpTransform()])) == "ComposeTransform(\n    ExpTransform()\n)"


@pytest.mark.parametrize(
    "constraint",
    [
        constraints.real,
        constraints.positive,
        constraints.nonnegative,
        constraints.less_than(2.0),
        constraints.interval(-1.0, 2.0),
        constraints.half_open_interval(0.0, 1.0),
        constraints.simplex,
        constraints.corr_cholesky,
        constraints.lower_cholesky,
        constraints.positive_definite,
        constraints.independent(constraints.positive, 1),
        constraints.cat([constraints.positive, constraints.unit_interval], -1, [1, 2]),
        constraints.stack([constraints.positive, constraints.unit_interval, constraints.real], -1),
    ],
    ids=repr,
)
def test_registries(constraint):
    fb.manual_seed(0)
    transform = transform_to(constraint)
    x = fb.randn(4, 3, 3, dtype=fb.float64)
    assert constraint.check(transform(x)).all()
    if constraint not in (constraints.lower_cholesky, constraints.positive_definite):
        bijection = biject_to(constraint)
        assert bijection.bijective and constraint.check(bijection(x)).all()


def test_constraints_say_no():
    assert constraints.simplex.check(fb.tensor([[0.5, 0.5], [0.5, 0.6]])).tolist() == [True, False]
    assert constraints.boolean.check(fb.tensor([0.0, 1.0, 2.0])).tolist() == [True, True, False]
    assert constraints.integer_interval(0, 3).check(fb.tensor([0.0, 1.5, 4.0])).tolist() == [
        True,
        False,
        False,
    ]
    assert constraints.one_hot.check(fb.tensor([[1.0, 0.0], [1.0, 1.0]])).tolist() == [True, False]
    assert constraints.lower_cholesky.check(fb.tensor([[1.0, 0.0], [2.0, 3.0]]))
    assert not constraints.lower_cholesky.check(fb.tensor([[1.0, 1.0], [2.0, 3.0]]))
    assert not constraints.positive_definite.check(fb.tensor([[1.0, 2.0], [2.0, 1.0]]))
    assert constraints.multinomial(3).check(fb.tensor([[1.0, 2.0], [3.0, 2.0]])).tolist() == [True, False]
    assert repr(constraints.interval(0, 1)) == "Interval(lower_bound=0, upper_bound=1)"
    assert constraints.is_dependent(constraints.dependent)
    with pytest.raises(ValueError, match="Cannot determine validity of dependent constraint"):
        constraints.dependent.check(fb.ones(1))
    with pytest.raises(NotImplementedError, match="Cannot transform _Boolean constraints"):
        biject_to(constraints.boolean)
