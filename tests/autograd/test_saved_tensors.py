"""What nodes keep, looked at from Python, and hooks that pack it."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.autograd import Function
from flambeau.autograd import graph as G
from flambeau.nn import functional as F


def _x(*shape: int) -> fb.Tensor:
    return (fb.arange(1.0, 1 + fb.Size(shape).numel(), dtype=fb.float64).reshape(shape) / 3).requires_grad_()


class _Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


class _Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


@pytest.mark.parametrize(
    "f, second",
    [
        (lambda a: a * a, lambda a: 2 + 0 * a),
        (lambda a: a * a * a, lambda a: 6 * a),
        (lambda a: (a * 2).sin(), lambda a: -4 * (2 * a).sin()),
        (lambda a: (a * 1).exp(), lambda a: a.exp()),
        (lambda a: a**3, lambda a: 6 * a),
        (lambda a: a.view(1, 3) @ (a * a).view(3, 1), lambda a: 6 * a),
        (lambda a: _Cube.apply(a * 1), lambda a: 6 * a),
        (_Cube.apply, lambda a: 6 * a),
        (lambda a: _Exp.apply(a * 1), lambda a: a.exp()),
    ],
)
def test_second_derivatives_through_packed_tensors(f, second):
    a = _x(3)
    with G.saved_tensors_hooks(lambda t: t.detach().numpy().copy(), fb.from_numpy):
        (g,) = fb.autograd.grad(f(a).sum(), a, create_graph=True)
    (h,) = fb.autograd.grad(g.sum(), a)
    assert fb.allclose(h, second(a.detach()))


def test_packed_leaf_comes_back_as_the_leaf_of_the_graph():
    a = _x(3)
    with G.save_on_cpu():
        y = (a * a).sum()
    assert y.grad_fn.next_functions[0][0]._saved_self.requires_grad
    y.backward()
    assert a.grad.equal(2 * a.detach())


def _attributes(t: fb.Tensor) -> list[str]:
    return [n for n in dir(t.grad_fn) if "_saved_" in n]


def test_names_of_what_is_saved():
    a = _x(2, 3)
    assert _attributes(a.exp()) == ["_raw_saved_result", "_saved_result"]
    assert _attributes(a * a) == ["_raw_saved_other", "_raw_saved_self", "_saved_other", "_saved_self"]
    assert _attributes(fb.cat([a, a])) == ["_saved_dim"]
    assert _attributes(fb.add(a, a, alpha=2)) == ["_saved_alpha"]
    assert "_saved_indices" in _attributes(a[fb.tensor([0])])
    assert dir((a * 1).grad_fn.next_functions[0][0]).count("variable") == 1
    node = F.conv2d(_x(1, 1, 3, 3), _x(1, 1, 2, 2)).grad_fn
    assert node._saved_stride == (1, 1) and node._saved_weight.shape == (1, 1, 2, 2)


def test_raw_saved_tensor_takes_hooks():
    a = _x(3)
    y = a * a
    raw = y.grad_fn._raw_saved_self
    assert type(raw).__name__ == "SavedTensor"
    with pytest.raises(TypeError, match="incompatible function arguments"):
        raw.register_hooks(1, 2)
    packed = []
    raw.register_hooks(lambda t: packed.append(t) or t * 2, lambda t: t)
    assert len(packed) == 1 and y.grad_fn._saved_self.equal(2 * a)
    y.sum().backward()
    assert fb.allclose(a.grad, 3 * a.detach())
    with pytest.raises(RuntimeError, match="after it has been freed"):
        raw.register_hooks(lambda t: t, lambda t: t)
    with pytest.raises(RuntimeError, match="with value None is forbidden"):
        (a * 2).grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t)


def test_raw_saved_results_keep_their_history():
    a = _x(3)
    y = a.exp()
    y.grad_fn._raw_saved_result.register_hooks(lambda t: t.detach().clone(), lambda t: t)
    (g,) = fb.autograd.grad(y.sum(), a, create_graph=True)
    assert fb.autograd.grad(g.sum(), a)[0].equal(a.detach().exp())


def test_raw_saved_tensors_of_a_function():
    a = _x(3)
    y = _Cube.apply(a)
    (raw,) = y.grad_fn._raw_saved_tensors
    raw.register_hooks(lambda t: "packed", lambda text: fb.ones(3, dtype=fb.float64))
    y.sum().backward()
    assert a.grad.tolist() == [3.0, 3.0, 3.0]
    with pytest.raises(RuntimeError, match="a second time"):
        _ = y.grad_fn._raw_saved_tensors


def test_input_metadata():
    a = _x(3, 2)
    cubes = _Cube.apply(a)
    for node in (a.sin().grad_fn, cubes.grad_fn, (a * 1).grad_fn.next_functions[0][0]):
        (m,) = node._input_metadata
        assert (m.dtype, tuple(m.shape), m.device.type) == (fb.float64, (3, 2), "cpu")
        assert not m.is_nested_tensor and not m.is_cpp_nested_tensor


def test_hooks_of_nodes_see_an_edge_for_a_number():
    a = _x(3)
    seen = []
    b = a * 2
    b.grad_fn.register_hook(lambda inputs, outputs: seen.append([g is None for g in inputs]))
    b.sum().backward()
    assert seen == [[False, True]]
    c = a * 2
    c.grad_fn.register_hook(lambda inputs, outputs: (inputs[0] * 5, None))
    a.grad = None
    c.sum().backward()
    assert a.grad.tolist() == [10.0, 10.0, 10.0]
    d = a * 2
    d.grad_fn.register_hook(lambda inputs, outputs: (fb.ones(2), None))
    with pytest.raises(RuntimeError, match="has changed the size of value"):
        d.sum().backward()
