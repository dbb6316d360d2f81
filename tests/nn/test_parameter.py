"""Parameters, buffers, and both before their shape is known."""

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import nn


def test_parameter():
    data = fb.ones(2)
    p = nn.Parameter(data)
    assert p.requires_grad and p.data_ptr() == data.data_ptr() and isinstance(p, fb.Tensor)
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert type(p * 2) is fb.Tensor
    assert not isinstance(p * 2, nn.Parameter) and not nn.Parameter(data, False).requires_grad
    for twin in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert type(twin) is nn.Parameter and twin.tolist() == [1, 1] and twin.requires_grad
    with pytest.raises(
        RuntimeError, match="Only Tensors of floating point and complex dtype can require gradients"
    ):
        nn.Parameter(fb.arange(2))


def test_buffer_is_a_marked_tensor():
    b = nn.Buffer(fb.ones(2), persistent=False)
    assert type(b) is fb.Tensor and isinstance(b, nn.Buffer) and not b.persistent
    assert not isinstance(fb.ones(1), nn.Buffer)


def test_uninitialized_parameter():
    p = nn.UninitializedParameter()
    assert repr(p) == "<UninitializedParameter>" and nn.parameter.is_lazy(p)
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        p.shape  # noqa: B018
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter in"):
        p + 1
    assert repr(copy.deepcopy(p)) == "<UninitializedParameter>"
    p.materialize((2, 3))
    assert type(p) is nn.Parameter and p.shape == (2, 3) and p.requires_grad


def test_lazy_layers_take_their_shapes_from_a_state_dict_too():
    lazy = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    plain = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    lazy.load_state_dict(plain.state_dict())
    x = fb.ones(4, 2)
    assert fb.equal(lazy(x), plain(x))
    assert type(lazy[0]) is nn.Linear and type(lazy[1]) is nn.BatchNorm1d and lazy[0].in_features == 2
