"""`TorchDispatchMode`: the operators below autograd, in PyTorch's names and order."""

import pytest

import flambeau as torch
from flambeau.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
    is_in_torch_dispatch_mode,
)

F = torch.nn.functional


class Log(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(str(func).removeprefix("aten."))
        return func(*args, **(kwargs or {}))


def seen(function):
    with Log() as log:
        function()
    return log.seen


Z = torch.ones(3)
TWO = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: Z + 1, ["add.Tensor"]),
        (lambda: 2 - Z, ["rsub.Scalar"]),
        (lambda: Z > 0, ["gt.Scalar"]),
        (lambda: Z**2, ["pow.Tensor_Scalar"]),
        (lambda: Z.clone().add_(1), ["clone.default", "add_.Tensor"]),
        (lambda: torch.add(Z, Z, out=torch.empty(3)), ["empty.memory_format", "add.out"]),
        (lambda: Z[1:], ["slice.Tensor"]),
        (lambda: torch.max(Z, 0), ["max.dim"]),
        (lambda: torch.softmax(Z, 0), ["_softmax.default"]),
        (lambda: Z.to(torch.float64), ["_to_copy.default"]),
        (lambda: Z.reshape(1, 3), ["view.default"]),
        (lambda: Z.contiguous(), []),
        (lambda: TWO.t().contiguous(), ["t.default", "clone.default"]),
        (lambda: F.linear(TWO, TWO, torch.ones(2)), ["ones.default", "t.default", "addmm.default"]),
        (lambda: TWO @ Z, ["mv.default"]),
        (lambda: F.layer_norm(Z, (3,)), ["native_layer_norm.default"]),
        (lambda: Z.chunk(3), ["split.Tensor"]),
        (lambda: Z[torch.tensor([0, 1])], ["index.Tensor"]),
        (lambda: torch.where(Z > 0, Z, Z), ["gt.Scalar", "where.self"]),
    ],
)
def test_names(function, expected):
    assert seen(function) == expected


def test_backward_is_seen_and_right():
    x = torch.ones(2, requires_grad=True)
    names = seen(lambda: ((x + 1) * x).sum().backward())
    assert names[:3] == ["add.Tensor", "mul.Tensor", "sum.default"]
    assert names[3:6] == ["expand.default", "mul.Tensor", "mul.Tensor"]
    assert x.grad.tolist() == [3.0, 3.0]


def test_composites_are_taken_apart_with_and_without_gradients():
    weight = torch.ones(4, 3, requires_grad=True)
    assert seen(lambda: F.linear(TWO, weight)) == ["t.default", "mm.default"]
    with torch.no_grad():
        assert seen(lambda: F.linear(TWO, weight)) == ["t.default", "mm.default"]


def test_results_can_be_replaced():
    class Zeros(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            return torch.zeros_like(out) if func is torch.ops.aten.exp.default else out

    x = torch.ones(2, requires_grad=True)
    with Zeros():
        y = x.exp()
    assert y.tolist() == [0.0, 0.0] and y.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_modes_nest():
    order = []

    class Named(TorchDispatchMode):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            order.append(self.name)
            with Named("inside") if self.name == "inner" else _disable_current_modes():
                return func(*args, **(kwargs or {}))

    with Named("outer") as outer, Named("inner"):
        Z.exp()
        with _disable_current_modes() as modes:
            assert [m.name for m in modes] == ["outer", "inner"]
            assert not is_in_torch_dispatch_mode()
            Z.exp()
        assert is_in_torch_dispatch_mode()
        assert _get_current_dispatch_mode().name == "inner"
    assert order == ["inner", "inside"]
    assert not is_in_torch_dispatch_mode()
    assert outer.name == "outer"


def test_views_keep_their_history():
    x = torch.zeros(3, requires_grad=True)
    with Log():
        y = x * 1
        v = y[0]
        v.mul_(2)
        free = torch.zeros(2)
        part = free[:1]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 1.0, 1.0]
    part.add_(torch.ones(1, requires_grad=True))
    assert free.requires_grad


def test_nothing_accepts():
    class Refuse(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return NotImplemented

    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'aten\.exp\.default'"), Refuse():
        Z.exp()
    with pytest.raises(NotImplementedError), TorchDispatchMode():
        Z.exp()
    assert Z.exp()[0].item() == pytest.approx(2.7182817)


def test_custom_operators_and_their_rules():
    op = torch.library.custom_op(
        "dispatch_test::twice", lambda x: x * 2, mutates_args=(), schema="(Tensor x) -> Tensor"
    )
    assert seen(lambda: op(Z)) == ["dispatch_test.twice.default"]

    @op.register_torch_dispatch(Log)
    def rule(mode, func, types, args, kwargs):
        return func(*args, **kwargs) + 1

    with Log() as log:
        assert op(Z).tolist() == [3.0, 3.0, 3.0]
    assert log.seen == []


def test_random_operators_get_their_generator():
    generator = torch.Generator().manual_seed(1)
    expected = torch.rand(2, generator=torch.Generator().manual_seed(1))
    with Log():
        found = torch.rand(2, generator=generator)
    assert torch.equal(found, expected)
