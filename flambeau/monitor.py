"""Events of a running program and statistics over windows of time, passed to handlers: ``torch.monitor``."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

__all__ = [
    "Aggregation", "Event", "EventHandlerHandle", "STAT_EVENT", "Stat", "TensorboardEventHandler",
    "data_value_t", "log_event", "register_event_handler", "unregister_event_handler",
]  # fmt: skip

STAT_EVENT = "torch.monitor.Stat"
data_value_t = str | float | int | bool


class Aggregation(enum.Enum):
    """What a `Stat` computes of the numbers of a window."""

    VALUE = 0
    MEAN = 2
    COUNT = 3
    SUM = 4
    MAX = 5
    MIN = 6

    def __repr__(self) -> str:
        return f"<Aggregation.{self.name}: {self.value}>"


VALUE, MEAN, COUNT = Aggregation.VALUE, Aggregation.MEAN, Aggregation.COUNT
SUM, MAX, MIN = Aggregation.SUM, Aggregation.MAX, Aggregation.MIN

_COMPUTE: dict[Aggregation, Callable[[list[float]], float]] = {
    VALUE: lambda v: v[-1],
    MEAN: lambda v: sum(v) / len(v),
    COUNT: lambda v: float(len(v)),
    SUM: sum,
    MAX: max,
    MIN: min,
}


class Event:
    """Something that happened: a name, a time and a dictionary of plain values."""

    def __init__(self, name: str, timestamp: datetime, data: dict[str, Any]) -> None:
        if not all(isinstance(v, (str, float, int, bool)) for v in data.values()):
            raise TypeError(
                "__init__(): incompatible constructor arguments. The following argument types are"
                " supported:\n"
                "    (name: str, timestamp: datetime.datetime, data: dict[str, str | float | int | bool])"
            )
        self.name, self.timestamp, self.data = name, timestamp, dict(data)


class EventHandlerHandle:
    """What `register_event_handler` returns; for `unregister_event_handler`."""

    def __init__(self, handler: Callable[[Event], None]) -> None:
        self._handler = handler


_handlers: list[EventHandlerHandle] = []


def register_event_handler(callback: Callable[[Event], None]) -> EventHandlerHandle:
    """Have a function called with every event that is logged."""
    handle = EventHandlerHandle(callback)
    _handlers.append(handle)
    return handle


def unregister_event_handler(handler: EventHandlerHandle) -> None:
    """Call that function no more."""
    if handler in _handlers:
        _handlers.remove(handler)


def log_event(event: Event) -> None:
    """Pass an event to all handlers."""
    for handle in tuple(_handlers):
        handle._handler(event)


class Stat:
    """Statistics of numbers, logged as an event for every window of time.

    Parameters
    ----------
    name : begins the keys of the event's data, such as ``"loss.mean"``.
    aggregations : what to compute.
    window_size : how long a window is open.
    max_samples : a window closes when it has so many numbers.
    """

    def __init__(
        self, name: str, aggregations: Sequence[Aggregation], window_size: timedelta,
        max_samples: int | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._aggregations, self._most = list(aggregations), max_samples
        self._seconds = window_size.total_seconds()
        self._values: list[float] = []
        self._closed: list[float] = []
        self._opened = time.monotonic()

    @property
    def count(self) -> int:
        """How many numbers the open window has."""
        return len(self._values)

    def add(self, v: float) -> None:
        """Add a number to the open window; logs the last one where that is over."""
        if time.monotonic() - self._opened >= self._seconds:
            self._close()
        self._values.append(float(v))
        if self._most is not None and len(self._values) >= self._most:
            self._close()

    def get(self) -> dict[Aggregation, float]:
        """What was computed of the window that closed last; zeros where there was none."""
        values = self._closed
        return {a: float(_COMPUTE[a](values)) if values else 0.0 for a in self._aggregations}

    def _close(self) -> None:
        self._opened = time.monotonic()
        self._closed, self._values = self._values, []
        if self._closed:
            data = {f"{self.name}.{a.name.lower()}": v for a, v in self.get().items()}
            log_event(Event(STAT_EVENT, datetime.now(), data))

    def __del__(self) -> None:
        if getattr(self, "_values", None):
            self._close()


class TensorboardEventHandler:
    """Writes the events of `Stat` as scalars to a ``SummaryWriter``."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def __call__(self, event: Event) -> None:
        """Write the event; others than those of `Stat` are left out."""
        if event.name == STAT_EVENT:
            for name, value in event.data.items():
                self._writer.add_scalar(name, value, walltime=event.timestamp.timestamp())
