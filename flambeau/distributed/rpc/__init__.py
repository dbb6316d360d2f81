"""Calls of functions in other processes, the workers of a job, and references to values that they hold.

`init_rpc` makes a process a worker. Workers call what others name: any function that can be imported, with
arguments from pickles. They have to trust each other, as with PyTorch, and need a network of their own; a
random key, which the meeting place hands out, keeps others from their connections.
"""

from __future__ import annotations

import sys

from flambeau import _C

from . import api as api
from . import constants as constants
from . import functions as functions
from . import options as options
from ._rref import PyRRef, RRef, _rref_context_get_debug_info  # noqa: F401
from ._transport import WorkerInfo
from .api import (  # noqa: F401
    _get_current_rpc_agent,
    _is_current_rpc_agent_set,
    _set_rpc_timeout,
    get_rpc_timeout,
    get_worker_info,
    init_rpc,
    remote,
    rpc_async,
    rpc_sync,
    shutdown,
)
from .options import BackendType, RpcBackendOptions, TensorPipeRpcBackendOptions

__all__ = [
    "BackendType",
    "PyRRef",
    "RRef",
    "RpcBackendOptions",
    "TensorPipeRpcBackendOptions",
    "WorkerInfo",
    "get_rpc_timeout",
    "get_worker_info",
    "init_rpc",
    "is_available",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
]


def is_available() -> bool:
    """Whether remote procedure calls work here: they do."""
    return True


for _core in ("flambeau._C", "torch._C"):  # where PyTorch has its part in C++, and programs import from it
    if sys.modules.get(_core) is _C:
        sys.modules[f"{_core}._distributed_rpc"] = sys.modules[__name__]
