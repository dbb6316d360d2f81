"""PyTorch's ``torch._C._distributed_c10d``: the names of this package and the averager of gradients."""

from __future__ import annotations

from typing import Any

import flambeau as fb


def __getattr__(name: str) -> Any:
    if name == "Reducer":
        from flambeau.nn.parallel.distributed import _Reducer

        return _Reducer
    if not name.startswith("__") and hasattr(fb.distributed, name):
        return getattr(fb.distributed, name)
    raise AttributeError(f"module 'torch._C._distributed_c10d' has no attribute '{name}'")
