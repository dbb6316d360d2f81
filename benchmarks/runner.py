"""Runs workloads in fresh processes of two interpreters, by turns, and puts the results side by side."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.workload import Workload

ROOT = Path(__file__).resolve().parent.parent
LEAST_BUSY = 0.9  # a main thread that ran for less than this part of the time waited for a core
TURNS = 3  # of each process at a workload
MOST_OTHERS = 0.25  # cores that other processes may have without a round counting as disturbed


@dataclass
class Side:
    """What the rounds of one package gave for one workload."""

    median: float = math.inf
    least: float = math.inf
    checksum: list[float] | None = None
    error: str = ""
    disturbed: bool = True
    others: float = 0.0  # cores that other processes had, in the worst round

    def add(self, line: dict[str, Any]) -> None:
        if "error" in line:
            self.error = line["error"]
            return
        self.checksum = line["checksum"]
        self.others = max(self.others, line["others"])
        disturbed = line["busy"] < LEAST_BUSY or line["others"] > MOST_OTHERS
        self.least = min(self.least, line["least"])
        # The quietest round counts: the least median, of an undisturbed round where there was one.
        if (disturbed, line["median"]) < (self.disturbed, self.median):
            self.median, self.disturbed = line["median"], disturbed


@dataclass
class Result:
    """Both packages on one workload."""

    workload: Workload
    ours: Side = field(default_factory=Side)
    theirs: Side = field(default_factory=Side)

    @property
    def ratio(self) -> float:
        """Their cost divided by ours, by medians."""
        return self.theirs.median / self.ours.median if self.complete else math.nan

    @property
    def complete(self) -> bool:
        return not (self.ours.error or self.theirs.error)

    @property
    def same_numbers(self) -> bool:
        """Whether both computed the same, within the workload's tolerance."""
        a, b = self.ours.checksum, self.theirs.checksum
        if a is None or b is None or len(a) != len(b):
            return False
        tolerance = self.workload.tolerance
        scale = max([abs(x) for x in b], default=0.0)
        return all(
            math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance * scale)
            for x, y in zip(a, b, strict=True)
        )


def find_python(package: str, given: str | None) -> str:
    """The interpreter that has the other package."""
    tried = [
        given or os.environ.get(f"FLAMBEAU_BENCH_{package.upper()}") or sys.executable,
        "python",
        "python3",
    ]
    for python in tried[:1] if given else tried:
        command = [python, "-c", f"import {package}"]
        try:
            done = subprocess.run(command, capture_output=True, cwd="/", check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return python
    raise SystemExit(f"no Python with {package}: name one by --python or FLAMBEAU_BENCH_{package.upper()}")


class Child:
    """A fresh process that times workloads with one package."""

    def __init__(self, python: str, package: str) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.command = [python, "-m", "benchmarks.child", package]
        self.env = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        self.process = self.started()

    def started(self) -> subprocess.Popen[str]:
        """The process, newly begun."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, env=self.env, cwd=ROOT)

    def time(self, name: str, seconds: float) -> dict[str, Any]:
        """What it says of a workload; a crash is its error, and the next workload has a new process."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        try:
            stdin.write(json.dumps([name, seconds]) + "\n")
            stdin.flush()
            for text in stdout:
                if text.startswith("{"):
                    return json.loads(text)
        except BrokenPipeError:
            pass  # it has ended: said below
        self.end()
        code = self.process.returncode
        self.process = self.started()
        return {"error": f"process ended with {code}"}

    def end(self) -> None:
        """Close its input and wait for it."""
        self.process.communicate()


def compare(
    workloads: list[Workload], package: str, python: str, rounds: int, seconds: float, together: bool
) -> Iterator[list[Result]]:
    """Results, chunk by chunk: every chunk of workloads runs in two fresh processes, which take turns
    (A, B, A, B, …) at every workload, so that a machine that slows down for a while slows both.

    With `together` the workloads of a group share their two processes (except for those of memory and start).
    """
    chunks: list[list[Workload]] = []
    for w in workloads:
        alone = not together or w.group in ("memory", "start")
        if not alone and chunks and chunks[-1][0].group == w.group:
            chunks[-1].append(w)
        else:
            chunks.append([w])
    for chunk in chunks:
        results = [Result(w) for w in chunk]
        for attempt in range(rounds + 1):
            wanted = results
            if attempt == rounds:  # one more for what always was disturbed
                wanted = [r for r in results if r.complete and (r.ours.disturbed or r.theirs.disturbed)]
            if not wanted:
                break
            theirs, ours = Child(python, package), Child(sys.executable, "flambeau")
            for result in wanted:
                turns = TURNS if result.workload.measure == "seconds" else 1
                for _ in range(turns):
                    result.theirs.add(theirs.time(result.workload.name, seconds / turns))
                    result.ours.add(ours.time(result.workload.name, seconds / turns))
            theirs.end()
            ours.end()
        yield results
