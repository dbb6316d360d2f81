"""What a report about a problem should say of the machine: ``python -m torch.utils.collect_env``."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import subprocess
import sys
from typing import NamedTuple

__all__ = ["SystemEnv", "get_env_info", "get_pretty_env_info", "main", "pretty_str"]

_PACKAGES = (
    "flambeau",
    "numpy",
    "onnx",
    "onnxruntime",
    "Pillow",
    "scipy",
    "scipy-openblas32",
    "torchmetrics",
)


class SystemEnv(NamedTuple):
    """The facts; None where one is not known."""

    torch_version: str
    flambeau_version: str | None
    is_debug_build: bool
    cuda_available: bool
    os: str
    libc_version: str
    gcc_version: str | None
    clang_version: str | None
    cmake_version: str | None
    python_version: str
    python_platform: str
    cpu_info: str | None
    threads: int
    pip_packages: str


def _first_line(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    said = subprocess.run(command, capture_output=True, check=False)
    text = said.stdout.decode(locale.getpreferredencoding(False), "replace")
    return text.splitlines()[0].strip() if said.returncode == 0 and text.strip() else None


def _os() -> str:
    if sys.platform.startswith("linux"):
        try:
            return platform.freedesktop_os_release()["PRETTY_NAME"]
        except (OSError, KeyError):
            pass
    return platform.platform(terse=True)


def _cpu() -> str | None:
    try:
        with open("/proc/cpuinfo") as f:
            names = [line.partition(":")[2].strip() for line in f if line.startswith("model name")]
    except OSError:
        return platform.processor() or None
    return f"{names[0]}, {len(names)} CPUs" if names else platform.processor() or None


def _packages() -> str:
    from importlib import metadata

    lines = []
    for name in _PACKAGES:
        try:
            lines.append(f"[pip3] {name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "\n".join(lines)


def get_env_info() -> SystemEnv:
    """Collect the facts."""
    import flambeau

    return SystemEnv(
        torch_version=flambeau.version.api_version,
        flambeau_version=flambeau.__version__,
        is_debug_build=flambeau.version.debug,
        cuda_available=flambeau.cuda.is_available(),
        os=f"{_os()} ({platform.machine()})",
        libc_version="-".join(platform.libc_ver()) if sys.platform.startswith("linux") else "N/A",
        gcc_version=_first_line("gcc", "-dumpfullversion"),
        clang_version=_first_line("clang", "--version"),
        cmake_version=_first_line("cmake", "--version"),
        python_version=f"{sys.version.replace(os.linesep, ' ')}",
        python_platform=platform.platform(),
        cpu_info=_cpu(),
        threads=flambeau.get_num_threads(),
        pip_packages=_packages(),
    )


def pretty_str(envinfo: SystemEnv) -> str:
    """The facts as text."""

    def shown(value: object) -> object:
        return "Could not collect" if value is None else value

    e = envinfo
    return "\n".join(
        [
            f"PyTorch version: {e.torch_version} (as implemented by flambeau {e.flambeau_version})",
            f"Is debug build: {e.is_debug_build}",
            f"Is CUDA available: {e.cuda_available}",
            "",
            f"OS: {e.os}",
            f"GCC version: {shown(e.gcc_version)}",
            f"Clang version: {shown(e.clang_version)}",
            f"CMake version: {shown(e.cmake_version)}",
            f"Libc version: {e.libc_version}",
            "",
            f"Python version: {e.python_version}",
            f"Python platform: {e.python_platform}",
            f"CPU: {shown(e.cpu_info)}",
            f"Threads of an operation: {e.threads}",
            "",
            "Versions of relevant libraries:",
            e.pip_packages,
        ]
    )


def get_pretty_env_info() -> str:
    """The facts, collected, as text."""
    return pretty_str(get_env_info())


def main() -> None:
    """Print them."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
