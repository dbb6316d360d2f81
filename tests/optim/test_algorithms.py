"""Every algorithm with every option follows the recorded path, and goes on from a saved state."""

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import optim

from .golden_algorithms import PATHS

START = ([[0.5, -1.2, 0.3], [2.0, -0.7, 1.1]], [0.4, -0.9])
TARGET = ([[0.1, 0.2, -0.3], [1.5, -1.7, 0.4]], [1.0, 0.25])


def problem(dtype):
    params = [fb.nn.Parameter(fb.tensor(v, dtype=dtype)) for v in START]
    targets = [fb.tensor(v, dtype=dtype) for v in TARGET]

    def loss():
        return sum(((p - t) ** 2).sum() + 0.1 * (p**4).sum() for p, t in zip(params, targets))

    return params, loss


def walk(name, options, dtype, steps=4, save_at=None):
    params, loss = problem(dtype)
    if name == "Muon":
        params = params[:1]
    optimizer = getattr(optim, name)(params, **options)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    for step in range(steps):
        if step == save_at:
            saved = pickle.loads(pickle.dumps(optimizer.state_dict()))
            optimizer = getattr(optim, name)(params, **options)
            optimizer.load_state_dict(saved)
        if name == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return fb.cat([p.detach().double().reshape(-1) for p in params]), optimizer


@pytest.mark.parametrize("name, options, path", PATHS, ids=[f"{n}-{o}" for n, o, _ in PATHS])
@pytest.mark.parametrize("dtype", [fb.float32, fb.float64], ids=["float32", "float64"])
def test_path(name, options, path, dtype):
    want = fb.tensor(path, dtype=fb.float64)
    tolerance = 2e-2 if name == "Muon" else 1e-5 if dtype == fb.float32 else 1e-9
    for save_at in (None, 2):
        got, optimizer = walk(name, options, dtype, save_at=save_at)
        assert (got - want).abs().max() <= tolerance * (1 + want.abs().max())
        copy.deepcopy(optimizer)


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"]
)
def test_kernel_and_tensor_operations_agree(name, monkeypatch):
    options = {"SGD": {"lr": 0.1, "momentum": 0.9}, "RMSprop": {"centered": True, "momentum": 0.5}}.get(
        name, {}
    )
    with_kernel, _ = walk(name, options, fb.float64, steps=6)
    monkeypatch.setattr(getattr(optim, name), "_fused", None)
    without, _ = walk(name, options, fb.float64, steps=6)
    assert (with_kernel - without).abs().max() < 1e-12


def test_grad_of_another_layout_and_missing_grad():
    p = fb.nn.Parameter(fb.ones(3, 4))
    q = fb.nn.Parameter(fb.ones(5))
    o = optim.Adam([p, q], lr=0.1)
    p.grad = fb.arange(12.0).reshape(4, 3).t() + 1
    o.step()
    assert fb.allclose(p, fb.full((3, 4), 0.9), atol=1e-5)
    assert q.eq(1).all() and q not in o.state
    p.grad = fb.ones(()).expand(3, 4)
    q.grad = fb.ones(5)
    o.step()
    assert o.state[p]["step"] == 2 and o.state[q]["step"] == 1


def test_edited_and_loaded_state_is_used():
    p = fb.nn.Parameter(fb.zeros(2))
    o = optim.Adam([p], lr=0.1)
    p.grad = fb.ones(2)
    o.step()
    o.state[p]["exp_avg"] = fb.zeros(2)
    p.grad = fb.zeros(2)
    before = p.detach().clone()
    o.step()
    assert p.equal(before)
    o.state[p]["step"].fill_(10.0)
    o.step()
    assert o.state_dict()["state"][0]["step"] == 11


def test_parameters_of_mixed_dtypes():
    params = [fb.nn.Parameter(fb.ones(3, dtype=t)) for t in (fb.float32, fb.bfloat16, fb.float64)]
    o = optim.AdamW(params, lr=0.5)
    for p in params:
        p.grad = fb.ones_like(p)
    o.step()
    for p in params:
        assert abs(p[0].item() - 0.495) < 5e-3
        assert o.state[p]["exp_avg"].dtype == p.dtype


def test_a_step_counts_as_a_write():
    p = fb.nn.Parameter(fb.ones(3))
    loss = (p * p).sum()
    p.grad = fb.ones(3)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_differentiable_step_passes_gradients_on():
    lr = fb.tensor(0.1, requires_grad=True)
    w = fb.tensor([1.0, 2.0], requires_grad=True)
    moved = w.clone()
    o = optim.SGD([moved], lr=lr, differentiable=True)
    (moved.grad,) = fb.autograd.grad((moved.clone() ** 2).sum(), moved, create_graph=True)
    o.step()
    moved.sum().backward()
    assert fb.allclose(w.grad, fb.tensor([0.8, 0.8])) and abs(lr.grad.item() + 6.0) < 1e-5


def test_sparse_gradients():
    for name, want in (("SGD", 0.9), ("Adagrad", 0.9), ("SparseAdam", 0.9)):
        table = fb.nn.Parameter(fb.ones(6, 3))
        rows = fb.nn.functional.embedding(fb.tensor([0, 2, 5]), table, sparse=True)
        o = getattr(optim, name)([table], lr=0.1)
        rows.sum().backward()
        o.step()
        assert fb.allclose(table[[0, 2, 5]], fb.full((3, 3), want), atol=1e-5)
        assert table[[1, 3, 4]].eq(1).all()
    with pytest.raises(RuntimeError, match=r"^Adam does not support sparse gradients"):
        optim.Adam([table]).step()
