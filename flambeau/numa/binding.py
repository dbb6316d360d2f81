"""Keeping the processes of a run on processors beside one memory (NUMA nodes of Linux)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["AffinityMode", "NumaOptions"]

_NODES = Path("/sys/devices/system/node")
_CPUS = Path("/sys/devices/system/cpu")


class AffinityMode(str, Enum):  # noqa: UP042 (its `str` is the long form)
    """Which processors a process gets."""

    NODE = "node"
    SOCKET = "socket"
    EXCLUSIVE = "exclusive"
    CORE_COMPLEX = "core-complex"

    def __repr__(self) -> str:
        return f"<AffinityMode.{self.name}: {self.value!r}>"


@dataclass(frozen=True)
class NumaOptions:
    """How processes are kept beside a memory.

    Parameters
    ----------
    affinity_mode : all processors of the memory, those of its socket, a share of its own, or those with one
        last-level cache.
    should_fall_back_if_binding_fails : whether a process runs anywhere where it cannot be kept.
    """

    affinity_mode: AffinityMode
    should_fall_back_if_binding_fails: bool = False


def _listed(text: str) -> list[int]:
    """The numbers of ``0-3,8``."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found += range(int(first), int(last or first) + 1)
    return found


def _read(path: Path) -> list[int]:
    return _listed(path.read_text())


def processors_of(mode: AffinityMode, index: int, count: int) -> set[int]:
    """The processors of process `index` of `count` on this machine: neighbours share a memory.

    Raises
    ------
    RuntimeError : the system does not say how processors and memories belong together.
    """
    allowed = os.sched_getaffinity(0)
    try:
        nodes = [
            sorted(allowed.intersection(_read(_NODES / f"node{n}" / "cpulist")))
            for n in _read(_NODES / "online")
        ]
        nodes = [node for node in nodes if node]
        if not nodes:
            raise OSError("no memory has processors")
        node = nodes[index * len(nodes) // count]
        if mode is AffinityMode.NODE:
            return set(node)
        if mode is AffinityMode.SOCKET:
            where = "topology/physical_package_id"
            socket = (_CPUS / f"cpu{node[0]}" / where).read_text()
            return {c for c in allowed if (_CPUS / f"cpu{c}" / where).read_text() == socket}
        mates = [k for k in range(count) if k * len(nodes) // count == index * len(nodes) // count]
        place = mates.index(index)
        if mode is AffinityMode.CORE_COMPLEX:
            caches = {tuple(_read(_last_cache(c))) for c in node}
            order = sorted(caches, key=lambda cpus: (-len(cpus), cpus))
            return allowed.intersection(order[place % len(order)])
        cores = sorted({tuple(_read(_CPUS / f"cpu{c}/topology/thread_siblings_list")) for c in node})
        share = cores[place * len(cores) // len(mates) : (place + 1) * len(cores) // len(mates)]
        if not share:
            raise RuntimeError(f"there are {len(cores)} cores for {len(mates)} processes of {mode.value!r}")
        return allowed.intersection(c for core in share for c in core)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"the processors beside a memory are not known here: {error}") from error


def _last_cache(cpu: int) -> Path:
    folders = sorted((_CPUS / f"cpu{cpu}" / "cache").glob("index*"))
    if not folders:
        raise OSError(f"no caches of processor {cpu}")
    return folders[-1] / "shared_cpu_list"


def bind(options: NumaOptions | None, index: int, count: int) -> Binding | None:
    """What a new process has to call first; None where nothing keeps it."""
    if options is None:
        return None
    try:
        cpus = processors_of(options.affinity_mode, index, count)
    except RuntimeError:
        if options.should_fall_back_if_binding_fails:
            return None
        raise
    return Binding(cpus)


class Binding:
    """Keeps the process that calls it on some processors."""

    def __init__(self, cpus: set[int]) -> None:
        self.cpus = cpus

    def __call__(self) -> None:
        os.sched_setaffinity(0, self.cpus)
