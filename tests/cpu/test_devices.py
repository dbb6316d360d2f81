"""The CPU as a device, accelerators where there is none, and the older names of mixed precision."""

import pytest

import flambeau as fb


def test_cpu():
    assert fb.cpu.is_available() and fb.cpu.device_count() == 1 and fb.cpu.current_device() == "cpu"
    fb.cpu.synchronize()
    own = fb.cpu.Stream()
    with fb.cpu.stream(own):
        assert fb.cpu.current_stream() is own
    assert fb.cpu.current_stream() is not own and fb.cpu.Event().query()
    assert "architecture" in fb.cpu.get_capabilities()


@pytest.mark.skipif(fb.cuda.is_available(), reason="there is a GPU")
def test_no_accelerator():
    assert not fb.accelerator.is_available() and fb.accelerator.device_count() == 0
    assert fb.accelerator.current_accelerator() is None
    with fb.accelerator.device_index(None):
        pass
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        fb.accelerator.synchronize()


def test_older_names():
    with pytest.warns(FutureWarning, match="torch.amp.autocast\\('cpu', args...\\)"):
        context = fb.cpu.amp.autocast()
    with context:
        assert fb.is_autocast_enabled("cpu")
    with pytest.warns(FutureWarning, match="torch.amp.GradScaler\\('cpu', args...\\)"):
        assert fb.cpu.amp.GradScaler(init_scale=2.0).get_scale() == 2.0
    with pytest.warns(FutureWarning, match="torch.amp.autocast\\('cuda', args...\\)"):
        fb.cuda.amp.autocast(enabled=False)
    with pytest.warns(FutureWarning, match="args..., device_type='cuda'"):
        assert fb.cuda.amp.custom_bwd(len)
