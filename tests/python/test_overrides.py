"""__torch_function__ of subclasses, duck types and modes."""

import pytest

import flambeau as torch
from flambeau.overrides import TorchFunctionMode


class Loud(torch.Tensor):
    calls: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append(getattr(func, "__name__", str(func)))
        return super().__torch_function__(func, types, args, kwargs)


class Duck:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func, types, args, kwargs


class Refuses:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return NotImplemented


@pytest.fixture(autouse=True)
def clear():
    Loud.calls = []


def test_subclass_is_asked_and_kept():
    x = torch.ones(2).as_subclass(Loud)
    y = torch.add(x, 1)
    assert type(y) is Loud and type(x + 1) is Loud and type(x[0]) is Loud and type(x.sum()) is Loud
    assert "add" in Loud.calls
    assert type(torch.split(x, 1)[0]) is Loud
    with torch._C.DisableTorchFunctionSubclass():
        assert type(x + 1) is torch.Tensor


def test_attributes_ask_too():
    x = torch.ones(2).as_subclass(Loud)
    assert x.shape == (2,) and x.dtype is torch.float32
    assert "__get__" in Loud.calls


def test_ducks():
    func, types, args, kwargs = torch.add(torch.ones(1), Duck(), alpha=2)
    assert func is torch.add and types == (Duck,) and kwargs == {"alpha": 2} and len(args) == 2
    assert torch.cat([torch.ones(1), Duck()])[0] is torch.cat
    assert torch.Tensor.add(torch.ones(1), Duck())[0] is torch.Tensor.add
    with pytest.raises(
        TypeError,
        match="no implementation found for 'torch.add' on types that implement __torch_function__",  # noqa: RUF043
    ):
        torch.add(torch.ones(1), Refuses())


def test_parameters_are_plain():
    p = torch.nn.Parameter(torch.ones(2))
    assert type(p + 1) is torch.Tensor and type(p * p) is torch.Tensor


def test_modes():
    seen = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Watch():
        torch.add(torch.ones(1), 1)
        torch.ones(1) + 1
    assert torch.add in seen and torch.ones in seen
    count = len(seen)
    torch.add(torch.ones(1), 1)
    assert len(seen) == count


def test_operators_written_in_python():
    """They ask once: also for `out=`, and not again in a call that was passed by."""
    x = torch.ones(2, 3)
    Loud.calls.clear()
    torch.vstack([x, x], out=torch.empty(0).as_subclass(Loud))
    assert Loud.calls[0] == "vstack"
    assert torch.trace(Duck())[0] is torch.trace
    redispatched = torch.overrides.redispatch_function(torch.trace, (Loud,), (x.as_subclass(Loud),))
    assert float(redispatched) == 2
