"""Modules that mark quantization, settings of conversions, and other names that packages use."""

import logging

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils import _pytree as pytree


def test_float_functional():
    f = fb.ao.nn.quantized.FloatFunctional()
    assert repr(f) == "FloatFunctional(\n  (activation_post_process): Identity()\n)"
    x, y = fb.tensor([1.0, -2.0]), fb.tensor([3.0, 1.0])
    assert f.add(x, y).tolist() == [4.0, -1.0] and f.add_relu(x, y).tolist() == [4.0, 0.0]
    assert f.mul(x, y).tolist() == [3.0, -2.0] and f.mul_scalar(x, 2).tolist() == [2.0, -4.0]
    assert f.add_scalar(x, 1).tolist() == [2.0, -1.0] and f.matmul(x, y).item() == 1.0
    assert f.cat([x, y]).tolist() == [1.0, -2.0, 3.0, 1.0]
    with pytest.raises(RuntimeError, match="FloatFunctional is not intended to use the 'forward'"):
        f(x)
    assert nn.quantized.FloatFunctional is fb.ao.nn.quantized.FloatFunctional


def test_stubs():
    wrapped = fb.ao.quantization.QuantWrapper(nn.Linear(2, 2))
    x = fb.ones(1, 2)
    assert fb.equal(wrapped(x), wrapped.module(x)) and repr(wrapped.quant) == "QuantStub()"
    assert fb.quantization.DeQuantStub is fb.ao.quantization.DeQuantStub


@pytest.fixture
def settings():
    yield fb.__future__
    fb.__future__.set_swap_module_params_on_conversion(False)
    fb.__future__.set_overwrite_module_params_on_conversion(False)


def test_conversions(settings):
    assert not settings.get_swap_module_params_on_conversion()
    model = nn.Linear(2, 2)
    weight = model.weight
    model(fb.ones(1, 2)).sum().backward()
    settings.set_swap_module_params_on_conversion(True)
    model.double()
    assert model.weight is weight and weight.dtype == weight.grad.dtype == fb.float64
    settings.set_swap_module_params_on_conversion(False)
    settings.set_overwrite_module_params_on_conversion(True)
    model.float()
    assert model.weight is not weight and weight.dtype == fb.float64
    assert model.weight.dtype == model.weight.grad.dtype == fb.float32


def test_set_logs():
    fb._logging.set_logs(dynamo=logging.DEBUG, graph_breaks=True)
    assert logging.getLogger("torch._dynamo").level == logging.DEBUG
    fb._logging.set_logs()
    assert logging.getLogger("torch._dynamo").level == logging.NOTSET
    with pytest.raises(TypeError, match=r"set_logs\(\) got an unexpected keyword argument 'foo'"):
        fb._logging.set_logs(foo=True)
    with pytest.raises(ValueError, match="Unrecognized log level for log dynamo: x"):
        fb._logging.set_logs(dynamo="x")


def test_small_names():
    from flambeau.fx.experimental.symbolic_shapes import guard_or_false
    from flambeau.jit.annotations import BroadcastingList2, List
    from flambeau.utils._triton import has_triton

    assert guard_or_false(3 > 2) and not has_triton()
    assert BroadcastingList2[int] == int | List[int]

    @fb.jit._overload
    def f(x):
        return x + 1

    assert f(1) == 2 and fb.jit._script_if_tracing(f) is f
    assert fb.distributed.rpc.is_available()
    assert fb.ScriptModule is fb.jit.ScriptModule
    before = fb._C._jit_set_profiling_mode(False)
    assert before is True and fb._C._jit_set_profiling_mode(before) is False
    assert pytree._get_node_type({}) is dict
    assert pytree._dict_flatten({"b": 1, "a": 2}) == ([1, 2], ["b", "a"])
    assert pytree._dict_unflatten([1, 2], ["b", "a"]) == {"b": 1, "a": 2}
