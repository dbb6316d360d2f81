"""__torch_function__ of subclasses, duck types and modes."""

import operator

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


class Tells(torch.Tensor):
    """Keeps which function was asked about, and what the arguments were."""

    asked: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        Tells.asked.append((func, tuple(type(a) for a in args)))
        return super().__torch_function__(func, types, args, kwargs)


# what PyTorch 2.13 hands over for each operator of the language
_T = torch.Tensor
_SWAPPED = [
    (lambda a: 1 + a, _T.add), (lambda a: 1 - a, _T.__rsub__), (lambda a: 2 * a, _T.mul),
    (lambda a: 1 / a, _T.__rdiv__), (lambda a: 2**a, _T.__rpow__), (lambda a: 2 // a, _T.__rfloordiv__),
    (lambda a: 2 % a, _T.__rmod__), (lambda a: 1 & a, _T.bitwise_and), (lambda a: 1 | a, _T.bitwise_or),
    (lambda a: 1 ^ a, _T.bitwise_xor), (lambda a: 1 << a, _T.__rlshift__), (lambda a: 1 >> a, _T.__rrshift__),
]  # fmt: skip
_PLAIN = [
    (lambda a: a + 1, _T.add), (lambda a: a - 1, _T.sub), (lambda a: a * 2, _T.mul),
    (lambda a: a / 2, _T.div), (lambda a: a**2, _T.__pow__), (lambda a: a // 2, _T.__floordiv__),
    (lambda a: a % 2, _T.remainder), (lambda a: a & 1, _T.__and__), (lambda a: a | 1, _T.__or__),
    (lambda a: a ^ 1, _T.__xor__), (lambda a: a << 1, _T.__lshift__), (lambda a: a >> 1, _T.__rshift__),
    (lambda a: a == 1, _T.__eq__),
    (lambda a: a != 1, _T.ne), (lambda a: a < 1, _T.lt), (lambda a: a <= 1, _T.le), (lambda a: a > 1, _T.gt),
    (lambda a: a >= 1, _T.ge), (operator.iadd, _T.add_), (operator.isub, _T.sub_), (operator.imul, _T.mul_),
    (operator.ipow, _T.__ipow__), (operator.ifloordiv, _T.floor_divide_), (operator.imod, _T.remainder_),
    (operator.iand, _T.__iand__), (operator.ior, _T.__ior__), (operator.ixor, _T.__ixor__),
    (operator.ilshift, _T.__ilshift__), (operator.irshift, _T.__irshift__),
]  # fmt: skip
_ONE = [
    (operator.neg, _T.neg), (operator.pos, _T.positive), (abs, _T.abs), (operator.invert, _T.__invert__),
    (bool, _T.__bool__), (int, _T.__int__), (float, _T.__float__), (operator.index, _T.__index__),
    (lambda a: list(range(a)), _T.__index__),
]  # fmt: skip


@pytest.mark.parametrize("call, function", _SWAPPED + _PLAIN + _ONE)
def test_operators_hand_over_what_pytorch_does(call, function):
    plain = torch.tensor(3)
    given = (Tells, int) if (call, function) not in _ONE else (Tells,)
    number = (2,) if call in (c for c, _ in _PLAIN) and call.__module__ == "_operator" else ()
    Tells.asked = []
    result = call(plain.clone().as_subclass(Tells), *number)
    assert Tells.asked == [(function, given)]
    expected = call(plain.clone(), *number)
    assert result == expected
    assert type(result) is (Tells if isinstance(expected, torch.Tensor) else type(expected))
    Tells.asked = []


def test_operators_between_tensors_hand_over_what_pytorch_does():
    m = torch.ones(2, 2)
    for call, function in [
        (lambda a: m - a, _T.sub), (lambda a: m @ a, _T.matmul), (lambda a: m**a, _T.__pow__),
        (lambda a: a.__rmatmul__(m), _T.__rmatmul__),
    ]:  # fmt: skip
        Tells.asked = []
        assert type(call(m.as_subclass(Tells))) is Tells
        assert Tells.asked[0][0] in (function, _T.matmul)
    Tells.asked = []
    assert len(m.as_subclass(Tells)) == 2 and Tells.asked == [(_T.__len__, (Tells,))]


def test_modes_see_operators_too():
    class Sees(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    seen = []
    one = torch.ones(())
    with Sees():
        x = 1 - one
        assert bool(one) and len(torch.ones(2)) == 2
    assert x == 0
    assert seen[:2] == [_T.__rsub__, _T.__bool__] and seen[-1] is _T.__len__


def test_methods_written_in_python_are_asked_about():
    x = torch.ones(2).as_subclass(Tells)
    for call, function in [
        (reversed, _T.__reversed__), (_T.share_memory_, _T.share_memory_), (_T.is_shared, _T.is_shared),
        (lambda a: a.__dlpack_device__(), _T.__dlpack_device__), (_T.norm, _T.norm), (_T.unique, _T.unique),
    ]:  # fmt: skip
        Tells.asked = []
        call(x)
        assert Tells.asked == [(function, (Tells,))]


def test_the_answer_of_bool_must_be_a_bool():
    class Odd(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return 3

    with pytest.raises(TypeError, match="__bool__ should return bool"):
        bool(torch.ones(()).as_subclass(Odd))
    assert len(torch.ones(()).as_subclass(Odd)) == 3


def test_names_of_operator_methods():
    assert torch.overrides.resolve_name(_T.__rsub__) == "torch.Tensor.__rsub__"
    assert torch.overrides.resolve_name(_T.__bool__) == "torch.Tensor.__bool__"
    assert torch.overrides.resolve_name(_T.grad.__set__) == "torch.Tensor.grad.__set__"
