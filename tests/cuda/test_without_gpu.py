import pytest

import flambeau as fb

cuda = fb.cuda
pytestmark = pytest.mark.skipif(cuda.is_available(), reason="what is said without a GPU")


def test_questions_are_answered():
    assert cuda.device_count() == 0 and not cuda.is_initialized()
    assert cuda.memory_allocated() == cuda.max_memory_reserved() == 0 and cuda.memory_stats() == {}
    assert cuda.get_rng_state_all() == [] and cuda.get_arch_list() == [] and not cuda.is_bf16_supported()
    cuda.manual_seed_all(3)
    cuda.empty_cache()
    with cuda.device(None), cuda.device_of(fb.ones(1)), cuda.stream(None):
        pass


@pytest.mark.parametrize(
    "use",
    [
        cuda.current_device,
        cuda.synchronize,
        cuda.get_device_name,
        cuda.Stream,
        cuda.Event,
        cuda.init,
        cuda.mem_get_info,
        lambda: cuda.set_device(0),
        lambda: cuda.device(0).__enter__(),
    ],
)
def test_use_is_refused(use):
    with pytest.raises(AssertionError, match=r"Torch not compiled with CUDA enabled"):
        use()
