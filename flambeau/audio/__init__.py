"""What torchaudio has, small: reading and writing sounds, spectra and other transforms, data sets. ``import
torchaudio`` gives this package.

WAV files need nothing; other formats the package soundfile.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "2.13.0"
_SUBMODULES = ("datasets", "functional", "transforms")
_FILES = ("AudioMetaData", "info", "list_audio_backends", "load", "save")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _FILES:
        return getattr(importlib.import_module("._files", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
