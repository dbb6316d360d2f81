"""Operators written in Python from other operators; see `flambeau.ops.registry`.

As ``torch.ops`` it also has the operators of every library by namespace: ``torch.ops.aten.add``, those that
`torch.library` defines; see `flambeau._ops`. A namespace cannot have the name of a file of this package.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

loaded_libraries: set[str] = set()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module("." + name, __name__)
    from flambeau import _ops

    found = globals()[name] = getattr(_ops, name) if name == "load_library" else _ops.namespace(name)
    return found
