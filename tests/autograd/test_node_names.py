"""Nodes are called as PyTorch's are; the golden names were made by running it."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

x = fb.tensor([0.5, 0.25, 0.75], requires_grad=True)
t = fb.tensor([1.0, 2.0, 3.0])
i = fb.tensor([0])


def shown(y):
    node = y.grad_fn
    nexts = [None if n is None else n.name().replace("torch::autograd::", "") for n, _ in node.next_functions]
    return node.name(), nexts


LEAF = "AccumulateGrad"
NAMES = [
    (lambda: x**2, "PowBackward0", [LEAF]),
    (lambda: x**t, "PowBackward1", [LEAF, None]),
    (lambda: 2**x, "PowBackward2", [LEAF]),
    (lambda: x.square(), "PowBackward0", [LEAF]),
    (lambda: fb.fmod(x, 2), "FmodBackward0", [LEAF]),
    (lambda: fb.fmod(x, t), "FmodBackward1", [LEAF, None]),
    (lambda: x % 2, "RemainderBackward0", [LEAF]),
    (lambda: t % x, "RemainderBackward1", [None, LEAF]),
    (lambda: fb.rsub(x, 1), "RsubBackward1", [LEAF]),
    (lambda: fb.rsub(x, t), "RsubBackward0", [LEAF, None]),
    (lambda: x.clamp_min(0), "ClampMinBackward0", [LEAF]),
    (lambda: x.clamp_max(t), "ClampMaxBackward1", [LEAF, None]),
    (lambda: x.masked_fill(t > 1, 1.0), "MaskedFillBackward0", [LEAF]),
    (lambda: x.masked_fill(t > 1, t[0]), "MaskedFillBackward1", [LEAF, None]),
    (lambda: x.lerp(t, 0.5), "LerpBackward0", [LEAF, None]),
    (lambda: x.lerp(t, t), "LerpBackward1", [LEAF, None, None]),
    (lambda: x.index_fill(0, i, 1.0), "IndexFillBackward0", [LEAF]),
    (lambda: x.scatter(0, i, 1.0), "ScatterBackward1", [LEAF]),
    (lambda: fb.xlogy(x, 2), "XlogyBackward2", [LEAF]),
    (lambda: fb.xlogy(2, x), "XlogyBackward1", [LEAF]),
    (lambda: fb.copysign(x, 1), "CopysignBackward1", [LEAF]),
    (lambda: x.div(2, rounding_mode="floor"), "DivBackward2", [LEAF, None]),
    (lambda: x.sort(stable=True)[0], "SortBackward1", [LEAF]),
    (lambda: x.round(decimals=1), "RoundBackward1", [LEAF]),
    (lambda: x.split([1, 2])[0], "SplitWithSizesBackward0", [LEAF]),
    (lambda: F.celu(x), "CeluBackward0", [LEAF]),
    (lambda: x.logsumexp(0), "LogsumexpBackward0", [LEAF]),
    (lambda: x.aminmax()[1], "AminmaxBackward0", [LEAF]),
    (lambda: fb.var_mean(x)[0], "VarMeanBackward0", [LEAF]),
    (lambda: fb.std_mean(x, 0)[1], "StdMeanBackward0", [LEAF]),
    (lambda: x + 1, "AddBackward0", [LEAF, None]),
]


@pytest.mark.parametrize("make, name, nexts", NAMES, ids=lambda v: v if isinstance(v, str) else "")
def test_names(make, name, nexts):
    assert shown(make()) == (name, nexts)


def test_names_of_the_engine_s_own_nodes():
    y = x * 1
    y[0:2].mul_(2)
    assert y.grad_fn.name() == "torch::autograd::CopySlices"
    assert repr(type(y.grad_fn)) == "<class 'CopySlices'>"
    z = x * 1
    z.copy_(t)
    assert z.grad_fn.name() == "torch::autograd::CopyBackwards"


def test_gradients_of_operators_of_several_results():
    a = fb.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, -1.0]], requires_grad=True)
    low, high = a.aminmax(dim=1)
    (2 * low + high).sum().backward()
    assert a.grad.tolist() == [[2.0, 0.5, 0.5], [0.5, 0.5, 2.0]]
    a.grad = None
    var, mean = fb.var_mean(a, 1)
    (var + 3 * mean).sum().backward()
    # 2 (x - mean) / (n - 1) + 3 / n
    expected = [[1 - 4 / 3, 1 + 2 / 3, 1 + 2 / 3], [2.0, 2.0, -1.0]]
    assert fb.allclose(a.grad, fb.tensor(expected))
    a.grad = None
    std, mean = fb.std_mean(a, 1, unbiased=False)
    std.sum().backward()
    assert fb.allclose(
        a.grad, fb.tensor([[-0.471405, 0.235702, 0.235702], [0.235702, 0.235702, -0.471405]]), atol=1e-5
    )


def test_logsumexp_of_infinite_rows():
    inf = float("inf")
    a = fb.tensor([[-inf, -inf], [0.0, -inf], [1.0, 1.0]], requires_grad=True)
    a.logsumexp(1).sum().backward()
    assert fb.isnan(a.grad[0]).all()
    assert a.grad[1:].tolist() == [[1.0, 0.0], [0.5, 0.5]]
