"""The folder in which PyTorch's compiler keeps its files; flambeau's keeps none, programs may use it."""

from __future__ import annotations

import getpass
import os
import re
import tempfile

__all__ = ["cache_dir", "default_cache_dir"]


def default_cache_dir() -> str:
    """The folder where nothing else is said."""
    user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
    return os.path.join(tempfile.gettempdir(), f"torchinductor_{user}")


def cache_dir() -> str:
    """The folder that ``TORCHINDUCTOR_CACHE_DIR`` names, made if it is not there."""
    path = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or default_cache_dir()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = path
    os.makedirs(path, exist_ok=True)
    return path
