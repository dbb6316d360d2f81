"""Exported programs in files: the ``.pt2`` archives of PyTorch 2.13, written and read; reading runs nothing.

A zip: ``models/model.json`` has the graph (`_schema`), ``data/weights`` and ``data/constants`` the bytes of
tensors and which name has which of them, ``data/sample_inputs`` the examples, ``extra`` the user's texts.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import flambeau as fb
from flambeau.serialization.files import replacing
from flambeau.utils import _pytree as pytree

from . import (
    _schema,
    decomp_utils,  # noqa: F401 (programs get `run_decompositions` from it)
)
from .dynamic_shapes import Symbol, ValueRanges
from .exported_program import ExportedProgram, ModuleCallEntry, ModuleCallSignature, Value
from .graph_signature import ConstantArgument, ExportGraphSignature, InputKind, TensorArgument

__all__ = ["load", "save"]

_MAJOR, _MINOR = 8, 20
_MODEL = "model"


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
    weights = dict(ep.state_dict)
    constants = {name: t for name, t in ep.constants.items() if name not in weights}
    description = _program_to_json(ep, opset_version)
    with (
        contextlib.nullcontext(f) if hasattr(f, "write") else replacing(f) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):

        def add(name: str, content: str | bytes) -> None:
            with archive.open(f"archive/{name}", "w", force_zip64=len(content) > 1 << 30) as entry:
                entry.write(content.encode() if isinstance(content, str) else content)

        for folder, part, tensors in (("weights", "weight", weights), ("constants", "tensor", constants)):
            config = {}
            places: dict[int, str] = {}  # tensors of one storage share its bytes
            for name, t in tensors.items():
                key = t.untyped_storage().data_ptr() or id(t)
                place = places.get(key)
                if place is None:
                    place = places[key] = f"{part}_{len(places)}"
                    add(f"data/{folder}/{place}", _bytes_of(t))
                config[name] = {
                    "path_name": place, "is_param": isinstance(t, fb.nn.Parameter), "use_pickle": False,
                    "tensor_meta": _schema.tensor_meta(t),
                }  # fmt: skip
            add(f"data/{folder}/{_MODEL}_{folder}_config.json", json.dumps({"config": config}))
        add(f"models/{_MODEL}.json", json.dumps(description))
        examples = io.BytesIO()
        fb.save(ep.example_inputs, examples, pickle_protocol=pickle_protocol)
        add(f"data/sample_inputs/{_MODEL}.pt", examples.getvalue())
        for name, content in (extra_files or {}).items():
            if not isinstance(content, (str, bytes)):
                raise TypeError(
                    f"export.save: extra_files has a {type(content).__name__} for {name!r}: a text or bytes"
                )
            add(f"extra/{name}", content)
        for name, content in {
            "archive_format": "pt2",
            "archive_version": "0",
            ".data/version": "6\n",
        }.items():
            add(name, content)
        add("byteorder", "little")


def _bytes_of(t: fb.Tensor) -> bytes:
    """All of a tensor's storage."""
    storage = t.detach().cpu().untyped_storage()
    return bytes(fb.empty(0, dtype=fb.uint8).set_(storage).numpy()) if storage.nbytes() else b""


def _sizes_of_examples(ep: ExportedProgram) -> dict[str, int]:
    """What the symbols are for the examples."""
    leaves = iter(pytree.tree_leaves(ep.example_inputs or ()))
    known: dict[str, int] = {}
    for node, spec in zip(ep.graph.nodes, ep.graph_signature.input_specs):
        if spec.kind is not InputKind.USER_INPUT:
            continue
        leaf, value = next(leaves, None), node.meta.get("val")
        if isinstance(leaf, fb.Tensor) and isinstance(value, Value):
            known |= {s.name: n for s, n in zip(value.shape, leaf.shape) if isinstance(s, Symbol)}
    return known


def _program_to_json(ep: ExportedProgram, opset_version: dict[str, int] | None) -> dict[str, Any]:
    signature = ep.graph_signature
    trained = {s.arg.name for s in signature.input_specs if s.target and ep._tensor(s.target).requires_grad}
    writer = _schema.Writer(_sizes_of_examples(ep), trained)
    nodes, inputs = [], []
    outputs: list[Any] = []
    specs = iter(signature.input_specs)
    for node in ep.graph.nodes:
        if node.op == "placeholder":
            spec = next(specs)
            writer.note(node)
            known = _schema.input_spec_to_json(spec)
            constant = known.get("constant_input")
            inputs.append(constant["value"] if constant else {"as_tensor": {"name": node.name}})
        elif node.op == "output":
            outputs = [writer.argument(v) for v in node.args[0]]
        elif not writer.is_part(node):
            nodes.append(writer.node(node))
    root = _call_to_json(ep.call_spec, [], [])
    return {
        "graph_module": {
            "graph": {
                "inputs": inputs, "outputs": outputs, "nodes": nodes, "tensor_values": writer.tensors,
                "sym_int_values": writer.numbers, "sym_bool_values": {}, "is_single_tensor_return": False,
                "custom_obj_values": {}, "sym_float_values": {},
            },
            "signature": {
                "input_specs": [_schema.input_spec_to_json(s) for s in signature.input_specs],
                "output_specs": [
                    _schema.output_spec_to_json(s, a)
                    for s, a in zip(signature.output_specs, outputs, strict=True)
                ],
            },
            "module_call_graph": [
                {"fqn": entry.fqn, "signature": _signature(entry) if entry.fqn else root}
                for entry in ep.module_call_graph
            ],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "opset_version": opset_version or {"aten": 10},
        "range_constraints": {
            s.name: {"min_val": r.lower, "max_val": None if r.upper == math.inf else r.upper}
            for s, r in ep.range_constraints.items()
        },
        "schema_version": {"major": _MAJOR, "minor": _MINOR},
        "verifiers": [ep.dialect],
        "torch_version": fb.__version__,
        "guards_code": [],
    }  # fmt: skip


def load(
    f: str | os.PathLike[str] | IO[bytes],
    *,
    extra_files: dict[str, Any] | None = None,
    expected_opset_version: dict[str, int] | None = None,
) -> ExportedProgram:
    """Read what `save` wrote, here or in PyTorch.

    Names in `extra_files` are filled with the texts kept along.

    Raises
    ------
    RuntimeError, ValueError
        If the file is damaged.
    NotImplementedError
        If the program uses what is not there yet, or was written in another version of the format.
    """
    try:
        with zipfile.ZipFile(f) as archive:
            return _read(_Archive(archive), extra_files)
    except (
        zipfile.BadZipFile,
        EOFError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        SyntaxError,
        RecursionError,
    ) as error:
        raise RuntimeError(
            f"export.load: the file is damaged, or no exported program: {type(error).__name__}: {error}"
        ) from error


class _Archive:
    """The records of a zip whose names all begin with one folder."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.names = set(archive.namelist())
        self.prefix = next(
            (n.removesuffix("archive_format") for n in self.names if n.endswith("/archive_format")), ""
        )
        if f"{self.prefix}archive_format" not in self.names or self.read("archive_format").strip() != b"pt2":
            raise NotImplementedError("export.load: the file is not a .pt2 archive of an exported program")
        if "byteorder" in self and self.read("byteorder").strip() != b"little":
            raise NotImplementedError("export.load: a file of a machine with the other byte order")

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.names

    def read(self, name: str) -> bytes:
        return self.archive.read(self.prefix + name)

    def tensors(self, folder: str, model: str) -> dict[str, fb.Tensor]:
        """Tensors by name; those of one record share their memory."""
        path = f"data/{folder}/{model}_{folder}_config.json"
        storages: dict[tuple[str, fb.dtype], fb.Tensor] = {}
        found = {}
        for name, entry in (json.loads(self.read(path))["config"] if path in self else {}).items():
            record = f"data/{folder}/{entry['path_name']}"
            meta = entry["tensor_meta"]
            if entry["use_pickle"]:
                t = fb.load(io.BytesIO(self.read(record)), weights_only=True)
            elif meta is None:
                raise NotImplementedError(f"export.load: a constant {name!r} that is no tensor")
            else:
                dtype = _schema.DTYPES[meta["dtype"]]
                if (record, dtype) not in storages:
                    content = bytearray(self.read(record))
                    storages[record, dtype] = (
                        fb.frombuffer(content, dtype=dtype) if content else fb.empty(0, dtype=dtype)
                    )
                sizes, strides = ([s["as_int"] for s in meta[k]] for k in ("sizes", "strides"))
                t = storages[record, dtype].as_strided(sizes, strides, meta["storage_offset"]["as_int"])
            needs = bool(meta and meta["requires_grad"])
            found[name] = fb.nn.Parameter(t, needs) if entry["is_param"] else t.requires_grad_(needs)
        return found


def _read(archive: _Archive, extra_files: dict[str, Any] | None) -> ExportedProgram:
    models = [
        n.removeprefix(f"{archive.prefix}models/").removesuffix(".json")
        for n in sorted(archive.names)
        if n.startswith(f"{archive.prefix}models/") and n.endswith(".json")
    ]
    if len(models) != 1:
        raise NotImplementedError(f"export.load: a file of {len(models)} programs")
    (model,) = models
    description = json.loads(archive.read(f"models/{model}.json"))
    version = description["schema_version"]["major"]
    if version != _MAJOR:
        raise NotImplementedError(f"export.load: the file's format is version {version}, {_MAJOR} is read")
    state, constants = archive.tensors("weights", model), archive.tensors("constants", model)
    examples = None
    if f"data/sample_inputs/{model}.pt" in archive:
        examples = fb.load(io.BytesIO(archive.read(f"data/sample_inputs/{model}.pt")), weights_only=True)
    for name in extra_files or ():
        if f"extra/{name}" in archive:
            extra_files[name] = archive.read(f"extra/{name}").decode()
    module = description["graph_module"]
    signature = ExportGraphSignature(
        [_schema.input_spec(s) for s in module["signature"]["input_specs"]],
        [_schema.output_spec(s, k) for k, s in enumerate(module["signature"]["output_specs"])],
    )
    for spec in signature.input_specs:
        if (
            spec.kind is not InputKind.USER_INPUT
            and spec.target not in state
            and spec.target not in constants
        ):
            raise ValueError(f"an exported program has no tensor for {spec.target!r}")
    return ExportedProgram(
        fb.nn.Module(), _schema.Reader(module["graph"]).read(signature.input_specs), signature, state,
        {Symbol(n): _range(r) for n, r in description["range_constraints"].items()},
        [_entry(e) for e in module["module_call_graph"]], examples, constants,
    )  # fmt: skip


def _range(data: Mapping[str, Any]) -> ValueRanges:
    low, high = data["min_val"], data["max_val"]
    return ValueRanges(0 if low is None else low, math.inf if high is None else high)


def _entry(data: Mapping[str, Any]) -> ModuleCallEntry:
    call = data["signature"]
    if call is None:
        return ModuleCallEntry(data["fqn"])
    names = call["forward_arg_names"]
    if names is not None and not all(_schema.is_name(name) for name in names):
        raise ValueError("an exported program has an argument that is no name")
    in_spec, out_spec = pytree.treespec_loads(call["in_spec"]), pytree.treespec_loads(call["out_spec"])
    kept = (call["inputs"], call["outputs"]) if data["fqn"] else ((), ())
    inputs, outputs = (list(map(_call_argument, arguments)) for arguments in kept)
    return ModuleCallEntry(data["fqn"], ModuleCallSignature(inputs, outputs, in_spec, out_spec, names))


_CONSTANTS = {bool: "as_bool", int: "as_int", float: "as_float", str: "as_string"}


def _signature(entry: ModuleCallEntry) -> dict[str, Any] | None:
    """How a module is called, as the file has it."""
    call = entry.signature
    if call is None:
        return None

    def written(argument: Any) -> dict[str, Any]:
        if isinstance(argument, TensorArgument):
            return {"as_tensor": {"name": argument.name}}
        if argument.value is None:
            return {"as_none": True}
        kind = _CONSTANTS.get(type(argument.value))
        if kind is None:
            raise NotImplementedError(f"export.save: {argument.value!r} among the arguments of {entry.fqn}")
        return {kind: argument.value}

    return _call_to_json(call, list(map(written, call.inputs)), list(map(written, call.outputs)))


def _call_to_json(call: Any, inputs: list, outputs: list) -> dict[str, Any]:
    """The structures and names of a call's arguments, and the arguments as they are written."""
    return {
        "inputs": inputs, "outputs": outputs, "in_spec": pytree.treespec_dumps(call.in_spec),
        "out_spec": pytree.treespec_dumps(call.out_spec), "forward_arg_names": call.forward_arg_names,
    }  # fmt: skip


def _call_argument(data: Mapping[str, Any]) -> TensorArgument | ConstantArgument:
    ((kind, value),) = data.items()
    if kind == "as_tensor":
        if not _schema.is_name(value["name"]):
            raise ValueError("an exported program has a tensor that is no name")
        return TensorArgument(value["name"])
    if kind == "as_none":
        return ConstantArgument("", None)
    if kind not in _CONSTANTS.values():
        raise NotImplementedError(f"export.load: {kind} among the arguments of a module")
    return ConstantArgument("", value)
