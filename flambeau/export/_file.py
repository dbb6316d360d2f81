"""Exported programs in files: a zip of a JSON description and of tensors. Reading one runs nothing of it.

The format is flambeau's own; files of ``torch.export.save`` are told apart and refused.
"""

from __future__ import annotations

import contextlib
import io
import json
import keyword
import math
import operator
import os
import zipfile
from typing import IO, Any

import flambeau as fb
from flambeau.fx.graph import Graph
from flambeau.fx.node import Node
from flambeau.serialization.files import replacing
from flambeau.utils import _pytree as pytree

from .dynamic_shapes import Symbol, ValueRanges
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature, Value
from .graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)  # fmt: skip

__all__ = ["load", "save"]

_FORMAT, _VERSION = "flambeau exported program", 1
_FUNCTIONS = {f.__name__: f for f in (operator.add, operator.mul, operator.floordiv, operator.getitem)}
_NAMED = {str(v): v for v in (
    fb.uint8, fb.int8, fb.int16, fb.int32, fb.int64, fb.float16, fb.float32, fb.float64, fb.bfloat16, fb.bool,
    fb.complex64, fb.complex128, fb.strided, fb.contiguous_format, fb.preserve_format, fb.channels_last,
    fb.channels_last_3d,
)}  # fmt: skip


def _to_json(value: Any) -> Any:
    if isinstance(value, Node):
        return {"node": value.name}
    if isinstance(value, (list, tuple)):
        return {"list" if isinstance(value, list) else "tuple": [_to_json(v) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[key, _to_json(v)] for key, v in value.items()]}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, fb.device):
        return {"device": str(value)}
    if str(value) in _NAMED and not isinstance(value, str):
        return {"named": str(value)}
    if isinstance(value, Symbol):
        return {"symbol": value.name}
    if isinstance(value, Value):
        return {"value": [_to_json(value.dtype), _to_json(value.shape)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise NotImplementedError(f"export.save: a program with a {type(value).__name__} in it")


def _from_json(data: Any, nodes: dict[str, Node]) -> Any:
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind == "node":
        return nodes[content]
    if kind in ("list", "tuple"):
        made = [_from_json(v, nodes) for v in content]
        return made if kind == "list" else tuple(made)
    if kind == "dict":
        return {key: _from_json(v, nodes) for key, v in content}
    if kind == "value":
        return Value(*(_from_json(v, nodes) for v in content))
    if kind == "complex":
        return complex(*content)
    if kind == "device":
        return fb.device(content)
    if kind == "named":
        return _NAMED[content]
    if kind == "symbol":
        return Symbol(content)
    raise ValueError(f"an exported program has a value of unknown kind {kind!r}")


def _target_name(target: Any) -> str:
    if isinstance(target, str):
        return target
    if _FUNCTIONS.get(target.__name__) is target:
        return f"operator.{target.__name__}"
    if not hasattr(target, "_overloadpacket"):
        raise NotImplementedError(f"export.save: a program that calls {target}")
    return f"{target.namespace}.{target._opname}.{target._overloadname}"


def _target(name: str) -> Any:
    parts = name.split(".")
    if parts[0] == "operator" and len(parts) == 2 and parts[1] in _FUNCTIONS:
        return _FUNCTIONS[parts[1]]
    if len(parts) != 3 or not all(_is_name(part) for part in parts):
        raise ValueError(f"an exported program calls {name!r}, which is no operator")
    return getattr(getattr(getattr(fb.ops, parts[0]), parts[1]), parts[2])


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and text.isidentifier() and not keyword.iskeyword(text) and text[:2] != "__"


def _spec_to_json(spec: Any) -> list:
    argument = spec.arg
    constant = isinstance(argument, ConstantArgument)
    return [
        spec.kind.name, argument.name, constant, _to_json(argument.value) if constant else None, spec.target,
        getattr(spec, "persistent", None),
    ]  # fmt: skip


def _argument(name: str, constant: bool, value: Any) -> Any:
    return ConstantArgument(name, _from_json(value, {})) if constant else TensorArgument(name)


def save(
    ep: ExportedProgram,
    f: str | os.PathLike[str] | IO[bytes],
    *,
    extra_files: dict[str, Any] | None = None,
    opset_version: dict[str, int] | None = None,
    pickle_protocol: int = 2,
) -> None:
    """Write an exported program to a file; `extra_files` are texts or bytes to keep along."""
    if not isinstance(ep, ExportedProgram):
        raise TypeError(
            f"The 'ep' parameter must be an instance of 'ExportedProgram', got '{type(ep).__name__}' instead."
        )
    nodes = [
        {
            "op": n.op, "name": n.name, "target": _target_name(n.target), "args": _to_json(n.args),
            "kwargs": _to_json(n.kwargs), "value": _to_json(n.meta.get("val")),
        }
        for n in ep.graph.nodes
    ]  # fmt: skip
    call = ep.call_spec
    description = {
        "format": _FORMAT,
        "version": _VERSION,
        "nodes": nodes,
        "inputs": [_spec_to_json(s) for s in ep.graph_signature.input_specs],
        "outputs": [_spec_to_json(s) for s in ep.graph_signature.output_specs],
        "ranges": [
            [s.name, r.lower, None if r.upper == math.inf else r.upper]
            for s, r in ep.range_constraints.items()
        ],
        "in_spec": pytree.treespec_dumps(call.in_spec),
        "out_spec": pytree.treespec_dumps(call.out_spec),
        "argument_names": call.forward_arg_names,
    }
    with (
        contextlib.nullcontext(f) if hasattr(f, "write") else replacing(f) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        archive.writestr("program.json", json.dumps(description))
        parts = {"state_dict": ep.state_dict, "constants": ep.constants, "example_inputs": ep.example_inputs}
        for name, tensors in parts.items():
            data = io.BytesIO()
            fb.save(tensors, data)
            archive.writestr(f"{name}.pt", data.getvalue())
        for name, content in (extra_files or {}).items():
            archive.writestr(f"extra/{name}", content)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    *,
    extra_files: dict[str, Any] | None = None,
    expected_opset_version: dict[str, int] | None = None,
) -> ExportedProgram:
    """Read what `save` wrote. Names in `extra_files` are filled with the texts kept along.

    Raises
    ------
    RuntimeError, ValueError
        If the file is damaged.
    NotImplementedError
        If another program wrote it.
    """
    try:
        return _read(f, extra_files)
    except (
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as error:
        raise RuntimeError(
            f"export.load: the file is damaged, or no exported program: {type(error).__name__}: {error}"
        ) from error


def _read(f: str | os.PathLike[str] | IO[bytes], extra_files: dict[str, Any] | None) -> ExportedProgram:
    with zipfile.ZipFile(f) as archive:
        names = archive.namelist()
        if "program.json" not in names:
            raise NotImplementedError(
                "export.load: the file is not one that flambeau.export.save wrote; "
                "PyTorch's .pt2 archives are not read"
            )
        description = json.loads(archive.read("program.json"))
        parts = {
            name: fb.load(io.BytesIO(archive.read(f"{name}.pt")), weights_only=True)
            for name in ("state_dict", "constants", "example_inputs")
        }
        for name in extra_files or ():
            if f"extra/{name}" in names:
                extra_files[name] = archive.read(f"extra/{name}").decode()
    if description.get("format") != _FORMAT or description.get("version") != _VERSION:
        raise ValueError(f"not an exported program of version {_VERSION}")
    call = ModuleCallSignature(
        [], [], pytree.treespec_loads(description["in_spec"]), pytree.treespec_loads(description["out_spec"]),
        description["argument_names"],
    )  # fmt: skip
    if not all(_is_name(name) for name in call.forward_arg_names):
        raise ValueError("an exported program has an argument that is no name")
    signature = ExportGraphSignature(
        [InputSpec(InputKind[k], _argument(n, c, v), t, p) for k, n, c, v, t, p in description["inputs"]],
        [OutputSpec(OutputKind[k], _argument(n, c, v), t) for k, n, c, v, t, _ in description["outputs"]],
    )
    for spec in signature.input_specs:
        if spec.kind is not InputKind.USER_INPUT and not (
            spec.target in parts["state_dict"] or spec.target in parts["constants"]
        ):
            raise ValueError(f"an exported program has no tensor for {spec.target!r}")
    return ExportedProgram(
        fb.nn.Module(), _graph(description["nodes"]), signature, parts["state_dict"],
        {Symbol(n): ValueRanges(a, math.inf if b is None else b) for n, a, b in description["ranges"]},
        [ModuleCallEntry("", call)], parts["example_inputs"], parts["constants"],
    )  # fmt: skip


def _graph(entries: list[dict[str, Any]]) -> Graph:
    """The graph of a file; names become variables of generated code, so nothing but names is let through."""
    graph, nodes = Graph(), {}
    for entry in entries:
        op, name = entry["op"], entry["name"]
        if op not in ("placeholder", "call_function", "output") or not _is_name(name):
            raise ValueError(f"an exported program has a node {name!r} of kind {op!r}")
        args, kwargs = _from_json(entry["args"], nodes), _from_json(entry["kwargs"], nodes)
        if not all(_is_name(key) for key in kwargs):
            raise ValueError("an exported program has a keyword that is no name")
        target = (
            _target(entry["target"]) if op == "call_function" else name if op == "placeholder" else "output"
        )
        nodes[name] = node = graph.create_node(op, target, args, kwargs, name=name)
        value = _from_json(entry["value"], nodes)
        if value is not None:
            node.meta["val"] = value
    return graph
