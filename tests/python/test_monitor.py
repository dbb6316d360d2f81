"""torch.monitor; behaviour as of torch 2.13."""

import datetime

import pytest

import flambeau as torch
from flambeau import monitor
from flambeau.monitor import Aggregation, Event, Stat


@pytest.fixture
def events():
    seen = []
    handle = monitor.register_event_handler(seen.append)
    yield seen
    monitor.unregister_event_handler(handle)


def test_statistics_of_a_window(events):
    kinds = [Aggregation.SUM, Aggregation.MEAN, Aggregation.COUNT, Aggregation.MIN, Aggregation.MAX]
    stat = Stat("a", kinds, datetime.timedelta(hours=1), 3)
    assert stat.name == "a" and stat.count == 0 and stat.get()[Aggregation.MEAN] == 0.0
    stat.add(1.0)
    stat.add(3)
    assert stat.count == 2 and not events
    stat.add(5.0)
    assert stat.count == 0 and events[0].name == "torch.monitor.Stat"
    assert events[0].data == {"a.count": 3.0, "a.sum": 9.0, "a.max": 5.0, "a.mean": 3.0, "a.min": 1.0}
    assert stat.get() == dict(zip(kinds, [9.0, 3.0, 3.0, 1.0, 5.0]))
    stat.add(7)
    del stat  # the open window is logged
    assert events[1].data["a.sum"] == 7.0


def test_events(events):
    event = Event("x", datetime.datetime(2026, 1, 2), {"a": 1.0, "b": "c", "d": 2})
    monitor.log_event(event)
    assert events == [event] and event.data["b"] == "c"
    with pytest.raises(TypeError, match="incompatible constructor arguments"):
        Event("x", datetime.datetime.now(), {"a": [1]})


def test_scalars_for_a_writer():
    class Writer:
        written = []

        def add_scalar(self, *args, **kwargs):
            self.written.append((*args, kwargs))

    handler = monitor.TensorboardEventHandler(Writer())
    when = datetime.datetime(2026, 1, 2)
    handler(Event(monitor.STAT_EVENT, when, {"loss.mean": 2.0}))
    handler(Event("other", when, {"a": 1.0}))
    assert Writer.written == [("loss.mean", 2.0, {"walltime": when.timestamp()})]


def test_constants():
    assert repr(monitor.MEAN) == "<Aggregation.MEAN: 2>" and repr(torch.AVG) == "<AggregationType.AVG: 1>"
    assert repr(torch.per_tensor_affine) == "torch.per_tensor_affine"
    assert isinstance(torch.per_channel_symmetric, torch.qscheme) and torch.Storage is torch.FloatStorage
    x = torch.ones(2, requires_grad=True)
    assert x.grad_dtype is torch.float32
    with pytest.raises(RuntimeError, match="grad_dtype can only be accessed on leaf tensors"):
        (x * 2).grad_dtype  # noqa: B018
    with pytest.raises(NotImplementedError, match="first-class dimensions"):
        x.index((0,), None)
    assert not torch.mtia.is_available() and torch.mtia.device_count() == 0
    with pytest.raises(AssertionError, match="Torch not compiled with MTIA enabled"):
        torch.mtia.current_device()
