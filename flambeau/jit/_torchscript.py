"""Archives of TorchScript: PyTorch's files of scripted and traced modules, read and written.

An archive is a zip: ``code/`` holds the text of classes and functions, ``data.pkl`` the objects,
``constants.pkl``
the tensors that the text names, ``data/`` and ``constants/`` the bytes of storages.
"""

from __future__ import annotations

import ast
import enum
import io
import os
import pickle
import re
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.serialization import archive, files, loading, options, pickler, unpickler

from ._module import RecursiveScriptModule, ScriptModule, no_graph
from ._source import Class, Function, Instance, Unit, dotted
from ._types import Type

_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
_PYTHONS_OWN = ("__len__", "__contains__", "__getitem__", "__iter__")


class LoadedModule(RecursiveScriptModule):
    """A module whose methods are those of a TorchScript class."""

    _script_class: Class
    _unit: Unit

    def __getattr__(self, name: str) -> Any:
        kind = type(self)._script_class
        method = kind.methods.get(name)
        if method is not None:
            return lambda *args, **kwargs: method(self, *args, **kwargs)
        if name in kind.constants:
            return kind.constants[name]
        return fb.nn.Module.__getattr__(self, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the forward of the program."""
        return self._function("forward")(self, *args, **kwargs)

    def _function(self, name: str) -> Function:
        method = type(self)._script_class.methods.get(name)
        if method is None:
            raise NotImplementedError(
                f'Module [{type(self).__name__}] is missing the required "{name}" function'
                f"\n{self.original_name} defines {', '.join(type(self)._script_class.methods) or 'no method'}"
            )
        return method

    def _get_name(self) -> str:
        return "RecursiveScriptModule"

    @property
    def code(self) -> str:
        """The text of the forward."""
        return self._function("forward").source + "\n"

    @property
    def graph(self) -> str:
        """Not there: programs run as their text says."""
        raise no_graph("RecursiveScriptModule.graph")

    inlined_graph = graph

    def _constants(self) -> dict[str, Any]:
        return {f"c{i}": value for i, value in enumerate(type(self)._unit.constants)}

    def _save(self, f: Any, _extra_files: dict | None = None) -> None:
        write(self, f, _extra_files)


def module_class(kind: Class, unit: Unit) -> type:
    """The Python class for the modules of a TorchScript class."""
    body: dict[str, Any] = {"_script_class": kind, "_unit": unit}
    for name in _PYTHONS_OWN:
        if name in kind.methods:
            body[name] = _forwarding(kind.methods[name])
    if "0" in kind.attributes and "__getitem__" not in kind.methods:  # a list of modules
        body["__getitem__"] = lambda self, place: list(self._modules.values())[place]
    made = type("RecursiveScriptModule", (LoadedModule,), body)
    made.__module__ = RecursiveScriptModule.__module__
    kind.python = made
    return made


def _forwarding(method: Function) -> Callable:
    return lambda self, *args: method(self, *args)


def new_module(kind: type) -> LoadedModule:
    """A module of that class with nothing in it yet."""
    module = kind.__new__(kind)
    ScriptModule.__init__(module)
    module.__dict__["original_name"] = kind._script_class.name.rpartition(".")[2]
    return module


Place = tuple  # where a tensor lies and how: what makes two tensors of a file one


def _place(tensor: fb.Tensor) -> Place:
    return tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype


def fill(module: LoadedModule, state: dict[str, Any], parameters: dict[Place, fb.nn.Parameter]) -> None:
    """Give a module its attributes. ``parameters`` are those already made: where a list names one again (the
    flat
    weights of recurrent layers) it is the same, and follows what is done to it.
    """
    kind = type(module)._script_class

    def known(value: Any) -> Any:
        if isinstance(value, list):
            value[:] = [known(v) for v in value]
        return (
            parameters.get(_place(value), value) if isinstance(value, fb.Tensor) and value.numel() else value
        )

    for name, value in state.items():
        if name == "_is_full_backward_hook":
            continue
        value = known(value)
        if name in kind.parameters or name in kind.buffers:
            if value is not None and not isinstance(value, fb.Tensor):
                kind_of = type(value).__name__
                raise RuntimeError(f"the TorchScript archive is damaged: the tensor {name!r} is {kind_of!r}")
        if name in kind.parameters:
            if isinstance(value, fb.Tensor) and not isinstance(value, fb.nn.Parameter):
                value = fb.nn.Parameter(value.detach(), value.requires_grad)
                parameters[_place(value)] = value
            module._parameters[name] = value
        elif name in kind.buffers:
            module._buffers[name] = value
        elif isinstance(value, fb.nn.Module):
            module._modules[name] = value
        else:
            module.__dict__[name] = value


# ---------------------------------------------------------------- reading
class _Unpickler(unpickler.Unpickler):
    """Objects of an archive: data, and instances of the classes that its code defines."""

    def __init__(self, reader: Any, unit: Unit, persistent: Callable[[Any], Any]) -> None:
        super().__init__(reader, {}, persistent)
        self.unit = unit
        self.parameters: dict[Place, fb.nn.Parameter] = {}

    def find(self, module: str, name: str) -> None:
        if module == "torch.jit._pickle" and name in _LISTS:
            self._push(_list_with_a_type, _list_with_a_type)
        elif module.partition(".")[0] == "__torch__":
            path = f"{module}.{name}"
            kind = self.unit.classes.get(path)
            if kind is None:
                raise NotImplementedError(
                    f"torch.jit.load: the archive holds an object of {path}, which its code does not define"
                    "\n(objects of C++ classes, as of quantized layers, cannot be read)"
                )
            self._push(kind.python, kind.python)
        else:
            super().find(module, name)

    def _push(self, value: Any, maker: Any) -> None:
        self.makers[id(value)] = value, maker
        self.stack.append(value)

    def call(self, function: Any, args: Any, keywords: dict | None = None) -> Any:
        if isinstance(function, type) and issubclass(function, enum.Enum):
            return function(args)  # PyTorch writes the value itself, not a tuple of it
        return super().call(function, args, keywords)

    def new(self, kind: Any, args: Any, keywords: dict | None = None) -> Any:
        if isinstance(kind, type) and issubclass(kind, LoadedModule):
            return new_module(kind)
        if isinstance(kind, type) and issubclass(kind, Instance):
            return kind.__new__(kind)
        return super().new(kind, args, keywords)

    def build(self, obj: Any, state: Any) -> Any:
        if isinstance(obj, (LoadedModule, Instance)):
            kind = type(obj)._script_class
            if "__setstate__" in kind.methods:
                kind.methods["__setstate__"].run(obj, state)
            elif isinstance(obj, LoadedModule):
                fill(obj, state, self.parameters)
            else:
                for name in kind.attributes:
                    setattr(obj, name, state[name])
            return obj
        return super().build(obj, state)


def _list_with_a_type(value: Any, kind: str | None = None) -> Any:
    return value


def read(file: Any, map_location: Any, extra_files: dict | None, frozen: bool = False) -> LoadedModule:
    """The module of an archive; ``frozen``, without parameters and buffers.

    Raises
    ------
    RuntimeError
        If the archive is damaged, or its program says what no program may.
    NotImplementedError
        If it needs classes of C++.
    """
    reader = archive.Reader(file, options.get_crc32_options())
    settings = loading._Settings(options.relocation(map_location), True, pickle, "utf-8", {})

    def unpickled(name: str, folder: str, unit: Unit) -> Any:
        storages = loading._Storages(settings)

        def fetch(key: str, size: int, dtype: fb.dtype | None) -> Any:
            return _bytes_of(reader, f"{folder}/{key}", size)

        content = files.Bounded(io.BytesIO(reader.read(name)))
        try:
            return _Unpickler(content, unit, lambda saved: storages.of(saved, fetch)).load()
        except unpickler.Refused as e:
            raise RuntimeError(f"torch.jit.load: {name} of the archive cannot be read: {e}") from None
        except loading.DAMAGE as e:
            if e is settings.user_error:
                raise
            raise RuntimeError(f"torch.jit.load: {name} is damaged: {type(e).__name__}: {e}") from e

    if "constants.pkl" not in reader or "data.pkl" not in reader:
        raise RuntimeError(
            f"{archive.MISSING.format('constants.pkl')}\n"
            "The file is no program: torch.load reads checkpoints, torch.jit.load what torch.jit.save wrote"
        )
    unit = Unit()
    unit.version = int(reader.read("version")) if "version" in reader else 3
    constants = unpickled("constants.pkl", "constants", unit)
    if not isinstance(constants, (list, tuple)):
        raise RuntimeError(f"constants.pkl of the archive holds a {type(constants).__name__}, not a tuple")
    unit.constants = list(constants)
    texts = sorted(n for n in reader.records() if n.startswith("code/") and n.endswith(".py"))

    def text_of(record: str) -> str:
        text = reader.read(record).decode()
        return _without_parameters(text) if frozen else text

    unit.define_all(
        [(text_of(r), r, r.removeprefix("code/").removesuffix("py").replace("/", ".")) for r in texts]
    )
    for kind in unit.classes.values():
        if kind.base == "Module":
            module_class(kind, unit)
    unit.finish()
    module = unpickled("data.pkl", "data", unit)
    if not isinstance(module, LoadedModule):
        raise RuntimeError(f"torch.jit.load: the archive has no module but a {type(module).__name__}")
    for name in extra_files if extra_files is not None else ():
        if f"extra/{name}" in reader:
            extra_files[name] = reader.read(f"extra/{name}")
    return module


def _bytes_of(reader: archive.Reader, record: str, size: int) -> Any:
    import numpy as np

    if reader.size(record) < size:
        raise RuntimeError(f"record {record} has {reader.size(record)} bytes where {size} are announced")
    data = np.empty(reader.size(record), np.uint8)
    reader.read_into(record, data)
    return data


def frozen_copy(module: LoadedModule, kept: list[str] | None = None) -> LoadedModule:
    """A copy whose parameters and buffers are plain attributes of the program, without gradients.

    Raises
    ------
    RuntimeError
        If one of ``kept`` is not there.
    """
    kind = type(module)._script_class
    for name in kept or ():
        if not hasattr(module, name.partition(".")[0]) and name not in kind.methods:
            raise RuntimeError(f"Unknown name: {name}")
    stream = io.BytesIO()
    write(module, stream)
    stream.seek(0)
    made = read(stream, None, None, frozen=True)
    for part in made.modules():
        for value in vars(part).values():
            if isinstance(value, fb.Tensor):
                value.requires_grad_(False)
    return made


def _without_parameters(text: str) -> str:
    return re.sub(r"(?m)^(  __(?:parameters|buffers)__ = )\[.*\]$", r"\1[]", text)


def operators_of(module: LoadedModule) -> list[str]:
    """The operators that the program of a module names."""
    found = set()
    for text in type(module)._unit.sources.values():
        for node in ast.walk(ast.parse(text)):
            path = dotted(node.func) if isinstance(node, ast.Call) else ""
            if path.startswith("torch.") and path.count(".") == 1:
                found.add("aten::" + path[6:])
            elif path.startswith("ops."):
                found.add(path[4:].replace(".", "::"))
    return sorted(found)


# ---------------------------------------------------------------- writing
class _Call:
    """Written as the call of a name."""

    def __init__(self, path: str, *args: Any) -> None:
        self.path, self.args = path, args


class _Member:
    """Written as a member of an Enum: PyTorch calls its class with the value itself, not with a tuple of
    it."""

    def __init__(self, path: str, value: Any) -> None:
        self.path, self.value = path, value


class _Object:
    """Written as an object of a class, with a state."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.state: dict[str, Any] = {}


class _Plain:
    """Written as a tensor, whether it is a parameter or not."""

    def __init__(self, tensor: fb.Tensor) -> None:
        self.tensor = tensor


class _Pickler(pickler.Pickler):
    dispatch = pickler.Pickler.dispatch.copy()

    def _save_call(self, obj: _Call) -> None:
        self.save_reduce(self.name(obj.path), obj.args, obj=obj)

    def _save_member(self, obj: _Member) -> None:
        self.save(self.name(obj.path))
        self.save(obj.value)
        self.write(pickle.REDUCE)

    def _save_object(self, obj: _Object) -> None:
        self.save(self.name(obj.path))
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        self.memoize(obj)
        self.save(obj.state)
        self.write(pickle.BUILD)

    def _save_plain(self, obj: _Plain) -> None:
        self.save_reduce(*self._reduce_plain(obj.tensor), obj=obj)

    dispatch[_Call] = _save_call
    dispatch[_Member] = _save_member
    dispatch[_Object] = _save_object
    dispatch[_Plain] = _save_plain


class _Written:
    """What the values of a module become before they are pickled."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}

    def value(self, value: Any, kind: Type) -> Any:
        if isinstance(value, fb.Tensor):
            return self.done.setdefault(id(value), _Plain(value))
        if isinstance(value, (LoadedModule, Instance)):
            return self.object(value)
        if kind.name == "Optional" and value is not None:
            return self.value(value, kind.of[0])
        if isinstance(value, list):
            of = kind.of[0] if kind.name == "List" else Type("Any")
            items = [self.value(v, of) for v in value]
            short = {"int": "int", "float": "double", "bool": "bool", "Tensor": "tensor"}.get(str(of))
            if short:
                return _Call(f"torch.jit._pickle.build_{short}list", items)
            return _Call("torch.jit._pickle.restore_type_tag", items, str(kind))
        if isinstance(value, dict):
            key, of = kind.of if kind.name == "Dict" else (Type("Any"), Type("Any"))
            items = {self.value(k, key): self.value(v, of) for k, v in value.items()}
            return _Call("torch.jit._pickle.restore_type_tag", items, str(kind))
        if isinstance(value, tuple):
            parts = kind.of if kind.name == "Tuple" else (Type("Any"),) * len(value)
            return tuple(self.value(v, t) for v, t in zip(value, parts))
        if hasattr(value, "value") and hasattr(type(value), "__members__"):
            return _Member(kind.name, value.value)
        if isinstance(value, complex):
            return _Call("builtins.complex", value.real, value.imag)
        return value

    def object(self, value: Any) -> _Object:
        if id(value) not in self.done:
            kind = type(value)._script_class
            made = self.done[id(value)] = _Object(kind.name)
            if "__getstate__" in kind.methods:
                method = kind.methods["__getstate__"]
                made.state = self.value(method.run(value), method.result)
            else:
                for name, type_ in kind.attributes.items():
                    present = (
                        value.__dict__.get(name) if name in value.__dict__ else getattr(value, name, None)
                    )
                    made.state[name] = self.value(present, type_)
        return self.done[id(value)]


def write(module: LoadedModule, f: Any, extra_files: dict | None = None) -> None:
    """Write an archive that PyTorch and :func:`read` read; a file of that name is replaced when it is
    whole."""
    unit = type(module)._unit
    if isinstance(f, (str, os.PathLike)):
        name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or "archive"
        with files.replacing(f) as file:
            _write(module, unit, file, name, extra_files)
    else:
        _write(module, unit, f, "archive", extra_files)


def _write(module: LoadedModule, unit: Unit, file: Any, name: str, extra_files: dict | None) -> None:
    written = _Written()
    with archive.Writer(file, name) as writer:
        for record, folder, value in (
            ("data.pkl", "data", written.object(module)),
            ("constants.pkl", "constants", tuple(written.value(c, Type("Any")) for c in unit.constants)),
        ):
            stream = io.BytesIO()
            out = _Pickler(stream, 2)
            out.dump(value)
            for storage in out.storages.values():
                writer.write(f"{folder}/{storage.key}", storage.content().data)
            writer.write(record, stream.getvalue())
        for record, text in unit.sources.items():
            writer.write(record, text.encode())
        for key, data in (extra_files or {}).items():
            writer.write(f"extra/{key}", data if isinstance(data, bytes) else data.encode())
        writer.write("version", b"%d\n" % unit.version)
        writer.write("byteorder", b"little")
