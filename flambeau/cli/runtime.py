"""Saved programs without Python: where the C API and ``flambeau-run`` lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def program() -> Path:
    """The program ``flambeau-run``.

    Raises
    ------
    FileNotFoundError
        If this copy was built without it.
    """
    path = Path(__file__).parents[1] / "bin" / "flambeau-run"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: build flambeau with CMake's target flambeau-run")
    return path


def library() -> Path:
    """The library with the C API: flambeau's extension, which needs no interpreter for it."""
    from flambeau import _C

    return Path(_C.__file__)


def flags() -> str:
    """What a C compiler is told: ``cc main.c $(flambeau runtime)``."""
    package, lib = Path(__file__).parents[1], library()
    include = package / "include"
    if not include.exists():  # a source tree
        include = package.parent / "core" / "runtime"
    return f"-I{include} -L{lib.parent} -l:{lib.name} -Wl,-rpath,{lib.parent}"


def main() -> None:
    """``flambeau-run``: this process becomes the program, which has no Python."""
    path = program()
    os.execv(path, [str(path), *sys.argv[1:]])
