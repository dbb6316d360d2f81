"""``elastic_launch(config, function)(*args)``: the launcher of `distributed.run` for functions too."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flambeau.numa.binding import NumaOptions, bind

from ..elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from ..run import _PATIENCE, _POLL, _free_port

__all__ = ["ChildFailedError", "LaunchConfig", "elastic_launch", "launch_agent"]


@dataclass
class LaunchConfig:
    """How many processes run, and how they meet.

    One launcher runs on each machine. `rdzv_endpoint` (``host:port``) is where they meet; it is not needed
    for
    one machine. `rdzv_configs` may have ``"rank"``, the number of this machine. A group keeps its size:
    `max_nodes` machines run.

    `rdzv_backend`, `monitor_interval`, `metrics_cfg`, `event_log_handler`, `signals_to_handle` and the
    options
    of logs are accepted: output goes where that of the launcher goes.
    """

    min_nodes: int
    max_nodes: int
    nproc_per_node: int
    logs_specs: Any = None
    run_id: str = ""
    role: str = "default_role"
    rdzv_endpoint: str = ""
    rdzv_backend: str = "etcd"
    rdzv_configs: dict[str, Any] = field(default_factory=dict)
    rdzv_timeout: int = -1
    max_restarts: int = 3
    monitor_interval: float = 0.1
    start_method: str = "spawn"
    log_line_prefix_template: str | None = None
    metrics_cfg: dict[str, str] = field(default_factory=dict)
    local_addr: str | None = None
    event_log_handler: str = "null"
    numa_options: NumaOptions | None = None
    signals_to_handle: str = "SIGTERM,SIGINT,SIGHUP,SIGQUIT"
    duplicate_stdout_filters: list[str] | None = None
    duplicate_stderr_filters: list[str] | None = None
    virtual_local_rank: bool = False
    shutdown_timeout: int | None = None

    def __post_init__(self) -> None:
        if self.rdzv_timeout != -1:
            self.rdzv_configs["timeout"] = self.rdzv_timeout
        else:
            self.rdzv_configs.setdefault("timeout", 900)
        if self.shutdown_timeout is None:
            self.shutdown_timeout = 30


def _environment(config: LaunchConfig, local: int, host: str, port: int, attempt: int) -> dict[str, str]:
    count, nodes = config.nproc_per_node, config.max_nodes
    node = int(config.rdzv_configs.get("rank", 0))
    rank = node * count + local
    said = {
        "LOCAL_RANK": 0 if config.virtual_local_rank else local,
        "RANK": rank,
        "GROUP_RANK": node,
        "ROLE_RANK": rank,
        "ROLE_NAME": config.role,
        "LOCAL_WORLD_SIZE": count,
        "WORLD_SIZE": nodes * count,
        "GROUP_WORLD_SIZE": nodes,
        "ROLE_WORLD_SIZE": nodes * count,
        "MASTER_ADDR": host,
        "MASTER_PORT": port,
        "TORCHELASTIC_RESTART_COUNT": attempt,
        "TORCHELASTIC_MAX_RESTARTS": config.max_restarts,
        "TORCHELASTIC_RUN_ID": config.run_id or "none",
    }
    if count > 1:
        said["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", 1)
    if config.virtual_local_rank:
        there = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        said["CUDA_VISIBLE_DEVICES"] = there[local] if local < len(there) and there[local] else local
    return {name: str(value) for name, value in said.items()}


def _child(function: Callable, args: tuple, said: dict[str, str], binding: Any, path: str) -> None:
    """What a process runs: the function, and its result or error into a file."""
    import pickle

    os.environ.update(said)
    if binding is not None:
        os.sched_setaffinity(0, binding)
    try:
        done, says = True, pickle.dumps(function(*args))
    except BaseException as error:
        done = isinstance(error, SystemExit) and error.code in (None, 0)
        says = pickle.dumps(None if done else traceback.format_exc())
    # The launcher ends this process at any time when another fails: a file with the name it reads is whole.
    with open(f"{path}.part", "wb") as file:
        file.write(pickle.dumps(done) + says)
    os.replace(file.name, path)
    sys.exit(0 if done else 1)


def launch_agent(config: LaunchConfig, entrypoint: Callable | str | None, args: list[Any]) -> dict[int, Any]:
    """Run `entrypoint` in the processes of this machine; what each returned, by its rank.

    Parameters
    ----------
    config : how many, and how they meet.
    entrypoint : a function, or the path of a program.
    args : its arguments.

    Raises
    ------
    ChildFailedError : a process failed more often than it may be started again.
    """
    config.run_id = config.run_id or str(uuid.uuid4().int)
    host, _, text = config.rdzv_endpoint.partition(":")
    port = int(text or 0)
    if config.max_nodes > 1 and not port:
        port = 29500
    failures: dict[int, ProcessFailure] = {}
    for attempt in range(config.max_restarts + 1):
        found, failures = _round(
            config, entrypoint, tuple(args), host or "127.0.0.1", port or _free_port(), attempt
        )
        if not failures:
            return found
    raise ChildFailedError(getattr(entrypoint, "__name__", str(entrypoint)), failures)


def _round(
    config: LaunchConfig, entrypoint: Any, args: tuple, host: str, port: int, attempt: int
) -> tuple[dict[int, Any], dict[int, ProcessFailure]]:
    import pickle
    import subprocess

    count = config.nproc_per_node
    says = [_environment(config, k, host, port, attempt) for k in range(count)]
    processes: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, str(k)) for k in range(count)]
        if callable(entrypoint):
            context = multiprocessing.get_context(config.start_method)
            for k in range(count):
                bound = bind(config.numa_options, k, count)
                cpus = None if bound is None else bound.cpus
                process = context.Process(target=_child, args=(entrypoint, args, says[k], cpus, paths[k]))
                before = {name: os.environ.get(name) for name in says[k]}
                os.environ.update(says[k])  # a new interpreter reads some of them before the function runs
                try:
                    process.start()
                finally:
                    for name, value in before.items():
                        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
                processes.append(process)
            codes = _watched(processes, lambda p: p.exitcode)
        else:
            command = [str(entrypoint), *map(str, args)]
            for k in range(count):
                bound = bind(config.numa_options, k, count)
                said = {**os.environ, **says[k], "TORCHELASTIC_ERROR_FILE": paths[k]}
                processes.append(subprocess.Popen(command, env=said, preexec_fn=bound))
            codes = _watched(processes, lambda p: p.poll())
        found: dict[int, Any] = {}
        failures: dict[int, ProcessFailure] = {}
        for k, code in enumerate(codes):
            rank = int(says[k]["RANK"])
            done, value = True, None
            if callable(entrypoint) and os.path.exists(paths[k]):
                with open(paths[k], "rb") as file:
                    done, value = pickle.load(file), pickle.load(file)
            if code or not done:
                recorded = "" if callable(entrypoint) else paths[k]
                failures[rank] = ProcessFailure(k, processes[k].pid, code or 1, recorded)
                if not done:
                    failures[rank].message = value
            else:
                found[rank] = value
        return found, failures


def _watched(processes: list[Any], code_of: Callable[[Any], int | None]) -> list[int | None]:
    """Wait for all; when one fails, end the others."""
    try:
        while True:
            codes = [code_of(p) for p in processes]
            if any(codes) or all(code == 0 for code in codes):
                return codes
            time.sleep(_POLL)
    finally:
        end = time.monotonic() + _PATIENCE
        for process in processes:
            if code_of(process) is None:
                process.terminate()
        for process in processes:
            while code_of(process) is None and time.monotonic() < end:
                time.sleep(_POLL)
            if code_of(process) is None:
                process.kill()
            while code_of(process) is None:  # it may still write
                time.sleep(_POLL)


class elastic_launch:
    """A launcher of a function or a program: called with the arguments, it runs it in all processes.

    Parameters
    ----------
    config : how many processes, and how they meet.
    entrypoint : a function, or the path of a program.

    Examples
    --------
    >>> results = elastic_launch(LaunchConfig(1, 1, 2), train)(arguments)
    """

    def __init__(
        self, config: LaunchConfig, entrypoint: Callable | str | None, health_check_server: Any = None
    ) -> None:
        self._config, self._entrypoint = config, entrypoint

    def __call__(self, *args: Any) -> dict[int, Any]:
        """What each process returned, by its rank."""
        return launch_agent(self._config, self._entrypoint, list(args))
