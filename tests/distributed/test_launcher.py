"""Functions and programs in several processes."""

import os
import sys
import time

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure, record
from flambeau.distributed.launcher import LaunchConfig, elastic_launch
from flambeau.numa.binding import AffinityMode, NumaOptions, processors_of


def added(x):
    dist.init_process_group("gloo")
    t = fb.tensor([float(os.environ["RANK"]) + x])
    dist.all_reduce(t)
    dist.destroy_process_group()
    return t.item(), os.environ["LOCAL_RANK"], os.environ["WORLD_SIZE"]


def failing():
    if os.environ["RANK"] == "1":
        raise ValueError("one of us")


def second_time():
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        raise ValueError("not yet")
    return int(os.environ["TORCHELASTIC_RESTART_COUNT"])


class Slow:
    """Says it is being written, and takes long."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        open(self.path, "w").close()
        time.sleep(60)
        return (int, ())


def failing_while_another_writes(path):
    if os.environ["RANK"] == "0":
        return Slow(path)
    while not os.path.exists(path):
        time.sleep(0.01)
    raise ValueError("one of us")


def no_value():
    return lambda: 0


def config(**options):
    return LaunchConfig(1, 1, 2, start_method="fork", **{"max_restarts": 0, **options})


def test_functions():
    assert elastic_launch(config(), added)(1) == {0: (3.0, "0", "2"), 1: (3.0, "1", "2")}
    with pytest.raises(ChildFailedError, match="one of us"):
        elastic_launch(config(), failing)()
    assert elastic_launch(config(max_restarts=1), second_time)() == {0: 1, 1: 1}


def test_ended_while_writing(tmp_path):
    with pytest.raises(ChildFailedError, match="ValueError: one of us") as raised:
        elastic_launch(config(), failing_while_another_writes)(str(tmp_path / "writes"))
    assert list(raised.value.failures) == [1]


def test_results_that_cannot_be_sent():
    with pytest.raises(ChildFailedError, match="no_value"):
        elastic_launch(config(), no_value)()


def test_programs(tmp_path):
    script = "import os, sys; open(sys.argv[1] + os.environ['RANK'], 'w').write('here')"
    assert elastic_launch(config(), sys.executable)("-c", script, f"{tmp_path}/") == {0: None, 1: None}
    assert sorted(os.listdir(tmp_path)) == ["0", "1"]
    with pytest.raises(ChildFailedError, match="exitcode  : 3 "):
        elastic_launch(config(), sys.executable)("-c", "import sys; sys.exit(3)")


def test_options():
    made = LaunchConfig(1, 1, 2)
    assert made.rdzv_configs == {"timeout": 900} and made.max_restarts == 3 and made.start_method == "spawn"
    assert LaunchConfig(1, 1, 2, rdzv_timeout=5).rdzv_configs == {"timeout": 5}
    assert repr(NumaOptions(AffinityMode.NODE)) == (
        "NumaOptions(affinity_mode=<AffinityMode.NODE: 'node'>, should_fall_back_if_binding_fails=False)"
    )


@pytest.mark.skipif(
    not os.path.exists("/sys/devices/system/node/online"), reason="Linux says the nodes there"
)
def test_processors():
    allowed = os.sched_getaffinity(0)
    shares = [processors_of(AffinityMode.NODE, k, 2) for k in range(2)]
    assert all(share and share <= allowed for share in shares)
    assert processors_of(AffinityMode.SOCKET, 0, 1) <= allowed
    held = elastic_launch(config(numa_options=NumaOptions(AffinityMode.NODE, True)), _held)()
    assert all(set(cpus) <= allowed for cpus in held.values())


def _held():
    return sorted(os.sched_getaffinity(0))


RECORDED = """
from flambeau.distributed.elastic.multiprocessing.errors import record
@record
def main():
    raise ValueError("no such thing")
main()
"""


def test_what_a_program_records():
    with pytest.raises(ChildFailedError, match="ValueError: no such thing") as raised:
        elastic_launch(config(), sys.executable)("-c", RECORDED)
    rank, failure = raised.value.get_first_failure()
    assert failure.local_rank == rank and failure.exitcode == 1 and failure.signal_name() == "<N/A>"
    assert failure.message["message"] == "ValueError: no such thing"


def test_record(tmp_path, monkeypatch):
    assert record(lambda x: x + 1)(2) == 3
    assert record(lambda: sys.exit(0))() is None
    with pytest.raises(SystemExit):
        record(lambda: sys.exit(2))()
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    with pytest.raises(ZeroDivisionError):
        record(lambda: 1 // 0)()
    failure = ProcessFailure(1, 12, -9, str(tmp_path / "error.json"))
    assert "1 // 0" in failure.message["extraInfo"]["py_callstack"]
    assert failure.signal_name() == "SIGKILL"
    assert ProcessFailure(0, 12, -9, "").message == "Signal 9 (SIGKILL) received by PID 12"
    assert "Root Cause (first observed failure):\n[3]:\n" in str(ChildFailedError("me", {3: failure}))
