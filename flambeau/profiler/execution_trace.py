"""`ExecutionTraceObserver`: the operators that a program calls, with their tensors, as a JSON graph.

The format is that of Chakra's execution traces (Sridharan et al. 2023), as PyTorch writes them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import flambeau as fb

from ..overrides import TorchFunctionMode

__all__ = ["ExecutionTraceObserver"]

_SCHEMA = "1.1.1-chakra.0.0.4"


def _described(value: Any) -> tuple[Any, Any, str]:
    """A value, its shape and its type as traces write them."""
    if isinstance(value, fb.Tensor):
        place = [value.untyped_storage()._cdata, value.data_ptr(), value.storage_offset(), value.numel()]
        kind = str(value.dtype).removeprefix("torch.")
        return [*place, value.element_size(), str(value.device)], list(value.shape), f"Tensor({kind})"
    if isinstance(value, (list, tuple)):
        parts = [_described(v) for v in value]
        kinds = ",".join(p[2] for p in parts)
        return [p[0] for p in parts], [p[1] for p in parts], f"GenericList[{kinds}]"
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value, [], type(value).__name__.replace("NoneType", "None").capitalize()
    return str(value), [], type(value).__name__


def _side(values: list) -> dict:
    parts = [_described(v) for v in values]
    return {"values": [p[0] for p in parts], "shapes": [p[1] for p in parts], "types": [p[2] for p in parts]}


class _Recorder(TorchFunctionMode):
    def __init__(self) -> None:
        self.nodes: list[dict] = []
        self.parents = [1]

    _sees_operators = True

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__"):
            return func(*args, **(kwargs or {}))
        number = len(self.nodes) + 2
        node: dict = {"id": number, "name": f"aten::{name.strip('_')}", "ctrl_deps": self.parents[-1]}
        self.nodes.append(node)
        node["inputs"] = _side([*args, *(kwargs or {}).values()])
        self.parents.append(number)
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self.parents.pop()
        node["outputs"] = _side(list(result) if isinstance(result, tuple) else [result])
        node["attrs"] = [{"name": "rf_id", "type": "uint64", "value": number}]
        return result


class ExecutionTraceObserver:
    """Writes the operators called between `start` and `stop` to a file.

    Examples
    --------
    >>> observer = ExecutionTraceObserver().register_callback("trace.json")
    >>> observer.start()
    """

    def __init__(self) -> None:
        self._path: str | None = None
        self._recorder: _Recorder | None = None
        self._document: dict = {}
        self._started = 0.0

    @staticmethod
    def build_execution_trace_obs_from_env() -> ExecutionTraceObserver | None:
        """An observer where ``ENABLE_PYTORCH_EXECUTION_TRACE`` is 1; None otherwise."""
        if os.environ.get("ENABLE_PYTORCH_EXECUTION_TRACE", "0") != "1":
            return None
        import tempfile

        with tempfile.NamedTemporaryFile("w+t", suffix=".et.json", delete=False) as file:
            return ExecutionTraceObserver().register_callback(file.name)

    @property
    def is_registered(self) -> bool:
        """Whether there is a file to write to."""
        return self._path is not None

    def is_running(self) -> bool:
        """Whether operators are being recorded."""
        return self._recorder is not None

    def register_callback(self, output_file_path: str) -> ExecutionTraceObserver:
        """Say which file to write."""
        if self._path is None:
            self._path = str(output_file_path)
            self._document = {
                "schema": _SCHEMA,
                "pid": os.getpid(),
                "time": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
            self._document.update(start_ts=time.monotonic_ns() // 1000, nodes=[_root()])
        return self

    def get_output_file_path(self) -> str | None:
        """The name of the file; None where there is none yet."""
        return self._path

    def get_resources_dir(self, can_create: bool = False) -> str | None:
        """The folder beside the file for what belongs to it; None where there is no such folder."""
        if self._path is None:
            return None
        folder = os.path.splitext(self._path)[0] + "_resources"
        if can_create:
            os.makedirs(folder, exist_ok=True)
        return folder if os.path.isdir(folder) else None

    def set_extra_resource_collection(self, val: bool) -> None:
        """Raise where more than operators should be kept: no code is generated here."""
        if val:
            raise NotImplementedError("flambeau generates no kernels whose sources a trace could keep")

    def start(self) -> None:
        """Begin to record."""
        if self.is_registered and self._recorder is None:
            self._recorder = _Recorder()
            self._recorder.__enter__()

    def stop(self) -> None:
        """Record no more; what was recorded is in the file."""
        if self._recorder is None:
            return
        self._recorder.__exit__(None, None, None)
        offset = len(self._document["nodes"]) - 1
        for node in self._recorder.nodes:
            parent = node["ctrl_deps"]
            node.update(id=node["id"] + offset, ctrl_deps=parent + offset if parent > 1 else 1)
            self._document["nodes"].append(node)
        self._recorder = None
        self._write()

    def _write(self) -> None:
        with open(self._path, "w") as file:
            json.dump({**self._document, "finish_ts": time.monotonic_ns() // 1000}, file)

    def unregister_callback(self) -> None:
        """Stop, and forget the file."""
        if self._path is not None:
            self.stop()
            self._write()
            self._path = None

    def cleanup(self) -> None:
        """The same under another name."""
        self.unregister_callback()


def _root() -> dict:
    nothing: dict = {"values": [], "shapes": [], "types": []}
    name = "[pytorch|profiler|execution_trace|process]"
    return {"id": 1, "name": name, "ctrl_deps": 1, "inputs": nothing, "outputs": nothing, "attrs": []}
