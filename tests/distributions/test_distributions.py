"""Every distribution: seeded samples, densities, moments, divergences, gradients, shapes, bad input."""

import math
import re

import pytest

import flambeau as fb
from flambeau import distributions

from .golden_values import DIVERGENCES, VALUES

ARGUMENTS = {name: arguments for name, arguments, *_ in VALUES}


def make(name):
    dtype = fb.float32 if name == "GeneralizedPareto" else fb.float64
    arguments = [a if isinstance(a, int) else fb.tensor(a, dtype=dtype) for a in ARGUMENTS[name]]
    return getattr(distributions, name)(*arguments)


def close(got, want, tolerance=1e-8):
    want = fb.tensor(want, dtype=fb.float64)
    got = got.double().reshape(-1)
    return got.shape == want.shape and fb.allclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize(
    "name, arguments, samples, log_probs, mean, variance, entropy", VALUES, ids=list(ARGUMENTS)
)
def test_values(name, arguments, samples, log_probs, mean, variance, entropy):
    d = make(name)
    fb.manual_seed(7)
    drawn = d.sample((3,))
    assert drawn.shape == (3,) + d.batch_shape + d.event_shape
    tolerance = 1e-5 if drawn.dtype == fb.float32 else 1e-8
    assert close(drawn, samples, tolerance)
    assert close(d.log_prob(drawn), log_probs, max(tolerance, 1e-6))
    for want, got in ((mean, lambda: d.mean), (variance, lambda: d.variance), (entropy, d.entropy)):
        if want is None:
            with pytest.raises(NotImplementedError):
                got()
        else:
            assert close(got(), want, tolerance)


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_expand(name):
    d = make(name)
    e = d.expand((2,) + d.batch_shape)
    assert e.batch_shape == (2,) + d.batch_shape and e.event_shape == d.event_shape
    value = d.sample()
    assert fb.allclose(e.log_prob(value), d.log_prob(value).expand(e.batch_shape))
    assert e.sample((4,)).shape == (4,) + e.batch_shape + e.event_shape
    assert type(e) is type(d)


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_support(name):
    d = make(name)
    drawn = d.sample((5,))
    assert d.support.check(drawn).all()
    with pytest.raises(ValueError, match="Expected value argument"):
        d.log_prob(drawn.double() * math.nan)


@pytest.mark.parametrize("p, q, want", DIVERGENCES, ids=[f"{p}-{q}" for p, q, _ in DIVERGENCES])
def test_divergence(p, q, want):
    assert close(distributions.kl_divergence(make(p), make(q)), want)


def test_no_divergence():
    with pytest.raises(
        NotImplementedError, match=re.escape("No KL(p || q) is implemented for p type Normal")
    ):
        distributions.kl_divergence(make("Normal"), make("Categorical"))


def test_register_kl():
    class Mine(distributions.Normal):
        pass

    @distributions.register_kl(Mine, distributions.Normal)
    def nearer(p, q):
        return fb.tensor(-1.0)

    assert distributions.kl_divergence(Mine(0.0, 1.0), distributions.Normal(0.0, 1.0)) == -1.0
    assert distributions.kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)) == -1.0
    assert distributions.kl_divergence(distributions.Normal(0.0, 1.0), Mine(0.0, 1.0)) == 0.0


@pytest.mark.parametrize("name, slope", [("Normal", -0.5), ("Laplace", -1.0), ("Gumbel", 1 - math.exp(0.5))])
def test_gradient_of_the_density(name, slope):
    loc = fb.tensor(0.5, dtype=fb.float64, requires_grad=True)
    getattr(distributions, name)(loc, 1.0).log_prob(fb.tensor(0.0, dtype=fb.float64)).backward()
    assert loc.grad.item() == pytest.approx(slope)


@pytest.mark.parametrize(
    "name", ["Normal", "Gamma", "Beta", "Dirichlet", "StudentT", "MultivariateNormal", "Weibull"]
)
def test_samples_pass_gradients_on(name):
    arguments = [fb.tensor(a, dtype=fb.float64, requires_grad=True) for a in ARGUMENTS[name]]
    d = getattr(distributions, name)(*arguments)
    assert d.has_rsample
    d.rsample((2,)).pow(2).sum().backward()
    for a in arguments:
        assert a.grad.isfinite().all() and a.grad.abs().sum() > 0
    assert not d.sample((2,)).requires_grad


def test_probs_and_logits():
    p = fb.tensor([0.25, 0.5])
    for cls in (distributions.Bernoulli, distributions.Geometric, distributions.ContinuousBernoulli):
        assert fb.allclose(cls(logits=cls(p).logits).probs, p)
        with pytest.raises(ValueError, match="Either `probs` or `logits` must be specified"):
            cls(p, p)
    assert repr(distributions.Bernoulli(p)) == "Bernoulli(probs: torch.Size([2]))"
    assert repr(distributions.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"


def test_bad_parameters():
    with pytest.raises(ValueError) as error:
        distributions.Normal(fb.zeros(2), fb.tensor([1.0, -1.0]))
    assert str(error.value) == (
        "Expected parameter scale (Tensor of shape (2,)) of distribution Normal(loc: torch.Size([2]), scale: "
        "torch.Size([2])) to satisfy the constraint GreaterThan(lower_bound=0.0), but found invalid values:\n"
        "tensor([ 1., -1.])"
    )
    distributions.Normal(fb.zeros(2), fb.tensor([1.0, -1.0]), validate_args=False)
    with pytest.raises(ValueError, match="The value argument to log_prob must be a Tensor"):
        distributions.Normal(0.0, 1.0).log_prob(3.0)
    with pytest.raises(ValueError, match="Value is not broadcastable with batch_shape"):
        distributions.Normal(fb.zeros(2), 1.0).log_prob(fb.zeros(3))
    with pytest.raises(ValueError, match="Input arguments must all be instances of Number"):
        distributions.Normal("a", 1.0)
    with pytest.raises(
        ValueError, match="Exactly one of covariance_matrix or precision_matrix or scale_tril"
    ):
        distributions.MultivariateNormal(fb.zeros(2))


def test_default_validation_can_be_turned_off():
    distributions.Distribution.set_default_validate_args(False)
    try:
        distributions.Normal(0.0, -1.0)
    finally:
        distributions.Distribution.set_default_validate_args(True)


def test_normal_forms_agree():
    covariance = fb.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=fb.float64)
    loc, x = fb.zeros(3, 2, dtype=fb.float64), fb.tensor([0.3, -1.0], dtype=fb.float64)
    mvn = distributions.MultivariateNormal
    first = mvn(loc, covariance)
    for other in (
        mvn(loc, precision_matrix=covariance.inverse()),
        mvn(loc, scale_tril=fb.linalg.cholesky(covariance)),
    ):
        assert fb.allclose(other.log_prob(x), first.log_prob(x))
        assert fb.allclose(other.covariance_matrix, first.covariance_matrix)
        assert fb.allclose(other.precision_matrix, first.precision_matrix)


def test_independent_and_mixture():
    d = distributions
    normal = d.Normal(fb.arange(4.0).reshape(2, 2), 1.0)
    vector = d.Independent(normal, 1)
    assert vector.batch_shape == (2,) and vector.event_shape == (2,)
    assert fb.allclose(vector.log_prob(fb.ones(2)), normal.log_prob(fb.ones(2)).sum(-1))
    mixture = d.MixtureSameFamily(d.Categorical(fb.tensor([0.25, 0.75])), vector)
    assert fb.allclose(mixture.mean, fb.tensor([1.5, 2.5]))
    assert fb.allclose(mixture.variance, fb.tensor([1.75, 1.75]))
    assert mixture.sample((5,)).shape == (5, 2)
    assert mixture.log_prob(fb.ones(3, 2)).shape == (3,)
    with pytest.raises(ValueError, match="Expected reinterpreted_batch_ndims <= "):
        d.Independent(d.Normal(0.0, 1.0), 1)


def test_transformed_distribution():
    d = distributions
    log_normal = d.TransformedDistribution(d.Normal(0.5, 2.0), [d.ExpTransform()])
    x = fb.tensor([0.5, 3.0])
    assert fb.allclose(log_normal.log_prob(x), d.LogNormal(0.5, 2.0).log_prob(x))
    assert fb.allclose(log_normal.icdf(log_normal.cdf(x)), x, rtol=1e-3)
    falling = d.TransformedDistribution(d.Uniform(0.0, 1.0), [d.AffineTransform(1.0, -1.0)])
    assert fb.allclose(falling.cdf(fb.tensor(0.25)), fb.tensor(0.25))


def test_enumerate_support():
    d = distributions
    assert d.Bernoulli(fb.tensor([0.1, 0.2])).enumerate_support().tolist() == [[0, 0], [1, 1]]
    assert d.Binomial(2, fb.tensor(0.5)).enumerate_support().tolist() == [0, 1, 2]
    assert d.OneHotCategorical(fb.ones(2)).enumerate_support().tolist() == [[1, 0], [0, 1]]
    with pytest.raises(NotImplementedError):
        d.Normal(0.0, 1.0).enumerate_support()


def test_subclass_must_expand():
    class Fixed(distributions.Normal):
        def __init__(self):
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="Subclass Fixed of Normal that defines a custom __init__"):
        Fixed().expand((2,))
