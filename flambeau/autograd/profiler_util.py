"""What a profiler records: calls with their times, averages of them, and tables."""

from __future__ import annotations

import bisect
import itertools
import json
from collections import defaultdict, namedtuple
from typing import Any

__all__ = [
    "EventList", "FormattedTimesMixin", "FunctionEvent", "FunctionEventAvg", "Interval", "Kernel",
    "MemRecordsAcc", "StringTable",
]  # fmt: skip

MEMORY_EVENT_NAME = "[memory]"
OUT_OF_MEMORY_EVENT_NAME = "[OutOfMemory]"
Kernel = namedtuple("Kernel", ["name", "device", "duration"])


def _time(us: float) -> str:
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


def _text_of(name: str) -> property:
    return property(lambda self: _time(getattr(self, name)), doc=f"`{name}` with its unit.")


class FormattedTimesMixin:
    """Times as text, and means of a call; there is no device, so its times are 0."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total = self_device_time_total = 0.0
    cuda_time_total = self_cuda_time_total = 0.0
    cpu_memory_usage = device_memory_usage = self_cpu_memory_usage = 0
    self_device_memory_usage = self_cuda_memory_usage = 0

    cpu_time_str = _text_of("cpu_time")
    cpu_time_total_str = _text_of("cpu_time_total")
    self_cpu_time_total_str = _text_of("self_cpu_time_total")
    device_time_str = _text_of("device_time")
    device_time_total_str = _text_of("device_time_total")
    self_device_time_total_str = _text_of("self_device_time_total")

    @property
    def cpu_time(self) -> float:
        """Mean of a call, in microseconds."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        """Mean time of a call on a device, in microseconds."""
        return self.device_time_total / self.count if self.count else 0.0

    @property
    def cuda_time(self) -> float:
        """`device_time` under its old name."""
        return self.device_time


class Interval:
    """A stretch of time in microseconds."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        """Its length."""
        return self.end - self.start


class FunctionEvent(FormattedTimesMixin):
    """One call: its name, times in microseconds, thread, shapes of its tensors, and the calls inside."""

    def __init__(
        self, id: int, name: str, thread: int, start_us: float, end_us: float,
        overload_name: str | None = None, fwd_thread: int | None = None, input_shapes: list | None = None,
        stack: list | None = None, scope: int = 0, use_device: str | None = None, cpu_memory_usage: int = 0,
        device_memory_usage: int = 0, is_async: bool = False, is_remote: bool = False,
        sequence_nr: int = -1, node_id: int = -1, device_type: Any = None, device_index: int = 0,
        device_resource_id: int | None = None, is_legacy: bool = False, flops: int | None = None,
        trace_name: str | None = None, concrete_inputs: list | None = None, kwinputs: dict | None = None,
        is_user_annotation: bool = False, is_python_function: bool = False, activity_type: str | None = None,
        metadata_json: str | None = None, flow_id: int | None = None, flow_type: int | None = None,
        flow_start: bool | None = None, external_id: int = 0, linked_correlation_id: int = 0,
        extra_meta: dict | None = None, structured_input_shapes: list | None = None,
        structured_input_strides: list | None = None, input_dtypes: list | None = None, python_id: int = -1,
        python_parent_id: int = -1, python_module_id: int = -1,
    ) -> None:  # fmt: skip
        self.id, self.node_id, self.name, self.thread = id, node_id, name, thread
        self.trace_name, self.overload_name = trace_name or name, overload_name or ""
        self.time_range = Interval(start_us, end_us)
        self.fwd_thread, self.scope, self.use_device = fwd_thread, scope, use_device
        self.input_shapes = input_shapes or []
        self.concrete_inputs, self.kwinputs = concrete_inputs or [], kwinputs or {}
        self.stack = stack or []
        self.cpu_memory_usage, self.device_memory_usage = cpu_memory_usage, device_memory_usage
        self.is_async, self.is_remote, self.is_legacy = is_async, is_remote, is_legacy
        self.sequence_nr, self.flops = sequence_nr, flops
        self.device_type, self.device_index = device_type, device_index
        self.device_resource_id = thread if device_resource_id is None else device_resource_id
        self.is_user_annotation, self.metadata_json = is_user_annotation, metadata_json
        self.is_python_function, self.activity_type = is_python_function, activity_type
        self.flow_id, self.flow_type, self.flow_start = flow_id, flow_type, flow_start
        self.external_id, self.linked_correlation_id = external_id, linked_correlation_id
        self.extra_meta = extra_meta or {}
        self.structured_input_shapes = structured_input_shapes or []
        self.structured_input_strides = structured_input_strides or []
        self.input_dtypes = input_dtypes or []
        self.python_id, self.python_parent_id = python_id, python_parent_id
        self.python_module_id = python_module_id
        self.count = 1
        self.kernels: list[Kernel] = []
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None

    @property
    def key(self) -> str:
        """The name, by which averages are taken."""
        return self.name

    @property
    def cpu_time_total(self) -> float:
        """Microseconds."""
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds less those of the calls inside."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    @property
    def self_cpu_memory_usage(self) -> int:
        """Bytes less those of the calls inside."""
        return self.cpu_memory_usage - sum(c.cpu_memory_usage for c in self.cpu_children)

    def append_kernel(self, name: str, device: int, duration: float) -> None:
        """Note a kernel that the call started."""
        self.kernels.append(Kernel(name, device, duration))

    def append_cpu_child(self, child: FunctionEvent) -> None:
        """Note a call inside."""
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent: FunctionEvent) -> None:
        """Note the call that this one is inside of."""
        self.cpu_parent = parent

    def __repr__(self) -> str:
        return f"<FunctionEvent id={self.id} name={self.name} cpu_time={self.cpu_time_str}>"


class FunctionEventAvg(FormattedTimesMixin):
    """All calls of one name together."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0
        self.input_shapes: list | None = None
        self.stack: list | None = None
        self.overload_name: str | None = None
        self.flops = 0

    def add(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Count one more call, or those of another average."""
        if self.key is None:
            self.key, self.input_shapes, self.stack = other.key, other.input_shapes, other.stack
            self.overload_name = other.overload_name
        self.count += other.count
        self.cpu_time_total += other.cpu_time_total
        self.self_cpu_time_total += other.self_cpu_time_total
        self.cpu_memory_usage += other.cpu_memory_usage
        self.self_cpu_memory_usage += other.self_cpu_memory_usage
        self.flops += other.flops or 0
        return self

    def __iadd__(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        return self.add(other)

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str}  self_cpu_memory={self.self_cpu_memory_usage} "
            f"input_shapes={self.input_shapes} count={self.count}>"
        )


class StringTable(defaultdict):
    """Demangled names, by name; Python's are not mangled."""

    def __missing__(self, key: str) -> str:
        self[key] = key
        return key


class MemRecordsAcc:
    """Records of memory in order of time: ``(record, …)`` with ``record.start_ns()``."""

    def __init__(self, mem_records: list) -> None:
        self._records = sorted(mem_records, key=lambda r: r[0].start_ns())
        self._starts = [r[0].start_ns() for r in self._records]

    def in_interval(self, start_ns: int, end_ns: int) -> Any:
        """Those between two times."""
        first, last = bisect.bisect_left(self._starts, start_ns), bisect.bisect_right(self._starts, end_ns)
        return itertools.islice(self._records, first, last)


class EventList(list):
    """Calls or their averages."""

    supported_export_stacks_metrics = staticmethod(
        lambda: ["self_cpu_time_total", "self_cuda_time_total", "self_device_time_total"]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args)
        self._profile_memory = kwargs.get("profile_memory", False)
        self._with_flops = kwargs.get("with_flops", False)

    def total_average(self) -> FunctionEventAvg:
        """All of them together."""
        total = FunctionEventAvg()
        for e in self:
            total.add(e)
        total.key = "Total" if self else None
        return total

    def key_averages(
        self,
        group_by_input_shapes: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """Calls of the same name together; of the same shapes, callers or overloads too where wanted."""
        groups: dict[tuple, FunctionEventAvg] = {}
        for e in self:
            key = [e.key]
            if group_by_input_shapes:
                key.append(str(e.input_shapes))
            if group_by_stack_n > 0:
                key.extend(e.stack[:group_by_stack_n])
            if group_by_overload_name:
                key.append(e.overload_name)
            groups.setdefault(tuple(key), FunctionEventAvg()).add(e)
        for average in groups.values():
            average.stack = (average.stack or [])[:group_by_stack_n]
            if not group_by_input_shapes:
                average.input_shapes = ""
        return EventList(groups.values())

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all of them."""
        return sum(e.self_cpu_time_total for e in self)

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False, time_unit: str | None = None,
    ) -> str:  # fmt: skip
        """A table, the rows in descending order of the attribute `sort_by` (such as
        ``"self_cpu_time_total"``)."""
        events = [e for e in self if not (top_level_events_only and getattr(e, "cpu_parent", None))]
        if sort_by is not None:
            events.sort(key=lambda e: getattr(e, sort_by), reverse=True)
        total = self.self_cpu_time_total or 1.0
        shown = _time if time_unit is None else lambda us: f"{us / _UNITS[time_unit]:.3f}{time_unit}"
        rows = [("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")]
        for e in events[:row_limit] if row_limit >= 0 else events:
            rows.append(
                (
                    e.key[:max_name_column_width],
                    f"{100 * e.self_cpu_time_total / total:.2f}%",
                    shown(e.self_cpu_time_total),
                    f"{100 * e.cpu_time_total / total:.2f}%",
                    shown(e.cpu_time_total),
                    shown(e.cpu_time_total / max(e.count, 1)),
                    str(e.count),
                )
            )
        if any(e.input_shapes for e in events):
            shapes = [str(e.input_shapes)[:max_shapes_column_width] for e in events]
            rows = [(*r, s) for r, s in zip(rows, ["Input Shapes", *shapes])]
        if any(e.stack for e in events):
            sources = [(e.stack[0] if e.stack else "")[-max_src_column_width:] for e in events]
            rows = [(*r, s) for r, s in zip(rows, ["Source Location", *sources])]
        widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
        line = "  ".join("-" * w for w in widths)
        text = ["  ".join(c.rjust(w) for c, w in zip(r, widths)) for r in rows]
        head = [header] if header else []
        return "\n".join(
            [*head, line, text[0], line, *text[1:], line, f"Self CPU time total: {shown(total)}", ""]
        )

    def __str__(self) -> str:
        return self.table()

    def chrome_trace(self) -> dict:
        """The calls as chrome://tracing takes them."""
        trace = [
            {
                "ph": "X",
                "cat": "user_annotation" if e.is_user_annotation else "cpu_op",
                "name": e.name,
                "ts": e.time_range.start,
                "dur": e.cpu_time_total,
                "pid": 0,
                "tid": e.thread,
                "args": {"Input Dims": e.input_shapes} if e.input_shapes else {},
            }
            for e in self
        ]
        return {"traceEvents": trace, "displayTimeUnit": "ms"}

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls as a file for chrome://tracing."""
        with open(path, "w") as f:
            json.dump(self.chrome_trace(), f)

    def export_stacks(self, path: str, metric: str) -> None:
        """Write a line for each stack: its frames from the outermost, and the microseconds in it."""
        if metric not in self.supported_export_stacks_metrics():
            raise ValueError(f"metric should be one of: {self.supported_export_stacks_metrics()}")
        table = str.maketrans(" ;\t\n", "____")
        with open(path, "w") as f:
            for e in self:
                value = int(getattr(e, metric))
                if e.stack and value > 0:
                    frames = ";".join(frame.translate(table) for frame in reversed(e.stack))
                    f.write(f"{frames} {value}\n")


_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0}
