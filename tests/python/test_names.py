"""Types of results, members of storages and names that few programs use; as of torch 2.13."""

import copy
import pickle

import pytest

import flambeau as torch

rt = torch.return_types


def test_types_of_results():
    values, indices = torch.empty(0), torch.empty(0, dtype=torch.int64)
    made, written = torch.max(torch.ones(2, 2), 1), torch.max(torch.ones(2, 2), 1, out=(values, indices))
    assert type(made) is rt.max and type(written) is rt.max_out
    for name in ("slogdet", "qr", "svd", "linalg_lu", "lu_unpack", "triangular_solve", "histogram"):
        assert getattr(rt, name).n_fields == len(getattr(rt, name).__match_args__)
        assert getattr(rt, name + "_out").__name__ == name + "_out"
    made = torch.slogdet(torch.eye(2))
    assert type(made) is rt.slogdet and made.logabsdet == 0 and made[0] is made.sign
    assert repr(rt.qr((1, 2))) == "torch.return_types.qr(\nQ=1,\nR=2)"
    assert rt.max in rt.all_return_types and rt.qr_out in rt.all_return_types
    with pytest.raises(
        TypeError, match=r"torch\.return_types\.qr\(\) takes a 2-sequence \(1-sequence given\)"
    ):
        rt.qr((1,))
    again = pickle.loads(pickle.dumps(rt.qr((1, 2))))
    assert type(again) is rt.qr and copy.deepcopy(again) == (1, 2)
    out = torch.empty(0), torch.empty(0)
    assert type(torch.slogdet(torch.eye(2), out=out)) is rt.slogdet_out


def test_members_of_storages():
    s = torch.ones(3).untyped_storage()
    assert s.tolist() == [0, 0, 128, 63] * 3 and s.short().tolist() == s.tolist()
    assert s.float().dtype is torch.float32 and len(s.complex_float()) == 12
    swapped = s.clone()
    swapped.byteswap(torch.float32)
    assert swapped.tolist() == [63, 128, 0, 0] * 3
    assert s.type() == "torch.storage.UntypedStorage" and s.type("torch.DoubleStorage").dtype is torch.float64
    assert s.to(device="cpu") is s and not s.is_hpu and s.filename is None
    assert torch.UntypedStorage.from_buffer(b"abcd", dtype=torch.int8).tolist() == [97, 98, 99, 100]
    assert torch.UntypedStorage.from_buffer(b"\x01\x02", dtype=torch.int16, byte_order="big").tolist() == [
        2,
        1,
    ]
    with pytest.raises(ValueError, match="must be a multiple of element size"):
        torch.UntypedStorage.from_buffer(b"abc", dtype=torch.int16, byte_order="native")
    with pytest.raises(RuntimeError, match="Cannot access accelerator device"):
        s.pin_memory()
    assert s.clone().share_memory_().is_shared()


def test_names_that_only_gpus_answer():
    cuda = torch.cuda
    assert not isinstance(1, cuda.Stream) and not cuda.green_contexts.SUPPORTED
    for call in (
        cuda.Stream, cuda.Event, cuda.GreenContext.create, cuda.tunable.is_enabled, cuda.profiler.start,
        lambda: cuda.gds.GdsFile("x", 0), lambda: cuda.nccl.all_reduce([torch.ones(1)]),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
            call()
    made = cuda.jiterator._create_jit_fn("template <typename T> T f(T x) { return x; }")
    with pytest.raises(AssertionError, match="Jiterator is only supported on CUDA"):
        made(torch.ones(1))
    with pytest.raises(Exception, match="Couldn't parse code"):
        cuda.jiterator._create_jit_fn("f")
    with pytest.raises(RuntimeError, match=r"torch\.autograd\.variable\(\.\.\.\) is deprecated"):
        torch.autograd.variable(torch.ones(1))
    assert issubclass(torch.jit.frontend.UnsupportedNodeError, torch.jit.frontend.NotSupportedError)
    assert torch.signal.windows.windows.hann is torch.signal.windows.hann and torch.version.rocm is None


def test_private_names_that_packages_call():
    parse = torch._C._nn._parse_to
    assert parse("cpu") == (torch.device("cpu"), None, False, None)
    assert parse(torch.float32, True) == (None, torch.float32, True, None)
    assert parse(torch.ones(1).double()) == (torch.device("cpu"), torch.float64, False, None)
    assert parse(device="cpu", dtype=torch.int8, memory_format=torch.channels_last)[3] is torch.channels_last
    assert torch._C._get_tracing_state() is None and torch._C._log_api_usage_once("x") is None
    assert torch._C._get_accelerator() == torch.device("cpu")
    assert not torch._C._are_functorch_transforms_active()
    inside = []
    torch.vmap(lambda x: inside.append(torch._C._are_functorch_transforms_active()) or x)(torch.ones(2))
    assert inside == [True]
    with pytest.raises(AttributeError, match=r"module 'torch\._C' has no attribute '_nothing'"):
        torch._C._nothing  # noqa: B018
    parts = [torch.ones(2, 2), torch.zeros(3)]
    flat = torch._utils._flatten_dense_tensors(parts)
    assert flat.shape == (7,)
    assert [p.shape for p in torch._utils._unflatten_dense_tensors(flat, parts)] == [(2, 2), (3,)]
    assert [[t.numel() for t in b] for b in torch._utils._take_tensors(parts, 16)] == [[4], [3]]
    assert (
        torch._shape_as_tensor(parts[0]).tolist() == [2, 2]
        and torch._cast_Long(parts[1]).dtype is torch.int64
    )
    with pytest.raises(RuntimeError, match="Expected Tensor with single nonzero value, but got zero"):
        torch._assert_async(torch.tensor(0))
    eights = torch.full((2, 3), 100, dtype=torch.int8)
    assert torch._int_mm(eights, eights.t()).tolist() == [[30000] * 2] * 2
    assert "OpenMP" in torch.__config__.show() and torch.Future is torch.futures.Future
    with pytest.raises(ValueError, match=r"torch\.cat\(\): expected a non-empty list of Tensors"):
        torch.cat([])


def test_questions_about_attention_on_gpus():
    cuda, q = torch.backends.cuda, torch.ones(1, 1, 2, 8)
    params = cuda.SDPAParams(q, q, q, None, 0.0, True, False)
    assert params.is_causal and params.query is q
    assert not cuda.can_use_flash_attention(params) and not cuda.is_flash_attention_available()
    with pytest.warns(UserWarning, match="was not compiled into this build"):
        cuda.can_use_efficient_attention(params, True)
    before = cuda.fp16_bf16_reduction_math_sdp_allowed()
    cuda.allow_fp16_bf16_reduction_math_sdp(True)
    assert cuda.fp16_bf16_reduction_math_sdp_allowed() and not before
    cuda.allow_fp16_bf16_reduction_math_sdp(False)


def test_small_functions_of_serialization():
    s = torch.serialization
    assert s.normalize_storage_type(torch.FloatStorage) is torch.FloatStorage
    assert s.check_module_version_greater_or_equal(torch, (2, 0))
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device but"):
        s.validate_cuda_device("cuda:0")
    with pytest.raises(RuntimeError, match="The HPU device module is not registered"):
        s.validate_hpu_device("hpu")


def test_storages_of_quantized_tensors_are_not_made_by_themselves():
    for name in ("QInt8Storage", "QInt32Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage"):
        kind = getattr(torch, name)
        assert not isinstance(torch.ones(1).storage(), kind)
        with pytest.raises(NotImplementedError, match=f"torch.{name}: storages of quantized tensors"):
            kind(2)


def test_names_that_no_module_has():
    for name in ("tensor.x", "nn.functional", "nosuch.thing", "\0", "", " ", "é.x"):
        assert not hasattr(torch, name), name


def test_the_core_names_the_kind_of_device_of_the_default_type():
    with torch.device("meta"):  # where factories make tensors is another matter
        assert torch._C._get_default_device() == "cpu" and torch.get_default_device() == torch.device("meta")


def test_names_of_the_core_for_absent_devices_and_workers():
    assert torch._C._mps_is_available() is False and torch._C._mps_is_on_macos_or_newer(13, 0) is False
    assert torch._C._show_config() == torch.__config__.show()
    torch._C._set_worker_pids(7, ())
    torch._C._error_if_any_worker_fails()
    torch._C._remove_worker_pids(7)
