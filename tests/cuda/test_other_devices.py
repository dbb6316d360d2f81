"""Devices that there is no support for answer questions and refuse work."""

import pytest

import flambeau as fb


def test_intel():
    assert not fb.xpu.is_available() and fb.xpu.device_count() == 0 and fb.xpu.memory_allocated() == 0
    fb.xpu.empty_cache()
    fb.xpu.manual_seed_all(1)
    for name in ("synchronize", "current_device", "get_device_name", "Stream"):
        with pytest.raises(AssertionError, match=r"^Torch not compiled with XPU enabled\n"):
            getattr(fb.xpu, name)()
    assert not hasattr(fb.xpu, "nothing")


def test_apple():
    assert not fb.mps.is_available() and fb.mps.device_count() == 0
    for name, call in (("synchronize", "deviceSynchronize"), ("empty_cache", "emptyCache")):
        with pytest.raises(RuntimeError, match=rf"^Cannot execute {call}\(\) without MPS backend.\n"):
            getattr(fb.mps, name)()
    assert not hasattr(fb.mps, "nothing")
