"""Classes with ``__torch_dispatch__``: wrappers without data of their own. Expected values are PyTorch's."""

import pytest

import flambeau as torch
from flambeau.utils._python_dispatch import is_traceable_wrapper_subclass, transform_subclass
from flambeau.utils._pytree import tree_map


class Two(torch.Tensor):
    """Two tensors that go through everything together."""

    @staticmethod
    def __new__(cls, a, b, requires_grad=False):
        return torch.Tensor._make_wrapper_subclass(
            cls, a.size(), strides=a.stride(), dtype=a.dtype, device=a.device, requires_grad=requires_grad
        )

    def __init__(self, a, b, requires_grad=False):
        self.a, self.b = a, b

    def __repr__(self):
        return f"Two({self.a}, {self.b})"

    def __tensor_flatten__(self):
        return ["a", "b"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Two(inner["a"], inner["b"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        results = []
        for side in ("a", "b"):
            own = [getattr(t, side) if isinstance(t, Two) else t for t in args]
            own = tree_map(lambda t, side=side: getattr(t, side) if isinstance(t, Two) else t, own)
            results.append(func(*own, **(kwargs or {})))
        return Two(*results) if isinstance(results[0], torch.Tensor) else results[0]


def values(t):
    return t.a.tolist(), t.b.tolist()


@pytest.fixture
def t():
    return Two(torch.ones(2, 2), torch.zeros(2, 2))


def test_what_it_says_of_itself(t):
    assert (t.shape, t.dtype, t.device.type) == ((2, 2), torch.float32, "cpu")
    assert t.is_cpu and not t.is_meta


def test_operators(t):
    assert values(t + 1) == ([[2.0, 2.0], [2.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]])
    assert values((t @ t).sum()) == (8.0, 0.0)
    assert type(t.exp()) is Two and torch.cat([t, t]).shape == (4, 2)
    assert values(torch.ones(2, 2) * t) == ([[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]])
    linear = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        linear.weight.fill_(1)
    assert values(linear(t))[0] == [[2.0, 2.0], [2.0, 2.0]]


def test_writing():
    t = Two(torch.ones(2), torch.zeros(2))
    t.add_(1)
    assert values(t) == ([2.0, 2.0], [1.0, 1.0])


def test_gradients():
    x = Two(torch.ones(2), torch.full((2,), 2.0), requires_grad=True)
    y = (x * x).sum()
    y.backward()
    assert values(x.grad) == ([2.0, 2.0], [4.0, 4.0])
    x.grad = None
    (x * 3).exp().sum().backward()
    assert values(x.grad)[0] == pytest.approx([60.2566, 60.2566], abs=1e-3)
    assert values(x.grad)[1] == pytest.approx([1210.2864, 1210.2864], abs=1e-2)
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError):  # its gradient would be a pair
        (Two(torch.ones(3), torch.ones(3)) * weight).sum().backward()


def test_taking_apart(t):
    assert is_traceable_wrapper_subclass(t) and not is_traceable_wrapper_subclass(torch.ones(1))
    moved = transform_subclass(t, lambda name, inner: inner + 5)
    assert values(moved) == ([[6.0, 6.0], [6.0, 6.0]], [[5.0, 5.0], [5.0, 5.0]])


def test_without_torch_function():
    class Doubled(torch.Tensor):
        __torch_function__ = torch._C._disabled_torch_function_impl
        seen = []

        @staticmethod
        def __new__(cls, data):
            made = torch.Tensor._make_wrapper_subclass(cls, data.shape, dtype=data.dtype)
            made.inner = data
            return made

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            cls.seen.append(str(func))
            args = tree_map(lambda t: t.inner * 2 if isinstance(t, cls) else t, args)
            return func(*args, **(kwargs or {}))

    s = Doubled(torch.tensor([1.0, 2.0]))
    w = torch.ones(2, requires_grad=True)
    assert (s + 1).tolist() == [3.0, 5.0]
    y = (s * w).sum()
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]
    assert Doubled.seen == ["aten.add.Tensor", "aten.mul.Tensor", "aten.mul.Tensor"]


def test_what_cannot_be_made():
    class Plain(torch.Tensor):
        pass

    with pytest.raises(RuntimeError, match="must define __torch_dispatch__"):
        torch.Tensor._make_wrapper_subclass(Plain, (2,))
    with pytest.raises(NotImplementedError, match="does not ask __torch_dispatch__ for sizes"):
        torch.Tensor._make_wrapper_subclass(Two, (2,), dispatch_sizes_strides_policy="sizes")


def test_numpy_of_a_parameter_without_recording():
    with torch.no_grad():
        assert torch.ones(2, requires_grad=True).numpy().tolist() == [1.0, 1.0]
