"""nn.utils: gradients, vectors, norms, parametrizations, pruning, packing, stateless calls, fusion."""

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import utils
from flambeau.nn.utils import parametrizations, parametrize, prune, rnn, stateless


def seeded(layer, *args):
    fb.manual_seed(0)
    return layer(*args)


def values(tensor) -> list[float]:
    return tensor.detach().flatten().tolist()


def close(tensor, expected) -> bool:
    return values(tensor) == pytest.approx(expected, abs=2e-5)


# ---------------------------------------------------------------------------------------- gradients


def with_grads(*numbers):
    params = [nn.Parameter(fb.ones(n + 2)) for n in range(len(numbers))]
    for param, number in zip(params, numbers):
        param.grad = fb.full_like(param.detach(), number)
    return params


@pytest.mark.parametrize("foreach", [None, False])
def test_clip_grad_norm(foreach):
    params = with_grads(3.0, 4.0)
    assert utils.clip_grad_norm_(params, 1.0, foreach=foreach).item() == pytest.approx(8.1240387)
    assert close(params[0].grad, [0.36927] * 2) and close(params[1].grad, [0.49236] * 3)
    assert utils.clip_grad_norm_(params, 5.0, foreach=foreach).item() == pytest.approx(1.0)
    assert close(params[0].grad, [0.36927] * 2)
    assert utils.clip_grad_norm_(with_grads(3.0, 4.0), 1.0, float("inf"), foreach=foreach).item() == 4.0
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    text = (
        "The total norm of order 2.0 for gradients from `parameters` is non-finite, so it cannot be clipped"
    )
    with pytest.raises(RuntimeError, match=text):
        utils.clip_grad_norm_(with_grads(float("inf")), 1.0, error_if_nonfinite=True, foreach=foreach)


def test_clip_grad_value():
    params = with_grads(3.0, -4.0)
    utils.clip_grad_value_(params, 0.5)
    assert close(params[0].grad, [0.5] * 2) and close(params[1].grad, [-0.5] * 3)


def test_parameters_as_a_vector():
    params = with_grads(0.0, 0.0)
    assert values(utils.parameters_to_vector(params)) == [1.0] * 5
    vector = fb.arange(5.0)
    utils.vector_to_parameters(vector, params)
    assert values(params[1]) == [2, 3, 4] and params[1].data_ptr() == vector[2:].data_ptr()


# -------------------------------------------------------------------------------------------- norms


def test_weight_norm():
    with pytest.warns(FutureWarning):
        m = utils.weight_norm(seeded(nn.Linear, 3, 2))
    assert list(m.state_dict()) == ["bias", "weight_g", "weight_v"]
    assert close(m.weight_g, [0.56722, 0.50394]) and close(m(fb.ones(1, 3)), [-0.18123, -0.03467])
    with (
        pytest.warns(FutureWarning),
        pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"),
    ):
        utils.weight_norm(m)
    utils.remove_weight_norm(m)
    assert list(m.state_dict()) == ["bias", "weight"] and not m._forward_pre_hooks


def test_spectral_norm():
    m = utils.spectral_norm(seeded(nn.Linear, 3, 2))
    assert list(m.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    assert m.state_dict()._metadata[""] == {"version": 1, "spectral_norm": {"weight.version": 1}}
    assert close(m(fb.ones(1, 3)), [-0.46002, -0.84324]) and close(m.weight_u, [-0.60069, -0.79948])
    utils.remove_spectral_norm(m)
    assert list(m.state_dict()) == ["bias", "weight"]


def test_norms_as_parametrizations():
    m = seeded(nn.Linear, 3, 2)
    parametrizations.spectral_norm(m)
    assert close(m.weight, [-0.00657, 0.47096, -0.72257, -0.6461, -0.33814, 0.23542])
    m = seeded(nn.Linear, 3, 2)
    parametrizations.weight_norm(m)
    assert list(m.state_dict()) == [
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
    assert close(m.weight, [-0.00432, 0.30972, -0.47519, -0.42489, -0.22237, 0.15482])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("matrix_exp", [0.9619, -0.22747, -0.15168, 0.26559, 0.9091, 0.32094]),
        ("cayley", [0.96309, -0.22438, -0.14871, 0.26131, 0.91193, 0.31638]),
        ("householder", [0.73023, -0.62552, -0.27474, -0.09671, -0.49273, 0.86479]),
    ],
)
def test_orthogonal(kind, expected):
    fb.manual_seed(1)
    m = parametrizations.orthogonal(nn.Linear(3, 2), orthogonal_map=kind, use_trivialization=False)
    assert close(m.weight, expected)
    fb.manual_seed(1)
    m = parametrizations.orthogonal(nn.Linear(2, 3), orthogonal_map=kind)
    assert close(m.weight, [0.47246, -0.17041, -0.17776, 0.94254, -0.86324, -0.28736])
    assert close(m.weight.T @ m.weight, [1, 0, 0, 1])


# --------------------------------------------------------------------------------- parametrizations


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, x):
        return x.triu()


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b

    def right_inverse(self, x):
        return x / 2, x / 2


class FirstRow(nn.Module):
    def forward(self, x):
        return x[:1]


def test_parametrize():
    m = nn.Linear(2, 2)
    original = m.weight
    parametrize.register_parametrization(m, "weight", Symmetric())
    assert type(m).__name__ == "ParametrizedLinear" and parametrize.is_parametrized(m, "weight")
    assert parametrize.type_before_parametrizations(m) is nn.Linear
    assert list(m.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert m.parametrizations.weight.original is original
    assert fb.equal(m.weight, m.weight.T) and m.weight is not m.weight
    m.weight = fb.tensor([[1.0, 2.0], [2.0, 3.0]])
    assert values(m.weight) == [1, 2, 2, 3] and values(original) == [1, 2, 0, 3]
    with parametrize.cached():
        assert m.weight is m.weight
    m(fb.ones(1, 2)).sum().backward()
    assert original.grad is not None
    assert type(copy.deepcopy(m)) is type(m)
    with pytest.raises(RuntimeError, match="Serialization of parametrized modules is only supported"):
        pickle.dumps(m)
    parametrize.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear and m.weight is original and values(original) == [1, 2, 2, 3]


def test_parametrize_by_several_tensors_and_errors():
    m = nn.Linear(2, 2)
    before = values(m.weight)
    parametrize.register_parametrization(m, "weight", Sum())
    assert list(m.state_dict())[1:] == [f"parametrizations.weight.original{i}" for i in (0, 1)]
    assert close(m.weight, before)
    with pytest.raises(ValueError, match="Cannot leave unparametrized"):
        parametrize.remove_parametrizations(m, "weight", leave_parametrized=False)
    with pytest.raises(
        ValueError, match="Registering a parametrization may not change the shape of the tensor"
    ):
        parametrize.register_parametrization(nn.Linear(2, 2), "weight", FirstRow())
    with pytest.raises(ValueError, match="with name 'foo'"):
        parametrize.register_parametrization(nn.Linear(2, 2), "foo", Symmetric())


# ------------------------------------------------------------------------------------------ pruning


def test_prune():
    m = seeded(nn.Linear, 3, 2)
    prune.l1_unstructured(m, "weight", amount=2)
    prune.ln_structured(m, "weight", 1, 2, dim=0)
    assert values(m.weight_mask) == [0, 1, 1, 0, 0, 0]
    assert close(m.weight, [0, 0.30972, -0.47519, 0, 0, 0])
    assert list(m.state_dict()) == ["bias", "weight_orig", "weight_mask"] and prune.is_pruned(m)
    prune.remove(m, "weight")
    assert list(m.state_dict()) == ["bias", "weight"] and not prune.is_pruned(m)
    m = seeded(nn.Linear, 3, 2)
    prune.random_unstructured(m, "weight", 0.5)
    assert values(m.weight_mask) == [0, 0, 1, 0, 1, 1]
    m = seeded(nn.Linear, 3, 2)
    prune.random_structured(m, "weight", 1, dim=1)
    assert values(m.weight_mask) == [1, 1, 0, 1, 1, 0]
    with pytest.raises(
        ValueError, match="amount=7 should be smaller than the number of parameters to prune=6"
    ):
        prune.l1_unstructured(nn.Linear(3, 2), "weight", amount=7)


def test_prune_globally():
    a, b = nn.Linear(2, 1, bias=False), nn.Linear(2, 1, bias=False)
    a.load_state_dict({"weight": fb.tensor([[1.0, 4.0]])})
    b.load_state_dict({"weight": fb.tensor([[2.0, 3.0]])})
    prune.global_unstructured([(a, "weight"), (b, "weight")], prune.L1Unstructured, amount=2)
    assert values(a.weight) == [0, 4] and values(b.weight) == [0, 3]


# ---------------------------------------------------------------------------------- sequences, calls


def test_packing():
    x = fb.arange(12.0).reshape(4, 3, 1)
    packed = rnn.pack_padded_sequence(x, [1, 2, 4], enforce_sorted=False)
    assert values(packed.data) == [2, 1, 0, 5, 4, 8, 11]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1] and packed.sorted_indices.tolist() == [2, 1, 0]
    padded, lengths = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1.0)
    assert padded.squeeze(-1).tolist() == [[0, -1, -1, -1], [1, 4, -1, -1], [2, 5, 8, 11]]
    assert lengths.tolist() == [1, 2, 4]
    assert [s.flatten().tolist() for s in rnn.unpack_sequence(packed)] == [[0], [1, 4], [2, 5, 8, 11]]
    assert packed.to("cpu") is packed and packed.double().data.dtype is fb.float64
    with pytest.raises(RuntimeError, match="`lengths` array must be sorted in decreasing order"):
        rnn.pack_padded_sequence(x, [1, 2, 4])
    with pytest.raises(RuntimeError, match="Expected `len"):
        rnn.pack_padded_sequence(x, [4, 2])
    x.requires_grad_()
    rnn.pack_padded_sequence(x, [4, 2, 1]).data.sum().backward()
    assert x.grad.squeeze(-1).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_stateless_call():
    m = nn.Linear(2, 2)
    before = m.weight
    zeros = {"weight": fb.zeros(2, 2), "bias": fb.ones(2)}
    with pytest.warns(FutureWarning):
        out = stateless.functional_call(m, zeros, (fb.ones(1, 2),))
    assert values(out) == [1, 1] and m.weight is before
    with pytest.raises(RuntimeError, match=r"Error\(s\) in reparametrizing for Linear"):
        stateless._functional_call(m, {"foo": fb.ones(1)}, (fb.ones(1, 2),), strict=True)
    assert not hasattr(m, "foo")


def test_skip_init_and_fusion():
    assert utils.skip_init(nn.Linear, 2, 3).weight.shape == (3, 2)
    with pytest.raises(RuntimeError, match="Module must support a 'device' arg to skip initialization"):
        utils.skip_init(nn.ReLU)
    conv, bn = nn.Conv2d(2, 3, 3).eval(), nn.BatchNorm2d(3).eval()
    bn.running_mean.copy_(fb.tensor([0.1, 0.2, 0.3]))
    bn.running_var.copy_(fb.tensor([1.1, 0.7, 2.0]))
    x = fb.rand(1, 2, 5, 5)
    fused = utils.fuse_conv_bn_eval(conv, bn)
    assert fb.allclose(fused(x), bn(conv(x)), atol=1e-5)
    with pytest.raises(AssertionError, match="Fusion only for eval"):
        utils.fuse_conv_bn_eval(conv.train(), bn)
