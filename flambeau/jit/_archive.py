"""Files of traced programs: a zip with ``program.json``, which people can read, and the tensors."""

from __future__ import annotations

import io
import json
import os
import zipfile
from typing import Any

import flambeau as fb

from ._module import PythonScriptModule, RecursiveScriptModule, ScriptFunction, ScriptModule
from ._program import TracedProgram

FORMAT = "flambeau traced program 1"


def _tree(module: fb.nn.Module) -> dict[str, Any]:
    return {
        "name": getattr(module, "original_name", type(module).__name__),
        "training": module.training,
        "parameters": {n: p is not None and p.requires_grad for n, p in module._parameters.items()},
        "absent": [n for n, t in {**module._parameters, **module._buffers}.items() if t is None],
        "buffers": list(module._buffers),
        "transient": sorted(module._non_persistent_buffers_set),
        "children": {n: None if m is None else _tree(m) for n, m in module._modules.items()},
    }


def _write(f: Any, document: dict, tensors: dict[str, fb.Tensor], extra: dict | None) -> None:
    content = io.BytesIO()
    fb.save(tensors, content)
    with zipfile.ZipFile(f, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("program.json", json.dumps(document, indent=1))
        archive.writestr("tensors.pt", content.getvalue())
        for name, data in (extra or {}).items():
            archive.writestr(f"extra/{name}", data)


def _programs(programs: dict[str, TracedProgram], tensors: dict[str, fb.Tensor]) -> dict[str, Any]:
    for method, program in programs.items():
        for name, value in program.constants.items():
            tensors[f"{method}/{name}"] = value
    return {method: {**p.describe(), "code": p.code().splitlines()} for method, p in programs.items()}


def save_module(module: ScriptModule, f: Any, extra: dict | None) -> None:
    """Write a traced module."""
    if isinstance(module, PythonScriptModule) or not module._programs:
        raise NotImplementedError(
            "torch.jit.save: a scripted module runs its Python, which no file can hold; save what "
            "torch.jit.trace gives"
        )
    tensors = {"state/" + n: t for n, t in module.named_parameters(remove_duplicate=False)}
    tensors.update({"state/" + n: t for n, t in module.named_buffers(remove_duplicate=False)})
    tensors = {n: t.detach() for n, t in tensors.items()}
    document = {"format": FORMAT, "module": _tree(module), "programs": _programs(module._programs, tensors)}
    _write(f, document, tensors, extra)


def save_function(function: ScriptFunction, f: Any, extra: dict | None) -> None:
    """Write a traced function."""
    if function._program is None:
        raise NotImplementedError(
            "torch.jit.save: a scripted function runs its Python; save what torch.jit.trace gives"
        )
    tensors: dict[str, fb.Tensor] = {}
    document = {"format": FORMAT, "function": function.name}
    document["programs"] = _programs({"forward": function._program}, tensors)
    _write(f, document, tensors, extra)


def _read_programs(document: dict, tensors: dict[str, fb.Tensor]) -> dict[str, TracedProgram]:
    programs = {}
    for method, d in document["programs"].items():
        d = {k: v for k, v in d.items() if k != "code"}
        start = f"{method}/"
        constants = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
        programs[method] = TracedProgram(constants=constants, **d)
    return programs


def _grow(tree: dict, prefix: str, tensors: dict[str, fb.Tensor]) -> RecursiveScriptModule:
    module = RecursiveScriptModule()
    module.__dict__["original_name"] = tree["name"]
    module.__dict__["training"] = tree["training"]
    absent = set(tree["absent"])
    for name, requires_grad in tree["parameters"].items():
        value = None if name in absent else fb.nn.Parameter(tensors[f"state/{prefix}{name}"], requires_grad)
        module._parameters[name] = value
    for name in tree["buffers"]:
        module._buffers[name] = None if name in absent else tensors[f"state/{prefix}{name}"]
    module._non_persistent_buffers_set.update(tree["transient"])
    for name, child in tree["children"].items():
        module._modules[name] = None if child is None else _grow(child, f"{prefix}{name}.", tensors)
    return module


def load(
    f: Any, map_location: Any = None, _extra_files: dict | None = None, _restore_shapes: bool = False
) -> RecursiveScriptModule | ScriptFunction:
    """A module or function that :func:`save` wrote.

    Raises
    ------
    ValueError
        If there is no such file.
    NotImplementedError
        For an archive of PyTorch's that holds objects of C++ classes.
    """
    if isinstance(f, (str, os.PathLike)):
        if not os.path.exists(f):
            raise ValueError(f"The provided filename {os.fspath(f)} does not exist")
        if os.path.isdir(f):
            raise ValueError(f"The provided filename {os.fspath(f)} is a directory")
    try:
        archive = zipfile.ZipFile(f)
    except zipfile.BadZipFile:
        raise RuntimeError("PytorchStreamReader failed reading zip archive: not a ZIP archive") from None
    with archive:
        names = archive.namelist()
        if "program.json" not in names:
            if any("/code/" in n for n in names):
                return _read_torchscript(f, map_location, _extra_files)
            raise RuntimeError("torch.jit.load: the archive holds no traced program")
        document = json.loads(archive.read("program.json"))
        if not isinstance(document, dict):
            raise RuntimeError("torch.jit.load: the archive is damaged: its program is no object")
        if document.get("format") != FORMAT:
            raise RuntimeError(f"torch.jit.load: unknown format {document.get('format')!r}")
        tensors = fb.load(io.BytesIO(archive.read("tensors.pt")), map_location=map_location)
        for name in _extra_files if _extra_files is not None else ():
            if f"extra/{name}" in names:
                _extra_files[name] = archive.read(f"extra/{name}")
    try:
        programs = _read_programs(document, tensors)
        if "function" in document:
            return ScriptFunction(document["function"], program=programs["forward"])
        module = _grow(document["module"], "", tensors)
        module._programs.update(programs)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as e:
        raise RuntimeError(f"torch.jit.load: the archive is damaged: {type(e).__name__}: {e}") from e
    return module


def _read_torchscript(f: Any, map_location: Any, extra_files: dict | None) -> RecursiveScriptModule:
    from ._torchscript import read

    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return read(file, map_location, extra_files)
    f.seek(0)
    return read(f, map_location, extra_files)


def from_bytes(content: bytes) -> Any:
    """What was saved into these bytes."""
    return load(io.BytesIO(content))


def save(m: ScriptModule | ScriptFunction, f: Any, _extra_files: dict | None = None) -> None:
    """Write a traced module or function; ``_extra_files`` maps names to texts that go along."""
    m.save(f, _extra_files=_extra_files)
