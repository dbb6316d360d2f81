"""Which module of PyTorch's an object of this package corresponds to."""

from __future__ import annotations

import sys
from typing import Any

PACKAGES = {"torchvision": "flambeau.vision", "torchaudio": "flambeau.audio", "torch": "flambeau"}
# what pickles of tensors call
REBUILDERS = {
    "torch._utils": (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_device_tensor_from_numpy",
        "_rebuild_sparse_tensor",
        "_rebuild_nested_tensor",
        "_rebuild_qtensor",
    ),
    "torch._tensor": ("_rebuild_from_type_v2",),
    "torch.serialization": ("_get_layout",),
}


def local_name(module: str) -> str:
    """The module here that corresponds to one of PyTorch's: torch.nn -> flambeau.nn."""
    root, dot, rest = module.partition(".")
    return PACKAGES[root] + dot + rest if root in PACKAGES else module


def torch_name(module: str) -> str:
    """The reverse of `local_name`."""
    for theirs, ours in PACKAGES.items():
        if module == ours or module.startswith(ours + "."):
            return theirs + module[len(ours) :]
    return module


_SPLIT_HERE = ("nn.functional", "optim.lr_scheduler", "ops", "serialization", "func")


def torch_place(obj: Any, module: str, name: str) -> str:
    """The module in which PyTorch has an object of ours.

    Where a module of PyTorch's is several files here, the name of the file means nothing there.
    """
    path = module.split(".")
    inner = ".".join(path[1:])
    if inner.startswith(tuple(f"{part}." for part in _SPLIT_HERE)) or any(p.startswith("_") for p in path):
        for length in range(len(path) - 1, 0, -1):
            parent = ".".join(path[:length])
            if getattr(sys.modules.get(parent), name, None) is obj:
                module = parent
    return torch_name(module)
