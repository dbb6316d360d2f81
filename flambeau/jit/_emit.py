"""Traced programs as TorchScript: the text of their operators, and the classes of the modules around them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau._recorded import needed, schema_of

from . import _types
from ._classes import converted
from ._program import TracedProgram, torch_name
from ._source import Unit
from ._torchscript import LoadedModule, fill, module_class, new_module

# Arguments that PyTorch's schema takes by name and the core's in order.
_BY_NAME = {"gelu": {1: "approximate"}}
_OTHER_NAMES = {"_bincount": ("bincount", {1: "minlength"})}


# Operators whose first operand may be a number in the core and not in PyTorch, written another way.
_REFLECTED: dict[str, Callable[[list[str]], tuple[str, list[str]]]] = {
    "add": lambda parts: ("add", [parts[1], parts[0]] if parts[2:] in ([], ["alpha=1"]) else parts),
    "mul": lambda parts: ("mul", [parts[1], parts[0]]),
    "sub": lambda parts: ("rsub", [parts[1], parts[0]]),
    "div": lambda parts: ("mul", [f"torch.reciprocal({parts[1]})", parts[0]]),
}


def _keywords(step_name: str) -> dict[int, str]:
    """Which arguments of an operator are given by name, by their place."""
    plain = step_name.partition("::")[2] or step_name
    if plain in _BY_NAME:
        return _BY_NAME[plain]
    schema = schema_of(step_name)
    names: dict[int, str] = {}
    place, by_name = 0, False
    for part in schema[schema.index("(") + 1 : schema.rindex(") ->")].split(", ") if ") ->" in schema else []:
        if part == "*":
            by_name = True
            continue
        if by_name:
            names[place] = part.split("=")[0].split(" ")[-1]
        place += 1
    return names


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def attribute(owner: str, path: str) -> str:
    """The expression for an attribute of an attribute."""
    for name in path.split("."):
        owner = f"{owner}.{name}" if name.isidentifier() else f'getattr({owner}, "{name}")'
    return owner


class _Text:
    """Writes one program."""

    def __init__(self, program: TracedProgram, constants: dict[int, int]) -> None:
        self.program, self.constants = program, constants
        layout = program.layout
        self.names: dict[int, str] = {}
        self.lines: list[str] = []
        self.signature: list[str] = []
        self._take_inputs(iter(layout["inputs"]))
        for slot, held in zip(layout["held"], program.held):
            constant = program.constants.get(held)
            self.names[slot] = (
                attribute("self", held) if constant is None else f"CONSTANTS.c{constants[id(constant)]}"
            )

    def _take_inputs(self, slots: Any) -> None:
        structure = self.program.inputs
        args, kwargs = structure["list"]
        named = list(self.program.parameters)
        parts = [(None, a) for a in next(iter(args.values()))] + [(k, v) for k, v in kwargs["dict"]]
        self.leaf_names: list[str] = []

        def take(expression: str, part: Any) -> str:
            """Names the tensors below an argument; its type."""
            if part == "tensor":
                slot = next(slots)
                self.leaf_names.append(expression)
                if slot >= 0:
                    self.names[slot] = expression
                return "Tensor"
            kind, content = next(iter(part.items()))
            if kind == "value":
                return str(_types.of_value(content, str))
            if kind == "dict":
                types = {take(f"{expression}[{json.dumps(k)}]", v) for k, v in content}
                return f"Dict[str, {types.pop() if len(types) == 1 else 'Tensor'}]"
            types = [take(f"{expression}[{i}]", v) for i, v in enumerate(content)]
            if kind == "list":
                return f"List[{types[0] if types else 'Tensor'}]"
            return f"Tuple[{', '.join(types)}]"

        for i, (key, part) in enumerate(parts):
            name = key or (named[i] if i < len(named) and len(named) == len(parts) else f"input_{i}")
            if name in ("self", "None", "torch"):
                name += "_"
            self.signature.append(f"{name}: {take(name, part)}")

    def value(self, argument: list) -> str:
        kind, value = argument
        if kind == "tensor":
            return self.names.get(value, "None")
        if kind == "tensors":
            return f"[{', '.join(self.names.get(v, 'None') for v in value)}]"
        if kind == "float":
            return _number(value)
        if kind == "complex":
            return f"complex({_number(value[0])}, {_number(value[1])})"
        if kind in ("floats", "numbers"):
            return f"[{', '.join(_number(v) if isinstance(v, float) else repr(v) for v in value)}]"
        if kind == "str":
            return json.dumps(value)
        if kind == "device":
            names = {0: "cpu"}
            kind_name = names.get(value[0])
            if kind_name is None:
                raise NotImplementedError(
                    "torch.jit.save: a traced program that names a device other than the cpu"
                )
            return 'torch.device("cpu")'
        return repr(value)

    def steps(self) -> None:
        program = self.program
        changes = {}
        for step, place, inner, dimension, factor in program.varying:
            changes.setdefault((step, place), []).append((inner, dimension, factor))
        wanted = needed(program.steps, program.layout["outputs"])
        for index, (name, arguments, given, inplace, results, is_list) in enumerate(program.steps):
            if not wanted[index]:
                continue
            space, _, plain = name.rpartition("::")
            plain = plain.partition(".")[0]
            own = not torch_name(name).startswith("aten::")  # defined by `torch.library`
            function = plain if space in ("", "nn") else f"{space}_{plain}"
            by_name = _keywords(name)
            if function in _OTHER_NAMES:
                function, by_name = _OTHER_NAMES[function]
            parts = []
            for place, argument in enumerate(arguments):
                text = self._varied(argument, changes.get((index, place)))
                parts.append(f"{by_name[place]}={text}" if place in by_name else text)
            if arguments and arguments[0][0] in ("int", "float") and function in _REFLECTED:
                function, parts = _REFLECTED[function](parts)
            if given and not inplace:
                parts += [f"out={self.names[g]}" for g in given if g >= 0]
            for r in results:
                if r >= 0:
                    self.names.setdefault(r, f"_{r}")
            targets = [f"_{r}" if r >= 0 else f"_unused{index}_{i}" for i, r in enumerate(results)]
            left = f"{', '.join(targets)}{',' if is_list else ''} = " if targets else ""
            if own:
                self.lines.append(f"    {left}ops.{space}.{plain}({', '.join(parts)})")
                continue
            self.lines.append(f"    {left}torch.{function}{'_' if inplace else ''}({', '.join(parts)})")

    def _varied(self, argument: list, changes: list | None) -> str:
        if not changes:
            return self.value(argument)
        kind, value = argument
        if kind == "int":
            return self._follows(value, *changes[0][1:])
        texts = [repr(v) for v in value]
        for inner, dimension, factor in changes:
            texts[inner] = self._follows(value[inner], dimension, factor)
        return f"[{', '.join(texts)}]"

    def _follows(self, value: int, dimension: int, factor: int) -> str:
        """A number that was ``value`` and changes by ``factor`` with the size of a dimension of the
        inputs."""
        which = next(i for i, s in enumerate(self.program.sizes) if len(s) > dimension)
        size = f"torch.size({self.leaf_names[which]}, {dimension})"
        rest = value - factor * self.program.sizes[which][dimension]
        product = size if factor == 1 else f"torch.mul({size}, {factor})"
        return product if rest == 0 else f"torch.add({product}, {rest})"

    def guards(self) -> None:
        for name, sizes in zip(self.leaf_names, self.program.sizes):
            for d, size in enumerate(sizes):
                if d not in self.program.free:
                    said = (
                        f"The traced program was recorded for size {size} of dimension {d}; "
                        "its numbers could not be told apart from that size; trace it again"
                    )
                    self.lines += [
                        f"    if torch.ne(torch.size({name}, {d}), {size}):",
                        f'      ops.prim.RaiseException("{said}", "builtins.RuntimeError")',
                        "    else:",
                        "      pass",
                    ]

    def method(self, name: str, owner: str) -> str:
        self.guards()
        self.steps()
        slots = iter(self.program.layout["outputs"])

        def result(structure: Any) -> tuple[str, str]:
            if structure == "tensor":
                return self.names[next(slots)], "Tensor"
            kind, content = next(iter(structure.items()))
            if kind == "value":
                text = _number(content) if isinstance(content, float) else json.dumps(content)
                text = repr(content) if content is None or isinstance(content, bool) else text
                return text, str(_types.of_value(content, str))
            if kind == "dict":
                pairs = [(json.dumps(k), *result(v)) for k, v in content]
                item = pairs[0][2] if pairs else "Tensor"
                return "{" + ", ".join(f"{k}: {v}" for k, v, _ in pairs) + "}", f"Dict[str, {item}]"
            parts = [result(v) for v in content]
            if kind == "list":
                item = parts[0][1] if parts else "Tensor"
                return f"[{', '.join(t for t, _ in parts)}]", f"List[{item}]"
            comma = "," if len(parts) == 1 else ""
            return f"({', '.join(t for t, _ in parts)}{comma})", f"Tuple[{', '.join(t for _, t in parts)}]"

        text, kind = result(self.program.outputs)
        arguments = ",\n    ".join([*([f"self: {owner}"] if owner else []), *self.signature])
        head = f"  def {name}({arguments}) -> {kind}:"
        return "\n".join([head, *self.lines, f"    return {text}", ""])


def program_text(program: TracedProgram, constants: dict[int, int], name: str, owner: str) -> str:
    """A traced program as a method of that name of the class ``owner``; of no class, as a function."""
    return _Text(program, constants).method(name, owner)


def class_text(name: str, module: fb.nn.Module, kinds: dict[str, str], methods: list[str]) -> str:
    def names(values: dict) -> str:
        return "[" + "".join(f'"{n}", ' for n in values) + "]"

    lines = [f"class {name}(Module):", f"  __parameters__ = {names(module._parameters)}"]
    lines.append(f"  __buffers__ = {names(module._buffers)}")
    attributes = {
        n: "NoneType" if t is None else "Tensor"
        for n, t in (*module._parameters.items(), *module._buffers.items())
    }
    attributes.update(training="bool", _is_full_backward_hook="Optional[bool]", **kinds)
    for key, kind in attributes.items():
        lines.append(f"  {key} : {kind}" if key.isidentifier() else f'  __annotations__["{key}"] = {kind}')
    return "\n".join([*lines, *methods]).rstrip("\n") + "\n"


def class_path(index: int, name: str) -> str:
    """The path of a class: each module has one of its own, so each but the first is in a place of its own."""
    return f"__torch__.{name}" if not index else f"__torch__.___torch_mangle_{index - 1}.{name}"


class PlaceholderModule(fb.nn.Module):
    """What holds a function in a file."""


def as_torchscript(module: fb.nn.Module, programs: dict[str, TracedProgram]) -> LoadedModule:
    """The module with its traced programs as a module of TorchScript; its tensors are shared."""
    constants: list[fb.Tensor] = []
    numbers: dict[int, int] = {}
    for program in programs.values():
        for value in program.constants.values():
            if id(value) not in numbers:
                numbers[id(value)] = len(constants)
                constants.append(value)
    texts: dict[str, list[str]] = {}
    paths: dict[int, str] = {}

    def declare(part: fb.nn.Module, methods: Callable[[str], list[str]]) -> str:
        if id(part) in paths:
            return paths[id(part)]
        kinds = {n: declare(c, lambda _: []) for n, c in part._modules.items() if c is not None}
        short = str(getattr(part, "original_name", type(part).__name__))
        short = short if short.isidentifier() else "Module"
        path = paths[id(part)] = class_path(len(paths), short)
        texts.setdefault(path.rpartition(".")[0], []).append(class_text(short, part, kinds, methods(path)))
        return path

    declare(module, lambda path: [program_text(p, numbers, name, path) for name, p in programs.items()])
    return assemble(module, texts, paths, constants, {})


def assemble(
    module: fb.nn.Module,
    texts: dict[str, list[str]],
    paths: dict[int, str],
    constants: list[fb.Tensor],
    attributes: dict[int, list[str]],
    kinds: dict[type, str] | None = None,
) -> LoadedModule:
    """A module of TorchScript from the texts of classes: ``paths`` has the class of each part by its id,
    ``attributes`` what it keeps besides tensors and modules, ``kinds`` the paths of classes of the program.
    """
    unit = Unit(constants)
    unit.define_all(
        [("".join(t), f"code/{place.replace('.', '/')}.py", place + ".") for place, t in texts.items()]
    )
    for kind in unit.classes.values():
        if kind.base == "Module":
            module_class(kind, unit)
    unit.finish()
    made: dict[int, LoadedModule] = {}

    def build(part: fb.nn.Module) -> LoadedModule:
        if id(part) not in made:
            new = made[id(part)] = new_module(unit.classes[paths[id(part)]].python)
            state = {**part._parameters, **part._buffers, "training": part.training}
            names = attributes.get(id(part), ())
            state.update((n, converted(getattr(part, n), kinds or {}, unit.classes)) for n in names)
            state.update((n, build(c)) for n, c in part._modules.items() if c is not None)
            fill(new, state, {})
            new.__dict__.setdefault("_is_full_backward_hook", None)
            new._non_persistent_buffers_set.update(part._non_persistent_buffers_set)
        return made[id(part)]

    return build(module)
