"""Running a script, a module or a piece of code with torch standing for flambeau."""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from types import ModuleType
from typing import IO

from . import install_as_torch, missing_names

# A worker process that is started afresh imports the main module by the name in its __spec__. That is
# `child`, which installs the alias and then runs the script named here.
SCRIPT_VARIABLE = "FLAMBEAU_MAIN"


def _main_module(kind: str, target: str) -> ModuleType:
    module = ModuleType("__main__")
    module.__spec__ = importlib.util.find_spec("flambeau.compat.child")
    module.__dict__["__builtins__"] = __builtins__
    os.environ[SCRIPT_VARIABLE] = f"{kind}:{target}"
    sys.modules["__main__"] = module
    return module


def _put_first(folder: str) -> None:
    """The folder that Python itself would look into first; under -P it looks into none."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def run_script(path: str, args: list[str]) -> None:
    """Run a Python file as ``python path args...`` would."""
    path = os.fspath(path)
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        sys.argv = [path, *args]
        install_as_torch()
        runpy.run_path(path, run_name="__main__")
        return
    with open(path, "rb") as file:
        source = file.read()
    install_as_torch()
    sys.argv = [path, *args]
    _put_first(os.path.dirname(os.path.abspath(path)))
    module = _main_module("path", os.path.abspath(path))
    module.__file__ = path
    exec(compile(source, path, "exec"), module.__dict__)


def run_module(name: str, args: list[str]) -> None:
    """Run a module as ``python -m name args...`` would."""
    install_as_torch()
    sys.argv = [name, *args]
    _put_first(os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def run_code(code: str, args: list[str]) -> None:
    """Run a text as ``python -c code args...`` would."""
    install_as_torch()
    sys.argv = ["-c", *args]
    _put_first("")
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(code, "<string>", "exec"), module.__dict__)


def write_report(stream: IO[str]) -> None:
    """List the names that were asked for in vain, most asked first."""
    names = missing_names()
    if not names:
        print("flambeau: no name was missing", file=stream)
        return
    print(f"flambeau: {len(names)} names were asked for in vain", file=stream)
    for name, count in sorted(names.items(), key=lambda item: (-item[1], item[0])):
        print(f"{count:6d}  {name}", file=stream)
