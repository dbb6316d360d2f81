"""torch.overrides: which functions can be taken over, their names, modes."""

import copy
import inspect
import pickle

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


class Recorded(fb.Tensor):
    """Notes what ``__torch_function__`` is handed."""

    calls: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append((func, len(args), dict(kwargs or {})))
        return super().__torch_function__(func, types, args, kwargs or {})


def first_call(run):
    Recorded.calls.clear()
    run(fb.rand(2, 3).as_subclass(Recorded))
    func, by_place, by_name = Recorded.calls[0]
    return fb.overrides.resolve_name(func), by_place, by_name


F = fb.nn.functional


@pytest.mark.parametrize(
    "run,name,by_place,by_name",
    [
        (lambda x: F.relu(x), "relu", 1, {"inplace": False}),
        (
            lambda x: F.softmax(x, 1),
            "softmax",
            1,
            {"dim": 1, "_stacklevel": 3, "dtype": None},
        ),
        (
            lambda x: F.layer_norm(x, (3,)),
            "layer_norm",
            2,
            {"weight": None, "bias": None, "eps": 1e-5},
        ),
        (
            lambda x: F.dropout(x, 0.2),
            "dropout",
            1,
            {"p": 0.2, "training": True, "inplace": False},
        ),
        (
            lambda x: F.normalize(input=x),
            "normalize",
            1,
            {"p": 2.0, "dim": 1, "eps": 1e-12, "out": None},
        ),
        (lambda x: fb.nn.Flatten()(fb.nn.ReLU()(x)), "relu", 1, {"inplace": False}),
        (
            lambda x: F.max_pool1d(x, 2, return_indices=True),
            "max_pool1d_with_indices",
            2,
            {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": True},
        ),
    ],
)
def test_functional_is_seen_as_itself(run, name, by_place, by_name):
    assert first_call(run) == (f"torch.nn.functional.{name}", by_place, by_name)


def test_one_call_is_seen_not_those_inside():
    Recorded.calls.clear()
    x = fb.rand(2, 3).as_subclass(Recorded)
    assert type(F.gumbel_softmax(x, hard=True)) is Recorded
    assert [fb.overrides.resolve_name(c[0]) for c in Recorded.calls] == ["torch.nn.functional.gumbel_softmax"]


def test_initialisers_pass_all_by_name():
    name, by_place, by_name = first_call(lambda x: fb.nn.init.normal_(x, std=2.0))
    assert (name, by_place, sorted(by_name)) == ("torch.nn.init.normal_", 0, ["mean", "std", "tensor"])


def test_einsum_is_seen_in_its_plain_form():
    Recorded.calls.clear()
    x = fb.rand(2, 3).as_subclass(Recorded)
    fb.einsum("ij,ij->i", [x, x])
    fb.einsum(x, [0, 1], x, [0, 1], [0])
    found = [c for c in Recorded.calls if fb.overrides.resolve_name(c[0]) == "torch.functional.einsum"]
    assert [c[1] for c in found] == [3, 3]


def test_functional_passes_for_a_function():
    assert inspect.isfunction(F.relu)
    assert list(inspect.signature(F.relu).parameters) == ["input", "inplace"]
    assert F.relu.__name__ == F.relu.__qualname__ == "relu"
    assert pickle.loads(pickle.dumps(F.relu)) is F.relu
    assert copy.deepcopy(F.relu) is F.relu
    assert F.relu.__doc__


def test_tensor_of_a_subclass_is_a_plain_tensor():
    Recorded.calls.clear()
    with pytest.warns(UserWarning, match="copy construct"):
        assert type(fb.tensor(fb.rand(2).as_subclass(Recorded))) is fb.Tensor
    assert not Recorded.calls


def test_a_mode_sees_functional():
    class Mode(fb.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(fb.overrides.resolve_name(func))
            return func(*args, **(kwargs or {}))

    seen: list = []
    with Mode():
        F.cross_entropy(fb.rand(2, 3), fb.tensor([0, 1]))
    assert "torch.nn.functional.cross_entropy" in seen
    assert "torch.nn.functional.log_softmax" not in seen
