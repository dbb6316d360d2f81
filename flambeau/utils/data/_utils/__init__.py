"""The parts of the DataLoader: reading samples, making batches of them, worker processes, shared memory."""

from __future__ import annotations

import atexit
import importlib
from typing import Any

MP_STATUS_CHECK_INTERVAL = 5.0  # seconds between two looks whether the other process lives
HAS_NUMPY = True
python_exit_status = False  # whether Python is ending


def _ending() -> None:
    global python_exit_status
    python_exit_status = True


atexit.register(_ending)


def __getattr__(name: str) -> Any:
    if name in ("collate", "fetch", "pin_memory", "signal_handling", "steps", "worker"):
        return importlib.import_module("." + name, __name__)
    raise AttributeError(f"module 'torch.utils.data._utils' has no attribute '{name}'")
