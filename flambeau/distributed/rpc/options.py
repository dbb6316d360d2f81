"""What `init_rpc` can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

import flambeau as fb

from . import constants

__all__ = ["TensorPipeRpcBackendOptions"]

_Device = int | str | fb.device


class RpcBackendOptions:
    """How long calls may take, and where the workers meet.

    Parameters
    ----------
    rpc_timeout : seconds; 0 is no limit.
    init_method : as of `flambeau.distributed.init_process_group`.
    """

    def __init__(
        self,
        rpc_timeout: float = constants.DEFAULT_RPC_TIMEOUT_SEC,
        init_method: str = constants.DEFAULT_INIT_METHOD,
    ) -> None:
        self.rpc_timeout, self.init_method = rpc_timeout, init_method

    @property
    def rpc_timeout(self) -> float:
        """Seconds that a call may take."""
        return self._rpc_timeout

    @rpc_timeout.setter
    def rpc_timeout(self, seconds: float) -> None:
        if seconds < 0:
            raise RuntimeError("RPC Timeout must be non-negative")
        self._rpc_timeout = float(seconds)


class TensorPipeRpcBackendOptions(RpcBackendOptions):
    """How a worker works.

    Parameters
    ----------
    num_worker_threads : how many calls of others it runs at a time.
    rpc_timeout : seconds that a call may take; 0 is no limit.
    init_method : where the workers meet, as of `flambeau.distributed.init_process_group`.
    device_maps : for other workers, which device of theirs tensors of one here go to. Tensors travel through
        main memory, and so only "cpu" to "cpu" is there.
    devices : CUDA devices to be used.
    """

    def __init__(
        self,
        *,
        num_worker_threads: int = constants.DEFAULT_NUM_WORKER_THREADS,
        rpc_timeout: float = constants.DEFAULT_RPC_TIMEOUT_SEC,
        init_method: str = constants.DEFAULT_INIT_METHOD,
        device_maps: Mapping[str, Mapping[_Device, _Device]] | None = None,
        devices: Sequence[_Device] | None = None,
        _transports: Any = None,
        _channels: Any = None,
    ) -> None:
        super().__init__(rpc_timeout, init_method)
        if num_worker_threads <= 0:
            raise RuntimeError(f"num_worker_threads must be positive, got {num_worker_threads}")
        self.num_worker_threads = num_worker_threads
        self.device_maps: dict[str, dict[fb.device, fb.device]] = {}
        self.devices: list[fb.device] = []
        for name, mapping in (device_maps or {}).items():
            self.set_device_map(name, mapping)
        if devices:
            self.set_devices(devices)

    def set_device_map(self, to: str, device_map: Mapping[_Device, _Device]) -> None:
        """Say which devices of another worker tensors of devices here go to."""
        mapping = {_device(ours): _device(theirs) for ours, theirs in device_map.items()}
        self.device_maps.setdefault(to, {}).update(mapping)

    def set_devices(self, devices: Sequence[_Device]) -> None:
        """Say which CUDA devices are used."""
        found = [_device(device) for device in devices]
        for device in found:
            if device.type == "cpu":
                raise ValueError("`set_devices` expect a list of CUDA devices, but got device type cpu.")
        self.devices = found


def _device(given: _Device) -> fb.device:
    device = fb.device("cuda", given) if isinstance(given, int) else fb.device(given)
    if device.type != "cpu" and not fb.cuda.is_available():
        raise RuntimeError("Cannot access accelerator device when none is available.")
    if device.type != "cpu":
        raise NotImplementedError(
            "flambeau sends tensors of remote calls through main memory: map cpu to cpu"
        )
    return device


class BackendValue(NamedTuple):
    """How a backend is made: there is one."""

    construct_rpc_backend_options_handler: Any
    init_backend_handler: Any


class BackendType(Enum):
    """What carries calls: TCP connections, under the name of PyTorch's."""

    TENSORPIPE = BackendValue(TensorPipeRpcBackendOptions, None)

    def __repr__(self) -> str:
        return f"BackendType.{self.name}"
