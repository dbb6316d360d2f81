"""The table of workloads.

A workload is a function of the package under test (``torch`` or ``flambeau``): it prepares its data and
returns what is timed, a function without arguments whose result is checked to be the same for both packages.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from benchmarks import workloads

GROUPS = [
    "overhead",
    "elementwise",
    "reductions",
    "movement",
    "matmul",
    "convolution",
    "compile",
    "transforms",
    "training",
    "inference",
    "optimizers",
    "data",
    "memory",
    "start",
]


@dataclass(frozen=True)
class Workload:
    """One line of the table: ``target`` is the least wanted ratio of the other package's cost to ours."""

    group: str
    name: str
    prepare: Callable[[ModuleType], Callable[[], Any]]
    target: float
    tolerance: float  # of the result, relative to its size
    measure: str  # "seconds", or "bytes": the peak of the process's resident memory


TABLE: dict[str, Workload] = {}


def workload(
    group: str, name: str, target: float = 1.0, *, tolerance: float = 1e-3, measure: str = "seconds"
) -> Callable[[Callable], Callable]:
    """Put the decorated function into the table."""

    def put(prepare: Callable) -> Callable:
        if name in TABLE:
            raise ValueError(f"two workloads are called {name!r}")
        TABLE[name] = Workload(group, name, prepare, target, tolerance, measure)
        return prepare

    return put


def of_size(
    group: str, name: str, n: int, make: Callable[..., Callable], target: float = 1.0, **more: Any
) -> None:
    """Enter a workload on two vectors of ``n`` random floats: ``make(torch, a, b)`` gives what is timed."""

    @workload(group, f"{name}, {n:.0e}".replace("e+0", "e"), target, **more)
    def prepare(torch: ModuleType) -> Callable[[], Any]:
        return make(torch, torch.rand(n), torch.rand(n))


def both_ways(torch: ModuleType, x: Any, function: Callable) -> Callable[[], Any]:
    """Forward and backward of a function of ``x``, as something to time; its result is the gradient."""
    x = x.requires_grad_()
    seed = torch.rand_like(function(x).detach())

    def work() -> Any:
        x.grad = None
        function(x).backward(seed)
        return x.grad

    return work


def load(groups: list[str] | None = None) -> list[Workload]:
    """The workloads of some groups, or of all, in the order of the table."""
    for module in sorted(m.name for m in pkgutil.iter_modules(workloads.__path__)):
        if groups is None or module.partition("_")[0] in groups:
            importlib.import_module(f"benchmarks.workloads.{module}")
    wanted = [w for w in TABLE.values() if groups is None or w.group in groups]
    return sorted(wanted, key=lambda w: GROUPS.index(w.group))
