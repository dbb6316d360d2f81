"""What is known of a function before it runs as TorchScript: modules, their switches, loops over them."""

from __future__ import annotations

import ast
from typing import Any

import flambeau as fb

from ._emit import attribute
from ._layers import text
from ._names import Names, Static


class Known(ast.NodeTransformer):
    """Answers for the statements of one function; ``script`` is what collects the program's texts."""

    def __init__(
        self, script: Any, names: Names, owner: fb.nn.Module | None, self_name: str, locals_: set[str]
    ) -> None:
        self.script, self.names, self.owner, self.self_name, self.locals = (
            script,
            names,
            owner,
            self_name,
            locals_,
        )
        self.modules: dict[str, Static] = {}  # loop variables over modules
        self.before: list[ast.stmt] = []  # what the statement under way needs before it
        self.settled = False  # whether the switches of modules count as answers

    def static(self, node: ast.expr) -> Static | None:
        """The value of an expression, where it is known."""
        if isinstance(node, ast.Constant):
            return Static(node.value, repr(node.value))
        if isinstance(node, ast.Name):
            if node.id == self.self_name and self.owner is not None:
                return Static(self.owner, node.id)
            if node.id in self.modules:
                return self.modules[node.id]
            if node.id in self.locals or node.id not in self.names.free:
                return None
            return Static(self.names.free[node.id])
        if isinstance(node, ast.Attribute):
            base = self.static(node.value)
            if base is None or isinstance(base.value, (fb.Tensor, str, list, dict, tuple)):
                return None
            if isinstance(base.value, fb.nn.Module):
                if not hasattr(base.value, node.attr):
                    raise self.names.refuse(
                        node, f"Module '{type(base.value).__name__}' has no attribute '{node.attr}'"
                    )
                return Static(getattr(base.value, node.attr), attribute(base.text, node.attr))
            there = attribute(base.text, node.attr) if base.text and self.script.is_object(base.value) else ""
            return Static(getattr(base.value, node.attr), there) if hasattr(base.value, node.attr) else None
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Slice):
                return None
            base, key = self.static(node.value), self.static(node.slice)
            if base is not None and key is not None and isinstance(base.value, fb.nn.Module):
                return self.child(base, key.value)
        return None

    def child(self, base: Static, key: Any) -> Static:
        """A module of a container of modules."""
        container = base.value
        if isinstance(key, int):
            name = list(container._modules)[key]
        else:
            name = key
        return Static(container._modules[name], attribute(base.text, name))

    def answer(self, test: ast.expr) -> bool | None:
        """What a question comes to, where the module answers it."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.answer(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            known = [self.answer(v) for v in test.values]
            decides = isinstance(test.op, ast.Or)
            if any(k is decides for k in known):
                return decides
            return None if None in known else not decides
        if (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], (ast.Is, ast.IsNot))
        ):
            left = self.static(test.left)
            if left is not None and left.text and isinstance(test.comparators[0], ast.Constant):
                declared = self.script.attributes.get(id(self.owner), {}).get(left.text.rpartition(".")[2])
                if declared is None or declared.name != "Optional":
                    return (left.value is None) is isinstance(test.ops[0], ast.Is)
            return None
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.In, ast.NotIn)):
            key, base = self.static(test.left), self.static(test.comparators[0])
            if key is not None and base is not None and isinstance(base.value, fb.nn.Module):
                return (key.value in base.value._modules) is isinstance(test.ops[0], ast.In)
            return None
        if isinstance(test, ast.Call):
            function = self.static(test.func)
            if function is None:
                return None
            if function.value is fb.jit.is_scripting:
                return True
            if function.value is fb.jit.is_tracing:
                return False
            if function.value is hasattr:
                base = self.static(test.args[0])
                return None if base is None else hasattr(base.value, test.args[1].value)
            if function.value is isinstance:
                base, kind = self.static(test.args[0]), self.static(test.args[1])
                if base is not None and isinstance(base.value, fb.nn.Module) and kind is not None:
                    return isinstance(base.value, kind.value)
            return None
        known = self.static(test)
        if known is not None and self.settled and isinstance(known.value, bool) and known.text:
            return known.value
        if known is not None and (
            known.value is None or isinstance(known.value, fb.nn.Module) or known.text in ("True", "False")
        ):
            return known.value is not None and known.value is not False
        return None

    def items(self, iterated: ast.expr) -> list[list[Static | str]] | None:
        """The modules that a loop runs over: for each turn what its targets are (text for a number or
        key)."""
        if (
            isinstance(iterated, ast.Call)
            and isinstance(iterated.func, ast.Name)
            and iterated.func.id in ("enumerate", "zip", "reversed")
        ):
            inner = [self.items(a) for a in iterated.args[: None if iterated.func.id == "zip" else 1]]
            if all(i is None for i in inner):
                return None
            if iterated.func.id == "reversed":
                return inner[0][::-1]
            if iterated.func.id == "enumerate":
                return [[str(k), *turn] for k, turn in enumerate(inner[0])]
            count = min(len(i) for i in inner if i is not None)
            texts = [
                None if i is not None else ast.unparse(self.visit(a)) for i, a in zip(inner, iterated.args)
            ]
            return [
                [i[k][0] if i is not None else f"{t}[{k}]" for i, t in zip(inner, texts)]
                for k in range(count)
            ]
        method = (
            iterated.func.attr
            if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute)
            else ""
        )
        source = (
            iterated.func.value
            if method in ("children", "values", "items", "keys", "named_children")
            else iterated
        )
        if isinstance(source, ast.Subscript) and isinstance(source.slice, ast.Slice):
            ends = (source.slice.lower, source.slice.upper, source.slice.step)
            known = [Static(None) if e is None else self.static(e) for e in ends]
            whole = self.items(source.value)
            return None if whole is None or None in known else whole[slice(*(k.value for k in known))]
        base = self.static(source)
        if base is None or not isinstance(base.value, fb.nn.Module):
            return None
        turns = []
        inside = base.value._modules
        if isinstance(base.value, (fb.nn.ParameterList, fb.nn.ParameterDict)):
            inside = base.value._parameters
        for name, child in inside.items():
            here = Static(child, attribute(base.text, name))
            key = text(name)
            turns.append(
                {"items": [key, here], "named_children": [key, here], "keys": [key]}.get(method, [here])
            )
        return turns

    def bind(self, target: ast.expr, turn: list[Static | str], node: ast.AST) -> list[ast.stmt]:
        """Give the targets of a loop over modules their values; the statements that this takes."""
        flat: list[ast.expr] = []

        def flatten(t: ast.expr) -> None:
            if isinstance(t, ast.Tuple):
                for e in t.elts:
                    flatten(e)
            else:
                flat.append(t)

        flatten(target)
        if len(flat) != len(turn) or not all(isinstance(t, ast.Name) for t in flat):
            raise self.names.refuse(node, "a loop over modules whose targets do not fit")
        statements = []
        for t, value in zip(flat, turn):
            if isinstance(value, str):
                self.modules.pop(t.id, None)
                statements += ast.parse(f"{t.id} = {value}").body
            else:
                self.modules[t.id] = value
        return statements
