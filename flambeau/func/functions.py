"""`autograd.Function` under `vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd.function import Function, _func_levels, _has_setup_context
from ..utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_map, tree_unflatten
from . import batched

__all__ = ["VmapInfo", "apply_function", "by_rule"]


class VmapInfo(NamedTuple):
    """What a Function's `vmap` is told."""

    batch_size: int
    randomness: str


def apply_function(cls: Any, args: tuple) -> Any:
    """Apply a Function whose arguments may be batched."""
    apply = cls._recorded
    leaves, _ = tree_flatten(args)
    if not _has_setup_context(cls):
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), "
            "it must override the setup_context staticmethod. For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    if not any(map(batched.is_batched, leaves)):
        return apply(*args)
    own_rule = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule:
        if own_rule:
            raise RuntimeError(
                f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an"
                " overridden vmap staticmethod. Please set generate_vmap_rule=False or delete the overridden"
                " vmap staticmethod to avoid ambiguity. For more details, please see"
                " https://pytorch.org/docs/main/notes/extending.func.html"
            )
        with batched._plain_calls():
            return batched.looped(apply, args, {})
    if not own_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and"
            " implement the vmap staticmethod or set generate_vmap_rule=True. For more details, please see"
            " https://pytorch.org/docs/main/notes/extending.func.html"
        )
    return by_rule(cls.vmap, args)


def by_rule(rule: Callable, args: tuple) -> Any:
    """Call a rule of `vmap`, ``rule(info, in_dims, *args) -> output, out_dims``, for the innermost level that
    the arguments depend on."""
    level = next(
        lv
        for lv in reversed(batched.active())
        if any(lv.number in batched.levels_of(x) for x in tree_flatten(args)[0])
    )

    def dim(x: Any) -> int | None:
        return 0 if level.number in batched.levels_of(x) else None

    def opened(x: Any) -> Any:
        levels = batched.levels_of(x)
        if level.number not in levels:
            return x
        outer = tuple(n for n in levels if n != level.number)
        return batched.make(batched.physical(x).movedim(levels.index(level.number), len(outer)), outer)

    in_dims = tree_map(dim, args)
    removed = batched.active().index(level)
    batched.active().pop(removed)
    try:
        output, out_dims = rule(VmapInfo(level.size, level.randomness), in_dims, *tree_map(opened, args))
    finally:
        batched.active().insert(removed, level)
    flat, spec = tree_flatten(output)
    dims = _broadcast_to_and_flatten(out_dims, spec)

    def closed(x: Any, d: int | None) -> Any:
        if d is None:
            return x
        outer = batched.levels_of(x)
        n = len(outer)
        levels = tuple(sorted((*outer, level.number)))
        return batched.make(
            batched.physical(x).movedim(n + d % (batched.logical_dim(x)), levels.index(level.number)), levels
        )

    return tree_unflatten([closed(x, d) for x, d in zip(flat, dims)], spec)


type(_func_levels).apply = staticmethod(apply_function)
