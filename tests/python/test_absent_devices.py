"""Names of devices that are not there: they answer or refuse as PyTorch's CPU build does."""

from __future__ import annotations

import inspect

import pytest

import flambeau as fb

NO_ACCELERATOR = pytest.mark.skipif(fb.cuda.is_available(), reason="there is a GPU")


@NO_ACCELERATOR
def test_accelerator():
    assert fb.accelerator.memory.empty_cache is fb.accelerator.empty_cache
    assert fb.accelerator.graphs.Graph is fb.accelerator.Graph
    for call in (fb.accelerator.Graph, fb.accelerator.memory.memory_stats):
        with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
            call()


def test_xpu_answers():
    xpu = fb.xpu
    assert xpu.get_gencode_flags() == "" and xpu.memory_snapshot() == [] == xpu.memory.memory_snapshot()
    assert xpu.memory_stats_as_nested_dict() == {}
    for nothing in (xpu.seed(), xpu.seed_all(), xpu.set_rng_state_all([]), xpu.random.manual_seed(3)):
        assert nothing is None
    with xpu.stream(None):
        pass


def test_xpu_refuses():
    xpu = fb.xpu
    for call, error, text in (
        (lambda: xpu.MemPool(), RuntimeError, "Tried to instantiate dummy base class MemPool"),
        (lambda: xpu.XPUPluggableAllocator("no such.so", "a", "b"), OSError, "no such.so"),
        (lambda: xpu.change_current_allocator(3), AttributeError, "_xpu_changeCurrentAllocator"),
        (lambda: xpu.device(0).__enter__(), NotImplementedError, "PyTorch was compiled without XPU support"),
        (lambda: xpu.device_of(fb.ones(1)).__enter__(), NotImplementedError, "compiled without XPU support"),
        (lambda: xpu.graph(3), RuntimeError, "dummy base class Stream"),
        (lambda: xpu.graph_pool_handle(), RuntimeError, "dummy base class _xpu_graph_pool_handle"),
        (lambda: xpu.is_current_stream_capturing(), RuntimeError, "dummy base class _xpu_isCurrentStreamCap"),
        (
            lambda: xpu.make_graphed_callables(fb.relu, (fb.ones(1),)),
            RuntimeError,
            "dummy base class XPUGraph",
        ),
        (lambda: xpu.use_mem_pool(3).__enter__(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: xpu.stream(3).__enter__(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: xpu.streams.Stream(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: xpu.memory.mem_get_info(), AssertionError, "Torch not compiled with XPU enabled"),
        (lambda: xpu.set_device(), TypeError, "missing a required argument: 'device'"),
    ):
        with pytest.raises(error, match=text):
            call()
    assert str(inspect.signature(xpu.set_per_process_memory_fraction)) == "(fraction, device=None)"
    assert str(inspect.signature(xpu.Stream)) == "(device=None, priority=0, **kwargs)"


def test_mps_refuses():
    mps = fb.mps
    for call, error, text in (
        (mps.Event, RuntimeError, r"Cannot execute acquireEvent\(\) without MPS backend"),
        (lambda: mps.load_metallib(b""), RuntimeError, "MPS is not available"),
        (mps.profiler.start, RuntimeError, r"Cannot execute profilerStartTrace\(\) without MPS backend"),
        (mps.profiler.stop, RuntimeError, r"Cannot execute profilerStopTrace\(\) without MPS backend"),
        (lambda: mps.profiler.profile().__enter__(), RuntimeError, "profilerStopTrace"),
        (mps.profiler.is_capturing_metal, AttributeError, "_mps_isCapturing"),
        (mps.profiler.is_metal_capture_enabled, AttributeError, "_mps_isCaptureEnabled"),
        (mps.manual_seed, TypeError, "missing a required argument: 'seed'"),
    ):
        with pytest.raises(error, match=text):
            call()
    assert mps.event.Event is mps.Event
    assert str(inspect.signature(mps.set_rng_state)) == "(new_state, device=None)"


@NO_ACCELERATOR
def test_backends_of_cuda():
    cuda = fb.backends.cuda
    cache = cuda.cufft_plan_cache
    assert isinstance(cache, cuda.cuFFTPlanCacheManager) and isinstance(cuda.matmul, cuda.cuBLASModule)
    for call in (
        lambda: cache.size,
        lambda: cache.max_size,
        cache.clear,
        lambda: setattr(cache, "max_size", 3),
    ):
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    with pytest.raises(RuntimeError, match="expected 0 <= device index < 0, but got device with index 0"):
        cache[0]
    with pytest.raises(RuntimeError, match=r".size is a read-only property"):
        cache.size = 3
    with pytest.raises(AttributeError, match="Unknown attribute foo"):
        _ = cuda.matmul.foo
    with pytest.raises(AttributeError, match="Unknown attribute foo"):
        cuda.matmul.foo = 3
    for call, name in (
        (cuda.blas_workspace_size, "_cuda_getCublasWorkspaceSize"),
        (lambda: cuda.blas_workspace_size(backend="cublaslt"), "_cuda_getCublasLtWorkspaceSize"),
        (lambda: cuda.cublas_workspace_size(4096), "_cuda_setCublasWorkspaceSize"),
        (cuda.cublaslt_workspace_size, "_cuda_getCublasLtWorkspaceSize"),
    ):
        with pytest.raises(AttributeError, match=f"module 'torch._C' has no attribute '{name}'"):
            call()
    try:
        assert repr(cuda.preferred_rocm_fa_library()) == "<_ROCmFABackend.Default: 0>"
        assert cuda.preferred_rocm_fa_library("ck").name == "Ck"
        with pytest.raises(RuntimeError, match=r"Unknown input value. Choose from: default, aotriton, ck"):
            cuda.preferred_rocm_fa_library("x")
    finally:
        cuda.preferred_rocm_fa_library("default")


def test_other_backends():
    miopen, native = fb.backends.miopen, fb.backends.python_native
    with miopen.flags(immediate=True):
        assert miopen.immediate is True
    assert miopen.immediate is False and miopen.set_flags() == (False,)
    with pytest.raises(TypeError, match="immediate must be bool"):
        miopen.immediate = 3
    assert native.all_dsls == ["cutedsl", "triton"] and native.available_dsls == []
    assert native.get_dsl_operations("triton") == []
    with native.operations_disabled("mm"), native.triton.disabled():
        assert native.is_operation_disabled("mm") and native.is_dsl_disabled("triton")
    assert not native.is_operation_disabled("mm") and not native.is_dsl_disabled("triton")


def test_settings_of_the_compiler():
    config, dynamo = fb.compiler.config, fb._dynamo.config
    assert config.job_id is None and config.recompile_limit == dynamo.recompile_limit == 8
    try:
        config.recompile_limit = 9
        assert dynamo.recompile_limit == dynamo.cache_size_limit == 9
    finally:
        dynamo.recompile_limit = 8
    with pytest.raises(AttributeError, match=r"torch.compiler.config.nothing does not exist"):
        config.nothing = 3


def test_storage_types():
    from flambeau.serialization import StorageType, mkdtemp

    kind = StorageType("BFloat16Storage")
    assert kind.dtype is fb.bfloat16 and str(kind) == "StorageType(dtype=torch.bfloat16)"
    with pytest.raises(KeyError, match='pickle storage type "Foo" is not recognized'):
        StorageType("Foo")
    with mkdtemp() as path:
        from pathlib import Path

        assert Path(path).is_dir()
    assert not Path(path).exists()


def test_signatures():
    from flambeau.autograd.profiler import FunctionEvent

    assert str(inspect.signature(fb.block_diag)) == "(*tensors)"
    assert list(inspect.signature(FunctionEvent).parameters)[-1] == "python_module_id"
    assert FunctionEvent(1, "a", 0, 0.0, 1.0, input_dtypes=["float"]).input_dtypes == ["float"]
    assert str(inspect.signature(fb.compiler.skip_all_guards_unsafe)).startswith("(guard_entries")
    assert list(inspect.signature(fb.ao.quantization.prepare_jit).parameters) == [
        "model",
        "qconfig_dict",
        "inplace",
    ]
    with pytest.raises(NotImplementedError, match="does not quantize TorchScript"):
        fb.ao.quantization.prepare_jit(None, {})


@pytest.mark.parametrize(
    "tensor", [fb.ones(2), fb.ones(2, dtype=fb.int32).to_sparse(), fb.ones(2, requires_grad=True)]
)
def test_array_interface_is_of_gpus(tensor):
    text = f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {tensor.type()} If CUDA data is"
    with pytest.raises(AttributeError, match=text):
        _ = tensor.__cuda_array_interface__
    assert not hasattr(tensor, "__cuda_array_interface__") and "__cuda_array_interface__" not in dir(tensor)


@pytest.mark.skipif(not fb.cuda.is_available(), reason="needs a GPU")
def test_array_interface():
    tensor = fb.ones(2, 3, device="cuda")
    told = tensor.t().__cuda_array_interface__
    assert told.pop("data") == (tensor.data_ptr(), False)
    assert told == {"typestr": "<f4", "shape": (3, 2), "strides": (4, 12), "version": 2}
    assert tensor.__cuda_array_interface__["strides"] is None
    with pytest.raises(RuntimeError, match="on Variable that requires grad"):
        _ = fb.ones(1, device="cuda", requires_grad=True).__cuda_array_interface__
