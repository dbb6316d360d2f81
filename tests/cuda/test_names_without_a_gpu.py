"""Names of torch.cuda on a machine without a GPU: questions are answered, what needs a device raises."""

import pytest

import flambeau as fb


@pytest.mark.skipif(fb.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu():
    assert fb.cuda.FloatTensor.dtype == fb.float32 and fb.cuda.FloatTensor.is_cuda
    assert not isinstance(fb.ones(1), fb.cuda.FloatTensor)
    with pytest.raises(TypeError, match=r"torch\.cuda\.HalfTensor not available"):
        fb.cuda.HalfTensor(2)
    with pytest.raises(TypeError, match=r"torch\.cuda\.sparse\.IntTensor not available"):
        fb.cuda.sparse.IntTensor(2)
    assert fb.cuda.host_memory_stats() == {} and not fb.cuda.is_current_stream_capturing()
    for call in (
        fb.cuda.cudart,
        fb.cuda.graph_pool_handle,
        lambda: fb.cuda.FloatStorage(2),
        fb.cuda.memory_snapshot,
    ):
        with pytest.raises(AssertionError, match="not compiled with CUDA"):
            call()
    with pytest.raises(RuntimeError, match="NVTX functions not installed"), fb.cuda.nvtx.range("x"):
        pass
    with pytest.raises(AttributeError, match="nothing_there"):
        _ = fb.cuda.nothing_there
