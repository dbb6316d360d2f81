"""The profiler: ranges, averages, schedules."""

import gzip
import json

import pytest

import flambeau as fb
from flambeau.profiler import ProfilerAction, profile, record_function, schedule


def test_ranges_and_averages(tmp_path):
    x = fb.ones(4, 4)
    with profile(record_shapes=True) as p, record_function("mine"):
        x @ x
        x @ x + 1
    averages = {e.key: e for e in p.key_averages()}
    assert averages["aten::matmul"].count == 2 and averages["mine"].count == 1
    assert averages["mine"].cpu_time_total >= averages["aten::matmul"].cpu_time_total
    assert "aten::matmul" in p.key_averages().table(sort_by="cpu_time_total", row_limit=2)
    p.export_chrome_trace(str(tmp_path / "trace.json"))
    names = [e["name"] for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]]
    assert "mine" in names


def test_schedule():
    plan = schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    actions = [plan(i).name for i in range(6)]
    assert actions == ["NONE", "NONE", "WARMUP", "RECORD", "RECORD_AND_SAVE", "NONE"]
    ready = []
    with profile(schedule=plan, on_trace_ready=lambda p: ready.append(p.step_num)) as p:
        for _ in range(6):
            fb.ones(1) + 1
            p.step()
    assert ready == [5] and p.current_action is ProfilerAction.NONE


def test_stacks_and_metadata(tmp_path):
    with fb.profiler.profile(with_stack=True, record_shapes=True) as p:
        p.add_metadata("a", "b")
        p.add_metadata_json("c", '{"x": 1}')
        fb.ones(10) @ fb.ones(10)
    trace, stacks = tmp_path / "t.json", tmp_path / "s.txt"
    p.export_chrome_trace(str(trace))
    made = json.loads(trace.read_text())
    assert made["a"] == "b" and made["c"] == {"x": 1} and made["trace_id"] == p.get_trace_id() != ""
    product = next(e for e in made["traceEvents"] if e["name"] == "aten::matmul")
    assert product["args"]["Input Dims"] == [[10], [10]] and product["dur"] > 0
    for e in p.events():
        e.time_range.end += 5  # at least some microseconds each
    p.export_stacks(str(stacks))
    assert "test_stacks_and_metadata" in stacks.read_text()
    assert "Source_Location" in p.key_averages(group_by_stack_n=1).table().replace(
        "Source Location", "Source_Location"
    )
    compressed = tmp_path / "t.json.gz"
    p.export_chrome_trace(str(compressed))
    assert json.loads(gzip.decompress(compressed.read_bytes()))["a"] == "b"
    with pytest.raises(AssertionError, match="requires with_stack=True"):
        with fb.autograd.profiler.profile() as plain:
            pass
        plain.export_stacks(str(stacks))


def test_collection_is_switched():
    with fb.profiler.profile() as p:
        fb.ones(2) + 1
        p.toggle_collection_dynamic(False, [fb.profiler.ProfilerActivity.CPU])
        fb.ones(2) * 2
        p.toggle_collection_dynamic(True, [fb.profiler.ProfilerActivity.CPU])
        fb.ones(2).exp()
    names = {e.name for e in p.events()}
    assert {"aten::add", "aten::exp"} <= names and "aten::mul" not in names


def test_execution_traces(tmp_path):
    path = tmp_path / "et.json"
    observer = fb.profiler.ExecutionTraceObserver().register_callback(str(path))
    observer.start()
    assert observer.is_running() and observer.is_registered
    (fb.ones(3) + 1).relu()
    observer.stop()
    assert observer.get_output_file_path() == str(path)
    observer.unregister_callback()
    trace = json.loads(path.read_text())
    assert {"schema", "pid", "time", "start_ts", "nodes", "finish_ts"} == set(trace)
    nodes = {n["name"]: n for n in trace["nodes"]}
    assert nodes["aten::add"]["inputs"]["shapes"] == [[3], []] and nodes["aten::add"]["ctrl_deps"] == 1
    assert nodes["aten::relu"]["outputs"]["types"] == ["Tensor(float32)"]
    assert len({n["id"] for n in trace["nodes"]}) == len(trace["nodes"]) and not observer.is_registered


def test_small_parts_of_the_profiler():
    from flambeau.autograd import profiler, profiler_legacy, profiler_util

    with profiler_legacy.profile() as p:
        fb.ones(2).exp()
    assert p.key_averages()[0].count >= 1 and isinstance(p.function_events[0], profiler_util.FunctionEvent)
    tracker = profiler.KinetoStepTracker
    tracker.init_step_count("a")
    assert tracker.increment_step("a") == tracker.current_step() and tracker.erase_step_count("a")
    unique = profiler.EnforceUnique()
    unique.see(1, 2)
    with pytest.raises(RuntimeError, match=r"duplicate key: \(1, 2\)"):
        unique.see(1, 2)
    assert profiler_util.Interval(1, 3).elapsed_us() == 2 and not fb.profiler.itt.is_available()
    with pytest.raises(RuntimeError, match="ITT functions not installed"):
        fb.profiler.itt.mark("a")
    with pytest.raises(RuntimeError, match=r"Tried to instantiate class 'a.B', but it does not exist"):
        fb.classes.a.B  # noqa: B018
