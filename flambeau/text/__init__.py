"""What torchtext has, small: vocabularies, tokenizers, transforms and data sets of texts. ``import
torchtext`` gives this package.

Submodules are loaded when first used; Hugging Face's tokenizers and sentencepiece only when asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.18.0"
_SUBMODULES = ("data", "datasets", "functional", "tokenizers", "transforms", "vocab")


def disable_torchtext_deprecation_warning() -> None:
    """There is no such warning here; programs written for torchtext 0.18 call this."""


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
