"""Arguments, errors and settings of ``flambeau.compile`` and the names of ``torch._dynamo``."""

import copy
import gc
import pickle
import time

import pytest

import flambeau as torch
from flambeau import nn
from flambeau._dynamo import config, exc


def branches(x):
    if x.sum() > 0:
        return x + 1
    return x


def prints(x):
    print("hello")
    return x + 1


def asks_the_clock(x):
    return x + time.time()


def collects(x):
    kept = [[] for _ in range(3000)]  # enough for the collector to start
    return x + len(kept[:3])


@torch.compiler.disable
def left_alone(x):
    return x * 3


def calls_disabled(x):
    return left_alone(x) + 1


def breaks(x):
    torch._dynamo.graph_break()
    return x + 1


@pytest.mark.parametrize(
    "function, first_line",
    [
        (branches, "Data-dependent branching"),
        (prints, "Failed to trace builtin operator"),
        (asks_the_clock, "Attempted to call function marked as skipped"),
        (calls_disabled, "Skip calling `torch.compiler.disable()`d function"),
        (breaks, "Call to `torch._dynamo.graph_break()`"),
    ],
)
def test_fullgraph_raises_and_names_the_line(function, first_line):
    compiled = torch.compile(function, fullgraph=True)
    for _ in range(4):
        with pytest.raises(exc.Unsupported) as caught:
            compiled(torch.ones(3))
        lines = str(caught.value).splitlines()
        assert lines[0] == first_line
        assert f'File "{__file__}", line ' in str(caught.value)
        assert str(caught.value).rstrip().splitlines()[-2].endswith(f"in {function.__name__}")
    assert issubclass(exc.Unsupported, RuntimeError)
    partly = torch.compile(function)  # without it the same call runs
    for _ in range(4):
        assert partly(torch.ones(3)).shape == (3,)


def test_fullgraph_takes_numbers_and_library_branches():
    layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    attend = torch.compile(lambda x: layer(x, x, x)[0], fullgraph=True)
    scale = torch.compile(lambda x: x + x.sum().item(), fullgraph=True)
    x = torch.ones(1, 3, 8)
    for _ in range(3):
        assert torch.allclose(attend(x), layer(x, x, x)[0])
        assert torch.equal(scale(x), x + 24)


def test_report_names_the_line_that_was_not_captured():
    compiled = torch.compile(prints)
    compiled(torch.ones(1))
    line = prints.__code__.co_firstlineno + 1
    assert f"not captured: it calls print() ({__file__}:{line})" in compiled.report()


def test_arguments():
    layer = nn.Linear(2, 2)
    for mode in ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune"):
        assert torch.compile(layer, mode=mode)(torch.ones(2)).shape == (2,)
    for backend in ("eager", "inductor", "aot_eager", "cudagraphs"):
        assert torch.compile(layer, backend=backend, dynamic=True)(torch.ones(2)).shape == (2,)
    assert torch.compile(layer, options={"max_autotune": True})(torch.ones(2)).shape == (2,)
    assert torch.compile(layer, disable=True) is layer
    with pytest.raises(RuntimeError, match="Unrecognized mode=x, should be one of: default, lite"):
        torch.compile(layer, mode="x")
    with pytest.raises(RuntimeError, match="Either mode or options can be specified"):
        torch.compile(layer, mode="default", options={})
    with pytest.raises(exc.InvalidBackend, match="Invalid backend: 'zz', see"):
        torch.compile(layer, backend="zz")
    with pytest.raises(AssertionError, match="Expected enable to be a bool, got <class 'str'>"):
        torch.compile(layer, dynamic="x")
    with pytest.raises(
        AssertionError, match="A callable function is expected, but <class 'int'> is provided"
    ):
        torch.compile(3)


def test_a_module_compiled_in_place_keeps_its_keys_hooks_and_mode():
    torch.manual_seed(0)
    m = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    x, seen = torch.ones(2, 3), []
    m.register_forward_hook(lambda *a: seen.append(1))
    assert m.compile(backend="eager") is None
    assert list(m.state_dict()) == ["0.weight", "0.bias"] and type(m) is nn.Sequential
    for _ in range(9):
        m(x)
    assert len(seen) == 9
    m.eval()
    assert torch.equal(m(x), m[0](x)) and not m[1].training
    twin, read = copy.deepcopy(m), pickle.loads(pickle.dumps(nn.Sequential(m[0], m[1])))
    assert torch.equal(twin(x), m(x)) and torch.equal(read(x), m(x))
    with torch.no_grad():
        twin[0].weight.zero_()
    assert torch.equal(twin(x), twin[0].bias.expand(2, 3)) and not torch.equal(twin(x), m(x))


def test_disabled_module_stays_a_module():
    layer = nn.Linear(2, 2)
    disabled = torch.compiler.disable(layer)
    assert isinstance(disabled, torch._dynamo.eval_frame.OptimizedModule)
    assert torch.equal(disabled(torch.ones(2)), layer(torch.ones(2)))
    assert disabled.weight is layer.weight


def test_settings():
    assert config.cache_size_limit == config.recompile_limit == 8
    with config.patch(cache_size_limit=2):
        assert config.recompile_limit == 2
        compiled = torch.compile(lambda x: x.exp() + 1)
        for n in range(1, 6):
            compiled(torch.ones(n))
        assert len(compiled._compiled.paths) == 2
    assert config.recompile_limit == 8
    with pytest.raises(AttributeError, match=r"config\.nothing does not exist"):
        config.nothing = 1
    compiled = torch.compile(lambda x: x.exp() + 1)
    compiled(torch.ones(2))
    with config.patch("error_on_recompile", True), pytest.raises(exc.RecompileError):
        compiled(torch.ones(3))
    with config.patch({"disable": True}):
        fresh = torch.compile(lambda x: x.exp() + 1)
        fresh(torch.ones(2))
        assert not fresh._compiled.paths
    torch._dynamo.reset()
    assert not compiled._compiled.paths


def test_names_that_packages_use():
    import flambeau._dynamo as dynamo
    import flambeau._inductor.config as inductor

    x = torch.ones(2, 3)
    dynamo.mark_dynamic(x, 0)
    dynamo.mark_static(x)
    assert dynamo.list_backends() == torch.compiler.list_backends()
    assert dynamo.optimize("eager", nopython=True)(lambda t: t + 1)(x).sum() == 12
    assert not dynamo.external_utils.is_compiling() and not dynamo.is_compiling()
    inductor.coordinate_descent_tuning = inductor.coordinate_descent_tuning
    assert torch._inductor.list_mode_options("max-autotune")["max_autotune"] is True
    inside = torch.compile(lambda t: (torch.compiler.is_compiling(), t + 1))
    assert inside(x)[0] is True


def test_the_collector_runs_outside_the_recorded_call():
    called = []
    gc.callbacks.append(lambda *_: called.append(time.perf_counter()))
    try:
        compiled = torch.compile(collects, fullgraph=True)
        assert compiled(torch.ones(3)).tolist() == [4.0, 4.0, 4.0]
    finally:
        gc.callbacks.pop()
    assert gc.isenabled()
