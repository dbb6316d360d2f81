"""Graphs as the JSON of PyTorch's exported programs (`torch/_export/serde/schema.py`, version 8), and back.

Reading runs nothing: operators are looked up by name, names become variables only if they are names.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as fb
from flambeau.fx.graph import Graph
from flambeau.fx.node import Node

from .dynamic_shapes import Symbol
from .exported_program import Value
from .graph_signature import (
    ConstantArgument,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymIntArgument,
    TensorArgument,
)  # fmt: skip

__all__ = [
    "DTYPES", "Reader", "Writer", "input_spec", "input_spec_to_json", "is_name", "output_spec",
    "output_spec_to_json", "tensor_meta",
]  # fmt: skip

DTYPES = {
    1: fb.uint8, 2: fb.int8, 3: fb.int16, 4: fb.int32, 5: fb.int64, 6: fb.float16, 7: fb.float32,
    8: fb.float64,
    9: fb.complex32, 10: fb.complex64, 11: fb.complex128, 12: fb.bool, 13: fb.bfloat16, 28: fb.uint16,
    29: fb.float8_e4m3fn, 30: fb.float8_e5m2, 31: fb.float8_e4m3fnuz, 32: fb.float8_e5m2fnuz, 34: fb.uint32,
    35: fb.uint64,
}  # fmt: skip
_LAYOUTS = {
    1: fb.sparse_coo,
    2: fb.sparse_csr,
    3: fb.sparse_csc,
    4: fb.sparse_bsr,
    5: fb.sparse_bsc,
    7: fb.strided,
}
_FORMATS = {1: fb.contiguous_format, 2: fb.channels_last, 3: fb.channels_last_3d, 4: fb.preserve_format}
_NUMBER_OF = {v: k for table in (DTYPES, _LAYOUTS, _FORMATS) for k, v in table.items()}
_FUNCTIONS: dict[str, Callable] = {
    f"_operator.{n}": getattr(operator, n)
    for n in "add sub mul truediv floordiv mod neg pos pow eq ne lt le gt ge and_ or_ not_ getitem".split()
} | {f"math.{n}": getattr(math, n) for n in ("trunc", "ceil", "floor")}
_NAME_OF = {f: name for name, f in _FUNCTIONS.items()}
_CPU = {"type": "cpu", "index": None}

_INPUTS = {  # key in the file -> (kind, where the name of the tensor is)
    "parameter": (InputKind.PARAMETER, "parameter_name"),
    "buffer": (InputKind.BUFFER, "buffer_name"),
    "tensor_constant": (InputKind.CONSTANT_TENSOR, "tensor_constant_name"),
}
_OUTPUTS = {
    "buffer_mutation": (OutputKind.BUFFER_MUTATION, "buffer_name"),
    "parameter_mutation": (OutputKind.PARAMETER_MUTATION, "parameter_name"),
    "user_input_mutation": (OutputKind.USER_INPUT_MUTATION, "user_input_name"),
    "gradient_to_parameter": (OutputKind.GRADIENT_TO_PARAMETER, "parameter_name"),
    "gradient_to_user_input": (OutputKind.GRADIENT_TO_USER_INPUT, "user_input_name"),
}


def is_name(text: Any) -> bool:
    """Whether it may be a variable of generated code."""
    return isinstance(text, str) and text.isidentifier() and not keyword.iskeyword(text) and text[:2] != "__"


def _only(data: Mapping[str, Any]) -> tuple[str, Any]:
    """The one entry of a tagged value; some writers put the others in as null."""
    entries = [(k, v) for k, v in data.items() if v is not None]
    if len(entries) != 1:
        raise ValueError(f"an exported program has a value of unknown kind: {sorted(data)}")
    return entries[0]


# ---------------------------------------------------------------- sizes
_BINARY = {"Add": " + ", "Mul": "*", "FloorDiv": "//", "Mod": " % ", "PythonMod": " % ", "Pow": "**"}
_SYMPY = {ast.Add: "Add", ast.Mult: "Mul", ast.FloorDiv: "FloorDiv", ast.Mod: "Mod", ast.Pow: "Pow"}


def _size(text: str) -> Any:
    """A size as `Value` has it, from SymPy's notation of an expression."""
    made = _readable(ast.parse(text, mode="eval").body)
    return Symbol(made) if is_name(made) else int(made) if made.lstrip("-").isdigit() else made


def _readable(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        if name in ("Symbol", "Integer") and node.args and isinstance(node.args[0], ast.Constant):
            return str(node.args[0].value)
        if name == "Integer":
            return ast.unparse(node.args[0])
        parts = [_readable(a) for a in node.args]
        if name in _BINARY:
            return _BINARY[name].join(f"({p})" if " " in p and name != "Add" else p for p in parts)
        return f"{name}({', '.join(parts)})"
    raise ValueError(f"an exported program has a size {ast.unparse(node)!r}")


def _sympy(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return f"Symbol({node.id!r}, positive=True, integer=True)"
    if isinstance(node, ast.Constant):
        return f"Integer({node.value})"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return f"Add({_sympy(node.left)}, Mul(Integer(-1), {_sympy(node.right)}))"
    if isinstance(node, ast.BinOp) and type(node.op) in _SYMPY:
        return f"{_SYMPY[type(node.op)]}({_sympy(node.left)}, {_sympy(node.right)})"
    raise NotImplementedError(f"export.save: the size {ast.unparse(node)}")


def _valued(node: ast.expr, known: Mapping[str, int]) -> int | None:
    """What an expression of sizes is for the examples."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) else None
    if isinstance(node, ast.BinOp):
        a, b = _valued(node.left, known), _valued(node.right, known)
        if a is not None and b is not None:
            match node.op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return a // b if b else None
    return None


class Writer:
    """Writes the nodes of one graph.

    Parameters
    ----------
    known : the sizes that the symbols have in the examples.
    trained : names of placeholders whose tensors require a gradient.
    """

    def __init__(self, known: Mapping[str, int], trained: set[str]) -> None:
        self.known, self.trained = known, trained
        self.tensors: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}

    def size(self, size: Any) -> dict[str, Any]:
        """A size, maybe an expression of symbols."""
        if isinstance(size, int):
            return {"as_int": size}
        text = str(size)
        if ".size(" in text:  # of a tensor whose shape follows values: a number of its own
            text = "u" + "".join(c if c.isalnum() else "_" for c in text)
        tree = ast.parse(text, mode="eval").body
        hint = _valued(tree, self.known)
        return {"as_expr": {"expr_str": _sympy(tree), "hint": None if hint is None else {"as_int": hint}}}

    def note(self, node: Node) -> None:
        """Keep what is known of the value of a node."""
        value = node.meta.get("val")
        if not isinstance(value, Value):
            return
        if value.dtype is None:
            self.numbers[node.name] = self.size(value.shape[0])
            return
        strides: list[Any] = [1]  # the file has them; what runs does not read them
        for size in reversed(value.shape[1:]):
            strides.append(_product(strides[-1], size))
        del strides[len(value.shape) :]
        self.tensors[node.name] = {
            "dtype": _NUMBER_OF[value.dtype], "sizes": [self.size(s) for s in value.shape],
            "requires_grad": node.name in self.trained, "device": _CPU,
            "strides": [self.size(s) for s in reversed(strides)], "storage_offset": {"as_int": 0},
            "layout": 7,
        }  # fmt: skip

    def argument(self, value: Any, kind: str = "") -> dict[str, Any]:
        """A value as the argument of a schema's type."""
        if isinstance(value, Node):
            return self._of_node(value)
        if value is None:
            return {"as_none": True}
        if isinstance(value, bool):
            return {"as_bool": value}
        if isinstance(value, int):
            return {"as_float": float(value)} if kind in ("float", "Optional[float]") else {"as_int": value}
        if isinstance(value, float):
            return {"as_float": _finite(value)}
        if isinstance(value, complex):
            return {"as_complex": {"real": value.real, "imag": value.imag}}
        if isinstance(value, str):
            return {"as_string": value}
        if isinstance(value, fb.device):
            return {"as_device": {"type": value.type, "index": value.index}}
        if isinstance(value, fb.dtype):
            return {"as_scalar_type": _NUMBER_OF[value]}
        if isinstance(value, fb.layout):
            return {"as_layout": _NUMBER_OF[value]}
        if isinstance(value, fb.memory_format):
            return {"as_memory_format": _NUMBER_OF[value]}
        if isinstance(value, (list, tuple)):
            return self._of_list(value, kind)
        raise NotImplementedError(f"export.save: a program with a {type(value).__name__} in it")

    def _of_node(self, node: Node) -> dict[str, Any]:
        value = node.meta.get("val")
        if isinstance(value, Value) and value.dtype is None:
            return {"as_sym_int": {"as_name": node.name}}
        return {"as_tensor": {"name": node.name}}

    def _of_list(self, values: list | tuple, kind: str) -> dict[str, Any]:
        parts = [_only(self.argument(v)) for v in values]
        kinds = {k for k, _ in parts}
        if "Tensor" in kind or "as_tensor" in kinds:
            if "as_none" in kinds:
                return {"as_optional_tensors": [{k: v} for k, v in parts]}
            return {"as_tensors": [v for _, v in parts]}
        if "as_sym_int" in kinds:
            return {"as_sym_ints": [v if k == "as_sym_int" else {"as_int": v} for k, v in parts]}
        if "float" in kind or "as_float" in kinds:
            return {"as_floats": [_finite(float(v)) for _, v in parts]}
        if kinds <= {"as_int"}:
            return {"as_bools" if "bool" in kind else "as_ints": [v for _, v in parts]}
        if kinds in ({"as_bool"}, {"as_string"}):
            return {f"{kinds.pop()}s": [v for _, v in parts]}
        raise NotImplementedError(f"export.save: a list of {sorted(kinds)}")

    def node(self, node: Node) -> dict[str, Any]:
        """A call of an operator, with the parts that other nodes take of its result."""
        target, inputs = node.target, []
        if target in _NAME_OF:
            name = _NAME_OF[target]
            inputs = [{"name": n, "arg": self.argument(a), "kind": 1} for n, a in zip("ab", node.args)]
        elif hasattr(target, "_overloadpacket"):
            name = f"torch.ops.{target.namespace}.{target._opname}.{target._overloadname}"
            given = []
            for k, a in enumerate(
                target._schema.arguments
            ):  # all positional ones: defaults may differ elsewhere
                if a.name in node.kwargs:
                    given.append((a, node.kwargs[a.name], 2))
                elif k < len(node.args):
                    given.append((a, node.args[k], 1))
                elif not a.kwarg_only and a.has_default_value():
                    given.append((a, a.default_value, 1))
            inputs = [{"name": a.name, "arg": self.argument(v, str(a.type)), "kind": k} for a, v, k in given]
        else:
            raise NotImplementedError(f"export.save: a program that calls {target}")
        stack = node.meta.get("nn_module_stack") or {}
        metadata = (
            {"nn_module_stack": ";".join(f"{k},{n},{t}" for k, (n, t) in stack.items())} if stack else {}
        )
        return {
            "target": name, "inputs": inputs, "outputs": self._results(node), "metadata": metadata,
            "is_hop_single_tensor_return": None, "name": node.name,
        }  # fmt: skip

    def is_part(self, node: Node) -> bool:
        """Whether it takes a part of a result: the call that gives it names it."""
        return node.target is operator.getitem and isinstance(node.args[0], Node)

    def _results(self, node: Node) -> list[dict[str, Any]]:
        parts = {user.args[1]: user for user in node.users if user.target is operator.getitem}
        self.note(node)
        for part in parts.values():
            self.note(part)
        if not parts and (node.name in self.tensors or node.name in self.numbers):
            return [self._of_node(node)]
        returns = node.target._schema.returns if hasattr(node.target, "_schema") else []
        count = max(parts, default=-1) + 1
        names = [parts[k].name if k in parts else f"{node.name}_unused_{k}" for k in range(count)]
        if len(returns) == 1:
            return [{"as_tensors": [{"name": n} for n in names]}]
        return [{"as_tensor": {"name": n}} for n in names]


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _product(a: Any, b: Any) -> Any:
    return a * b if isinstance(a, int) and isinstance(b, int) else b if a == 1 else f"({a})*({b})"


class Reader:
    """Reads one graph.

    Parameters
    ----------
    data : the graph as the file has it.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.graph = Graph()
        self.nodes: dict[str, Node] = {}

    def _value(self, name: str) -> Value | None:
        meta = self.data["tensor_values"].get(name)
        if meta is not None:
            return Value(DTYPES[meta["dtype"]], tuple(_number(s) for s in meta["sizes"]))
        number = self.data.get("sym_int_values", {}).get(name)
        return None if number is None else Value(None, (_number(number),))

    def _add(self, name: str, node: Node) -> None:
        self.nodes[name] = node
        value = self._value(name)
        if value is not None:
            node.meta["val"] = value

    def placeholder(self, name: str) -> Node:
        """An input."""
        if not is_name(name):
            raise ValueError(f"an exported program has an input {name!r}")
        node = self.graph.create_node("placeholder", name, (), {}, name=name)
        self._add(name, node)
        return node

    def argument(self, data: Mapping[str, Any]) -> Any:
        """A value of a call."""
        kind, content = _only(data)
        match kind:
            case "as_none":
                return None
            case "as_bool" | "as_string" | "as_ints" | "as_bools" | "as_strings" | "as_int":
                return content
            case "as_float":
                return float(content)  # "inf" and the like are texts
            case "as_floats":
                return [float(v) for v in content]
            case "as_int_lists" | "as_float_lists":
                return content
            case "as_tensor":
                return self.nodes[content["name"]]
            case "as_tensors":
                return [self.nodes[t["name"]] for t in content]
            case "as_nested_tensors":
                return [[self.nodes[t["name"]] for t in row] for row in content]
            case "as_optional_tensor":
                return self.argument(content)
            case "as_optional_tensors":
                return [self.argument(t) for t in content]
            case "as_sym_int" | "as_sym_float" | "as_sym_bool":
                return self._symbolic(content)
            case "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
                return [self._symbolic(s) for s in content]
            case "as_scalar_type":
                return DTYPES[content]
            case "as_layout":
                return _LAYOUTS[content]
            case "as_memory_format":
                return _FORMATS[content]
            case "as_device":
                index = content["index"]
                return fb.device(content["type"]) if index is None else fb.device(content["type"], index)
            case "as_complex":
                return complex(content["real"], content["imag"])
        raise NotImplementedError(f"export.load: a program with an argument of kind {kind}")

    def _symbolic(self, data: Mapping[str, Any]) -> Any:
        kind, content = _only(data)
        return self.nodes[content] if kind == "as_name" else content

    def call(self, data: Mapping[str, Any]) -> None:
        """A call of an operator."""
        target = _target(data["target"])
        args, kwargs = [], {}
        for given in data["inputs"]:
            value = self.argument(given["arg"])
            if given.get("kind", 1) == 2:
                if not is_name(given["name"]):
                    raise ValueError(f"an exported program has a keyword {given['name']!r}")
                kwargs[given["name"]] = value
            else:
                args.append(value)
        outputs = data["outputs"]
        names = [n for o in outputs for n in _names(o)]
        alone = len(outputs) == 1 and _only(outputs[0])[0] not in ("as_tensors", "as_optional_tensors")
        name = names[0] if alone and names else data.get("name")
        if name is not None and not is_name(name):
            raise ValueError(f"an exported program has a node {name!r}")
        node = self.graph.create_node("call_function", target, tuple(args), kwargs, name=name)
        node.meta["nn_module_stack"] = _stack(data.get("metadata", {}).get("nn_module_stack", ""))
        if alone:
            for name in names:
                self._add(name, node)
            return
        for k, part in enumerate(names):
            if part is None:
                continue
            if not is_name(part):
                raise ValueError(f"an exported program has a node {part!r}")
            item = self.graph.create_node("call_function", operator.getitem, (node, k), {}, name=part)
            item.meta["nn_module_stack"] = dict(node.meta["nn_module_stack"])
            self._add(part, item)

    def read(self, inputs: list[InputSpec]) -> Graph:
        """The whole graph; `inputs` says what its inputs are."""
        for spec in inputs:
            self.placeholder(spec.arg.name)
        for node in self.data["nodes"]:
            self.call(node)
        self.graph.output(tuple(self.argument(o) for o in self.data["outputs"]))
        return self.graph


def _number(data: Mapping[str, Any]) -> Any:
    kind, content = _only(data)
    return _size(content["expr_str"]) if kind == "as_expr" else content


def _names(output: Mapping[str, Any]) -> list[str | None]:
    kind, content = _only(output)
    match kind:
        case "as_tensor":
            return [content["name"]]
        case "as_tensors":
            return [t["name"] for t in content]
        case "as_optional_tensors":
            return [t["as_tensor"]["name"] if t.get("as_tensor") else None for t in content]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return [content.get("as_name")]
        case "as_none":
            return [None]
    raise NotImplementedError(f"export.load: a program with a result of kind {kind}")


def _stack(text: str) -> dict[str, tuple[str, str]]:
    """The modules around a call: ``key,name,type;…``."""
    entries = [part.split(",", 2) for part in text.split(";") if part.count(",") >= 2]
    return {key: (name, kind) for key, name, kind in entries}


def _target(name: str) -> Any:
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    parts = name.split(".")
    if parts[:2] != ["torch", "ops"] or len(parts) != 5 or not all(is_name(part) for part in parts):
        raise NotImplementedError(f"export.load: a program that calls {name!r}, which is no operator")
    try:
        return getattr(getattr(getattr(fb.ops, parts[2]), parts[3]), parts[4])
    except AttributeError as missing:
        raise NotImplementedError(
            f"export.load: the program calls {name}, which flambeau does not have yet\n{missing}"
        ) from None


# ---------------------------------------------------------------- signatures
def input_spec_to_json(spec: InputSpec) -> dict[str, Any]:
    """What an input stands for."""
    if spec.kind is InputKind.USER_INPUT:
        if isinstance(spec.arg, ConstantArgument):
            return {"constant_input": {"name": spec.arg.name, "value": _constant(spec.arg.value)}}
        return {"user_input": {"arg": {"as_tensor": {"name": spec.arg.name}}}}
    for key, (kind, where) in _INPUTS.items():
        if spec.kind is kind:
            made = {"arg": {"name": spec.arg.name}, where: spec.target}
            return {key: made | ({"persistent": bool(spec.persistent)} if key == "buffer" else {})}
    raise NotImplementedError(f"export.save: an input of kind {spec.kind.name}")


def _constant(value: Any) -> dict[str, Any]:
    for kind, types in (("as_bool", bool), ("as_int", int), ("as_float", float), ("as_string", str)):
        if isinstance(value, types):
            return {kind: value}
    if value is None:
        return {"as_none": True}
    raise NotImplementedError(f"export.save: an input that is a {type(value).__name__}")


def input_spec(data: Mapping[str, Any]) -> InputSpec:
    """The same back."""
    kind, content = _only(data)
    if kind == "user_input":
        how, argument = _only(content["arg"])
        if how == "as_tensor":
            return InputSpec(InputKind.USER_INPUT, TensorArgument(argument["name"]), None)
        if how == "as_sym_int" and argument.get("as_name"):
            return InputSpec(InputKind.USER_INPUT, SymIntArgument(argument["as_name"]), None)
        raise NotImplementedError(f"export.load: an input of kind {how}")
    if kind == "constant_input":
        how, value = _only(content["value"])
        argument = ConstantArgument(content["name"], None if how == "as_none" else value)
        return InputSpec(InputKind.USER_INPUT, argument, None)
    if kind not in _INPUTS:
        raise NotImplementedError(f"export.load: an input of kind {kind}")
    what, where = _INPUTS[kind]
    persistent = content.get("persistent") if what is InputKind.BUFFER else None
    return InputSpec(what, TensorArgument(content["arg"]["name"]), content[where], persistent)


def output_spec_to_json(spec: OutputSpec, argument: dict[str, Any]) -> dict[str, Any]:
    """What an output stands for; `argument` is how the graph writes it."""
    if spec.kind is OutputKind.USER_OUTPUT:
        return {"user_output": {"arg": argument}}
    if spec.kind is OutputKind.LOSS_OUTPUT:
        return {"loss_output": {"arg": {"name": spec.arg.name}}}
    for key, (kind, where) in _OUTPUTS.items():
        if spec.kind is kind:
            return {key: {"arg": {"name": spec.arg.name}, where: spec.target}}
    raise NotImplementedError(f"export.save: an output of kind {spec.kind.name}")


def output_spec(data: Mapping[str, Any], place: int) -> OutputSpec:
    """The same back."""
    kind, content = _only(data)
    if kind == "user_output":
        how, value = _only(content["arg"])
        if how == "as_tensor":
            return OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(value["name"]), None)
        if how == "as_sym_int" and value.get("as_name"):
            return OutputSpec(OutputKind.USER_OUTPUT, SymIntArgument(value["as_name"]), None)
        constant = None if how == "as_none" else value
        return OutputSpec(OutputKind.USER_OUTPUT, ConstantArgument(f"output_{place}", constant), None)
    if kind == "loss_output":
        return OutputSpec(OutputKind.LOSS_OUTPUT, TensorArgument(content["arg"]["name"]), None)
    if kind not in _OUTPUTS:
        raise NotImplementedError(f"export.load: an output of kind {kind}")
    what, where = _OUTPUTS[kind]
    return OutputSpec(what, TensorArgument(content["arg"]["name"]), content[where])


def tensor_meta(t: fb.Tensor) -> dict[str, Any]:
    """Dtype, sizes and place of a tensor in its storage."""
    return {
        "dtype": _NUMBER_OF[t.dtype], "sizes": [{"as_int": s} for s in t.shape],
        "requires_grad": t.requires_grad, "device": _CPU, "strides": [{"as_int": s} for s in t.stride()],
        "storage_offset": {"as_int": t.storage_offset()}, "layout": 7,
    }  # fmt: skip
