"""Observed graphs converted: observers become quantize and dequantize, layers between them quantized ones."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import fx, nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.quantization.fx import _kinds
from flambeau.ao.quantization.fx._kinds import Kind, is_relu, kind_of
from flambeau.ao.quantization.fx.fuse import put
from flambeau.ao.quantization.fx.prepare import is_static
from flambeau.ao.quantization.observer import _is_activation_post_process
from flambeau.ao.quantization.quantization_mappings import (
    _ao,
    get_default_dynamic_quant_module_mappings,
    get_embedding_static_quant_module_mappings,
)
from flambeau.ao.quantization.utils import activation_is_dynamically_quantized, get_qparam_dict
from flambeau.nn import functional as F

__all__ = ["convert"]

# functions with an operator of quantized tensors that takes scale and zero point of the result
_WITH_SCALE = {
    F.elu: "elu", F.hardswish: "hardswish", F.leaky_relu: "leaky_relu", F.layer_norm: "layer_norm",
    F.instance_norm: "instance_norm", F.group_norm: "group_norm", fb.matmul: "matmul",
}  # fmt: skip


def _free(model: nn.Module, prefix: str) -> str:
    prefix, k = prefix.replace(".", "_"), 0
    while hasattr(model, f"{prefix}{k}"):
        k += 1
    return f"{prefix}{k}"


class _Converting:
    def __init__(self, model: fx.GraphModule, reference: bool) -> None:
        self.model, self.graph, self.reference = model, model.graph, reference
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.scopes = model._quantization_scopes
        self.quantized_names = model._quantized_names

    def module(self, node: Any) -> nn.Module | None:
        return self.modules[node.target] if isinstance(node, fx.Node) and node.op == "call_module" else None

    def replace(self, path: str, module: nn.Module) -> None:
        put(self.model, path, module)
        self.modules[path] = module

    # ---------------------------------------------------------------- observers
    def prefix(self, observer: fx.Node) -> str:
        """The module whose result, or whose input, an observer sees."""
        seen, end = observer.args[0], ""
        if seen.name not in self.quantized_names:
            seen, end = next(iter(observer.users), seen), "_input"
        if seen.op == "call_module":
            return seen.target + end
        return self.scopes.get(seen.name, ("", None))[0] + end

    def number(self, name: str, value: Any) -> fx.Node:
        name = _free(self.model, name)
        self.model.register_buffer(name, fb.tensor(value))
        return self.graph.get_attr(name)

    def observers(self) -> None:
        halved = fb.backends.quantized.engine in ("fbgemm", "x86")
        for node in list(self.graph.nodes):
            observer = self.module(node)
            if not _is_activation_post_process(observer):
                continue
            x = node.args[0]
            with self.graph.inserting_before(node):
                if is_static(observer):
                    scale, zero = observer.calculate_qparams()
                    prefix = self.prefix(node)
                    scale = self.number(prefix + "_scale_", float(scale))
                    zero = self.number(prefix + "_zero_point_", int(zero))
                    q = self.graph.call_function(fb.quantize_per_tensor, (x, scale, zero, observer.dtype))
                    new = self.graph.call_method("dequantize", (q,))
                elif self.reference and observer.dtype in (fb.quint8, fb.qint8):
                    q = self.graph.call_function(fb.quantize_per_tensor_dynamic, (x, observer.dtype, halved))
                    new = self.graph.call_method("dequantize", (q,))
                else:  # layers quantize what they get
                    new = x
            node.replace_all_uses_with(new)
            self.graph.erase_node(node)
        for name, module in list(self.model._modules.items()):
            if _is_activation_post_process(module):
                del self.model._modules[name]

    # ---------------------------------------------------------------- layers
    def layers(self) -> None:
        """Weights quantized: reference layers, layers quantized at the call, tables."""
        dynamic = get_default_dynamic_quant_module_mappings()
        tables = get_embedding_static_quant_module_mappings()
        done: set[str] = set()
        for node in self.graph.nodes:
            module, kind = self.module(node), kind_of(node, self.modules)
            qconfig = getattr(module, "qconfig", None)
            if module is None or qconfig is None or node.target in done:
                continue
            done.add(node.target)
            if kind == Kind.TABLE:
                if qconfig.weight().dtype not in (fb.quint8, fb.quint4x2):
                    continue
                if self.reference:
                    self.to_reference(node, module, qconfig)
                else:
                    self.replace(node.target, tables[type(module)].from_float(module))
            elif kind in (Kind.WEIGHTED, Kind.RECURRENT) and activation_is_dynamically_quantized(qconfig):
                if not self.reference and hasattr(module, "weight_fake_quant"):
                    module = module.to_float()
                    module.qconfig = qconfig
                    for part in module.children():
                        part.qconfig = qconfig
                if self.reference:
                    self.to_reference(node, module, qconfig)
                elif type(module) in dynamic:
                    self.replace(node.target, dynamic[type(module)].from_float(module))
            elif kind == Kind.WEIGHTED and self.is_dequantized(node.args[0]):
                self.to_reference(node, module, qconfig)

    def seen(self, observer: Any, weight: fb.Tensor) -> Any:
        """The observer, which has seen a weight."""
        if observer.dtype != fb.float16:
            observer(weight)
        return observer

    def to_reference(self, node: fx.Node, module: nn.Module, qconfig: Any) -> None:
        observer = getattr(module, "weight_fake_quant", None)
        if hasattr(module, "to_float"):
            module = module.to_float()
        layer = module[0] if isinstance(module, nni._FusedModule) else module
        made = getattr(_ao("quantized.reference"), type(layer).__name__)
        if made is None:
            raise NotImplementedError(
                f"convert_to_reference_fx: no reference layer for {type(layer).__name__}"
            )
        if isinstance(layer, (nn.RNNBase, nn.RNNCellBase)):
            qparams = {}
            for name, weight in layer.named_parameters():
                if name.startswith("weight"):
                    qparams[name] = get_qparam_dict(self.seen(qconfig.weight(), weight))
        elif observer is None:
            qparams = get_qparam_dict(self.seen(qconfig.weight(), layer.weight))
        else:
            qparams = get_qparam_dict(self.seen(observer, layer.weight))
        made = made.from_float(layer, qparams)
        if isinstance(module, nni._FusedModule):
            module[0] = made
            made = module
        self.replace(node.target, made)

    def is_dequantized(self, x: Any) -> bool:
        return (
            isinstance(x, fx.Node)
            and x.op == "call_method"
            and x.target == "dequantize"
            and x.args[0].op == "call_function"
            and x.args[0].target is fb.quantize_per_tensor
        )

    # ---------------------------------------------------------------- quantized layers
    def lower(self) -> None:
        for q in list(self.graph.nodes):
            if q.op == "call_function" and q.target is fb.quantize_per_tensor:
                self.lower_one(q)
        for node in list(self.graph.nodes):
            if kind_of(node, self.modules) == Kind.UNSEEN and self.lowered(node.args[0]):
                node.replace_input_with(node.args[0], node.args[0].args[0])

    def lowered(self, x: Any) -> bool:
        return isinstance(x, fx.Node) and x.op == "call_method" and x.target == "dequantize"

    def take(self, node: fx.Node, inputs: list[fx.Node]) -> None:
        """Give a node quantized tensors."""
        for x in dict.fromkeys(inputs):
            node.replace_input_with(x, x.args[0])

    def lower_one(self, q: fx.Node) -> None:
        """What lies between dequantize and this quantize, computed with quantized tensors if it can be."""
        node, scale, zero = q.args[0], q.args[1], q.args[2]
        relu = None
        if is_relu(node, self.modules) and node.args[0].target in _kinds.ADDS_AND_PRODUCTS:
            relu, node = node, node.args[0]
        first = node.args[0] if node.args else None
        if node.target in _kinds.CAT or node.target is fb.stack:
            inputs = list(first)
        else:
            both = node.target in _kinds.ADDS_AND_PRODUCTS or node.target is fb.matmul
            inputs = [a for a in node.args[: 2 if both else 1] if isinstance(a, fx.Node)]
        if not inputs or not all(self.lowered(x) for x in inputs) or (len(node.users) > 1):
            return
        module, kind = self.module(node), kind_of(node, self.modules)
        if hasattr(module, "get_quantized_weight"):
            kind = Kind.WEIGHTED
        result: fx.Node | None = node
        if kind == Kind.WEIGHTED:
            if not (made := self.quantized(module, scale, zero)):
                return
            self.take(node, inputs)
            self.replace(node.target, made)
        elif kind == Kind.PAIR:
            name = _kinds.ADDS_AND_PRODUCTS[node.target] + ("_relu" if relu is not None else "")
            args = tuple(x.args[0] if isinstance(x, fx.Node) else x for x in node.args[:2])
            if len(inputs) == 2:
                args = (*args, scale, zero)
            elif not isinstance(node.args[0], fx.Node):
                args = (args[1], args[0])
            with self.graph.inserting_before(q):
                result = self.graph.call_function(getattr(fb.ops.quantized, name), args)
        elif node.op == "call_function" and node.target in _WITH_SCALE:
            op = getattr(fb.ops.quantized, _WITH_SCALE[node.target])
            kwargs = {**node.kwargs, "output_scale": scale, "output_zero_point": zero}
            kwargs.pop("inplace", None)
            if node.target is fb.matmul:
                args, kwargs = (*(x.args[0] for x in inputs), scale, zero), {}
            else:
                args = (inputs[0].args[0], *node.args[1:])
            with self.graph.inserting_before(q):
                result = self.graph.call_function(op, args, kwargs)
        elif module is not None and kind == Kind.OWN:
            if (made := self.with_own_scale(module, scale, zero)) is None:
                return
            self.take(node, inputs)
            self.replace(node.target, made)
        elif kind in (Kind.SHARED, Kind.OWN):
            self.take(node, inputs)
        else:
            return
        q.replace_all_uses_with(result)
        self.graph.erase_node(q)
        if result is not node:
            if relu is not None:
                self.graph.erase_node(relu)
            self.graph.erase_node(node)

    def value(self, node: fx.Node) -> Any:
        return getattr(self.model, node.target).item()

    def quantized(self, module: nn.Module, scale: fx.Node, zero: fx.Node) -> nn.Module | None:
        """The quantized layer of a reference layer."""
        fused = isinstance(module, nni._FusedModule)
        layer = module[0] if fused else module
        home = _ao("intrinsic.quantized" if fused else "quantized")
        kind = getattr(home, type(module if fused else layer).__name__)
        if kind is None or not hasattr(layer, "get_quantized_weight"):
            return None
        return kind.from_reference(module, self.value(scale), self.value(zero))

    def with_own_scale(self, module: nn.Module, scale: fx.Node, zero: fx.Node) -> nn.Module | None:
        """The quantized layer of one without quantized weights; itself where the numbers are fixed."""
        if isinstance(module, (nn.Dropout, nn.Hardsigmoid, nn.Sigmoid, nn.Softmax, nn.Tanh)):
            return module
        home = _ao("intrinsic.quantized" if isinstance(module, nni._FusedModule) else "quantized")
        kind = getattr(home, type(module).__name__)
        if kind is None:
            return None
        if hasattr(kind, "from_reference"):
            return kind.from_reference(module, self.value(scale), self.value(zero))
        return None


def convert(model: fx.GraphModule, reference: bool = False) -> fx.GraphModule:
    """An observed graph module converted.

    Parameters
    ----------
    model : GraphModule
        Changed in place.
    reference : bool
        Leave layers that dequantize, compute and quantize.
    """
    work = _Converting(model, reference)
    work.observers()
    work.layers()
    if not reference:
        work.lower()
    # numbers and pairs of quantize and dequantize that nobody needs any more
    model.graph.eliminate_dead_code()
    used = {node.target for node in model.graph.nodes if node.op == "get_attr"}
    for name in list(model._buffers):
        if ("_scale_" in name or "_zero_point_" in name) and name not in used:
            del model._buffers[name]
    training, model = model.training, fx.GraphModule(model, model.graph)
    model.training = training
    return model
