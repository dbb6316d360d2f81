import datetime

import pytest

from flambeau import distributed as dist

SHORT = datetime.timedelta(seconds=0.1)


def test_classes():
    assert dist.QueueEmptyError.__mro__[1:4] == (dist.DistStoreError, dist.DistError, RuntimeError)
    assert issubclass(dist.DistBackendError, dist.DistError)


def test_what_does_not_come_in_time():
    store = dist.TCPStore("127.0.0.1", 0, 1, True, timeout=SHORT)
    with pytest.raises(dist.DistStoreError, match="wait timeout after"):
        store.wait(["missing"], SHORT)
    with pytest.raises(
        dist.DistNetworkError, match=r"timed out after 100ms while trying to connect to \(127"
    ):
        dist.TCPStore("127.0.0.1", 1, 2, False, timeout=SHORT)


def test_debug_level(monkeypatch):
    assert dist.get_debug_level() is dist.DebugLevel.OFF
    try:
        monkeypatch.setenv("TORCH_DISTRIBUTED_DEBUG", "detail")
        dist.set_debug_level_from_env()
        assert str(dist.get_debug_level()) == "DebugLevel.DETAIL" and dist.DebugLevel.DETAIL.value == 2
        monkeypatch.setenv("TORCH_DISTRIBUTED_DEBUG", "bogus")
        with pytest.raises(ValueError, match="must be OFF, INFO, or DETAIL"):
            dist.set_debug_level_from_env()
        with pytest.raises(TypeError, match="incompatible function arguments"):
            dist.set_debug_level(1)
    finally:
        dist.set_debug_level(dist.DebugLevel.OFF)
