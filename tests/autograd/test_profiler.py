"""The profiler: ranges, averages, schedules."""

import json

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
