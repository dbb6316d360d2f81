"""Convolution, batch norm and activation of a Sequential in one pass: nobody can tell."""

import pytest

import flambeau as fb
from flambeau import nn


def stage(
    inputs,
    outputs,
    kernel,
    stride=1,
    padding=0,
    groups=1,
    bias=True,
    after=nn.ReLU,
    norm=True,
    conv=nn.Conv2d,
):
    """A convolution with batch norm as if trained, and an activation."""
    fb.manual_seed(7)
    layers = [conv(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)]
    if norm:
        layers.append((nn.BatchNorm1d if conv is nn.Conv1d else nn.BatchNorm2d)(outputs))
        layers[-1].running_mean.normal_()
        layers[-1].running_var.uniform_(0.5, 2)
        nn.init.normal_(layers[-1].weight)
        nn.init.normal_(layers[-1].bias)
    if after:
        layers.append(after())
    return nn.Sequential(*layers).eval()


def one_by_one(model, x):
    for module in model:
        x = module(x)
    return x


STAGES = {
    "1x1": (stage(20, 40, 1), (2, 20, 9, 9)),
    "1x1, many results": (stage(40, 72, 1, after=nn.ReLU6), (2, 40, 90, 90)),
    "1x1, stride 2": (stage(33, 72, 1, 2, bias=False), (3, 33, 129, 131)),
    "1x1, no activation": (stage(16, 24, 1, after=None), (1, 16, 7, 13)),
    "3x3, 32 filters": (stage(32, 64, 3, padding=1), (1, 32, 24, 20)),
    "3x3, few positions": (stage(64, 64, 3, padding=1), (1, 64, 14, 14)),
    "3x3, stride 2": (stage(16, 32, 3, 2, 1), (2, 16, 15, 15)),
    "3x3, seven by seven": (stage(320, 320, 3, padding=1), (1, 320, 7, 7)),
    "narrow, stride 2": (stage(64, 512, 3, 2, 1), (3, 64, 14, 14)),
    "narrow, other blocks": (stage(72, 456, 3, 2, 1, after=nn.ReLU6), (1, 72, 9, 12)),
    "narrow, taps not square": (stage(64, 256, (5, 4), (1, 2), (2, 3), bias=False), (2, 64, 11, 8)),
    "narrow, few positions of many": (stage(512, 64, 3, 2, 1, norm=False), (130, 512, 4, 3)),
    "7x7 of a picture": (stage(3, 16, 7, 2, 3, bias=False), (1, 3, 40, 40)),
    "depthwise 3x3": (stage(40, 40, 3, 1, 1, 40, after=nn.ReLU6), (2, 40, 61, 60)),
    "depthwise 3x3, stride 2": (stage(48, 48, 3, 2, 1, 48), (2, 48, 121, 120)),
    "depthwise 5x5": (stage(32, 32, 5, 1, 2, 32, bias=False), (2, 32, 64, 66)),
    "depthwise 7x7, stride 2": (stage(32, 32, 7, 2, 3, 32), (4, 32, 100, 98)),
    "depthwise 2x4": (stage(32, 32, (2, 4), 1, (0, 5), 32), (2, 32, 80, 70)),
    "depthwise, wide padding": (stage(512, 512, 3, 1, 4, 512), (2, 512, 4, 9)),
    "groups": (stage(32, 64, 3, 1, 1, 2), (2, 32, 9, 9)),
    "without batch norm": (stage(17, 18, 3, norm=False), (2, 17, 8, 8)),
    "silu": (stage(16, 16, 1, after=nn.SiLU), (2, 16, 8, 8)),
    "one dimension": (stage(32, 48, 3, 1, 1, conv=nn.Conv1d), (2, 32, 50)),
    "one dimension, depthwise": (stage(64, 64, 3, 1, 1, 64, conv=nn.Conv1d), (8, 64, 700)),
    "empty batch": (stage(4, 4, 1), (0, 4, 5, 5)),
}


@pytest.mark.parametrize("name", STAGES)
def test_agrees_with_double(name):
    model, sizes = STAGES[name]
    x = fb.randn(sizes)
    with fb.no_grad():
        y = model(x)
        expected = one_by_one(stage_in_double(model), x.double())
    assert y.dtype == fb.float32 and y.is_contiguous()
    fb.testing.assert_close(y, expected.float())


def stage_in_double(model):
    import copy

    return copy.deepcopy(model).double()


@pytest.mark.parametrize("name", STAGES)
def test_what_is_no_number_stays(name):
    model, sizes = STAGES[name]
    x = fb.randn(sizes)
    if not x.numel():
        return
    x.view(-1)[::97] = float("nan")
    x.view(-1)[11::97] = float("inf")
    x.view(-1)[23::97] = float("-inf")
    with fb.no_grad():
        y, expected = model(x), one_by_one(model, x)
    assert fb.equal(y.isnan(), expected.isnan())
    assert fb.equal(y.isinf(), expected.isinf())


def test_parameters_and_statistics_may_change_between_calls():
    model = stage(32, 32, 1)
    x = fb.randn(2, 32, 8, 8)
    with fb.no_grad():
        for _ in range(3):
            model(x)
        model[0].weight.mul_(3)
        fb.testing.assert_close(model(x), one_by_one(model, x))
        model[0].weight.detach().numpy()[:] *= 0.5
        model[1].running_var.numpy()[:] *= 4
        fb.testing.assert_close(model(x), one_by_one(model, x))
        model[1].weight = nn.Parameter(fb.rand(32))
        model[1].running_mean.add_(1)
        fb.testing.assert_close(model(x), one_by_one(model, x))


def test_input_is_left_alone_and_result_is_its_own():
    model = stage(16, 16, 1, after=lambda: nn.ReLU(inplace=True))
    x = fb.randn(2, 16, 8, 8)
    before = x.clone()
    with fb.no_grad():
        y = model(x)
        y.add_(1)
        z, expected = model(x), one_by_one(model, x)
    assert fb.equal(x, before)
    fb.testing.assert_close(y - 1, z)
    assert z._version == expected._version == 1


def test_hooks_see_every_result():
    model = stage(8, 8, 1)
    seen = []
    handles = [
        m.register_forward_hook(lambda module, given, result: seen.append(result.clone())) for m in model
    ]
    x = fb.randn(2, 8, 6, 6)
    with fb.no_grad():
        y = model(x)
    assert len(seen) == 3
    fb.testing.assert_close(seen[1].clamp(min=0), y)
    for handle in handles:
        handle.remove()
    everywhere = nn.modules.module.register_module_forward_hook(lambda *_: seen.append(None))
    with fb.no_grad():
        model(x)
    everywhere.remove()
    assert len(seen) == 3 + 4  # the Sequential as well


def test_replaced_methods_are_called(monkeypatch):
    model = stage(8, 8, 1)
    x = fb.randn(2, 8, 6, 6)
    called = []
    with fb.no_grad():
        model[2].forward = lambda t: called.append("own") or t
        model(x)
        monkeypatch.setattr(nn.BatchNorm2d, "forward", lambda self, t: called.append("class") or t)
        model(x)
    assert called == ["own", "class", "own"]


def test_training_and_gradients_go_one_by_one():
    model = stage(8, 8, 1)
    x = fb.randn(2, 8, 6, 6)
    assert model(x).grad_fn is not None
    model.train()
    with fb.no_grad():
        model(x)
    assert model[1].num_batches_tracked == 1


def test_subclasses_and_modes_see_the_functions_they_know():
    from flambeau.overrides import TorchFunctionMode

    class Names(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(getattr(func, "__name__", str(func)))
            return func(*args, **(kwargs or {}))

    model = stage(8, 8, 1)
    x = fb.randn(2, 8, 6, 6)
    with fb.no_grad(), Names() as mode:
        model(x)
    assert not any("convolution_norm" in name for name in mode.names)
    with fb.no_grad(), fb.autocast("cpu", dtype=fb.bfloat16):
        assert model(x).dtype == one_by_one(model, x).dtype
        assert fb.equal(model(x), one_by_one(model, x))
    with fb.no_grad():
        batched = fb.vmap(model)(fb.randn(3, 2, 8, 6, 6))
    assert batched.shape == (3, 2, 8, 6, 6)


def test_errors_name_the_module():
    model = stage(8, 8, 3)
    with fb.no_grad(), pytest.raises(RuntimeError, match="to have 8 channels, but got 7 channels") as caught:
        model(fb.randn(2, 7, 6, 6))
    with pytest.raises(RuntimeError) as plain:
        model(fb.randn(2, 7, 6, 6))
    assert str(caught.value) == str(plain.value)
    assert getattr(caught.value, "__notes__", None) == getattr(plain.value, "__notes__", None)
    with fb.no_grad(), pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        model(fb.randn(2, 8, 2, 2))
