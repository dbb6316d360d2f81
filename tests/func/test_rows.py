"""Gradients for many cotangents: one backward, recorded, runs for all of them."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.func import functional_call, grad, hessian, jacfwd, jacrev, rows, vmap

NETS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.ReLU()), (5,)),
    "rows": (lambda: nn.Sequential(nn.Linear(5, 7), nn.Sigmoid(), nn.Linear(7, 6)), (3, 5)),
    "norm": (lambda: nn.Sequential(nn.LayerNorm(5), nn.GELU(), nn.Softmax(-1)), (4, 5)),
    "picture": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 6)),
        (2, 3, 8, 8),
    ),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), (1, 3, 8)),
    "many": (
        lambda: lambda x: (
            (x.sin() * x.exp() / (1 + x)).cumsum(0) + x.sort().values.logsumexp(0).pow(2) + x[2:].sum()
            + fb.stack([x, x * 2]).mean() + fb.cat([x, x]).prod() + x.view(5, 1).expand(5, 3).sum() - x.max()
        ),
        (5,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_all_rows_are_those_of_single_backwards(name, create):
    fb.manual_seed(3)
    make, shape = NETS[name]
    net, x = make(), fb.rand(shape, requires_grad=True)
    y = net(x)
    basis = fb.eye(y.numel()).reshape(-1, *y.shape)

    def options():
        return {"retain_graph": True, "create_graph": create}

    (found,) = fb.autograd.grad(y, x, basis, is_grads_batched=True, **options())
    singles = fb.stack([fb.autograd.grad(y, x, e, **options())[0] for e in basis])
    fb.testing.assert_close(found, singles)
    assert found.requires_grad == singles.requires_grad
    if create and singles.requires_grad:
        weights = fb.rand_like(found)
        a, b = (fb.autograd.grad((g * weights).sum(), x, retain_graph=True)[0] for g in (found, singles))
        fb.testing.assert_close(a, b)


def test_programs_are_recorded_and_not_looped(monkeypatch):
    runs = []
    net, x = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 9)), fb.rand(6)
    plain = fb.autograd.grad
    monkeypatch.setattr(fb.autograd, "grad", lambda *a, **k: runs.append(1) or plain(*a, **k))
    jacrev(net)(x)
    assert len(runs) == 1


def test_jacobians_of_all_kinds_agree():
    fb.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7)).double()
    x = fb.rand(6, dtype=fb.float64)
    expected = fb.stack([grad(lambda v, i=i: net(v)[i])(x) for i in range(7)])
    for made in (
        jacrev(net)(x),
        jacrev(net, chunk_size=2)(x),
        jacfwd(net)(x),
        fb.autograd.functional.jacobian(net, x),
        fb.autograd.functional.jacobian(net, x, vectorize=True),
        fb.autograd.functional.jacobian(net, x, vectorize=True, strategy="forward-mode"),
    ):
        fb.testing.assert_close(made, expected)
    second = hessian(lambda v: net(v).pow(2).sum())(x)
    fb.testing.assert_close(second, fb.autograd.functional.hessian(lambda v: net(v).pow(2).sum(), x))
    fb.testing.assert_close(second, second.T)


def test_values_that_python_reads_are_read_for_each_row():
    class Signed(fb.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * 2 if g.sum() > 0 else g * 3

    x = fb.rand(5, requires_grad=True)
    basis = fb.eye(5)
    basis[2] *= -1
    (found,) = fb.autograd.grad(Signed.apply(x), x, basis, is_grads_batched=True)
    assert found.diagonal().tolist() == [2, 2, -3, 2, 2]


def test_memory_is_bounded_by_parts(monkeypatch):
    net, x = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 9)), fb.rand(6)
    whole = jacrev(net)(x)
    monkeypatch.setattr(rows, "MOST", 200)
    fb.testing.assert_close(jacrev(net)(x), whole)


def test_the_graph_is_gone_after_the_last_row():
    x = fb.rand(6, requires_grad=True)
    y = x.exp()
    fb.autograd.grad(y, x, fb.eye(6), is_grads_batched=True)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        fb.autograd.grad(y, x, fb.ones(6))


def test_vmap_over_cotangents():
    net, x = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 8)), fb.rand(5, requires_grad=True)
    y = net(x)
    (found,) = vmap(lambda g: fb.autograd.grad(y, x, g, retain_graph=True))(fb.eye(8))
    fb.testing.assert_close(found, fb.autograd.functional.jacobian(net, x))


def _cross_entropy(out, target):
    return nn.functional.cross_entropy(out, target)


PER_SAMPLE = {
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2, padding="same"),
            nn.Flatten(), nn.Linear(96, 5),
        ),
        lambda: fb.rand(5, 3, 8, 8),
    ),
    "lines": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(24, 5)),
              lambda: fb.rand(5, 3, 8)),
    "transformer": (lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True),
                                          nn.Flatten(), nn.Linear(24, 5)), lambda: fb.rand(5, 3, 8)),
    "words": (lambda: nn.Sequential(nn.Embedding(10, 6), nn.LayerNorm(6), nn.Flatten(), nn.Linear(18, 5)),
              lambda: fb.randint(10, (5, 3))),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Dropout().eval(), nn.GroupNorm(2, 4), nn.Linear(4, 5)),
        lambda: fb.rand(5, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_gradients_of_each_sample(name):
    fb.manual_seed(5)
    make, inputs = PER_SAMPLE[name]
    net, x, target = make(), inputs(), fb.randint(5, (5,))
    params = {k: v.detach() for k, v in net.named_parameters()}

    def loss(p, a, b):
        return _cross_entropy(functional_call(net, p, (a[None],)), b[None])

    found = vmap(grad(loss), (None, 0, 0))(params, x, target)
    for i in range(5):
        for key, single in grad(loss)(params, x[i], target[i]).items():
            fb.testing.assert_close(found[key][i], single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_leaves_ignored_targets_out(reduction):
    fb.manual_seed(2)
    x, target = fb.rand(3, 4, 5), fb.randint(5, (3, 4))
    target[0, 1] = -100

    def loss(a, b):
        return nn.functional.cross_entropy(a, b, reduction=reduction)

    found = vmap(loss)(x, target)
    fb.testing.assert_close(found, fb.stack([loss(a, b) for a, b in zip(x, target)]))
