"""The small parts of `torch.utils` and of what belongs to overriding."""

import copy
import gc
import weakref

import pytest

import flambeau as torch
from flambeau.utils import cpp_extension, swap_tensors
from flambeau.utils.throughput_benchmark import format_time
from flambeau.utils.weak import TensorWeakRef, WeakIdKeyDictionary, WeakTensorKeyDictionary


def test_swap_tensors():
    a, b = torch.ones(1), torch.nn.Parameter(torch.zeros(2))
    a.note = "a"
    holder = [a]
    swap_tensors(a, b)
    assert (a.tolist(), b.tolist()) == ([0.0, 0.0], [1.0])
    assert type(holder[0]) is torch.nn.Parameter and holder[0].requires_grad
    assert type(b) is torch.Tensor and b.note == "a" and not hasattr(a, "note")
    (a * 2).sum().backward()
    assert a.grad.tolist() == [2.0, 2.0]
    r = weakref.ref(a)
    with pytest.raises(RuntimeError, match="Cannot swap t1 because it has weakref associated with it"):
        swap_tensors(a, b)
    assert r() is a


def test_swap_tensors_with_slots():
    class Slotted(torch.Tensor):
        __slots__ = ["q"]

    class Other(torch.Tensor):
        __slots__ = ["q"]

    with pytest.raises(RuntimeError, match="Cannot swap t1 and t2 if they have different slots"):
        swap_tensors(torch.ones(1), torch.ones(1).as_subclass(Slotted))
    a, b = torch.ones(1).as_subclass(Slotted), torch.zeros(1).as_subclass(Slotted)
    a.q = 3
    swap_tensors(a, b)
    assert b.q == 3 and not hasattr(a, "q") and a.item() == 0


def test_weak_dictionaries():
    d = WeakTensorKeyDictionary()
    a, b = torch.ones(2), torch.ones(2)
    d[a], d[b] = 1, 2
    assert (d[a], d[b], len(d)) == (1, 2, 2)
    assert a in d and torch.ones(2) not in d and 3 not in d
    other = d.copy()
    del a
    gc.collect()
    assert len(d) == 1 and len(other) == 1 and list(d.values()) == [2]
    assert isinstance(d | {b: 4}, WeakIdKeyDictionary) and (d | {b: 4})[b] == 4
    assert copy.deepcopy(d)[b] == 2
    r = TensorWeakRef(b)
    assert r() is b
    del d[b], b, other
    gc.collect()
    assert r() is None


def test_throughput_benchmark():
    bench = torch.utils.ThroughputBenchmark(torch.nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="Please provide benchmark inputs"):
        bench.benchmark()
    bench.add_input(torch.ones(1, 2))
    stats = bench.benchmark(num_calling_threads=2, num_warmup_iters=1, num_iters=10)
    assert stats.num_iters == 10 and stats.latency_avg_ms > 0
    assert str(stats).startswith("Average latency per example: ")
    assert [format_time(time_us=t) for t in (5, 5e3, 5e6)] == ["5.000us", "5.000ms", "5.000s"]
    bench.add_input(torch.ones(1, 3))
    with pytest.raises(RuntimeError):
        bench.benchmark(num_iters=50)


def test_cpp_extensions_say_what_is_missing():
    with pytest.raises(NotImplementedError, match="no PyTorch headers"):
        cpp_extension.load("mine", ["mine.cpp"])
    with pytest.raises(NotImplementedError, match="no PyTorch headers"):
        cpp_extension.load_inline("mine", "int x;")
    with pytest.raises(NotImplementedError, match="no PyTorch headers"):
        cpp_extension.include_paths()
    assert cpp_extension.CUDA_HOME is None and not cpp_extension.IS_HIP_EXTENSION
    pytest.importorskip("setuptools")
    extension = cpp_extension.CppExtension("mine", ["mine.cpp"])
    assert (extension.name, extension.language) == ("mine", "c++")
    from setuptools import Distribution

    command = cpp_extension.BuildExtension.with_options(use_ninja=False)(Distribution())
    command.extensions = [extension]
    with pytest.raises(NotImplementedError, match=r"BuildExtension \(mine\)"):
        command.build_extensions()


def test_environment():
    text = torch.utils.collect_env.get_pretty_env_info()
    assert text.startswith("PyTorch version: 2.13") and "Python version: 3." in text


def test_backends_outside():
    with pytest.raises(NotImplementedError, match="no backend to be named 'foo'"):
        torch.utils.rename_privateuse1_backend("foo")
    with pytest.raises(NotImplementedError):
        torch.utils.generate_methods_for_privateuse1_backend()


def test_names_and_frames():
    class Mine:
        pass

    torch.utils.set_module(Mine, "elsewhere")
    assert Mine.__module__ == "elsewhere"
    with pytest.raises(TypeError, match="The mod argument should be a string"):
        torch.utils.set_module(Mine, 3)
    assert torch.utils.get_cpp_backtrace(0, 2).startswith("frame #0: ")
    assert not torch.utils.backcompat.broadcast_warning.enabled


def test_redispatch_asks_about_inner_calls():
    seen = []

    class Logging(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args, kwargs=None):
            seen.append(func.__name__)
            return torch.overrides.redispatch_function(func, types, args, kwargs)

    def scaled(a, b):
        if torch.overrides.has_torch_function((a, b)):
            return torch.overrides.handle_torch_function(scaled, (a, b), a, b)
        return a * b + 1

    x = torch.tensor([3.0]).as_subclass(Logging)
    seen.clear()
    result = scaled(x, torch.tensor([4.0]))
    assert seen == ["scaled", "mul"] and type(result) is torch.Tensor and result.item() == 13


def test_recording_inside_dispatch():
    from flambeau.utils._python_dispatch import TorchDispatchMode

    states = []

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            states.append(torch.is_grad_enabled())
            with torch.overrides.enable_reentrant_dispatch():
                states.append(torch.is_grad_enabled())
            return func(*args, **(kwargs or {}))

    with Mode():
        torch.ones(1).exp()
    assert states[-2:] == [False, True]


def test_streams_of_the_engine():
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    torch.autograd.graph.set_override_stale_capture_stream(False)
    with pytest.raises(NotImplementedError):
        torch.autograd.graph.set_override_stale_capture_stream(True)
    with pytest.raises(RuntimeError, match=r"can only be used inside a torch\.compile region"):
        torch.autograd.graph.region_activation_memory_budget(0.5)


def test_types_of_schemas():
    schema = torch.ops.aten.sum.dim_IntList._schema
    assert isinstance(schema.arguments[0].type, torch.TensorType)
    assert isinstance(schema.arguments[1].type, torch.OptionalType)
    assert isinstance(schema.arguments[1].type.getElementType(), torch.ListType)
    assert str(torch.ListType(torch.IntType.get())) == "List[int]"
    assert torch.Tag.pointwise.value == 16


def test_deterministic_programs_get_filled_memory():
    assert torch.utils.deterministic.fill_uninitialized_memory is True
    with pytest.raises(RuntimeError, match="expected a bool, but got <class 'int'>"):
        torch.utils.deterministic.fill_uninitialized_memory = 1
    torch.use_deterministic_algorithms(True)
    try:
        made = [
            torch.empty(2),
            torch.empty(2, dtype=torch.complex64),
            torch.empty(2, dtype=torch.bfloat16),
            torch.empty_strided((2,), (2,)),
            torch.empty_like(torch.ones(2)),
            torch.ones(1).new_empty(2),
            torch.ones(1).new_empty_strided((2,), (1,)),
            torch.ones(2).resize_(4)[2:],
            torch.ones(2).resize_as_(torch.ones(3))[2:],
            torch.empty_permuted((2, 1), (1, 0)),
            torch.Tensor(2),
            torch.empty(3, out=torch.ones(3)),
        ]
        assert all(t.isnan().all() for t in made)
        assert torch.empty(2, dtype=torch.int32).tolist() == [2**31 - 1] * 2
        assert torch.empty(2, dtype=torch.uint8).tolist() == [255] * 2
        assert torch.empty(2, dtype=torch.bool).tolist() == [True] * 2
        assert torch.ones(4).resize_(2).resize_(3).tolist() == [1] * 3
        torch.utils.deterministic.fill_uninitialized_memory = False
        assert torch.ones(4).resize_(2).resize_(3).tolist() == [1] * 3
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = True
        torch.use_deterministic_algorithms(False)
    assert not torch.zeros(4).resize_(2).resize_(4).isnan().any()
