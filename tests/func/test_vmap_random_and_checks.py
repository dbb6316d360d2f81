"""What draws random numbers under `vmap`, and what only looks as if it did."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.func import functional_call, vmap
from flambeau.nn import functional as F

X = fb.arange(12.0).reshape(3, 4) + 1
DROPOUTS = [F.dropout, F.alpha_dropout, F.dropout2d, F.dropout3d, F.feature_alpha_dropout]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("f", DROPOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("p, training", [(0.5, False), (0.0, True)])
def test_dropout_that_drops_nothing_is_no_random_operation(f, p, training):
    batch = fb.rand(2, 3, 4, 2, 2)
    assert fb.equal(vmap(lambda x: f(x, p, training))(batch), batch)


def test_dropout_of_everything_is_no_random_operation():
    assert not vmap(lambda x: F.dropout(x, 1.0, True))(X).any()


def test_evaluated_module_with_dropout():
    net = fb.nn.Sequential(fb.nn.Linear(4, 2), fb.nn.Dropout(0.5)).eval()
    parameters = dict(net.named_parameters())
    assert fb.allclose(vmap(lambda x: functional_call(net, parameters, (x,)))(X), net(X))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.dropout(x, 0.5, True),
        lambda x: fb._standard_gamma(x),
        lambda x: fb._sample_dirichlet(x),
        lambda x: fb.binomial(x, x / 20),
        lambda x: fb.svd_lowrank(x.reshape(2, 2), 2)[1],
        lambda x: fb.distributions.Normal(x, 1.0).rsample(),
    ],
)
def test_random_operations_are_refused_by_default(f):
    with pytest.raises(RuntimeError, match="vmap: called random operation while in randomness error mode"):
        vmap(f)(X)


def test_distributions_check_all_samples():
    normal = fb.distributions.Normal
    found = vmap(lambda s: normal(0.0, s).log_prob(s))(X)
    assert fb.allclose(found, normal(0.0, X).log_prob(X))
    with pytest.raises(ValueError, match="Expected parameter scale"):
        vmap(lambda s: normal(0.0, s).loc)(X - 12)
    assert vmap(lambda a: a * bool(fb._is_all_true(a > 0)))(X).equal(X)
    assert vmap(lambda a: a * bool(fb._is_any_true(a > 11)))(X).equal(X)


def test_resize_keeps_what_each_sample_has():
    assert vmap(lambda a: a.clone().resize_(2))(X).equal(X[:, :2])
    assert vmap(lambda a: a.clone().resize_(2, 2))(X).equal(X.reshape(3, 2, 2))
    assert vmap(lambda a: a.clone().resize_as_(fb.ones(2, 2)))(X).equal(X.reshape(3, 2, 2))
    assert vmap(lambda a: a.clone().resize_(6))(X)[:, :4].equal(X)
    assert vmap(vmap(lambda a: a.clone().resize_(1)))(X.view(3, 2, 2)).equal(X.view(3, 2, 2)[..., :1])


def test_empty_vectors_join_anything():
    batch = fb.rand(3, 2, 2)
    assert vmap(lambda a: fb.cat([fb.ones(0), a], 1))(batch).equal(batch)
    assert vmap(lambda a, b: fb.cat([b, a], 1))(batch, fb.ones(3, 0)).equal(batch)


def test_operators_written_in_python():
    assert vmap(lambda a: fb.histogram(a, 3).hist)(X).equal(fb.tensor([1.0, 1.0, 2.0]).expand(3, 3))
    ends = fb.tensor([1.0, 2.0])
    powers = vmap(lambda a: fb.logspace(0, a, 3, base=4))(ends)
    assert powers.tolist() == [[1.0, 2.0, 4.0], [1.0, 4.0, 16.0]]
    assert vmap(lambda a: fb.logspace(0, a, 2, dtype=fb.int64))(ends).tolist() == [[1, 10], [1, 100]]
    assert vmap(lambda a: fb.masked.median(a, 0, mask=a > 1))(X).tolist() == [3.0, 6.0, 10.0]
    plain, pivots = vmap(fb.linalg.ldl_factor)(fb.eye(2).expand(3, 2, 2))
    assert plain.shape == (3, 2, 2) and pivots.shape == (3, 2)


def test_struct_sequences_are_trees():
    leaves, _ = fb.utils._pytree.tree_flatten(fb.lu_unpack(fb.eye(2), fb.tensor([1, 2], dtype=fb.int32)))
    assert len(leaves) == 3
