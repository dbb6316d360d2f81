"""``torch.jit.save`` and ``load``: archives of TorchScript, which PyTorch reads and writes too."""

from __future__ import annotations

import io
import os
from typing import Any

from ._module import PythonScriptModule, ScriptFunction, ScriptModule, archives


def save_module(module: ScriptModule, f: Any, extra: dict | None) -> None:
    """Write a traced module, or a scripted one, whose source is put into TorchScript's words."""
    if isinstance(module, PythonScriptModule):
        written(module)._save(f, extra)
        return
    from ._emit import as_torchscript

    if not module._programs and type(module).forward is not ScriptModule.forward:  # a class of the program
        from ._script import written as source_of

        source_of(module)._save(f, extra)
        return
    if not module._programs:
        raise RuntimeError(f"torch.jit.save: {module.original_name} has no program of its own")
    as_torchscript(module, module._programs)._save(f, extra)


def written(module: PythonScriptModule) -> Any:
    """The module in TorchScript's words."""
    from . import _script

    return _script.written(module.__dict__["_original"])


def written_function(function: Any) -> Any:
    """The source of a function in TorchScript's words: the module whose forward it is."""
    from . import _script

    return _script.written_function(function)


def save_function(function: ScriptFunction, f: Any, extra: dict | None) -> None:
    """Write a function: the forward of a module without parameters."""
    if function._program is None:
        written_function(function._original)._save(f, extra)
        return
    from ._emit import PlaceholderModule, as_torchscript

    as_torchscript(PlaceholderModule(), {"forward": function._program})._save(f, extra)


def load(
    f: Any, map_location: Any = None, _extra_files: dict | None = None, _restore_shapes: bool = False
) -> Any:
    """The module in a file that :func:`save` or PyTorch wrote.

    Raises
    ------
    ValueError
        If there is no such file.
    RuntimeError
        If it is no archive of a program, or a damaged one.
    NotImplementedError
        If it holds objects of C++ classes, as those of quantized layers.
    """
    from ._torchscript import read

    if not isinstance(f, (str, os.PathLike)):
        f.seek(0)
        return read(f, map_location, _extra_files)
    if not os.path.exists(f):
        raise ValueError(f"The provided filename {os.fspath(f)} does not exist")
    if os.path.isdir(f):
        raise ValueError(f"The provided filename {os.fspath(f)} is a directory")
    with open(f, "rb") as file:
        return read(file, map_location, _extra_files)


def from_bytes(content: bytes) -> Any:
    """What was saved into these bytes."""
    return load(io.BytesIO(content))


def save(m: ScriptModule | ScriptFunction, f: Any, _extra_files: dict | None = None) -> None:
    """Write a traced module or function; ``_extra_files`` maps names to texts that go along.

    The file runs without Python by ``flambeau-run model.pt --input x.npy`` and by the C API
    (docs/design/runtime.md).
    """
    m.save(f, _extra_files=_extra_files)


archives.update(
    save_module=save_module,
    save_function=save_function,
    from_bytes=from_bytes,
    written=written,
    written_function=written_function,
)
