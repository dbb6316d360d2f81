"""How tensors print: texts of PyTorch 2.13."""

import pytest

import flambeau as fb
from flambeau._tensor_str import get_printoptions, printoptions

CASES = [
    (
        "fb.tensor(3)",
        "tensor(3)",
    ),
    (
        "fb.tensor(3.0)",
        "tensor(3.)",
    ),
    (
        "fb.tensor(True)",
        "tensor(True)",
    ),
    (
        "fb.tensor([1.0, 2.5])",
        "tensor([1.0000, 2.5000])",
    ),
    (
        "fb.tensor([1.0, 2.0, -3.0])",
        "tensor([ 1.,  2., -3.])",
    ),
    (
        "fb.tensor([1e-5, 1.0])",
        "tensor([1.0000e-05, 1.0000e+00])",
    ),
    (
        "fb.tensor([1e9, 1.0])",
        "tensor([1.0000e+09, 1.0000e+00])",
    ),
    (
        "fb.tensor([1000.5, 1.0])",
        "tensor([1.0005e+03, 1.0000e+00])",
    ),
    (
        "fb.tensor([0.0, -0.0])",
        "tensor([0., -0.])",
    ),
    (
        "fb.tensor([float('nan'), 1.0, float('inf')])",
        "tensor([nan, 1., inf])",
    ),
    (
        "fb.tensor([float('inf'), 1.5, -100.0])",
        "tensor([      inf,    1.5000, -100.0000])",
    ),
    (
        "fb.tensor([1, -20, 300])",
        "tensor([  1, -20, 300])",
    ),
    (
        "fb.tensor([True, False])",
        "tensor([ True, False])",
    ),
    (
        "fb.tensor([1, 2], dtype=fb.uint8)",
        "tensor([1, 2], dtype=torch.uint8)",
    ),
    (
        "fb.tensor([1.0, 2.0], dtype=fb.float64)",
        "tensor([1., 2.], dtype=torch.float64)",
    ),
    (
        "fb.tensor([1.0, 2.0], dtype=fb.bfloat16)",
        "tensor([1., 2.], dtype=torch.bfloat16)",
    ),
    (
        "fb.tensor([1 + 2j, 3.5 - 4j])",
        "tensor([1.0000+2.j, 3.5000-4.j])",
    ),
    (
        "fb.tensor([1.5j, 200.0])",
        "tensor([  0.+1.5000j, 200.+0.0000j])",
    ),
    (
        "fb.tensor([complex(1, float('-inf')), -1j])",
        "tensor([1.-infj, -0.-1.j])",
    ),
    (
        "fb.empty(0)",
        "tensor([])",
    ),
    (
        "fb.empty(0, 3)",
        "tensor([], size=(0, 3))",
    ),
    (
        "fb.empty(0, dtype=fb.int64)",
        "tensor([], dtype=torch.int64)",
    ),
    (
        "fb.zeros(2, 2, 2)",
        ("tensor([[[0., 0.],\n         [0., 0.]],\n\n        [[0., 0.],\n         [0., 0.]]])"),
    ),
    (
        "fb.arange(30.0)",
        (
            "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
            "        14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,\n"
            "        28., 29.])"
        ),
    ),
    (
        "fb.arange(2000)",
        "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])",
    ),
    (
        "fb.zeros(50, 50)",
        (
            "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        ...,\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.],\n"
            "        [0., 0., 0.,  ..., 0., 0., 0.]])"
        ),
    ),
    (
        "fb.zeros(1001, dtype=fb.bool)",
        "tensor([False, False, False,  ..., False, False, False])",
    ),
    (
        "fb.arange(24.0).reshape(2, 3, 4) / 7",
        (
            "tensor([[[0.0000, 0.1429, 0.2857, 0.4286],\n"
            "         [0.5714, 0.7143, 0.8571, 1.0000],\n"
            "         [1.1429, 1.2857, 1.4286, 1.5714]],\n"
            "\n"
            "        [[1.7143, 1.8571, 2.0000, 2.1429],\n"
            "         [2.2857, 2.4286, 2.5714, 2.7143],\n"
            "         [2.8571, 3.0000, 3.1429, 3.2857]]])"
        ),
    ),
    (
        "fb.ones(2, requires_grad=True)",
        "tensor([1., 1.], requires_grad=True)",
    ),
    (
        "fb.ones(2, requires_grad=True) * 2",
        "tensor([2., 2.], grad_fn=<MulBackward0>)",
    ),
    (
        "fb.ones(30, requires_grad=True) * 2",
        (
            "tensor([2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2.,\n"
            "        2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2., 2.],\n"
            "       grad_fn=<MulBackward0>)"
        ),
    ),
    (
        'fb.empty(2, 3, device="meta")',
        "tensor(..., device='meta', size=(2, 3))",
    ),
    (
        'fb.empty(2, 3, device="meta", dtype=fb.int64)',
        "tensor(..., device='meta', size=(2, 3), dtype=torch.int64)",
    ),
    (
        "fb.nn.Parameter(fb.ones(2))",
        ("Parameter containing:\ntensor([1., 1.], requires_grad=True)"),
    ),
    (
        "fb.finfo(fb.float32)",
        "finfo(resolution=1e-06, min=-3.40282e+38, max=3.40282e+38, eps=1.19209e-07, "
        "smallest_normal=1.17549e-38, tiny=1.17549e-38, dtype=float32)",
    ),
    (
        "fb.finfo(fb.bfloat16)",
        "finfo(resolution=0.01, min=-3.38953e+38, max=3.38953e+38, eps=0.0078125, "
        "smallest_normal=1.17549e-38, tiny=1.17549e-38, dtype=bfloat16)",
    ),
    (
        "fb.iinfo(fb.int8)",
        "iinfo(min=-128, max=127, dtype=int8)",
    ),
]


@pytest.mark.parametrize(("expression", "text"), CASES)
def test_text(expression, text):
    assert repr(eval(expression)) == text


OPTIONS = [
    (
        {"precision": 2},
        "fb.tensor([1.23456, 20.0])",
        "tensor([ 1.23, 20.00])",
    ),
    (
        {"sci_mode": True},
        "fb.tensor([1.0, 2.5])",
        "tensor([1.0000e+00, 2.5000e+00])",
    ),
    (
        {"sci_mode": False},
        "fb.tensor([1e-5, 1e6])",
        "tensor([      0.0000, 1000000.0000])",
    ),
    (
        {"threshold": 5, "edgeitems": 1},
        "fb.arange(24.0).reshape(2, 3, 4)",
        (
            "tensor([[[ 0.,  ...,  3.],\n"
            "         ...,\n"
            "         [ 8.,  ..., 11.]],\n"
            "\n"
            "        [[12.,  ..., 15.],\n"
            "         ...,\n"
            "         [20.,  ..., 23.]]])"
        ),
    ),
    (
        {"linewidth": 40},
        "fb.arange(20.0) / 3",
        (
            "tensor([0.0000, 0.3333, 0.6667, 1.0000,\n"
            "        1.3333, 1.6667, 2.0000, 2.3333,\n"
            "        2.6667, 3.0000, 3.3333, 3.6667,\n"
            "        4.0000, 4.3333, 4.6667, 5.0000,\n"
            "        5.3333, 5.6667, 6.0000, 6.3333])"
        ),
    ),
    (
        {"profile": "short"},
        "fb.arange(2000.0)",
        "tensor([0.00e+00, 1.00e+00,  ..., 2.00e+03, 2.00e+03])",
    ),
]


@pytest.mark.parametrize(("options", "expression", "text"), OPTIONS)
def test_options(options, expression, text):
    before = get_printoptions()
    with printoptions(**options):
        assert repr(eval(expression)) == text
    assert get_printoptions() == before


def test_subclasses_show_their_name():
    class Mine(fb.Tensor):
        pass

    assert repr(fb.tensor([1.0, 2.0]).as_subclass(Mine)) == "Mine([1., 2.])"


def test_set_printoptions():
    fb.set_printoptions(precision=1)
    try:
        assert repr(fb.tensor(1.25)) == "tensor(1.2)"
    finally:
        fb.set_printoptions(profile="default")


def test_parameters_of_other_types_say_that_they_are():
    class Mine(fb.nn.Parameter):
        pass

    class Kind(fb.Tensor):
        pass

    assert repr(Mine(fb.ones(2))) == "Parameter containing:\nParameter(Mine([1., 1.], requires_grad=True))"
    assert (
        repr(fb.nn.Parameter(fb.ones(2).as_subclass(Kind))) == "Parameter(Kind([1., 1.], requires_grad=True))"
    )
    assert repr(fb.ones(2).as_subclass(Kind)) == "Kind([1., 1.])"
    assert repr(fb.nn.Parameter(fb.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
