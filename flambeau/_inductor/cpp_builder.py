"""The compiler of C++ that extensions are built with; flambeau's own programs need none."""

from __future__ import annotations

import os
import shutil

__all__ = ["get_cpp_compiler"]


def get_cpp_compiler() -> str:
    """The compiler: that of the variable ``CXX``, or else g++, or clang++.

    Raises
    ------
    RuntimeError : there is none.
    """
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        if name and shutil.which(name):
            return name
    raise RuntimeError("InvalidCxxCompiler: no working C++ compiler found: set CXX, or install g++")
