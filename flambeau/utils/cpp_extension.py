"""Extensions in C++: their names can be imported, so that setup files can be read; none can be built.

PyTorch's extensions include its headers and link its libraries. flambeau has an own core without them: an
extension
written in Python (`torch.library.custom_op`, ctypes, Cython on NumPy arrays or DLPack) works.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = [
    "CUDAExtension",
    "CppExtension",
    "SyclExtension",
    "check_compiler_is_gcc",
    "check_compiler_ok_for_platform",
    "get_cxx_compiler",
    "get_default_build_root",
    "include_paths",
    "is_ninja_available",
    "library_paths",
    "load",
    "load_inline",
    "verify_ninja_availability",
]

CUDA_HOME: str | None = None
ROCM_HOME: str | None = None
SYCL_HOME: str | None = None
CUDNN_HOME: str | None = None
HIP_HOME: str | None = None
ROCM_VERSION: tuple | None = None
IS_HIP_EXTENSION = False
IS_WINDOWS = sys.platform == "win32"
IS_MACOS = sys.platform.startswith("darwin")
IS_LINUX = sys.platform.startswith("linux")
LIB_EXT = ".pyd" if IS_WINDOWS else ".so"
EXEC_EXT = ".exe" if IS_WINDOWS else ""
CLIB_PREFIX = "" if IS_WINDOWS else "lib"
CLIB_EXT = ".dll" if IS_WINDOWS else ".so"
SHARED_FLAG = "/DLL" if IS_WINDOWS else "-shared"


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.utils.cpp_extension.{what}: flambeau has no PyTorch headers (torch/extension.h, ATen, c10)"
        " and no"
        " libtorch to build an extension against; write the operator in Python with torch.library.custom_op"
    )


def load(name: str, sources: str | list[str], *args: Any, **kwargs: Any) -> NoReturn:
    """PyTorch: build an extension and import it. Raises, naming what is missing."""
    _refuse(f"load({name!r})")


def load_inline(name: str, cpp_sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """PyTorch: build an extension from source text. Raises, naming what is missing."""
    _refuse(f"load_inline({name!r})")


def _extension(name: str, sources: Sequence[str], args: tuple, kwargs: dict) -> Any:
    import setuptools

    kwargs["language"] = "c++"
    return setuptools.Extension(name, sources, *args, **kwargs)


def CppExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> Any:
    """The description of an extension, for setuptools; building it raises (see `BuildExtension`)."""
    return _extension(name, sources, args, kwargs)


def CUDAExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> Any:
    """The description of an extension with CUDA sources; building it raises."""
    return _extension(name, sources, args, kwargs)


def SyclExtension(name: str, sources: Sequence[str], *args: Any, **kwargs: Any) -> Any:
    """The description of an extension with SYCL sources; building it raises."""
    return _extension(name, sources, args, kwargs)


def _build_extension() -> type:
    from setuptools.command.build_ext import build_ext

    class BuildExtension(build_ext):
        """The command of setuptools that builds extensions: raises, naming what is missing."""

        @classmethod
        def with_options(cls, **options: Any) -> type:
            """A subclass with options; PyTorch's ``use_ninja`` and the like."""

            class WithOptions(cls):
                def __init__(self, *args: Any, **kwargs: Any) -> None:
                    kwargs.update(options)
                    super().__init__(*args, **kwargs)

            return WithOptions

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.no_python_abi_suffix = kwargs.pop("no_python_abi_suffix", False)
            self.use_ninja = kwargs.pop("use_ninja", True)
            super().__init__(*args, **kwargs)

        def build_extensions(self) -> None:
            """Raises for any extension."""
            names = ", ".join(e.name for e in self.extensions)
            _refuse(f"BuildExtension ({names})")

    return BuildExtension


def __getattr__(name: str) -> Any:
    if name == "BuildExtension":  # setuptools is imported for it only
        found = globals()[name] = _build_extension()
        return found
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def include_paths(device_type: str = "cpu", torch_include_dirs: bool = True) -> list[str]:
    """Folders with PyTorch's headers: none where they are not asked for, else raises."""
    return _refuse("include_paths()") if torch_include_dirs else []


def library_paths(
    device_type: str = "cpu", torch_include_dirs: bool = True, cross_target_platform: str | None = None
) -> list[str]:
    """Folders with PyTorch's libraries: none where they are not asked for, else raises."""
    return _refuse("library_paths()") if torch_include_dirs else []


def is_ninja_available() -> bool:
    """Whether the `ninja` program is there."""
    return shutil.which("ninja") is not None


def verify_ninja_availability() -> None:
    """Raise RuntimeError where it is not."""
    if not is_ninja_available():
        raise RuntimeError("Ninja is required to load C++ extensions (pip install ninja to get it)")


def get_cxx_compiler() -> str:
    """The C++ compiler that a build would call."""
    return os.environ.get("CXX", "cl" if IS_WINDOWS else "c++")


def check_compiler_is_gcc(compiler: str) -> bool:
    """Whether a compiler is GCC, on Linux."""
    if not IS_LINUX:
        return False
    import subprocess

    try:
        said = subprocess.run([compiler, "-v"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return "gcc version" in said.stderr.lower()


def check_compiler_ok_for_platform(compiler: str) -> bool:
    """Whether a compiler is there."""
    return shutil.which(compiler) is not None


def get_default_build_root() -> str:
    """The folder in which PyTorch builds extensions."""
    import tempfile

    return os.path.realpath(os.path.join(tempfile.gettempdir(), "torch_extensions"))
