"""What torchvision has: data sets, transforms, models and helpers for pictures. ``import torchvision`` gives
this package.

Submodules are loaded when they are first used; Pillow only when pictures are read, written or transformed
with it.
"""

from __future__ import annotations

from flambeau._lookup import lazy

__version__ = "0.28.0"
_SUBMODULES = ("datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils")


def set_image_backend(backend: str) -> None:
    """Choose what reads pictures; only 'PIL' is there."""
    if backend not in ("PIL", "accimage"):
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL' and 'accimage'")
    if backend != "PIL":
        raise NotImplementedError("the image backend 'accimage' is not supported: use 'PIL'")


def get_image_backend() -> str:
    """The name of the package that reads pictures."""
    return "PIL"


def get_video_backend() -> str:
    """The name of the package that reads videos (``pip install av``)."""
    return "pyav"


def set_video_backend(backend: str) -> None:
    """Choose what reads videos; only 'pyav' is there."""
    if backend not in ("pyav", "video_reader", "cuda"):
        raise ValueError(f"Invalid video backend '{backend}'. Options are 'pyav', 'video_reader' and 'cuda'")
    if backend != "pyav":
        raise NotImplementedError(f"the video backend {backend!r} is not supported: use 'pyav'")


def disable_beta_transforms_warning() -> None:
    """Nothing: `transforms.v2` gives no such warning. Older programs call it."""


__getattr__ = lazy(__name__, {}, _SUBMODULES)
