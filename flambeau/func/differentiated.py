"""`autograd.grad` under `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from ..autograd._engine import grad
from .batched import aligned, levels_of, logical_dim, make, physical, sizes, union
from .rows import gradients
from .rules import _rule


@_rule("grad ")
def _autograd_grad(func: Callable, args: tuple, kwargs: dict) -> Any:
    outs, ins = args[0], args[1]
    outs = (outs,) if isinstance(outs, Tensor) else tuple(outs)
    ins = (ins,) if isinstance(ins, Tensor) else tuple(ins)
    options = dict(kwargs)
    cots = options.pop("grad_outputs", args[2] if len(args) > 2 else None)
    cots = (cots,) if isinstance(cots, Tensor) else (None,) * len(outs) if cots is None else tuple(cots)
    wanted = union(outs)
    for x in ins:
        if set(wanted) - set(levels_of(x)):
            raise RuntimeError(
                "vmap: autograd.grad with respect to a tensor that is the same for all samples gives no"
                " gradient a sample; use flambeau.func.grad inside vmap"
            )
    extra = tuple(n for n in union(c for c in cots if c is not None) if n not in wanted)
    if extra:
        return _grad_by_cotangent(func, outs, ins, cots, extra, options)
    full = []
    for o, c in zip(outs, cots):
        if c is None:
            c = _C.ones_like(physical(o)) if logical_dim(o) == 0 else None
            full.append(c)
        else:
            full.append(aligned(c, levels_of(o)).expand(physical(o).shape))
    grads = grad(outs, ins, full, **options)
    return tuple(None if g is None else make(g.as_subclass(Tensor), levels_of(x)) for g, x in zip(grads, ins))


def _grad_by_cotangent(
    func: Callable, outs: tuple, ins: tuple, cots: tuple, extra: tuple[int, ...], options: dict
) -> tuple:
    """One backward for every cotangent of levels that the outputs do not have."""
    level = extra[-1]
    if not union((*outs, *ins)) and len(extra) == 1:
        keep = options.pop("retain_graph", None)
        keep = options.get("create_graph", False) if keep is None else keep
        whole = [c if c is None else aligned(c, extra, full=True) for c in cots]
        found = gradients(lambda c, k: grad(outs, ins, c, retain_graph=k, **options), whole, True)
        return tuple(g if g is None else make(g, extra) for g in found)
    (count,) = sizes((level,))
    rows = []
    for k in range(count):
        part = []
        for c in cots:
            if level in levels_of(c):
                own = levels_of(c)
                at = own.index(level)
                part.append(make(physical(c).select(at, k), own[:at] + own[at + 1 :]))
            else:
                part.append(c)
        options["retain_graph"] = True
        rows.append(_autograd_grad(func, (outs, ins), {**options, "grad_outputs": tuple(part)}))
    results = []
    for column in zip(*rows):
        if column[0] is None:
            results.append(None)
            continue
        own = levels_of(column[0])
        levels = tuple(sorted((*own, level)))
        results.append(make(_C.stack([physical(g) for g in column], levels.index(level)), levels))
    return tuple(results)
