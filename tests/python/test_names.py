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
        torch.UntypedStorage.from_buffer(b"abc", dtype=torch.int16)
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
