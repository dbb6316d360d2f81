"""How operators work on shared tensors, by name.

A rule takes the parts of its arguments, brought to placements under which the operator can work on parts, and
says the placements of its result. Without a rule every process computes on the whole tensors. Where some
arguments are cut and another is whole, the gradient of that one is a sum over the processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._rules import given, name_of, noting
from flambeau.ops.pointwise import ELEMENTWISE, ELEMENTWISE_IN_PLACE
from flambeau.ops.registry import wrap_dim
from flambeau.utils import _pytree as pytree

from ._api import DTensor, make
from ._redistribute import redistribute, reduce_gradient, whole
from .placement_types import Partial, Placement, Replicate, Shard

RULES: dict[str, Callable] = {}
_rule = noting(RULES)
_plain_calls = _C.DisableTorchFunctionSubclass


class _PlainTensors(threading.local):
    """Whether plain tensors among shared ones count as whole in every process, see `experimental`."""

    replicated = False


plain_tensors = _PlainTensors()


def _all_shared(values: Any) -> Any:
    """Arguments with plain tensors as shared ones."""
    mesh = _shared(values)[0].device_mesh

    def shared(v: Any) -> Any:
        if not isinstance(v, fb.Tensor) or isinstance(v, DTensor) or v.dim() == 0:
            return v
        return DTensor.from_local(v, mesh, [Replicate()] * mesh.ndim, run_check=False)

    return pytree.tree_map(shared, values)


@DTensor.rules
def call(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator."""
    name = name_of(func)
    if plain_tensors.replicated and not name.startswith("set ") and _shared((args, kwargs)):
        args, kwargs = _all_shared((args, kwargs))
    rule = RULES.get(name)
    if rule is None and name.startswith(("_foreach_", "_fused_")):
        rule = _each_part
    return (rule or _on_whole)(func, args, kwargs)


def _shared(values: Any) -> list[DTensor]:
    return [v for v in pytree.tree_leaves(values) if isinstance(v, DTensor)]


def _run(func: Callable, args: tuple, kwargs: dict) -> Any:
    with _plain_calls():
        return func(*args, **kwargs)


def _mixed(func: Callable, args: Any) -> None:
    """Raise where a plain tensor that is no number is among shared ones."""
    for v in pytree.tree_leaves(args):
        if isinstance(v, fb.Tensor) and not isinstance(v, DTensor) and v.dim() > 0:
            raise RuntimeError(
                f"aten.{getattr(func, '__name__', func).strip('_')} got mixed torch.Tensor and DTensor, "
                "need to convert all torch.Tensor to DTensor before calling distributed operators!"
            )


def _at(t: DTensor, target: Sequence[Placement], distributed: Sequence[bool] = ()) -> fb.Tensor:
    """The part of a tensor under other placements.

    `distributed` says on which mesh dimensions processes compute different things: where the tensor is whole
    there, its gradient is summed.
    """
    local = redistribute(t._local_tensor, t.shape, t.device_mesh, t.placements, target)
    dims = [d for d, (p, yes) in enumerate(zip(target, distributed)) if yes and isinstance(p, Replicate)]
    return reduce_gradient(local, t.device_mesh, dims)


def _wrapped(value: Any, like: DTensor, placements: Sequence[Placement]) -> Any:
    """Results as shared tensors; the whole shape follows from the part where parts are of equal size."""

    def one(v: Any) -> Any:
        if not isinstance(v, fb.Tensor):
            return v
        return make(v, like.device_mesh, placements, v.shape)

    return pytree.tree_map(one, value)


@_rule(
    "dtype", "device", "requires_grad", "is_leaf", "is_floating_point", "is_complex", "is_signed", "grad_fn",
    "_version", "output_nr", "retain_grad", "retains_grad", "is_cuda", "is_meta", "is_cpu", "is_inference",
    "set requires_grad", "element_size", "itemsize", "get_device", "is_quantized", "is_mkldnn", "dim",
    "names", "ndim", "ndimension", "is_conj", "is_neg", "_backward_hooks", "is_sparse", "is_sparse_csr",
    "layout",
    "storage_offset", "data_ptr", "untyped_storage", "is_pinned", "__hash__", "is_shared", "is_contiguous",
    "is_nested", "register_post_accumulate_grad_hook", "_post_accumulate_grad_hooks", "is_same_size",
)  # fmt: skip
def _of_part(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _run(func, args, kwargs)


@_rule("requires_grad_")
def _requires_grad_(func: Callable, args: tuple, kwargs: dict) -> Any:
    _run(func, args, kwargs)
    return args[0]


# ---------------------------------------------------------------- gradients
@_rule("grad", "_grad")
def _grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    g = _run(func, args, kwargs)
    if g is None:
        return None
    t = args[0]
    shared = [Replicate() if isinstance(p, Partial) else p for p in t.placements]
    return make(g.as_subclass(fb.Tensor), t.device_mesh, shared, t.shape)


def _part(v: Any) -> Any:
    return v._local_tensor if isinstance(v, DTensor) else v


@_rule("set grad", "set data")
def _set(func: Callable, args: tuple, kwargs: dict) -> None:
    _run(func, (args[0], _part(args[1])), kwargs)


@_rule("register_hook")
def _register_hook(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, hook = args

    def on_part(g: fb.Tensor) -> Any:
        return _part(hook(make(g, t.device_mesh, t.placements, t.shape)))

    return _run(func, (t, on_part), kwargs)


@_rule("backward", "_backward")
def _backward(func: Callable, args: tuple, kwargs: dict) -> None:
    outs, cotangents, *rest = given(
        args, kwargs, "outs gradient retain_graph create_graph", gradient=kwargs.get("grad_tensors")
    )
    options = {k: v for k, v in kwargs.items() if k not in ("gradient", "grad_tensors", "tensors")}
    options.update({k: v for k, v in zip(("retain_graph", "create_graph"), rest) if v is not None})
    outs = [outs] if isinstance(outs, fb.Tensor) else list(outs)
    if cotangents is not None:
        cotangents = [cotangents] if isinstance(cotangents, fb.Tensor) else list(cotangents)
        cotangents = [_part(c) for c in cotangents]
    # the sum of parts is made first: its gradient is whole in every process
    outs = [
        _at(o, [Replicate() if isinstance(p, Partial) else p for p in o.placements])
        if isinstance(o, DTensor)
        else o
        for o in outs
    ]
    with _plain_calls():
        fb.autograd.backward(outs, cotangents, **options)


@_rule(
    "detach", "alias", "view_as", "contiguous", "clone", "to", "cpu", "float", "double", "half", "bfloat16"
)
def _same_shape(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    local = _run(func, tuple(_part(a) for a in args), {k: _part(v) for k, v in kwargs.items()})
    return make(local, t.device_mesh, t.placements, t.shape)


@_rule("zeros_like", "ones_like", "empty_like", "full_like")
def _like(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    shared = [Replicate() if isinstance(p, Partial) else p for p in t.placements]
    return make(_run(func, (t._local_tensor, *args[1:]), kwargs), t.device_mesh, shared, t.shape)


@_rule("uniform_", "normal_", "bernoulli_", "rand_like", "randn_like", "trunc_normal_", "exponential_")
def _random(func: Callable, args: tuple, kwargs: dict) -> Any:
    from flambeau import distributed as dist

    t = args[0]
    with fb.no_grad():
        full = _run(func, (fb.empty(t.shape, dtype=t.dtype), *args[1:]), kwargs)
        for d in range(t.device_mesh.ndim):
            dist.broadcast(full, group=t.device_mesh.get_group(d), group_src=0)
        local = redistribute(full, t.shape, t.device_mesh, [Replicate()] * t.device_mesh.ndim, t.placements)
        if not func.__name__.endswith("_"):
            return make(local, t.device_mesh, t.placements, t.shape)
        t._local_tensor.copy_(local)
    return t


# ---------------------------------------------------------------- everything whole
def _on_whole(func: Callable, args: tuple, kwargs: dict) -> Any:
    first = _shared((args, kwargs))[0]
    name = getattr(func, "__name__", str(func))
    if name.endswith("_") and not name.endswith("__"):
        raise NotImplementedError(f"DTensor: {name} in place on a shared tensor")

    def full(v: Any) -> Any:
        return whole(v._local_tensor, v.shape, v.device_mesh, v.placements) if isinstance(v, DTensor) else v

    args, kwargs = pytree.tree_map(full, (args, kwargs))
    return _wrapped(_run(func, args, kwargs), first, [Replicate()] * first.device_mesh.ndim)


def _each_part(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Kernels of optimizers, which work on lists element by element: on the parts."""
    return _run(func, *pytree.tree_map(_part, (args, kwargs)))


@_rule("_foreach_norm")
def _foreach_norm(func: Callable, args: tuple, kwargs: dict) -> list:
    order = given(args, kwargs, "self ord", ord=2)[1]
    return [fb.linalg.vector_norm(t, order) for t in args[0]]


@_rule("vector_norm", "linalg_vector_norm", "norm")
def _norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, order = given(args, kwargs, "self ord", ord=kwargs.get("p", 2))
    if len(args) > 2 or any(k not in ("ord", "p") for k in kwargs) or not isinstance(order, (int, float)):
        return _on_whole(func, args, kwargs)
    if order in (float("inf"), float("-inf")):
        return t.abs().max() if order > 0 else t.abs().min()
    return (t.abs() ** order).sum() ** (1 / order)


# ---------------------------------------------------------------- element by element
_LINEAR = {"mul", "div", "true_divide", "neg", "__mul__", "__rmul__", "__truediv__", "__neg__"}


@_rule(*ELEMENTWISE, "dropout", "masked_fill", "nan_to_num")
def _elementwise(func: Callable, args: tuple, kwargs: dict) -> Any:
    if func is fb.nn.functional.dropout and kwargs.get("inplace"):
        raise NotImplementedError("DTensor: dropout in place")
    _mixed(func, (args, kwargs))
    tensors = _shared((args, kwargs))
    first = tensors[0]
    shape = fb.broadcast_shapes(*(t.shape for t in tensors))
    out: list[Placement] = []
    for d in range(first.device_mesh.ndim):
        cuts = [p.dim + len(shape) - t.dim() for t in tensors if isinstance(p := t.placements[d], Shard)]
        linear = getattr(func, "__name__", "") in _LINEAR and len(tensors) == 1
        sums = getattr(func, "__name__", "") in ("add", "sub", "__add__", "__sub__") and len(tensors) > 1
        partial = first.placements[d] == Partial("sum")
        if partial and (linear or (sums and all(t.placements[d] == Partial("sum") for t in tensors))):
            out.append(Partial("sum"))
        else:
            out.append(Shard(cuts[0]) if cuts else Replicate())
    cut = [isinstance(p, Shard) for p in out]

    def part(v: Any) -> Any:
        if not isinstance(v, DTensor):
            return v
        ahead = len(shape) - v.dim()
        target: list[Placement] = []
        for p in out:
            if not isinstance(p, Shard):
                target.append(p)
                continue
            k = p.dim - ahead
            target.append(Shard(k) if k >= 0 and v.shape[k] == shape[p.dim] else Replicate())
        return _at(v, target, cut)

    args, kwargs = pytree.tree_map(part, (args, kwargs))
    return make(_run(func, args, kwargs), first.device_mesh, out, shape)


@_rule(*ELEMENTWISE_IN_PLACE)
def _in_place(func: Callable, args: tuple, kwargs: dict) -> Any:
    target = args[0]
    if not isinstance(target, DTensor):
        raise RuntimeError("DTensor: a plain tensor cannot be changed in place by a shared one")
    _mixed(func, (args, kwargs))

    def part(v: Any) -> Any:
        if not isinstance(v, DTensor) or v.dim() == 0:
            return (
                whole(v._local_tensor, v.shape, v.device_mesh, v.placements) if isinstance(v, DTensor) else v
            )
        if v.shape != target.shape:
            raise NotImplementedError("DTensor: operators in place with broadcasting")
        return _at(v, target.placements)

    rest, kwargs = pytree.tree_map(part, (tuple(args[1:]), kwargs))
    _run(func, (target, *rest), kwargs)
    return target


# ---------------------------------------------------------------- reductions
@_rule("sum", "mean", "amax", "amin", "max", "min", "prod")
def _reduced(func: Callable, args: tuple, kwargs: dict) -> Any:
    name = func.__name__
    t, dim, keepdim = given(args, kwargs, "self dim keepdim", keepdim=False)
    if name in ("max", "min", "prod") and dim is not None:
        return _on_whole(func, args, kwargs)
    dims = range(t.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [wrap_dim(k, t.dim()) for k in dims] or list(range(t.dim()))
    operation = {"sum": "sum", "mean": "avg", "prod": "product"}.get(name, name[-3:])
    source, out = [], []
    for d, p in enumerate(t.placements):
        even = not isinstance(p, Shard) or t.shape[p.dim] % t.device_mesh.size(d) == 0
        if isinstance(p, Shard) and p.dim in dims:
            several = sum(isinstance(q, Shard) for q in t.placements) > 1
            cut = (even or name == "sum") and name != "prod" and not (several and name == "mean")
            source.append(p if cut else Replicate())
            out.append(Partial(operation) if cut else Replicate())
        elif isinstance(p, Shard):
            source.append(p)
            out.append(Shard(p.dim if keepdim else p.dim - sum(k < p.dim for k in dims)))
        else:
            linear = p == Partial("sum") and name == "sum"
            source.append(p if linear else Replicate())
            out.append(source[-1])
    local = _run(func, (_at(t, source), *args[1:]), kwargs)
    shape = [1 if k in dims else n for k, n in enumerate(t.shape) if keepdim or k not in dims]
    return make(local, t.device_mesh, out, shape)


@_rule("softmax", "log_softmax", "_softmax", "_log_softmax")
def _softmax(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, dim = given(args, kwargs, "input dim")
    if dim is None:
        return _on_whole(func, args, kwargs)
    cut = Shard(wrap_dim(dim, t.dim()))
    out = [p if isinstance(p, Shard) and p != cut else Replicate() for p in t.placements]
    return make(_run(func, (_at(t, out), *args[1:]), kwargs), t.device_mesh, out, t.shape)


@_rule("layer_norm", "rms_norm")
def _layer_norm(func: Callable, args: tuple, kwargs: dict) -> Any:
    t, sizes, *rest = args
    outer = t.dim() - len(sizes)
    out = [p if isinstance(p, Shard) and p.dim < outer else Replicate() for p in t.placements]
    cut = [isinstance(p, Shard) for p in out]

    def part(v: Any) -> Any:
        return _at(v, [Replicate()] * len(out), cut) if isinstance(v, DTensor) else v

    rest, kwargs = pytree.tree_map(part, (rest, kwargs))
    return make(_run(func, (_at(t, out), sizes, *rest), kwargs), t.device_mesh, out, t.shape)


# ---------------------------------------------------------------- products
def _product(a: DTensor, b: DTensor) -> DTensor:
    """``a @ b``, `b` a matrix, or both of the same leading dimensions."""
    mesh, rows, inner, column = a.device_mesh, a.dim() - 2, a.dim() - 1, b.dim() - 1
    at_a, at_b, out = [], [], []
    for p, q in zip(a.placements, b.placements):
        p, q = (Replicate() if isinstance(x, Partial) else x for x in (p, q))
        if p == Shard(inner) or (q == Shard(b.dim() - 2) and not isinstance(p, Shard)):
            here = Shard(inner), Shard(b.dim() - 2), Partial("sum")
        elif isinstance(p, Shard) and (p.dim == rows or b.dim() == 2):
            here = p, Replicate(), p
        elif isinstance(p, Shard):  # a leading dimension that both have
            here = p, p, p
        elif q == Shard(column):
            here = Replicate(), q, Shard(a.dim() - 1)
        else:
            here = (Replicate(),) * 3
        for store, placement in zip((at_a, at_b, out), here):
            store.append(placement)
    cut = [not isinstance(p, Replicate) for p in out]
    local = fb.matmul(_at(a, at_a, cut), _at(b, at_b, cut))
    return make(local, mesh, out, (*a.shape[:-1], b.shape[-1]))


@_rule("mm", "matmul", "bmm", "__matmul__", "mv")
def _matmul(func: Callable, args: tuple, kwargs: dict) -> Any:
    a, b = given(args, kwargs, "input other")
    _mixed(func, (a, b))
    fits = a.dim() >= 2 and (b.dim() == 2 or (b.dim() == a.dim() and b.shape[:-2] == a.shape[:-2]))
    return _product(a, b) if fits else _on_whole(func, args, kwargs)


@_rule("linear")
def _linear(func: Callable, args: tuple, kwargs: dict) -> Any:
    x, weight, bias = given(args, kwargs, "input weight bias")
    _mixed(func, (x, weight, bias))
    if x.dim() == 1:
        return _on_whole(func, args, kwargs)
    made = _product(x, weight.t())
    return made if bias is None else made + bias


@_rule("addmm")
def _addmm(func: Callable, args: tuple, kwargs: dict) -> Any:
    if kwargs:
        return _on_whole(func, args, kwargs)
    return args[0] + _product(args[1], args[2])


@_rule("scaled_dot_product_attention")
def _attention(func: Callable, args: tuple, kwargs: dict) -> Any:
    tensors = _shared((args, kwargs))
    out = [
        p if isinstance(p, Shard) and p.dim < tensors[0].dim() - 2 else Replicate()
        for p in tensors[0].placements
    ]
    query = tensors[0]
    if any(t.dim() != query.dim() or t.shape[: t.dim() - 2] != query.shape[: t.dim() - 2] for t in tensors):
        return _on_whole(func, args, kwargs)
    args, kwargs = pytree.tree_map(lambda v: _at(v, out) if isinstance(v, DTensor) else v, (args, kwargs))
    local = _run(func, args, kwargs)
    return make(local, query.device_mesh, out, (*query.shape[:-1], tensors[2].shape[-1]))


# ---------------------------------------------------------------- shapes
@_rule("t", "T", "mT", "transpose", "permute", "swapaxes", "transpose_", "numpy_T")
def _permuted(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    order = fb.empty(tuple(range(2, t.dim() + 2)), device="meta")  # sizes that tell the dimensions apart
    order = [n - 2 for n in _run(func, (order, *args[1:]), kwargs).shape]
    out = [Shard(order.index(p.dim)) if isinstance(p, Shard) else p for p in t.placements]
    local = _run(func, (t._local_tensor, *args[1:]), kwargs)
    return make(local, t.device_mesh, out, [t.shape[k] for k in order])


@_rule("view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "_unsafe_view")
def _reshaped(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    shape = tuple(_run(func, (fb.empty(t.shape, device="meta"), *args[1:]), kwargs).shape)
    source, out = [], []
    for d, p in enumerate(t.placements):
        moved = _moved_dim(t.shape, shape, p.dim, t.device_mesh.size(d)) if isinstance(p, Shard) else None
        if isinstance(p, Shard):
            source.append(p if moved is not None else Replicate())
            out.append(Shard(moved) if moved is not None else Replicate())
        else:
            source.append(p)
            out.append(p)
    local = _at(t, source)
    from ._redistribute import local_shape

    return make(local.reshape(local_shape(shape, t.device_mesh, out)[0]), t.device_mesh, out, shape)


def _moved_dim(before: Sequence[int], after: Sequence[int], dim: int, parts: int) -> int | None:
    """The dimension of `after` that begins where `dim` of `before` does and can be cut as it is."""
    outer = 1
    for n in before[:dim]:
        outer *= n
    ahead = 1
    for k, n in enumerate(after):
        same_start = ahead == outer and (n != 1 or before[dim] == 1)
        if same_start and before[dim] % parts == 0 and n % parts == 0:
            return k
        if same_start and n == before[dim]:
            return k
        ahead *= n
    return None


@_rule("chunk", "split", "narrow", "select", "__getitem__", "unbind", "cat", "stack")
def _taken(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _on_whole(func, args, kwargs)


@_rule("item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__format__")
def _number(func: Callable, args: tuple, kwargs: dict) -> Any:
    t = args[0]
    with fb.no_grad():
        full = whole(t._local_tensor, t.shape, t.device_mesh, t.placements)
    return _run(func, (full, *args[1:]), kwargs)


@_rule("equal", "allclose")
def _compared(func: Callable, args: tuple, kwargs: dict) -> Any:
    return _run(func, tuple(a.full_tensor() if isinstance(a, DTensor) else a for a in args), kwargs)
