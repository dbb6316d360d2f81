"""Observers put into a graph."""

from __future__ import annotations

import re
from typing import Any

import flambeau as fb
from flambeau import fx, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.quantization.fx import _kinds
from flambeau.ao.quantization.fx._kinds import Kind, is_relu, kind_of
from flambeau.ao.quantization.fx.custom_config import PrepareCustomConfig
from flambeau.ao.quantization.fx.fuse import put
from flambeau.ao.quantization.observer import (
    FixedQParamsObserver,
    ReuseInputObserver,
    _is_activation_post_process,
)
from flambeau.ao.quantization.qconfig import _add_module_to_qconfig_obs_ctr, _assert_valid_qconfig
from flambeau.ao.quantization.qconfig_mapping import _FIXED_QPARAMS_OP_TO_OBSERVER, QConfigMapping
from flambeau.ao.quantization.quantization_mappings import get_embedding_qat_module_mappings
from flambeau.ao.quantization.utils import _parent_name

__all__ = ["prepare"]

Scopes = dict[str, tuple[str, type | None]]


class _Chooser:
    """Finds the `QConfig` of a node."""

    def __init__(self, mapping: QConfigMapping, scopes: Scopes) -> None:
        self.mapping, self.scopes = mapping, scopes
        self.uses: dict[tuple[str, Any], int] = {}

    def _by_name(self, path: str, otherwise: Any) -> Any:
        for expression, qconfig in self.mapping.module_name_regex_qconfigs.items():
            if re.match(expression, path):
                otherwise = qconfig
                break
        while path:  # the module, or one around it
            if path in self.mapping.module_name_qconfigs:
                return self.mapping.module_name_qconfigs[path]
            path = _parent_name(path)[0]
        return otherwise

    def choose(self, node: fx.Node, module: nn.Module | None) -> Any:
        kinds = self.mapping.object_type_qconfigs
        if module is None:
            path, kind = self.scopes.get(node.name, ("", None))[0], node.target
        else:
            path = node.target
            kind = type(module[0]) if isinstance(module, nni._FusedModule) and len(module) else type(module)
        qconfig = self._by_name(path, kinds.get(kind, self.mapping.global_qconfig))
        around = path if module is None else _parent_name(path)[0]
        index = self.uses.get((around, kind), 0)
        self.uses[around, kind] = index + 1
        return self.mapping.module_name_object_type_order_qconfigs.get((around, kind, index), qconfig)


def is_static(observer: Any) -> bool:
    """Whether what an observer sees is quantized with what it finds."""
    return observer.dtype in (fb.quint8, fb.qint8) and not getattr(observer, "is_dynamic", False)


def _applies(kind: str | None, node: fx.Node, module: nn.Module | None, qconfig: Any) -> str | None:
    """How a node is quantized: "static", "dynamic", "weights" or not at all."""
    if qconfig is None or kind is None or kind == Kind.UNSEEN:
        return None
    activation = qconfig.activation()
    weights = qconfig.weight().dtype if qconfig.weight is not None else None
    dynamic = getattr(activation, "is_dynamic", False)
    if kind == Kind.TABLE:
        return "weights" if activation.dtype == fb.float32 and weights in (fb.quint8, fb.quint4x2) else None
    if kind == Kind.RECURRENT or (dynamic and isinstance(module, _kinds.LINEAR)):
        return "dynamic" if dynamic and weights in (fb.qint8, fb.float16) else None
    if isinstance(activation, ReuseInputObserver):
        return "reuse"
    if dynamic or activation.dtype != fb.quint8:
        return None
    if (node.target if module is None else type(module)) in _FIXED_QPARAMS_OP_TO_OBSERVER:
        seer = getattr(activation, "activation_post_process", activation)
        if not isinstance(seer, FixedQParamsObserver):
            return None
    return None if kind == Kind.WEIGHTED and weights != fb.qint8 else "static"


class _Preparing:
    def __init__(self, model: fx.GraphModule, mapping: QConfigMapping, scopes: Scopes) -> None:
        self.model, self.graph = model, model.graph
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.scopes = scopes
        self.qconfigs: dict[str, Any] = {}
        chooser = _Chooser(mapping, scopes)
        for node in self.graph.nodes:
            if node.op in ("call_module", "call_function", "call_method"):
                module = self.modules[node.target] if node.op == "call_module" else None
                qconfig = chooser.choose(node, module)
                if module is not None:
                    _assert_valid_qconfig(qconfig, module)
                qconfig = _add_module_to_qconfig_obs_ctr(qconfig, module or model)
                self.qconfigs[node.name] = qconfig
                if module is not None:
                    module.qconfig = qconfig
                    if isinstance(module, nni._FusedModule):
                        for part in module.children():
                            part.qconfig = qconfig

    def swap_for_training(self) -> None:
        table = get_embedding_qat_module_mappings()
        for node in self.graph.nodes:
            if node.op != "call_module":
                continue
            module = self.modules[node.target]
            new = table.get(type(module))
            if (
                module.qconfig is not None
                and new is not None
                and _applies(kind_of(node, self.modules), node, module, module.qconfig)
            ):
                made = new.from_float(module)
                put(self.model, node.target, made)
                self.modules[node.target] = made

    # ---------------------------------------------------------------- observers
    def observer_of(self, node: Any) -> Any:
        if isinstance(node, fx.Node) and node.op == "call_module":
            module = self.modules[node.target]
            return module if _is_activation_post_process(module) else None
        return None

    def insert(self, after: fx.Node, observer: nn.Module) -> fx.Node:
        k = 0
        while hasattr(self.model, f"activation_post_process_{k}"):
            k += 1
        name = f"activation_post_process_{k}"
        self.model.add_module(name, observer)
        self.modules[name] = observer
        with self.graph.inserting_after(after):
            return self.graph.call_module(name, (after,))

    def observed(self, arg: fx.Node, qconfig: Any, static: bool = True) -> fx.Node:
        """The node of an argument as it is seen by an observer."""
        if self.observer_of(arg) is not None and is_static(self.observer_of(arg)) == static:
            return arg
        for user in arg.users:
            if (there := self.observer_of(user)) is not None and is_static(there) == static:
                return user
        return self.insert(arg, qconfig.activation())

    def tensors(self, node: fx.Node) -> list[fx.Node]:
        """The arguments that are observed."""
        kind = kind_of(node, self.modules)
        if kind == Kind.PAIR or node.target is fb.matmul:
            found = node.args[:2]
        elif node.args and isinstance(node.args[0], (list, tuple)):
            found = tuple(node.args[0])
        else:
            found = node.args[:1]
        if not found and "input" in node.kwargs:
            found = (node.kwargs["input"],)
        return [a for a in found if isinstance(a, fx.Node) and not self.is_plain(a)]

    def is_plain(self, node: fx.Node) -> bool:
        """Whether the value of a node is no tensor."""
        if node.op == "call_function" and node.target in _kinds.ADDS_AND_PRODUCTS:
            return all(not isinstance(a, fx.Node) or self.is_plain(a) for a in node.args)
        unseen = kind_of(node, self.modules) == Kind.UNSEEN
        item = node.op == "call_function" and getattr(node.target, "__name__", "") in ("getitem", "floordiv")
        return unseen or (item and isinstance(node.args[0], fx.Node) and self.is_plain(node.args[0]))

    def put_out(self, node: fx.Node, observer: nn.Module) -> None:
        seen = self.insert(node, observer)
        for user in list(node.users):
            if user is not seen:
                user.replace_input_with(node, seen)

    def visit(self, node: fx.Node, done: set[fx.Node]) -> None:
        module = self.modules[node.target] if node.op == "call_module" else None
        qconfig, kind = self.qconfigs.get(node.name), kind_of(node, self.modules)
        way = _applies(kind, node, module, qconfig)
        if way is None or way == "weights" or node in done:
            return
        inputs = self.tensors(node)
        if way == "reuse":
            if inputs and (seen := self.observer_of(inputs[0])) is not None:
                self.put_out(node, seen)
            return
        if not inputs:
            return
        names = [self.observed(a, qconfig, way == "static") for a in inputs]
        for a, new in zip(inputs, names):
            if a is not new:
                node.replace_input_with(a, new)
        if way == "dynamic":
            return
        tail = node
        if kind == Kind.PAIR and len(node.users) == 1:
            after = next(iter(node.users))
            if is_relu(after, self.modules) and self.qconfigs.get(after.name) is not None:
                tail = after
                done.add(after)
        if kind == Kind.SHARED or (kind == Kind.PAIR and len(inputs) == 1):
            shared = self.observer_of(names[0])
            for other in names[1:]:  # all parts of a concatenation have one scale
                self.share(other, shared)
            self.put_out(tail, shared)
        else:
            self.put_out(tail, self.qconfigs[tail.name].activation())

    def share(self, node: fx.Node, observer: nn.Module) -> None:
        before = self.observer_of(node)
        for name, module in list(self.modules.items()):
            if module is before and before is not observer:
                put(self.model, name, observer)
                self.modules[name] = observer


def prepare(
    model: fx.GraphModule, mapping: QConfigMapping, is_qat: bool, scopes: Scopes, custom: PrepareCustomConfig
) -> fx.GraphModule:
    """A fused graph module with observers.

    Parameters
    ----------
    model : GraphModule
        Changed in place.
    mapping : QConfigMapping
    is_qat : bool
    scopes : dict
        Names of nodes to the modules they come from.
    custom : PrepareCustomConfig
    """
    for name in ("input_quantized_indexes", "output_quantized_indexes", "float_to_observed_mapping"):
        if getattr(custom, name):
            raise NotImplementedError(f"prepare_fx: flambeau does not take PrepareCustomConfig.{name}")
    work = _Preparing(model, mapping, scopes)
    if is_qat:
        work.swap_for_training()
    done: set[fx.Node] = set()
    for node in list(model.graph.nodes):
        work.visit(node, done)
    training, model = model.training, fx.GraphModule(model, model.graph)
    model.training = training
    model._quantization_scopes = scopes
    model._quantized_names = {name for name, qconfig in work.qconfigs.items() if qconfig is not None}
    return model
