"""Exporting: names, dynamic dimensions, the model that is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as fb
from flambeau._annotations import signature_of
from flambeau.compiler._watch import CannotCapture, Watch
from flambeau.jit._program import put_together, take_apart
from flambeau.jit._trace import TracerWarning

from . import _symbols_math, _symbols_nn, _symbols_random, _symbols_shape  # noqa: F401  they fill the table
from ._align import aligned
from ._record import FEW, MANY, record, recordings
from ._symbolic import registered
from ._table import SYMBOLS, OnnxGraph, element_type
from ._write import Writer
from .errors import OnnxExporterError, need_onnx

_OPSETS = range(16, 24)
DEFAULT_OPSET = 18


def build(
    model: Callable,
    args: Any,
    kwargs: dict[str, Any] | None,
    input_names: Sequence[str] | None,
    output_names: Sequence[str] | None,
    opset: int | None,
    dynamic_shapes: Any,
    dynamic_axes: Mapping[str, Any] | None,
    custom: Mapping[str, Callable] | None,
    domains: Mapping[str, int] | None = None,
) -> tuple[Any, dict[str, fb.Tensor], Any, Any]:
    """(ONNX model without its weights, the weights, structure of the arguments, structure of the result)."""
    onnx = need_onnx()
    opset = DEFAULT_OPSET if opset is None else opset
    if opset not in _OPSETS:
        raise OnnxExporterError(
            f"opset_version {opset} is not supported: it is from {_OPSETS[0]} to {_OPSETS[-1]}"
        )
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    kwargs = dict(kwargs or {})
    if not kwargs and args and isinstance(args[-1], dict) and not isinstance(args[-1], fb.Tensor):
        *front, last = args
        if _takes(model, front, last):
            args, kwargs = tuple(front), last
    leaves: list[fb.Tensor] = []
    structure = take_apart([args, kwargs], leaves)
    parameters = _named_leaves(model, args, kwargs)
    names = [n for n, _ in parameters]
    if input_names:
        if len(input_names) > len(names):
            raise OnnxExporterError(f"there are {len(input_names)} input_names, and {len(names)} inputs")
        names[: len(input_names)] = input_names
    symbols = _symbols(model, args, kwargs, leaves, names, dynamic_shapes, dynamic_axes)
    if isinstance(model, fb.nn.Module):
        names = _apart(names, {n for n, _ in [*model.named_parameters(), *model.named_buffers()]})

    def call(tensors: list) -> Any:
        a, k = put_together(structure, tensors)
        return model(*a, **k)

    state, titles = _state(model)
    for count in (FEW, MANY):
        found, sizes = aligned(*recordings(call, leaves, state, symbols, count))
        graph = OnnxGraph(opset, {**SYMBOLS, **registered(opset), **(custom or {})})
        writer = Writer(graph, found, lambda k: _where(model, call, leaves, k), titles)
        for slot, name, leaf in zip(found[0].layout["inputs"], names, leaves):
            element_type(leaf.dtype)
            if slot >= 0:
                writer.enter(slot, name)
        writer.run()
        if not writer.sizes.guessed:
            break
    if found[0].baked is not None:
        warnings.warn(
            f"Converting a tensor to a Python value might cause the trace to be incorrect: {found[0].baked}.",
            TracerWarning,
            4,
        )
    dimension_names = {tuple(s[n] for s in sizes): n for n in sizes[0]}
    infos = [
        onnx.helper.make_tensor_value_info(
            n, element_type(t.dtype), [axes.get(d, size) for d, size in enumerate(t.shape)]
        )
        for n, t, axes in zip(names, leaves, symbols)
    ]
    outputs = _outputs(graph, writer, found, names, output_names, dimension_names, dynamic_axes)
    return *_assemble(graph, infos, outputs, opset, domains or {}), structure, found[0].outputs


def _takes(model: Callable, args: Sequence, kwargs: dict) -> bool:
    target = model.forward if isinstance(model, fb.nn.Module) else model
    try:
        signature_of(target).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return False
    return True


def _bound(model: Callable, args: Sequence, kwargs: dict) -> list[tuple[str, Any]]:
    """The arguments by the names of the parameters, in the order in which they are given."""
    target = model.forward if isinstance(model, fb.nn.Module) else model
    try:
        parameters = list(signature_of(target).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    star = next((p.name for p in parameters if p.kind == p.VAR_POSITIONAL), "input")
    names = [plain[k] if k < len(plain) else f"{star}_{k - len(plain)}" for k in range(len(args))]
    return [*zip(names, args), *kwargs.items()]


def _named_leaves(model: Callable, args: Sequence, kwargs: dict) -> list[tuple[str, fb.Tensor]]:
    found = []
    for name, value in _bound(model, args, kwargs):
        inside: list[fb.Tensor] = []
        if take_apart(value, inside) == "tensor":
            found.append((name, inside[0]))
        else:
            found += [(f"{name}_{k}", t) for k, t in enumerate(inside)]
    return found


def _apart(names: list[str], taken: set[str]) -> list[str]:
    """Names of inputs that no weight and no other input has."""
    made: list[str] = []
    for name in names:
        while name in taken or name in made:
            name += "_input"
        made.append(name)
    return made


def _state(model: Callable) -> tuple[list[fb.Tensor], dict[int, str]]:
    """Tensors that the program may reach, and names for those of a module."""
    watch = Watch()
    try:
        watch.values([model])
    except CannotCapture:
        pass  # what it does not reach becomes a constant without a name
    titles: dict[int, str] = {}
    tensors = {id(t): t for t in watch.tensors}
    if isinstance(model, fb.nn.Module):
        for name, t in [*model.named_parameters(), *model.named_buffers()]:
            titles.setdefault(id(t), name)
            tensors[id(t)] = t
    return list(tensors.values()), titles


# ---------------------------------------------------------------------- dynamic dimensions
def _symbols(
    model: Callable,
    args: Sequence,
    kwargs: dict,
    leaves: list[fb.Tensor],
    names: list[str],
    dynamic_shapes: Any,
    dynamic_axes: Mapping[str, Any] | None,
) -> list[dict[int, str]]:
    if dynamic_shapes is not None:
        bound = _bound(model, args, kwargs)
        if isinstance(dynamic_shapes, Mapping):
            unknown = set(dynamic_shapes) - {n for n, _ in bound}
            if unknown:
                raise OnnxExporterError(
                    f"dynamic_shapes names {sorted(unknown)}, which are no arguments: "
                    f"there are {[n for n, _ in bound]}"
                )
            specs = [dynamic_shapes.get(n) for n, _ in bound]
        else:
            specs = list(dynamic_shapes) + [None] * (len(bound) - len(dynamic_shapes))
        found: list[dict[int, str]] = []
        for (_, value), spec in zip(bound, specs):
            _collect(value, spec, found)
        return found
    axes = dynamic_axes or {}
    return [_axes_of(n, axes.get(n), t.dim()) for n, t in zip(names, leaves)]


def _axes_of(name: str, spec: Any, rank: int) -> dict[int, str]:
    if not spec:
        return {}
    if not isinstance(spec, Mapping):
        spec = {d: f"{name}_dynamic_axes_{k + 1}" for k, d in enumerate(spec)}
    return {d + rank if d < 0 else d: n for d, n in spec.items()}


def _collect(value: Any, spec: Any, found: list[dict[int, str]]) -> None:
    if isinstance(value, fb.Tensor):
        pairs = spec.items() if isinstance(spec, Mapping) else enumerate(spec or ())
        axes = {}
        for d, dim in pairs:
            d = d + value.dim() if d < 0 else d
            if dim is None or isinstance(dim, int) or getattr(dim, "name", None) == "STATIC":
                continue
            if getattr(dim, "name", None) in ("AUTO", "DYNAMIC"):
                dim = f"s{sum(map(len, found)) + len(axes)}"
            axes[d] = dim if isinstance(dim, str) else getattr(dim, "__name__", str(dim))
        found.append(axes)
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(item, spec.get(key) if spec else None, found)
    elif isinstance(value, (tuple, list)):
        for k, item in enumerate(value):
            _collect(item, spec[k] if spec else None, found)


# ---------------------------------------------------------------------- the model
def _outputs(
    graph: OnnxGraph,
    writer: Writer,
    found: list,
    inputs: list[str],
    output_names: Sequence[str] | None,
    dimension_names: dict[tuple[int, ...], str],
    dynamic_axes: Mapping[str, Any] | None,
) -> list[Any]:
    slots = found[0].layout["outputs"]
    if output_names and len(output_names) > len(slots):
        raise OnnxExporterError(f"there are {len(output_names)} output_names, and {len(slots)} outputs")
    infos, renamed = [], {}
    for k, slot in enumerate(slots):
        val = writer.read(slot)
        given = output_names[k] if output_names and k < len(output_names) else None
        name = given or ("output" if len(slots) == 1 else f"output_{k}")
        while name in inputs or name in graph.initializers:
            name += "_"
        made = {n for node in graph.nodes for n in node.output}
        if val.name in renamed or val.name not in made:
            last = graph.op("Identity", val)
            renamed[last] = name
        else:
            renamed[val.name] = name
        shapes = list(zip(*(r.shapes[slot] for r in found)))
        wanted = _axes_of(name, (dynamic_axes or {}).get(name), len(shapes))
        sizes = [
            s[0] if len(set(s)) == 1 else wanted.get(d) or dimension_names.get(s) or f"{name}_dim_{d}"
            for d, s in enumerate(shapes)
        ]
        infos.append(graph.onnx.helper.make_tensor_value_info(name, element_type(val.dtype), sizes))
    for node in graph.nodes:
        node.input[:] = [renamed.get(n, n) for n in node.input]
        node.output[:] = [renamed.get(n, n) for n in node.output]
    return infos


def _assemble(
    graph: OnnxGraph, inputs: list[Any], outputs: list[Any], opset: int, domains: Mapping[str, int]
) -> tuple[Any, dict[str, fb.Tensor]]:
    """The model, with the nodes that lead to a result, and the weights that they take."""
    onnx = graph.onnx
    own = sorted({node.domain for node in graph.nodes if node.domain})
    wanted = {o.name for o in outputs}
    nodes = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.output):
            wanted.update(n for n in node.input if n)
            nodes.append(node)
    used = {name: t for name, t in graph.initializers.items() if name in wanted}
    weights = {name: t.detach() for name, t in used.items() if isinstance(t, fb.Tensor)}
    tensors = [t for name, t in used.items() if name not in weights]
    made = onnx.helper.make_graph(nodes[::-1], "main_graph", inputs, outputs, tensors)
    model = onnx.helper.make_model(
        made,
        opset_imports=[
            onnx.helper.make_opsetid("", opset),
            *(onnx.helper.make_opsetid(domain, domains.get(domain, 1)) for domain in own),
        ],
        ir_version=min(10, onnx.IR_VERSION),
        producer_name="flambeau",
        producer_version=fb.__version__,
    )
    return model, weights


def _where(model: Callable, call: Callable, leaves: list[fb.Tensor], step: int) -> str:
    """The module that runs a step, found by running once more with marks between the operators."""
    if not isinstance(model, fb.nn.Module):
        return getattr(model, "__qualname__", "the program")
    paths = ["the model"]

    def mark(number: int) -> None:
        fb.full((0,), number + 0.5)  # a step that does nothing else

    handles = []
    for name, module in model.named_modules():
        if name:
            number = len(paths)
            paths.append(f"{name} ({type(module).__name__})")
            handles.append(module.register_forward_pre_hook(lambda *_, n=number: mark(n)))
            handles.append(module.register_forward_hook(lambda *_: mark(0)))
    try:
        steps = record(call, leaves, []).steps
    finally:
        for h in handles:
            h.remove()
    inside = [0]
    for name, arguments, *_ in steps:
        value = arguments[1][1] if name == "full" and arguments[0][1] == [0] else None
        if isinstance(value, float) and value % 1 == 0.5:
            inside.append(int(value)) if value > 1 else inside.pop()
        elif step == 0:
            break
        else:
            step -= 1
    return paths[inside[-1]]
