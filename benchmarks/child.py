"""One process of a benchmark: imports one package, runs some workloads, prints a line of JSON for each."""

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

from benchmarks.workload import TABLE, load


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


def measure(work: Callable[[], Any], seconds: float) -> dict[str, Any]:
    """Time of a call: median and least over batches, how much of the time this thread really ran, and how
    many cores other processes had meanwhile. The cost of calling an empty function is taken off.
    """
    clock = time.perf_counter
    idle = cost_of_a_call()
    start = clock()
    work()
    once = clock() - start
    batch = 1
    while once * batch < 0.001:  # short calls are timed many at a time
        batch *= 4
        start = clock()
        for _ in range(batch):
            work()
        once = (clock() - start) / batch
    times = []
    gc.collect()
    gc.disable()
    thread, process, machine = time.thread_time(), time.process_time(), machine_busy()
    begin = clock()
    while clock() - begin < seconds or len(times) < 3:
        start = clock()
        for _ in range(batch):
            work()
        times.append((clock() - start) / batch - idle)
    elapsed = clock() - begin
    busy = (time.thread_time() - thread) / elapsed
    others = max(0.0, machine_busy() - machine - (time.process_time() - process)) / elapsed
    gc.enable()
    return {"median": statistics.median(times), "least": min(times), "busy": busy, "others": others}


def main() -> None:
    """Run the workloads given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.child")
    parser.add_argument("package")
    parser.add_argument("seconds", type=float)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    load()
    torch = importlib.import_module(options.package)
    for name in options.names:
        entry = TABLE[name]
        torch.manual_seed(0)
        line: dict[str, Any] = {"name": name}
        try:
            work = entry.prepare(torch)
            line["checksum"] = checksum(work())
            if entry.measure == "bytes":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                line |= {"median": peak, "least": peak, "busy": 1.0, "others": 0.0}
            else:
                line |= measure(work, options.seconds)
            del work
        except Exception as error:  # reported in the table; the other workloads go on
            line["error"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        print(json.dumps(line), flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
