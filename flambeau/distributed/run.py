"""``python -m flambeau.distributed.run``: run a script in several processes that find each other.

The script may import torch: it is run as ``python -m flambeau`` runs it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence

__all__ = ["get_args_parser", "main", "parse_args", "run"]

_POLL = 0.05
_PATIENCE = 10.0  # seconds between asking a process to end and ending it


def get_args_parser() -> argparse.ArgumentParser:
    """The options of the program."""
    parser = argparse.ArgumentParser(prog="torchrun", description="Run a script in several processes.")

    def add(name: str, **options: object) -> None:
        parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", **options)

    add("nnodes", default="1:1", help="machines; the launcher runs once on each")
    add("nproc-per-node", default="1", help="processes on this machine: a number, cpu, gpu or auto")
    add("node-rank", type=int, default=0, help="the number of this machine")
    add("master-addr", default="127.0.0.1", help="the address of the first machine")
    add("master-port", type=int, default=0, help="a port of it (default: a free one, 29500 for several)")
    add("standalone", action="store_true", help="one machine, and a free port")
    add("rdzv-endpoint", default="", help="host:port, instead of master-addr and master-port")
    add("rdzv-backend", default="static", help="accepted; there is one way to meet")
    add("rdzv-id", default="none", help="the name of the run")
    add("max-restarts", type=int, default=0, help="how often all processes are started again when one fails")
    add("monitor-interval", type=float, default=0.1, help="accepted")
    add("start-method", default="spawn", help="accepted")
    add("module", action="store_true", help="the script is the name of a module")
    parser.add_argument("-m", dest="module", action="store_true")
    add("no-python", action="store_true", help="the script is a program")
    parser.add_argument("training_script")
    parser.add_argument("training_script_args", nargs=argparse.REMAINDER)
    return parser


def parse_args(args: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line."""
    return get_args_parser().parse_args(args)


def _count(text: str) -> int:
    if text.isdigit():
        return int(text)
    if text in ("cpu", "auto"):
        return os.cpu_count() or 1
    raise ValueError(f"Unsupported nproc_per_node value: {text}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _command(args: argparse.Namespace) -> list[str]:
    if args.no_python:
        return [args.training_script, *args.training_script_args]
    script = ["-m", args.training_script] if args.module else [args.training_script]
    return [sys.executable, "-u", "-m", "flambeau", *script, *args.training_script_args]


def _ended(processes: list[subprocess.Popen]) -> int:
    """Wait for all; when one fails, end the others. The exit code of the run."""
    try:
        while True:
            codes = [process.poll() for process in processes]
            failed = [code for code in codes if code]
            if failed:
                return failed[0]
            if all(code == 0 for code in codes):
                return 0
            time.sleep(_POLL)
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + _PATIENCE
        for process in processes:
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()


def run(args: argparse.Namespace) -> None:
    """Start the processes and wait for them; SystemExit with the exit code of one that failed."""
    nodes = int(str(args.nnodes).split(":")[-1])
    local = _count(str(args.nproc_per_node))
    host, port = args.master_addr, args.master_port
    if args.rdzv_endpoint and not args.standalone:
        host, _, text = args.rdzv_endpoint.partition(":")
        port = int(text or 0)
    if nodes > 1 and not port:
        port = 29500
    for attempt in range(args.max_restarts + 1):
        chosen = port or _free_port()
        processes = []
        for k in range(local):
            environment = {
                "LOCAL_RANK": k,
                "RANK": args.node_rank * local + k,
                "GROUP_RANK": args.node_rank,
                "ROLE_RANK": args.node_rank * local + k,
                "ROLE_NAME": "default",
                "LOCAL_WORLD_SIZE": local,
                "WORLD_SIZE": nodes * local,
                "GROUP_WORLD_SIZE": nodes,
                "ROLE_WORLD_SIZE": nodes * local,
                "MASTER_ADDR": host,
                "MASTER_PORT": chosen,
                "TORCHELASTIC_RESTART_COUNT": attempt,
                "TORCHELASTIC_MAX_RESTARTS": args.max_restarts,
                "TORCHELASTIC_RUN_ID": args.rdzv_id if args.rdzv_id != "none" else uuid.uuid4().hex,
            }
            if local > 1:
                environment.setdefault("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", 1))
            texts = {key: str(value) for key, value in environment.items()}
            processes.append(subprocess.Popen(_command(args), env={**os.environ, **texts}))
        code = _ended(processes)
        if code == 0:
            return
    sys.exit(code if code > 0 else 1)


def main(args: Sequence[str] | None = None) -> None:
    """The program."""
    run(parse_args(args))


if __name__ == "__main__":
    main()
