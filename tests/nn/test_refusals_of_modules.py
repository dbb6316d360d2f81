"""What modules refuse, by class and first line as PyTorch 2.13 says it; found by a sweep over all of `torch.nn`."""

import pytest

import flambeau as fb
from flambeau import nn

OUTER = nn.Linear(2, 3)
ONE = fb.ones(1, 1, 4, 4)


@pytest.mark.parametrize(
    ("call", "kind", "line"),
    [
        # errors of Python about arguments name the public class
        (lambda: nn.ReLU(1, 2), TypeError, "ReLU.__init__() takes from 1 to 2 positional arguments but 3 were given"),
        (lambda: nn.ELU()(), TypeError, "ELU.forward() missing 1 required positional argument: 'input'"),
        (lambda: nn.Softmin(foo=1), TypeError, "Softmin.__init__() got an unexpected keyword argument 'foo'"),
        (lambda: nn.Conv2d(1, 1, 1)(), TypeError, "Conv2d.forward() missing 1 required positional argument: 'input'"),
        (lambda: nn.LSTM(2, 2)(), TypeError, "LSTM.forward() missing 1 required positional argument: 'input'"),
        (lambda: nn.MaxUnpool2d(2)(ONE), TypeError, "MaxUnpool2d.forward() missing 1 required positional argument: 'indices'"),
        (lambda: nn.AvgPool2d(2, dilation=1), TypeError, "AvgPool2d.__init__() got an unexpected keyword argument 'dilation'"),
        (lambda: nn.ModuleList().append(), TypeError, "ModuleList.append() missing 1 required positional argument: 'module'"),
        (lambda: nn.Sequential().pop(), TypeError, "Sequential.pop() missing 1 required positional argument: 'key'"),
        (lambda: nn.NLLLoss2d(foo=1), TypeError, "NLLLoss2d.__init__() got an unexpected keyword argument 'foo'"),
        # arguments
        (lambda: nn.Bilinear(-1, 1, 1), RuntimeError, "Trying to create tensor with negative dimension -1: [1, -1, 1]"),
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0, but got (in1_features=0)"),
        (lambda: nn.Hardtanh("a"), TypeError, "'<=' not supported between instances of 'float' and 'str'"),
        (lambda: nn.Sigmoid()("a"), TypeError, "sigmoid(): argument 'input' (position 1) must be Tensor, not str"),
        (lambda: nn.Embedding(5, 3, padding_idx="a"), TypeError, "'>' not supported between instances of 'str' and 'int'"),
        (lambda: nn.FractionalMaxPool3d(0), ValueError, "kernel_size must be greater than 0, but got 0"),
        (lambda: nn.LPPool2d(2, (2,) * 4)(ONE), ValueError, "too many values to unpack (expected 2)"),
        (lambda: nn.LPPool2d(2, 2.5)(ONE), TypeError, "avg_pool2d(): argument 'kernel_size' (position 2) must be tuple of ints, not float"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 10, [2.5]), ValueError, "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between 1 and n_classes-1"),
        (lambda: nn.EmbeddingBag(5, 3)(fb.tensor([0, 1]), [0]), AttributeError, "'list' object has no attribute 'dim'"),
        # moving
        (lambda: OUTER.to(copy=True), RuntimeError, ".to() does not accept copy argument"),
        (lambda: OUTER.xpu(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: OUTER.ipu(), RuntimeError, "PyTorch is not linked with support for ipu devices"),
    ],
)  # fmt: skip
def test_refused(call, kind, line):
    with pytest.raises(kind) as problem:
        call()
    assert type(problem.value) is kind
    assert str(problem.value).split("\n")[0] == line


@pytest.mark.parametrize(
    ("register", "returned", "line"),
    [
        ("register_full_backward_hook", (fb.ones(9),), "hook 'hook' has changed the size of value"),
        (
            "register_full_backward_hook",
            fb.ones(9),
            "Backward hook returned an invalid number of grad_input, got 9, but expected 1",
        ),
        ("register_full_backward_pre_hook", (fb.ones(9),), "hook 'hook' has changed the size of value"),
        (
            "register_full_backward_pre_hook",
            fb.ones(9),
            "Backward pre hook returned an invalid number of grad_output, got 9, but expected 1",
        ),
    ],
)
def test_backward_hooks_that_return_another_size(register, returned, line):
    module = nn.Linear(2, 3)
    getattr(module, register)(lambda *_: returned)
    out = module(fb.ones(1, 2, requires_grad=True)).sum()
    with pytest.raises(RuntimeError) as problem:
        out.backward()
    assert str(problem.value).split("\n")[0] == line


def test_classes_made_from_public_ones_keep_their_functions():
    class Mine(nn.ReLU):
        pass

    assert Mine.forward is nn.ReLU.forward
    assert nn.ReLU.forward.__qualname__ == "ReLU.forward"
    assert nn.ReLU.forward is not nn.SiLU.forward
