"""The command: ``python -m benchmarks --against torch [--group G …] [--match TEXT] [--quick]``."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from benchmarks import runner
from benchmarks.workload import GROUPS, load

UNITS = {
    "bytes": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")],
    "seconds": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
}
HEADER = f"{'workload':44} {'theirs':>10} {'ours':>10} {'ratio':>7} {'by least':>8} {'target':>6}"


def quantity(value: float, measure: str) -> str:
    """A time or a size, readable."""
    for size, unit in UNITS[measure]:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def line(result: runner.Result) -> str:
    """One workload's line of the table."""
    w, ours, theirs = result.workload, result.ours, result.theirs
    if not result.complete:
        return f"{w.name:44} theirs: {theirs.error or 'ran'}; ours: {ours.error or 'ran'}"
    notes = []
    if result.ratio < w.target:
        notes.append("below target")
    if not result.same_numbers:
        notes.append(f"DIFFERENT NUMBERS {theirs.checksum} {ours.checksum}")
    if ours.disturbed or theirs.disturbed:
        notes.append(f"disturbed: others had {max(ours.others, theirs.others):.1f} cores")
    return (
        f"{w.name:44} {quantity(theirs.median, w.measure):>10} {quantity(ours.median, w.measure):>10} "
        f"{result.ratio:7.2f} {theirs.least / ours.least:8.2f} {w.target:6.1f}  {', '.join(notes)}"
    ).rstrip()


def mean(results: list[runner.Result]) -> float:
    """The geometric mean of the ratios."""
    logs = [math.log(r.ratio) for r in results if r.complete]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def main() -> int:
    """Run the benchmark, print the table; 1 if a result differs or something did not run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--against", default="torch", metavar="PACKAGE", help="default: torch")
    parser.add_argument("--python", "--torch-python", metavar="PATH", help="the interpreter that has it")
    parser.add_argument("--group", action="append", choices=GROUPS, help="only this group (may be repeated)")
    parser.add_argument("--match", default="", help="only workloads whose name contains this")
    parser.add_argument("--quick", action="store_true", help="one short round, a process for each group")
    parser.add_argument("--rounds", type=int, help="rounds of fresh processes (default: 2)")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--picture", type=Path, help="also draw the ratios here (PNG; needs Pillow)")
    options = parser.parse_args()

    python = runner.find_python(options.against, options.python)
    chosen = [w for w in load(options.group) if options.match in w.name]
    rounds = options.rounds or (1 if options.quick else 2)
    print(f"ratio = {options.against}'s median / flambeau's median; larger is better\n\n{HEADER}")
    results: list[runner.Result] = []
    group = ""
    seconds = 0.15 if options.quick else 0.8
    for chunk in runner.compare(chosen, options.against, python, rounds, seconds, options.quick):
        for result in chunk:
            if result.workload.group != group:
                group = result.workload.group
                print(f"-- {group}")
            print(line(result), flush=True)
            results.append(result)
    print("\ngeometric means")
    for name in dict.fromkeys(r.workload.group for r in results):
        print(f"{name:44} {mean([r for r in results if r.workload.group == name]):.2f}")
    if options.json:
        table = [
            {
                "group": r.workload.group,
                "name": r.workload.name,
                "theirs": r.theirs.median,
                "ours": r.ours.median,
                "ratio": r.ratio,
                "target": r.workload.target,
                "disturbed": r.ours.disturbed or r.theirs.disturbed,
            }
            for r in results
            if r.complete
        ]
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    if options.picture:
        from benchmarks import picture

        groups = {n: mean([r for r in results if r.workload.group == n]) for n in GROUPS}
        bars = [(r.workload.group, r.workload.name, r.ratio) for r in results if r.complete]
        picture.draw(bars, {n: m for n, m in groups.items() if not math.isnan(m)}, options.against).save(
            options.picture
        )
    return 0 if all(r.complete and r.same_numbers for r in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
