"""The module whose forward is the code of a graph."""

from __future__ import annotations

import copy
import itertools
import linecache
import os
import re
import warnings
from pathlib import Path
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.fx._codegen import PythonCode, _custom_builtins, _PyTreeCodeGen
from flambeau.fx._names import is_from_torch, qualified_name
from flambeau.fx.graph import Graph

__all__ = ["reduce_graph_module", "GraphModule"]

_numbers = itertools.count()
_REPR_MODULES = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
)  # fmt: skip


def _forward_from_src(src: str, globals: dict[str, Any]) -> Any:
    """The function that a source defines; the source shows up in tracebacks."""
    name = f"<eval_with_key>.{next(_numbers)}"
    linecache.cache[name] = (len(src), None, [line + "\n" for line in src.splitlines()], name)
    space = globals.copy()
    exec(compile(src, name, "exec", dont_inherit=True), space)  # what fx is: running the code that it wrote
    return space["forward"]


def _import_line(name: str, obj: Any) -> str:
    if name in _custom_builtins:
        return _custom_builtins[name].import_str
    if obj is ...:
        return f"{name} = ..."
    if isinstance(obj, str):
        return f"{name} = {obj!r}"
    if is_from_torch(obj):
        return f"from {obj.__module__} import {obj.__qualname__} as {name}"
    module = getattr(obj, "__module__", None) or qualified_name(obj).rpartition(".")[0]
    attribute = getattr(obj, "__qualname__", None) or getattr(obj, "_name", None)
    if attribute is None or "." in attribute:
        return f"from typing import Any as {name}"  # an annotation made of others
    return f"from {module} import {attribute} as {name}"


def _import_block(globals: dict[str, Any]) -> str:
    return "\n".join(sorted({_import_line(name, obj) for name, obj in globals.items()}))


def _walk(model: Any, path: str) -> tuple[Any, str]:
    owner, _, name = path.rpartition(".")
    for part in owner.split(".") if owner else ():
        model = getattr(model, part)
    return model, name


def _place(module: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that shall own an attribute, made where it is missing, and the attribute's name."""
    *owners, name = path.split(".")
    for part in owners:
        inner = getattr(module, part, None)
        if inner is None:
            inner = nn.Module()
            setattr(module, part, inner)
        module = inner
    return module, name


def _copy_attr(from_module: nn.Module, to_module: nn.Module, target: str) -> None:
    source, name = _walk(from_module, target)
    _assign_attr(getattr(source, name), to_module, target)


def _assign_attr(value: Any, to_module: nn.Module, target: str) -> None:
    owner, name = _place(to_module, target)
    if isinstance(value, fb.Tensor) and not isinstance(value, nn.Parameter):
        owner.register_buffer(name, value)
    else:
        setattr(owner, name, value)


_USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"  # of `meta`: what copies take along


class _CodeOnlyModule(nn.Module):
    """What a graph module is made of again, from its attributes.

    Parameters
    ----------
    body : the attributes.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.__dict__ = body


class GraphModule(nn.Module):
    """A module made of a graph.

    Parameters
    ----------
    root : Module or dict
        Where the parameters, buffers and children are that the graph names; they are shared, and keep
        their paths.
    graph : Graph
        Its calls. Assigning ``graph`` writes the code anew; after changing it in place call
        :meth:`recompile`.
    class_name : str
        The name that it is printed with.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> GraphModule:
        # each has a class of its own, because each has a forward of its own
        base = next(c for c in cls.__mro__ if "_is_generated" not in vars(c))
        made = type("GraphModuleImpl", (base,), {"_is_generated": True, "__module__": base.__module__})
        return super().__new__(made)

    def __init__(
        self, root: nn.Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule"
    ) -> None:
        super().__init__()
        type(self).__name__ = class_name
        targets = [n.target for n in graph.nodes if n.op in ("get_attr", "call_module")]
        if isinstance(root, nn.Module):
            if hasattr(root, "training"):
                self.training = root.training
            for target in targets:
                _copy_attr(root, self, target)
        elif isinstance(root, dict):
            for node in graph.nodes:
                if node.op in ("get_attr", "call_module") and node.target not in root:
                    raise RuntimeError(
                        f"Node {node} referenced target {node.target} but that target was not "
                        "provided in ``root``!"
                    )
            for target in sorted(targets, key=lambda t: t.count(".")):
                _assign_attr(root[target], self, target)
        else:
            raise RuntimeError(f"Unsupported type {root} passed for root!")
        state = self.__dict__
        state["meta"] = dict(getattr(root, "meta", None) or {}) if isinstance(root, nn.Module) else {}
        for kind in ("_replace_hooks", "_create_node_hooks", "_erase_node_hooks", "_deepcopy_hooks"):
            state[kind] = []
        state["_tracer_cls"] = None
        if graph._tracer_cls is not None and "<locals>" not in graph._tracer_cls.__qualname__:
            state["_tracer_cls"] = graph._tracer_cls
        state["_tracer_extras"] = graph._tracer_extras or {}
        self.graph = graph

    @property
    def graph(self) -> Graph:
        """The calls of the forward."""
        return self.__dict__["_graph"]

    @graph.setter
    def graph(self, g: Graph) -> None:
        if not isinstance(g, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(g)}")
        self.__dict__["_graph"] = g
        g.owning_module = self
        self.recompile()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "graph":
            GraphModule.graph.fset(self, value)
        else:
            super().__setattr__(name, value)

    @property
    def code(self) -> str:
        """The Python of the forward."""
        if "_code" not in self.__dict__:
            raise RuntimeError("Code has not been generated! Please report a bug to PyTorch")
        return self.__dict__["_code"]

    def recompile(self) -> PythonCode:
        """Write the code anew from the graph, which was changed."""
        codegen = self.graph._codegen
        if isinstance(codegen, _PyTreeCodeGen):
            self.__dict__["_in_spec"] = codegen.pytree_info.in_spec
            self.__dict__["_out_spec"] = codegen.pytree_info.out_spec
        python = self.graph.python_code("self")
        self.__dict__["_code"] = python.src
        type(self).forward = _forward_from_src(python.src, python.globals)
        return python

    # ------------------------------------------------------------------ children
    def add_submodule(self, target: str, m: nn.Module) -> bool:
        """Put a module at a path; False if something on the way is no module."""
        module: Any = self
        *owners, name = target.split(".")
        for part in owners:
            if not hasattr(module, part):
                setattr(module, part, nn.Module())
            module = getattr(module, part)
            if not isinstance(module, nn.Module):
                return False
        module.add_module(name, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Take the module at a path out; False if there is none."""
        try:
            owner, name = _walk(self, target)
        except AttributeError:
            return False
        if not isinstance(getattr(owner, name, None), nn.Module):
            return False
        delattr(owner, name)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Take out the modules that no node calls or reads."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op in ("call_module", "get_attr"):
                parts = node.target.split(".")
                used.update(".".join(parts[:k]) for k in range(1, len(parts) + 1))
                if node.op == "call_module" and (m := _find(self, node.target)) is not None:
                    used.update(f"{node.target}.{n}" for n, _ in m.named_modules() if n)
        for name in [n for n, _ in self.named_modules() if n and n not in used]:
            self.delete_submodule(name)

    # ------------------------------------------------------------------ saving
    def to_folder(self, folder: str | os.PathLike[str], module_name: str = "FxModule") -> None:
        """Write a package with the code as a class, and its parameters, into a folder.

        Children that print as they are made are written so; others are saved beside, with a warning.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        fb.save(self.state_dict(), folder / "state_dict.pt")
        lines, saved = [], []

        def attribute(name: str, value: str) -> str:
            return f"self.{name} = {value}" if name.isidentifier() else f"setattr(self, {name!r}, {value})"

        for name, module in self.named_children():
            if type(module) in _REPR_MODULES:
                lines.append(attribute(name, repr(module)))
            else:
                saved.append(name)
                fb.save(module, folder / f"{name}.pt")
                short = repr(module).replace("\r", " ").replace("\n", " ")
                load = f"torch.load(r'{folder / f'{name}.pt'}', weights_only=False) # {short}"
                lines.append(attribute(name, load) if name.isidentifier() else
                             f"setattr(self, {name!r}, {load.replace(' #', ') #', 1)}")  # fmt: skip
        for kind, members in (("register_buffer", self._buffers), ("register_parameter", self._parameters)):
            for name, t in members.items():
                if t is None:
                    continue
                made = f"torch.empty({list(t.shape)}, dtype={t.dtype})"
                if kind == "register_parameter":
                    made = f"torch.nn.Parameter({made}, requires_grad={t.requires_grad})"
                lines.append(f"self.{kind}({name!r}, {made})")
        lines.append(f"self.load_state_dict(torch.load(r'{folder / 'state_dict.pt'}'))")
        python = self.graph.python_code("self")
        body = "\n".join("    " + line if line.strip() else "" for line in python.src.split("\n"))
        init = "\n".join("        " + line for line in lines)
        text = (
            f"{_import_block(python.globals)}\n\nfrom flambeau.nn import *\n\n\nclass "
            f"{module_name}(torch.nn.Module):\n"
            f"    def __init__(self):\n        super().__init__()\n{init}\n\n{body}\n"
        )
        (folder / "module.py").write_text(text)
        (folder / "__init__.py").write_text("from .module import *\n")
        if saved:
            warnings.warn(
                "Was not able to save the following children modules as reprs -saved as pickled "
                f"files instead: {saved}"
            )

    def _body(self) -> dict[str, Any]:
        body = self.__dict__.copy()
        body.pop("_graph")
        body["_graphmodule_cls_name"] = type(self).__name__
        return body

    def __reduce__(self) -> tuple:
        python = self.graph.python_code("self")
        return reduce_graph_module, (self._body(), _import_block(python.globals))

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return self.__reduce__()

    def __reduce_package__(self, exporter: Any) -> tuple:
        """How a package holds it: its code as a module of the package, and what it has."""
        python = self.graph.python_code("self")
        name = f"fx-generated._{exporter.get_unique_id()}"
        # by PyTorch's names, under which either finds what the code needs
        imports = re.sub(r"\bflambeau\b", "torch", _import_block(python.globals))
        imports = imports.replace("import torch as torch", "import torch")
        exporter.save_source_string(name, imports + "\n" + self.code)
        return reduce_package_graph_module, (self._body(), name)

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        bare = nn.Module()
        kept = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training")
        for name in kept:
            bare.__dict__[name] = copy.deepcopy(self.__dict__[name], memo)
        graph = copy.deepcopy(self.graph, memo)
        made = GraphModule(_Everything(bare), graph)
        memo[id(self)] = made
        for name, value in self.__dict__.items():
            if name.endswith("_hooks") or "_hooks_" in name:
                made.__dict__[name] = copy.copy(value)
        made.__dict__["meta"] = copy.copy(self.__dict__["meta"])
        for name, value in self.__dict__.items():
            if name not in made.__dict__:
                made.__dict__[name] = copy.deepcopy(value, memo)
        for hook in self._deepcopy_hooks:
            hook(made)
        return made

    def __copy__(self) -> GraphModule:
        made = GraphModule(self, self.graph)
        made.__dict__["meta"] = getattr(self, "meta", {})
        return made

    # ------------------------------------------------------------------ printing
    def __str__(self) -> str:
        hint = "# To see more debug info, please use `graph_module.print_readable()`"
        return "\n".join([super().__str__(), self.code, hint])

    def print_readable(
        self,
        print_output: bool = True,
        include_stride: bool = False,
        include_device: bool = False,
        colored: bool = False,
        **options: Any,
    ) -> str:
        """The code as a class, with the shapes that a pass has found; printed unless told not to."""
        if include_stride or include_device or colored or any(options.values()):
            raise NotImplementedError("GraphModule.print_readable: only print_output is there in flambeau")
        lines = self.code.strip("\n").rstrip().split("\n")
        metas = {
            n.target if n.op == "placeholder" else n.name: n.meta.get("tensor_meta") for n in self.graph.nodes
        }
        named = {k: _short_type(m) for k, m in metas.items() if hasattr(m, "shape")}
        first = next(n.name for n in self.graph.nodes if n.op != "placeholder")
        place = next((k for k, line in enumerate(lines) if line.strip().startswith(f"{first} = ")), None)
        lines = [_annotated(line, named) for line in lines]
        if place is not None:
            lines[place:place] = ["", "    # No stacktrace found for following nodes"]
        text = "\n".join("    " + line if line else "" for line in lines)
        text = f"class {self._get_name()}(torch.nn.Module):\n{text}\n"
        if print_output:
            print(text)
        return text

    # ------------------------------------------------------------------ hooks
    def _register_replace_node_hook(self, f: Any) -> None:
        self._replace_hooks.append(f)

    def _unregister_replace_node_hook(self, f: Any) -> None:
        self._replace_hooks.remove(f)

    def _register_create_node_hook(self, f: Any) -> None:
        self._create_node_hooks.append(f)

    def _unregister_create_node_hook(self, f: Any) -> None:
        self._create_node_hooks.remove(f)

    def _register_erase_node_hook(self, f: Any) -> None:
        self._erase_node_hooks.append(f)

    def _unregister_erase_node_hook(self, f: Any) -> None:
        self._erase_node_hooks.remove(f)

    def _register_deepcopy_hook(self, f: Any) -> None:
        self._deepcopy_hooks.append(f)

    def _unregister_deepcopy_hook(self, f: Any) -> None:
        self._deepcopy_hooks.remove(f)


def _find(model: nn.Module, path: str) -> Any:
    try:
        owner, name = _walk(model, path)
    except AttributeError:
        return None
    return getattr(owner, name, None)


def _short_type(meta: Any) -> str:
    kind = str(meta.dtype).removeprefix("torch.")
    short = {"bool": "b8", "bfloat16": "bf16"}.get(kind) or kind[0] + "".join(c for c in kind if c.isdigit())
    return f'"{short}{list(meta.shape)}"'


def _annotated(line: str, named: dict[str, str]) -> str:
    text = line.strip()
    if text.startswith("def "):
        head, _, rest = text.partition("(")
        inside = rest.removesuffix("):")
        return f"{head}({', '.join(f'{a}: {named[a]}' if a in named else a for a in inside.split(', '))}):"
    name, equals, rest = text.partition(" = ")
    if equals and name in named:
        return f"    {name}: {named[name]} = {rest}"
    return line


class _Everything(nn.Module):
    """A root whose attributes are those of another module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training"):
            self.__dict__[name] = module.__dict__[name]


# reads modules that name no other; `_symbolic_trace`, which makes modules of this file, puts it here
default_tracer: Any = None


def reduce_graph_module(body: dict[str, Any], import_block: str) -> nn.Module:
    """A saved GraphModule: its code is run on stand-ins again, which gives its graph."""
    return _rebuilt(_forward_from_src(import_block + "\n" + body["_code"], {}), body)


def reduce_package_graph_module(importer: Any, body: dict[str, Any], generated_module_name: str) -> nn.Module:
    """The same of a GraphModule in a package, whose code is a module of it."""
    return _rebuilt(importer.import_module(generated_module_name).forward, body)


def _rebuilt(forward: Any, body: dict[str, Any]) -> nn.Module:
    body = dict(body)
    class_name = body.pop("_graphmodule_cls_name", "GraphModule")
    holder = type(class_name, (nn.Module,), {"forward": forward})
    root = nn.Module.__new__(holder)
    nn.Module.__init__(root)
    root.__dict__.update(body)
    tracer_cls = body.get("_tracer_cls") or default_tracer

    class KeepModules(tracer_cls):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return True

    in_spec, out_spec = body.get("_in_spec"), body.get("_out_spec")
    if in_spec is not None:
        raise NotImplementedError(
            "reading a GraphModule whose arguments are structures (concrete_args); save its "
            "state_dict instead"
        )
    _ = out_spec
    graph = KeepModules(**body.get("_tracer_extras", {})).trace(root)
    graph._tracer_cls = tracer_cls
    made = GraphModule(root, graph, "GraphModule")
    for name, value in body.items():
        if name not in made.__dict__ or name.startswith(("_forward", "_backward", "_state", "_load")):
            made.__dict__[name] = value
    made.__dict__["meta"] = body.get("meta", {})
    made._modules.update(body["_modules"])
    made._parameters.update(body["_parameters"])
    made._buffers.update(body["_buffers"])
    return made
