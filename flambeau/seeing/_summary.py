"""``flambeau.summary``: what each layer gives, holds and costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.overrides import TorchFunctionMode

from ._call import call, shape_text, tensors, untouched
from ._cost import multiply_adds


@dataclass
class Layer:
    """One call of one module; what it counts includes the modules within it."""

    name: str  # path within the model, "" for the model itself
    kind: str
    depth: int
    input: str = "–"
    output: str = "–"
    output_shapes: list[tuple[int, ...]] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    multiply_adds: int = 0
    output_bytes: int = 0  # of the innermost modules' results
    seconds: float = 0.0
    is_leaf: bool = True
    again: bool = False  # the module was called before
    last: bool = False  # no sibling follows


@dataclass
class ModelSummary:
    """The layers in the order of their calls, and the sums. ``str()`` of it is the table."""

    layers: list[Layer]
    parameters: int
    trainable: int
    parameter_bytes: int
    input_bytes: int
    depth: int
    not_called: list[str]  # modules with parameters that the forward pass did not call

    @property
    def multiply_adds(self) -> int:
        """Multiplications of one forward pass, each with its addition."""
        return self.layers[0].multiply_adds

    @property
    def output_bytes(self) -> int:
        """Memory of the innermost modules' results; training keeps most of them for backward."""
        return self.layers[0].output_bytes

    @property
    def seconds(self) -> float:
        """Time of one forward pass."""
        return self.layers[0].seconds

    def __repr__(self) -> str:
        return (
            f"ModelSummary({self.layers[0].kind}: {self.parameters:,} parameters, "
            f"{_count(self.multiply_adds)} multiply-adds, {_bytes(self.output_bytes)} of results)"
        )

    def __str__(self) -> str:
        rows = [
            (
                _tree(layer, self.layers, row),
                layer.output,
                "again" if layer.again else f"{layer.parameters:,}" if layer.parameters else "–",
                _trainable(layer),
                f"{layer.multiply_adds:,}" if layer.multiply_adds else "–",
                _bytes(layer.output_bytes),
                _seconds(layer.seconds),
            )
            for row, layer in enumerate(self.layers)
            if layer.depth <= self.depth
        ]
        head = ("layer", "result", "parameters", "trainable", "multiply-adds", "memory", "time")
        widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
        line = "─" * (sum(widths) + 2 * (len(head) - 1))
        text = [_row(head, widths), line, *(_row(row, widths) for row in rows), line]
        text += [
            f"parameters     {self.parameters:,} ({_bytes(self.parameter_bytes)}), trainable "
            f"{self.trainable:,}, frozen {self.parameters - self.trainable:,}",
            f"multiply-adds  {_count(self.multiply_adds)}",
            f"memory         input {_bytes(self.input_bytes)}, results {_bytes(self.output_bytes)}, "
            f"parameters {_bytes(self.parameter_bytes)}",
            f"time           {_seconds(self.seconds)} for one forward pass",
        ]
        if self.not_called:
            names = ", ".join(self.not_called)
            text.append(f"not called     {names} (their parents may use the parameters directly)")
        return "\n".join(text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(cells, widths))
    ).rstrip()


def _tree(layer: Layer, layers: list[Layer], row: int) -> str:
    """The layer's name behind the lines that lead to it from its parents."""
    if layer.depth == 0:
        return layer.kind
    lines = ["└─ " if layer.last else "├─ "]
    depth = layer.depth
    for above in reversed(layers[:row]):
        if above.depth == depth - 1:
            depth = above.depth
            if depth == 0:
                break
            lines.append("   " if above.last else "│  ")
    return "".join(reversed(lines)) + f"{layer.name.rpartition('.')[2]}: {layer.kind}"


def _trainable(layer: Layer) -> str:
    if layer.again or not layer.parameters:
        return "–"
    return {0: "no", layer.parameters: "yes"}.get(
        layer.trainable, f"{layer.trainable / layer.parameters:.0%}"
    )


def _count(number: float) -> str:
    for unit in ("", " K", " M", " G", " T"):
        if number < 1000:
            return f"{number:.2f}{unit}" if unit else str(int(number))
        number /= 1000
    return f"{number:.2f} P"


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.1f} {unit}" if unit != "B" else f"{number} B"
        number /= 1024
    raise AssertionError


def _seconds(number: float) -> str:
    return f"{number * 1e6:.0f} µs" if number < 1e-3 else f"{number * 1e3:.1f} ms"


class _Recorder(TorchFunctionMode):
    """Writes down each call of a module, and gives what operators cost to the modules they run in."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {module: name for name, module in model.named_modules()}
        self.layers: list[Layer] = []
        self.open: list[Layer] = []
        self.seen: set[nn.Module] = set()

    _sees_operators = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if cost := multiply_adds(getattr(func, "__name__", ""), args, kwargs or {}, result):
            for layer in self.open:
                layer.multiply_adds += cost
        return result

    def enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        for above in self.open:
            above.is_leaf = False
        layer = Layer(self.names[module], type(module).__name__, len(self.open), shape_text((args, kwargs)))
        layer.parameters = sum(p.numel() for p in module.parameters() if not _is_lazy(p))
        layer.trainable = sum(p.numel() for p in module.parameters() if p.requires_grad and not _is_lazy(p))
        layer.again = module in self.seen
        self.seen.add(module)
        self.layers.append(layer)
        self.open.append(layer)

    def leave(self, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        layer = self.open[-1]
        layer.output = shape_text(output)
        layer.output_shapes = [tuple(t.shape) for t in tensors(output)]
        if layer.is_leaf:
            size = sum(t.numel() * t.element_size() for t in tensors(output))
            for above in self.open:
                above.output_bytes += size
        self.open.pop()


class _Clock:
    """Times each call of a module, in the order of the calls."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.open: list[tuple[int, float]] = []

    def enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        self.seconds.append(0.0)
        self.open.append((len(self.seconds) - 1, time.perf_counter()))

    def leave(self, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        call, start = self.open.pop()
        self.seconds[call] = time.perf_counter() - start


def _is_lazy(parameter: Any) -> bool:
    return isinstance(parameter, nn.parameter.UninitializedTensorMixin)


def _run(model: nn.Module, batch: Any, watcher: _Recorder | _Clock) -> None:
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(watcher.enter, with_kwargs=True))
        handles.append(module.register_forward_hook(watcher.leave, with_kwargs=True))
    try:
        call(model, batch)
    finally:
        for handle in handles:
            handle.remove()


def _as_batch(value: Any) -> Any:
    """A size such as (1, 3, 224, 224) stands for random numbers of it."""
    if isinstance(value, (tuple, list)) and value and all(isinstance(n, int) for n in value):
        return fb.rand(*value)
    return value


def summary(model: nn.Module, input: Any, *, depth: int = 4, show: bool = True) -> ModelSummary:
    """The layers of a model on one input: results, parameters, multiply-adds, memory and time.

    Parameters
    ----------
    model : the module; it runs forward three times in its evaluation mode without recording gradients, and
        is left as it was.
    input : its input; a tuple of tensors is several arguments, a dictionary keyword arguments, a tuple of
        integers the size of a random input.
    depth : how many levels of modules within modules the table shows; the result has all of them.
    show : print the table.

    Notes
    -----
    What a row counts includes the modules within. Multiply-adds are those of matrix products, convolutions,
    attention and recurrent layers. Parameters that modules share count once in the sum. Memory is that of the
    innermost modules' results. Times are the shorter of two passes.
    """
    batch = _as_batch(input)
    modes = [(module, module.training) for module in model.modules()]
    recorder, clocks = _Recorder(model), [_Clock(), _Clock()]
    try:
        with fb.no_grad(), untouched(model):
            model.eval()
            with recorder:
                _run(model, batch, recorder)
            for clock in clocks:
                _run(model, batch, clock)
    finally:
        for module, training in modes:
            module.training = training
    for layer, *seconds in zip(recorder.layers, *(clock.seconds for clock in clocks)):
        layer.seconds = min(seconds)
    _mark_last(recorder.layers)
    parameters = list(model.parameters())
    result = ModelSummary(
        recorder.layers,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.numel() * p.element_size() for p in parameters),
        sum(t.numel() * t.element_size() for t in tensors(batch)),
        depth,
        [
            name
            for module, name in recorder.names.items()
            if module not in recorder.seen and next(module.parameters(recurse=False), None) is not None
        ],
    )
    if show:
        print(result)
    return result


def _mark_last(layers: list[Layer]) -> None:
    followed: set[int] = set()  # depths at which a sibling follows, seen from the end
    for layer in reversed(layers):
        layer.last = layer.depth not in followed
        followed = {depth for depth in followed if depth <= layer.depth} | {layer.depth}
