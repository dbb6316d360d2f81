"""The names of backends, and which of them carries the tensors of which kind of device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

_BOTH = ("cpu", "cuda")
_DEVICES = {"gloo": _BOTH, "nccl": ("cuda",), "xccl": ("xpu",), "ucc": _BOTH, "mpi": _BOTH}
_DEVICES["fake"] = (*_BOTH, "hpu", "xpu")
_UNKNOWN = (*_BOTH, "xpu")


class Backend(str):
    """The name of what carries data between processes, in small letters."""

    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"
    FAKE = "fake"
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]
    default_device_backend_map = {"cpu": GLOO, "cuda": NCCL, "xpu": XCCL, "mps": GLOO}

    def __new__(cls, name: str) -> Any:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish but got {name=}")
        return name.lower()

    @classmethod
    def register_backend(cls, name: str, func: Callable, *args: Any, **kwargs: Any) -> None:
        """Not there."""
        raise NotImplementedError("distributed.Backend.register_backend")


class BackendConfig:
    """What a `backend` argument means for each kind of device.

    Parameters
    ----------
    backend : the name of one, or ``"cpu:gloo,cuda:nccl"``.

    Raises
    ------
    ValueError : a part of it is no pair of device and backend, or names a device again.
    """

    def __init__(self, backend: str) -> None:
        text = str(backend)
        self.device_backend_map: dict[str, str] = {}
        if text == Backend.UNDEFINED:
            kinds = ["cpu"] + (["cuda"] if fb.cuda.is_available() else [])
            self.device_backend_map = {kind: Backend.default_device_backend_map[kind] for kind in kinds}
        elif ":" not in text:
            name = Backend(text)
            self.device_backend_map = dict.fromkeys(_DEVICES.get(name, _UNKNOWN), name)
        else:
            self._read(text)

    def _read(self, text: str) -> None:
        problem = (
            f"The custom backend string argument is invalid: {text}.\n"
            "                Custom backend string is an experimental feature where the backend string must "
            'be in the format:\n                "<device_type1>:<backend1>,<device_type2>:<backend2>...". '
            "e.g. 'cpu:gloo,cuda:nccl'"
        )
        space = " " * 37
        for pair in text.lower().split(","):
            device, colon, name = pair.partition(":")
            if not colon or ":" in name:
                raise ValueError(f"Invalid device:backend pairing: {space}{pair}. {problem}")
            if device in self.device_backend_map:
                raise ValueError(
                    f"Duplicate device type {device} {space}in backend string: {name}. {problem}"
                )
            self.device_backend_map[device] = Backend(name)

    def __repr__(self) -> str:
        return ",".join(f"{device}:{name}" for device, name in self.device_backend_map.items())

    def get_device_backend_map(self) -> dict[str, str]:
        """The name of the backend for each kind of device."""
        return self.device_backend_map
