"""One process of a benchmark: imports one package and times the workloads that its standard input names.

Every line of the input is ``["name", seconds]``; a line of JSON answers it. The workload that was timed
last stays prepared, so that two processes can take turns at it.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.workload import TABLE, Workload, load


def checksum(result: Any) -> list[float]:
    """Numbers that stand for a result: the sum and the sum of magnitudes of every tensor in it."""
    if result is None:
        return []
    if isinstance(result, (bool, int, float)):
        return [float(result)]
    if isinstance(result, (list, tuple)):
        return [number for item in result for number in checksum(item)]
    values = result.detach()
    values = (values.abs() if values.is_complex() else values).double()
    return [values.sum().item(), values.abs().sum().item()]


def machine_busy() -> float:
    """Seconds that all processes together have run on all cores (Linux; elsewhere what this one has)."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    except OSError:
        return time.process_time()
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def nothing() -> None:
    """What a workload would be that did no work."""


def cost_of_a_call() -> float:
    """Seconds that the loop and the call of a workload take by themselves; they are no package's doing."""
    clock, least = time.perf_counter, 1.0
    for _ in range(20):
        start = clock()
        for _ in range(2000):
            nothing()
        least = min(least, (clock() - start) / 2000)
    return least


def batch_of(work: Callable[[], Any]) -> int:
    """How many calls are timed as one: those that take a millisecond together."""
    clock, batch, once = time.perf_counter, 1, 0.0
    while once < 0.001:
        start = clock()
        for _ in range(batch):
            work()
        once = clock() - start
        batch *= 4
    return max(1, batch // 4)


def measure(work: Callable[[], Any], batch: int, seconds: float, idle: float) -> dict[str, Any]:
    """Time of a call: median and least over batches, how much of the time this thread really ran, and how
    many cores other processes had meanwhile. The cost of calling an empty function, `idle`, is taken off.
    """
    clock = time.perf_counter
    times = []
    thread, process, machine = time.thread_time(), time.process_time(), machine_busy()
    begin = clock()
    while clock() - begin < seconds or not times:
        start = clock()
        for _ in range(batch):
            work()
        times.append((clock() - start) / batch - idle)
    elapsed = clock() - begin
    busy = (time.thread_time() - thread) / elapsed
    others = max(0.0, machine_busy() - machine - (time.process_time() - process)) / elapsed
    return {"median": statistics.median(times), "least": min(times), "busy": busy, "others": others}


def answer(torch: Any, entry: Workload, kept: dict[str, Any], seconds: float, idle: float) -> dict[str, Any]:
    """Prepare a workload, unless it is the one that is kept, and time it."""
    if kept.get("name") != entry.name:
        kept.clear()
        torch.manual_seed(0)
        work = entry.prepare(torch)
        kept |= {"name": entry.name, "checksum": checksum(work()), "work": work}
        gc.enable()
        gc.collect()
        gc.disable()
        if entry.measure == "seconds":
            kept["batch"] = batch_of(work)
    line = {"checksum": kept["checksum"]}
    if entry.measure == "bytes":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return line | {"median": peak, "least": peak, "busy": 1.0, "others": 0.0}
    return line | measure(kept["work"], kept["batch"], seconds, idle)


def main() -> None:
    """Answer until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.child")
    parser.add_argument("package")
    load()
    torch = importlib.import_module(parser.parse_args().package)
    idle = cost_of_a_call()
    kept: dict[str, Any] = {}
    for text in sys.stdin:
        name, seconds = json.loads(text)
        try:
            line = answer(torch, TABLE[name], kept, seconds, idle)
        except Exception as error:  # reported in the table; the other workloads go on
            kept.clear()
            line = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
