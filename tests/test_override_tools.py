"""torch.overrides: which functions can be taken over, their names, modes."""

import pytest

import flambeau as fb
from flambeau import overrides


def test_functions_and_their_names():
    functions = overrides.get_overridable_functions()
    assert fb.add in functions[fb] and fb.Tensor.add in functions[fb.Tensor]
    assert fb.nn.functional.relu in functions[fb.nn.functional]
    assert overrides.resolve_name(fb.Tensor.add) == "torch.Tensor.add"
    assert overrides.resolve_name(fb.einsum) in ("torch.einsum", "torch.functional.einsum")
    assert fb.ones in overrides.get_ignored_functions() or fb.empty in overrides.get_ignored_functions()
    assert overrides.get_testing_overrides()[fb.add](1, 2) == -1
    assert overrides.is_tensor_method_or_property(fb.Tensor.add)
    assert not overrides.is_tensor_method_or_property(fb.add)
    assert overrides.is_tensor_like(fb.ones(1)) and not overrides.is_tensor_like(3)


def test_nested_modes():
    seen = []

    class Mode(overrides.TorchFunctionMode):
        def __init__(self, name):
            self.name = name

        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((self.name, func.__name__))
            return func(*args, **(kwargs or {}))

    x = fb.ones(2)
    with Mode("outer"), Mode("inner"):
        fb.block_diag(x)
    assert seen[:2] == [("inner", "block_diag"), ("outer", "block_diag")]


def test_own_functions():
    @overrides.wrap_torch_function(lambda a, b: (a, b))
    def mine(a, b):
        return "plain"

    class Takes:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "taken"

    class Refuses:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    assert mine(1, 2) == "plain" and mine(1, Takes()) == "taken" and mine(Refuses(), Takes()) == "taken"
    with pytest.raises(TypeError, match="no implementation found for"):
        mine(Refuses(), 1)


def test_subclasses_are_asked_again_inside_of_a_block_that_asks_none():
    class Seen(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return "seen"

    x = fb.ones(2).as_subclass(Seen)
    with fb._C.DisableTorchFunction():
        assert type(fb.add(x, 1)) is fb.Tensor
        with overrides._enable_torch_function():
            assert fb.add(x, 1) == "seen"
        assert type(fb.add(x, 1)) is fb.Tensor
    assert fb.add(x, 1) == "seen"
