"""A model's operators as the graph that TensorBoard draws (TensorFlow's GraphDef)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import flambeau as fb
from flambeau.overrides import TorchFunctionMode
from flambeau.seeing._call import call, tensors, untouched

from . import _proto as proto

_QUIET = {"__get__", "__set__", "size", "dim", "numel", "is_floating_point"}


class _Recorder(TorchFunctionMode):
    """Writes a node for each operator; its name is the path of modules it ran in."""

    def __init__(self, model: Any, given: list[fb.Tensor]) -> None:
        super().__init__()
        self.nodes: list[bytes] = []
        self.made_by: dict[int, str] = {}
        self.kept: list[fb.Tensor] = []  # a tensor's id means nothing once it is gone
        self.counts: Counter[str] = Counter()
        self.scope = [type(model).__name__]
        for k, tensor in enumerate(given):
            self.node(f"input/input_{k}", "IO Node", [], tensor)
        for name, parameter in model.named_parameters():
            *path, last = name.split(".")
            scope = "/".join(f"{self.scope[0]}/{step}" if k == 0 else step for k, step in enumerate(path))
            self.node(f"{scope or self.scope[0]}/{last}", "Parameter", [], parameter)

    def node(self, name: str, operator: str, sources: list[str], *results: fb.Tensor) -> None:
        shapes = [
            proto.message(7, *(proto.message(2, proto.integer(1, n)) for n in tensor.shape))
            for tensor in results
        ]
        attribute = proto.message(
            5, proto.data(1, "_output_shapes"), proto.message(2, proto.message(1, *shapes))
        )
        self.nodes.append(
            proto.message(
                1,
                proto.data(1, name),
                proto.data(2, operator),
                proto.texts(3, dict.fromkeys(sources)),
                attribute,
            )
        )
        for tensor in results:
            self.made_by[id(tensor)] = name
            self.kept.append(tensor)

    _sees_operators = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operator = getattr(func, "__name__", "")
        made = tensors(result)
        if made and operator not in _QUIET:
            sources = [self.made_by[id(t)] for t in tensors((args, kwargs or {})) if id(t) in self.made_by]
            path = "/".join([*self.scope, operator])
            self.counts[path] += 1
            count = self.counts[path]
            self.node(path if count == 1 else f"{path}_{count}", operator, sources, *made)
        return result


def model_graph(model: Any, batch: Any) -> bytes:
    """The GraphDef of one forward pass."""
    recorder = _Recorder(model, tensors(batch))
    names = {module: name for name, module in model.named_modules()}
    handles = []

    def enter(module: Any, args: Any) -> None:
        recorder.scope.append(names[module].rpartition(".")[2])

    def leave(module: Any, args: Any, output: Any) -> None:
        recorder.scope.pop()

    for module in names:
        if module is not model:
            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave))
    try:
        with fb.no_grad(), untouched(model), recorder:
            output = call(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    for k, tensor in enumerate(tensors(output)):
        source = recorder.made_by.get(id(tensor))
        recorder.node(f"output/output_{k}", "IO Node", [source] if source else [], tensor)
    return b"".join(recorder.nodes) + proto.message(4, proto.integer(1, 22))
