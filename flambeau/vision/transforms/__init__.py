"""Transforms of pictures. The second generation, for pictures with boxes and masks too, is in `v2`."""

import importlib
from typing import Any

from . import functional
from .autoaugment import AugMix, AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide
from .transforms import *  # noqa: F403
from .transforms import __all__ as _transforms

__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "RandAugment",
    "TrivialAugmentWide",
    "functional",
    *_transforms,
]


def __getattr__(name: str) -> Any:
    if name == "v2":
        return importlib.import_module(".v2", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
