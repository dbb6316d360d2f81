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


M = (fb.eye(3) * 2 + 0.1).requires_grad_()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: 1 / x, "MulBackward0"),
        (lambda: x / 2, "DivBackward0"),
        (lambda: F.pad(M[None], (1, 1), mode="reflect"), "ReflectionPad1DBackward0"),
        (lambda: F.pad(M[None, None], (1, 1, 1, 1), mode="replicate"), "ReplicationPad2DBackward0"),
        (
            lambda: F.grid_sample(M[None, None], fb.zeros(1, 2, 2, 2), align_corners=True),
            "GridSampler2DBackward0",
        ),
        (lambda: fb.dist(x, t), "DistBackward0"),
        (lambda: fb.cdist(M, fb.ones(2, 3)), "CdistBackward0"),
        (lambda: F.pdist(M), "PdistBackward0"),
        (lambda: M.trace(), "TraceBackward0"),
        (lambda: fb.linalg.slogdet(M)[1], "LinalgSlogdetBackward0"),
        (lambda: fb.linalg.lu(M)[1], "LinalgLuBackward0"),
        (lambda: fb.linalg.matrix_exp(M), "LinalgMatrixExpBackward0"),
        (lambda: fb.cholesky(M.detach().requires_grad_()), "CholeskyBackward0"),
        (lambda: M.rot90(), "Rot90Backward0"),
        (lambda: M.renorm(2, 0, 1.0), "RenormBackward0"),
        (lambda: x.diag_embed(), "DiagEmbedBackward0"),
        (lambda: M.diag(), "DiagonalBackward0_copy"),
        (lambda: fb.mvlgamma(M + 5, 2), "MvlgammaBackward0"),
        (lambda: fb.ldexp(x, t), "LdexpBackward0"),
        (lambda: M.unsafe_split(1)[1], "UnsafeSplitBackward0"),
        (lambda: fb.view_copy(M, (9,)), "ViewBackward0_copy"),
        (lambda: fb.unbind_copy(M)[2], "UnbindBackward0_copy"),
        (lambda: fb.narrow_copy(M, 0, 0, 1), "NarrowCopyBackward0"),
        (lambda: fb.complex(x, x).real, "SelectBackward0"),
    ],
)
def test_operators_of_several_steps_go_by_one_name(call, name):
    y = call()
    assert y.grad_fn.name() == type(y.grad_fn).__name__ == name
    assert f"grad_fn=<{name}>" in repr(y)
    y.sum().abs().backward()  # the name changes nothing else


def test_what_is_returned_as_it_came_keeps_its_name():
    y = x.exp()
    _ = fb.atleast_1d(y), y.to(fb.float32), fb.alias_copy(y)
    assert y.grad_fn.name() == "ExpBackward0"


@pytest.mark.parametrize(
    ("call", "name", "error", "text"),
    [
        (
            lambda: fb.geqrf(M)[0],
            "GeqrfBackward0",
            NotImplementedError,
            "the derivative for 'geqrf' is not implemented.",
        ),
        (
            lambda: fb.unique(x),
            "Unique2Backward0",
            NotImplementedError,
            "the derivative for '_unique2' is not implemented.",
        ),
        (
            lambda: x.scatter(0, i, t, reduce="add"),
            "torch::autograd::NotImplemented",
            RuntimeError,
            "derivative for aten::scatter is not implemented",
        ),
        (
            lambda: x.scatter(0, i, 2.0, reduce="multiply"),
            "torch::autograd::NotImplemented",
            RuntimeError,
            "derivative for aten::scatter is not implemented",
        ),
        (
            lambda: fb.linalg.ldl_factor(M)[0],
            "torch::autograd::NotImplemented",
            RuntimeError,
            "derivative for aten::linalg_ldl_factor_ex is not implemented",
        ),
    ],
)  # fmt: skip
def test_gradients_that_nobody_has_raise_instead_of_missing(call, name, error, text):
    y = call()
    assert y.requires_grad and y.grad_fn.name() == name
    with pytest.raises(error) as e:
        y.sum().backward()
    assert str(e.value) == text
