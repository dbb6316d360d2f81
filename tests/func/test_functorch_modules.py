"""The transforms by the names of the modules where PyTorch has them."""

import pytest

import flambeau as fb
from flambeau import func, nn
from flambeau._functorch import apis, eager_transforms, functional_call
from flambeau._functorch.make_functional import (
    combine_state_for_ensemble,
    make_functional,
    make_functional_with_buffers,
)


def test_the_same_functions():
    assert eager_transforms.jacrev is func.jacrev and apis.vmap is func.vmap
    assert functional_call.stack_module_state is func.stack_module_state


def test_chunks():
    x = fb.arange(10.0).view(5, 2)
    called = []

    def norm(row, k):
        called.append(1)
        return row.norm() * k

    got = apis.chunk_vmap(norm, in_dims=(0, None), chunks=2)(x, 2)
    assert len(called) == 2 and fb.allclose(got, x.norm(dim=1) * 2)
    assert fb.equal(apis.chunk_vmap(fb.sum, chunks=1)(x), x.sum(1))


def test_modules_as_functions():
    fb.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    function, params = make_functional(net)
    x = fb.randn(4, 2)
    assert fb.equal(function(params, x), net(x)) and function.param_names[0] == "0.weight"
    assert params[0] is not net[0].weight and all(isinstance(p, nn.Parameter) for p in params)
    assert all(p.is_meta for p in function.parameters())
    grads = func.grad(lambda p: function(p, x).sum())(params)
    assert [g.shape for g in grads] == [p.shape for p in params]
    assert not any(p.requires_grad for p in make_functional(net, disable_autograd_tracking=True)[1])
    net.register_buffer("scale", fb.ones(1))
    with pytest.raises(RuntimeError, match="has buffers"):
        make_functional(net)


def test_shared_parameters():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    function, params = make_functional(net)
    x = fb.randn(3, 2)
    assert len(params) == 3 and fb.equal(function(params, x), net(x))


def test_ensembles():
    nets = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval() for _ in range(3)]
    function, params, buffers = combine_state_for_ensemble(nets)
    x = fb.randn(4, 2)
    got = func.vmap(function, (0, 0, None))(params, buffers, x)
    assert fb.allclose(got, fb.stack([net(x) for net in nets]), atol=1e-6)
    one, p, b = make_functional_with_buffers(nets[0])
    assert fb.equal(one(p, b, x), nets[0](x)) and one.buffer_names[0] == "1.running_mean"
    with pytest.raises(RuntimeError, match="at least one model"):
        combine_state_for_ensemble([])
