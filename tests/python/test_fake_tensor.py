import gc

import pytest

import flambeau as fb
from flambeau._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorDeviceMismatchError,
    FakeTensorMode,
    is_fake,
)


def test_a_program_runs_without_numbers():
    with FakeTensorMode() as mode:
        x = fb.empty(3, 4)
        layer = fb.nn.Linear(4, 2)
        y = layer(x)
    assert repr(x) == "FakeTensor(..., size=(3, 4))"
    assert repr(y) == "FakeTensor(..., size=(3, 2), grad_fn=<AddmmBackward0>)"
    assert isinstance(y, FakeTensor) and y.fake_mode is mode and y.device.type == "cpu"
    y.sum().backward()
    assert is_fake(layer.weight.grad) and layer.weight.grad.shape == (2, 4)


def test_numbers_and_shapes_made_of_them_are_refused():
    x = FakeTensorMode().from_tensor(fb.ones(3))
    for ask in (lambda: x.sum().item(), lambda: bool(x[0]), x.tolist):
        with pytest.raises(DataDependentOutputException, match=r"aten\._local_scalar_dense\.default"):
            ask()
    with pytest.raises(DynamicOutputShapeException, match=r"aten\.nonzero\.default"):
        x.nonzero()


def test_real_tensors_are_asked_to_be_made_fake():
    real = fb.ones(2, 3)
    mode = FakeTensorMode()
    fake = mode.from_tensor(real)
    assert mode.from_tensor(real) is fake and is_fake(fake) and not is_fake(real)
    with pytest.raises(AssertionError, match="Please convert all Tensors to FakeTensors first"):
        fake + real
    assert (FakeTensorMode(allow_non_fake_inputs=True).from_tensor(real) + real).shape == (2, 3)


def test_devices_are_those_asked_for():
    with FakeTensorMode():
        x = fb.empty(3, device="cuda")
        assert repr(x) == "FakeTensor(..., device='cuda:0', size=(3,))" and x.is_cuda
        assert (x + 1).device == fb.device("cuda:0")
        with pytest.raises(FakeTensorDeviceMismatchError, match="at least two devices, cuda:0 and cpu!"):
            x + fb.ones(3)


def test_parameters_stay_parameters():
    fake = FakeTensorMode().from_tensor(fb.nn.Parameter(fb.ones(2)))
    assert isinstance(fake, fb.nn.Parameter) and fake.requires_grad and fake.grad_fn is None


class Calls(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = fb.nn.Conv2d(3, 4, 3), fb.nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x))


def test_calls_join_again_once_the_last_one_is_gone():
    fake = FakeTensorMode().from_tensor(fb.ones(3))
    assert is_fake(fake + 1)
    del fake
    gc.collect()
    with fb.no_grad():
        before = fb._C._joined_calls()
        Calls().eval()(fb.randn(1, 3, 8, 8)).sum()
        assert fb._C._joined_calls() > before
