"""The Python of a graph: one line a node, names let go behind their last use."""

from __future__ import annotations

import builtins
import enum
import keyword
import math
import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import flambeau as fb
from flambeau.fx import _pytree as fx_pytree
from flambeau.fx._names import is_from_torch, qualified_name, type_repr
from flambeau.fx.node import Node, nodes_of
from flambeau.utils import _pytree as pytree

if TYPE_CHECKING:
    from flambeau.fx.graph import Graph

magic_methods = {
    "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "gt": "{} > {}", "le": "{} <= {}", "ge": "{} >= {}",
    "pos": "+{}", "neg": "-{}", "invert": "~{}", "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}",
    "floordiv": "{} // {}", "truediv": "{} / {}", "div": "{} / {}", "mod": "{} % {}", "pow": "{} ** {}",
    "lshift": "{} << {}", "rshift": "{} >> {}", "and_": "{} & {}", "or_": "{} | {}", "xor": "{} ^ {}",
    "getitem": "{}[{}]", "matmul": "{} @ {}",
}  # fmt: skip
_UNREFLECTED = ("eq", "ne", "lt", "gt", "le", "ge", "pos", "neg", "invert")
reflectable_magic_methods = {k: v for k, v in magic_methods.items() if k not in _UNREFLECTED}
inplace_methods = {
    "iadd": "{} += {}", "iand": "{} &= {}", "ifloordiv": "{} //= {}", "ilshift": "{} <<= {}",
    "imod": "{} %= {}", "imul": "{} *= {}", "imatmul": "{} @= {}", "ior": "{} |= {}", "ipow": "{} **= {}",
    "irshift": "{} >>= {}", "isub": "{} -= {}", "itruediv": "{} /= {}", "ixor": "{} ^= {}",
    "setitem": "{}[{}] = {}",
}  # fmt: skip


class _CustomBuiltin(NamedTuple):
    import_str: str
    obj: Any


_custom_builtins = {
    "inf": _CustomBuiltin("from math import inf", math.inf),
    "nan": _CustomBuiltin("from math import nan", math.nan),
    "NoneType": _CustomBuiltin("NoneType = type(None)", type(None)),
    "torch": _CustomBuiltin("import flambeau as torch", fb),
    "device": _CustomBuiltin("from flambeau import device", fb.device),
    "fx_pytree": _CustomBuiltin("import flambeau.fx._pytree as fx_pytree", fx_pytree),
    "pytree": _CustomBuiltin("import flambeau.utils._pytree as pytree", pytree),
}


def _snake_case(s: str) -> str:
    """``BatchNorm2d`` -> ``batch_norm2d``."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", s).lower()


class _Namespace:
    """Names that are taken; a new one gets a number if its wish is taken, or is a word of Python."""

    def __init__(self) -> None:
        self._obj_to_name: dict[Any, str] = {}
        self._used_names: set[str] = set()
        self._last: dict[str, int] = {}

    def create_name(self, candidate: str, obj: Any | None) -> str:
        """A name like ``candidate`` that nothing else has; an object keeps the one that it got."""
        if obj is not None and (known := self._obj_to_name.get(_key(obj))) is not None:
            return known
        candidate = re.sub("[^0-9a-zA-Z_]+", "_", candidate) or "_unnamed"
        if candidate[0].isdigit():
            candidate = "_" + candidate
        match = re.fullmatch(r"(.+)_(\d+)", candidate)
        base, number = (match[1], int(match[2])) if match else (candidate, 0)
        if match is None:
            number = self._last.get(base, 0)
        while candidate in self._used_names or self._is_illegal_name(candidate, obj):
            number = max(number, self._last.get(base, 0)) + 1
            candidate = f"{base}_{number}"
        self._used_names.add(candidate)
        self._last[base] = max(number, self._last.get(base, 0)) if match or number else 0
        if obj is not None:
            self._obj_to_name[_key(obj)] = candidate
        return candidate

    def associate_name_with_obj(self, name: str, obj: Any) -> None:
        """Let an object have a name that was made before."""
        self._obj_to_name.setdefault(_key(obj), name)

    def _is_illegal_name(self, name: str, obj: Any) -> bool:
        if name in keyword.kwlist:
            return True
        if name in builtins.__dict__:
            return obj is not builtins.__dict__[name]
        return name in _custom_builtins and obj is not _custom_builtins[name].obj


def _key(obj: Any) -> Any:
    return obj if isinstance(obj, Node) else id(obj)


@dataclass
class PythonCode:
    """The source of a forward and the global names that it needs."""

    src: str
    globals: dict[str, Any]
    _lineno_map: dict[int, int | None] | None = None
    _prologue_start: int = 0


@dataclass
class _Writer:
    """What is written while a graph becomes Python."""

    namespace: _Namespace
    globals: dict[str, Any] = field(default_factory=dict)
    wrapped: dict[str, None] = field(default_factory=dict)
    free_vars: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    returns: str = ""

    def add_global(self, hint: str, obj: Any) -> str:
        """The name of an object in the code."""
        if obj is fb.Tensor or (is_from_torch(obj) and obj is not fb.device):
            return type_repr(obj) if isinstance(obj, type) else qualified_name(obj)
        name = self.namespace.create_name(hint.replace(".", "_"), obj)
        self.globals.setdefault(name, obj)
        return name

    def type_name(self, o: Any) -> str:
        """An annotation."""
        if o == ():
            return "()"
        origin = getattr(o, "__origin__", None)
        if origin is None:
            return self.add_global(type_repr(o), o)
        if getattr(o, "__module__", None) == "typing":
            name = "Union" if origin is typing.Union else getattr(o, "_name", None) or origin.__name__
            origin = getattr(typing, name, origin)
            name = f"typing.{name}"
        else:
            name = type_repr(origin)
        base = self.add_global(name, origin)
        inner = ["_" if a is ... else self.type_name(a) for a in o.__args__]
        if any(a is ... for a in o.__args__):
            self.globals.setdefault("_", ...)
        return f"{base}[{','.join(inner)}]" if inner else base

    def value(self, arg: Any) -> str:
        """An argument."""
        if isinstance(arg, tuple):
            if hasattr(arg, "_fields"):
                return self.add_global(qualified_name(type(arg)), type(arg)) + self._tuple(arg)
            return self._tuple(arg)
        if isinstance(arg, list):
            return f"[{', '.join(map(self.value, arg))}]"
        if isinstance(arg, dict):
            return "{" + ", ".join(f"{k!r}: {self.value(v)}" for k, v in arg.items()) + "}"
        if isinstance(arg, slice):
            return f"slice({self.value(arg.start)}, {self.value(arg.stop)}, {self.value(arg.step)})"
        if isinstance(arg, enum.Enum):
            return f"{self.add_global(type_repr(type(arg)), type(arg))}.{arg.name}"
        if isinstance(arg, type):
            return self.add_global(type_repr(arg), arg)
        return repr(arg)

    def _tuple(self, items: Iterable) -> str:
        items = list(items)
        return f"({', '.join(map(self.value, items))}{',' if len(items) == 1 else ''})"

    def arguments(self, args: Iterable, kwargs: dict) -> str:
        """What stands between the parentheses of a call."""
        return ", ".join([*map(self.value, args), *(f"{k} = {self.value(v)}" for k, v in kwargs.items())])


def _format_target(base: str, target: str) -> str:
    for part in target.split("."):
        base = f"{base}.{part}" if part.isidentifier() else f'getattr({base}, "{part}")'
    return base


def _is_magic(x: str) -> bool:
    return x.startswith("__") and x.endswith("__")


class CodeGen:
    """How the code of a graph takes its arguments and gives its result."""

    def __init__(self) -> None:
        self._body_transformer: Callable[[list[str]], list[str]] | None = None
        self._func_name = "forward"

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        """The line of the ``def``, and what is behind it before the first node."""
        names = free_vars if free_vars and free_vars[0] == "self" else ["self", *free_vars]
        return f"def {self._func_name}({', '.join(names)}){maybe_return_annotation}:"

    def generate_output(self, output_args: Any, writer: _Writer | None = None) -> str:
        """The line of the ``return``."""
        return f"return {writer.value(output_args) if writer else repr(output_args)}"

    def process_inputs(self, *args: Any) -> Any:
        """Arguments of the forward as arguments of the placeholders."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """The output node's value as the forward gives it."""
        return outputs

    def additional_globals(self) -> list[tuple[str, Any]]:
        """More names that the code uses."""
        return []

    # ------------------------------------------------------------------ lines
    def _write(self, nodes: Iterable[Node], namespace: _Namespace) -> PythonCode:
        nodes = list(nodes)
        writer = _Writer(namespace)
        for name, (_, obj) in _custom_builtins.items():
            writer.globals[namespace.create_name(name, obj)] = obj
        for name, obj in self.additional_globals():
            writer.add_global(name, obj)
        last_uses = _last_uses(nodes)
        for node in nodes:
            line = self._line(node, writer)
            if node.op not in ("placeholder", "output"):
                gone = last_uses.get(node, [])
                line += f";  {' = '.join(map(repr, gone))} = None" if gone else ""
            if line:
                writer.body.append(line + "\n")
        body = writer.body or ["pass\n"]
        if self._body_transformer:
            body = self._body_transformer(body)
        head = "\n".join(f'torch.fx._symbolic_trace.wrap("{name}")' for name in writer.wrapped)
        code = "".join(body)
        code = "\n".join("    " + line for line in code.split("\n"))
        source = f"\n{head}\n\n{self.gen_fn_def(writer.free_vars, writer.returns)}\n{code}"
        return PythonCode(source, writer.globals)

    def _line(self, node: Node, w: _Writer) -> str:
        kind = f" : {w.type_name(node.type)}" if node.type is not None else ""
        if node.op == "placeholder":
            default = f" = {w.value(node.args[0])}" if node.args else ""
            w.free_vars.append(f"{node.target}{kind}{default}")
            raw = node.target.replace("*", "")
            return "" if raw == repr(node) else f"{node!r} = {raw}"
        if node.op == "output":
            if node.type is not None:
                w.returns = f" -> {w.type_name(node.type)}"
            return self.generate_output(node.args[0], w)
        if node.op == "get_attr":
            return f"{node!r}{kind} = {_format_target('self', node.target)}"
        if node.op == "call_module":
            head = _format_target("self", node.target)
            return f"{node!r}{kind} = {head}({w.arguments(node.args, node.kwargs)})"
        if node.op == "call_method":
            head = _format_target(w.value(node.args[0]), node.target)
            return f"{node!r}{kind} = {head}({w.arguments(node.args[1:], node.kwargs)})"
        return self._function_line(node, kind, w)

    def _function_line(self, node: Node, kind: str, w: _Writer) -> str:
        target, name = node.target, getattr(node.target, "__name__", "")
        if getattr(target, "__module__", None) == "_operator" and not node.kwargs:
            if name in magic_methods:
                return f"{node!r}{kind} = {magic_methods[name].format(*map(w.value, node.args))}"
            if name in inplace_methods:
                done = inplace_methods[name].format(*map(w.value, node.args))
                return f"{done};  {node!r}{kind} = {w.value(node.args[0])}"
        if target is getattr and len(node.args) == 2 and str(node.args[1]).isidentifier():
            return f"{node!r}{kind} = {_format_target(w.value(node.args[0]), node.args[1])}"
        called = w.add_global(qualified_name(target), target)
        if node._is_wrapped():
            w.wrapped[called] = None
        return f"{node!r}{kind} = {called}({w.arguments(node.args, node.kwargs)})"


def _last_uses(nodes: list[Node]) -> dict[Node, list[Node]]:
    """Node -> nodes that are not used behind it."""
    seen: set[Node] = set()
    found: dict[Node, list[Node]] = {}
    for node in reversed(nodes):
        for used in nodes_of((node.args, node.kwargs)):
            if used not in seen:
                seen.add(used)
                found.setdefault(node, []).append(used)
        if not node.users:
            found.setdefault(node, []).append(node)
    return found


class _PyTreeInfo(NamedTuple):
    orig_args: list[str]
    in_spec: Any
    out_spec: Any


class _PyTreeCodeGen(CodeGen):
    """Code whose arguments and result are structures of the placeholders' and the output's values."""

    def __init__(self, pytree_info: _PyTreeInfo) -> None:
        super().__init__()
        self.pytree_info = pytree_info

    def process_inputs(self, *inputs: Any) -> Any:
        return pytree.arg_tree_leaves(*inputs)

    def process_outputs(self, out: Any) -> Any:
        if not isinstance(out, (list, tuple)):
            out = [out]
        return pytree.tree_unflatten(out, self.pytree_info.out_spec)

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str) -> str:
        names = list(self.pytree_info.orig_args)
        has_self = bool(names) and names[0] == "self"
        head = super().gen_fn_def(names, maybe_return_annotation)
        if not free_vars:
            return head
        inner = [re.split(r"[ :=]", v)[0] for v in free_vars]
        if has_self and inner[0] != "self":
            inner.insert(0, "self")
        return (
            f"{head}\n    {', '.join(inner)}, = "
            f"fx_pytree.tree_flatten_spec([{', '.join(names)}], self._in_spec)"
        )

    def generate_output(self, output_args: Any, writer: _Writer | None = None) -> str:
        if self.pytree_info.out_spec is None:
            return super().generate_output(output_args, writer)
        text = writer.value(output_args) if writer else repr(output_args)
        return f"return pytree.tree_unflatten({text}, self._out_spec)"


def describe(graph: Graph, codegen: CodeGen) -> PythonCode:
    """The Python of a graph as ``codegen`` writes it, with its own names for objects."""
    namespace = _Namespace()

    def name_of(n: Node) -> str:
        return namespace.create_name(n.name, n)

    before = {n: n._repr_fn for n in graph.nodes}
    try:
        for n in graph.nodes:
            n._repr_fn = name_of
        return codegen._write(graph.nodes, namespace)
    finally:
        for n, function in before.items():
            n._repr_fn = function
