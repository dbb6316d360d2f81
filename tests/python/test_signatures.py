"""What `inspect.signature` says of the core's callables."""

import inspect

import pytest

import flambeau as torch


def text(function):
    return str(inspect.signature(function))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (torch.add, "(input, other, out=None, alpha=1)"),
        (torch.abs_, "(self, out=None)"),
        (torch.poisson, "(input, generator=None)"),
        (torch.hsplit, "(input, indices_or_sections)"),
        (torch.baddbmm, "(input, batch1, batch2, alpha=1, beta=1, out=None, out_dtype=None)"),
        (torch.special.airy_ai, "(input, out=None)"),
        (torch.Tensor.repeat, "(self, *repeats)"),
        (torch.matmul, "(input, other, out=None)"),
        (torch.Tensor.mul_, "(self, other, out=None)"),
        (torch.sum, "(input, dim=None, keepdim=False, dtype=None, out=None)"),
        (torch.Tensor.size, "(self, /, dim=None)"),
        (torch.Tensor.random_, "(self, from_=None, to=None, *, generator=None)"),
        (torch.Tensor.__add__, "(self, other, /)"),
        (torch.Tensor.__ipow__, "(self, exponent, /)"),
        (torch.nn.Parameter.__rsub__, "(self, other, /)"),
        (torch.can_cast, "(from_, to)"),
    ],
)
def test_texts(function, expected):
    assert text(function) == expected


def test_every_operator_has_one():
    found = [v for v in vars(torch._C._VariableFunctions).values() if hasattr(v, "_schemas")]
    found += [v for v in vars(torch.Tensor).values() if hasattr(v, "_schemas")]
    assert len(found) > 700
    for function in found:
        assert inspect.signature(function).parameters is not None


def test_factories_take_what_makes_tensors():
    names = list(inspect.signature(torch.empty).parameters)
    assert names[0] == "size"
    assert {"dtype", "layout", "device", "pin_memory", "requires_grad"} <= set(names)


def test_slots_still_work_in_subclasses():
    class Mine(torch.Tensor):
        pass

    class Own(torch.Tensor):
        def __add__(self, other):
            return "own"

    assert (torch.ones(2).as_subclass(Mine) + 1).tolist() == [2.0, 2.0]
    assert torch.ones(2).as_subclass(Own) + 1 == "own"
    assert (1 - torch.nn.Parameter(torch.ones(1))).item() == 0


@pytest.mark.parametrize(
    ("call", "other"),
    [
        (lambda: torch.abs_(self=torch.tensor([-1.0])), lambda: torch.abs_(input=torch.tensor([-1.0]))),
        (lambda: torch.permute(self=torch.eye(2), dims=(1, 0)), lambda: torch.permute(torch.eye(2), (1, 0))),
        (lambda: torch.special.airy_ai(input=torch.ones(2)), lambda: torch.special.airy_ai(x=torch.ones(2))),
        (
            lambda: torch.vsplit(torch.eye(2), indices_or_sections=[1])[1],
            lambda: torch.vsplit(torch.eye(2), indices=[1])[1],
        ),
        (
            lambda: torch.eye(4).tensor_split(indices_or_sections=2, dim=1)[1],
            lambda: torch.eye(4).tensor_split(sections=2, dim=1)[1],
        ),
    ],
)
def test_names_that_are_shown_are_taken(call, other):
    assert call().tolist() == other().tolist()
