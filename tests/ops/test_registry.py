"""The registry: its table of names, arguments, overriding."""

import importlib

import pytest

import flambeau as fb
from flambeau.ops import registry
from flambeau.ops.families import FAMILIES


def test_the_table_names_every_operator():
    for family, (functions, methods) in FAMILIES.items():
        module = importlib.import_module(f"flambeau.ops.{family}")
        for name in {*functions, *methods}:
            assert registry.find(name) is not None, f"{name} is not in {module.__name__}"
    listed = {n for functions, methods in FAMILIES.values() for n in (*functions, *methods)}
    assert set(registry.OPS) <= listed


def test_methods_are_installed():
    for _, methods in FAMILIES.values():
        assert all(hasattr(fb.Tensor, name) for name in methods)


def test_names_of_numpy():
    x = fb.arange(6.0).reshape(2, 3)
    assert x.diff(axis=0).tolist() == [[3, 3, 3]]


def test_modes_and_subclasses_see_the_operator_once():
    seen = []

    class Mode(fb.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    x = fb.ones(2, 2)
    with Mode():
        fb.kron(x, x)
    assert seen == ["kron"]

    class Mine(fb.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__

    assert fb.block_diag(x, x.as_subclass(Mine)) == "block_diag"


def test_unknown_arguments_raise():
    with pytest.raises(TypeError):
        fb.kron(fb.ones(1), fb.ones(1), nothing=3)


def test_names_of_nodes_are_written_as_pytorch_writes_them():
    x = fb.ones(1, 1, 4, 4, requires_grad=True)
    made = (x.log1p(), fb.nn.functional.unfold(x, 2), fb.nn.functional.interpolate(x, scale_factor=2))
    assert [t.grad_fn.name() for t in made] == [
        "Log1PBackward0",
        "Im2ColBackward0",
        "UpsampleNearest2DBackward0",
    ]
