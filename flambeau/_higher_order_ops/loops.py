"""Loops whose body is a function: `while_loop`, `map`, `foreach_map`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.utils import _pytree as pytree

__all__ = ["foreach_map", "map", "while_loop"]


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """Apply ``body_fn`` to its own results while ``cond_fn`` of them holds.

    It runs at once, as the loop of Python that it is; a recorder cannot follow a number of rounds that
    depends
    on values and says so, as for ``while``.

    Parameters
    ----------
    cond_fn : gives a bool, or a boolean tensor of one element.
    body_fn : gives as many values as it takes, each tensor with the shape and dtype of before.
    carried_inputs : tuple or list of tensors and numbers, or structures of them.

    Returns
    -------
    What the last round gave; ``carried_inputs`` where there was none.
    """
    if not callable(cond_fn) or not callable(body_fn):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    if not isinstance(carried_inputs, (tuple, list)) or pytree.tree_any(
        lambda x: not isinstance(x, (fb.Tensor, int, float, bool)), carried_inputs
    ):
        raise RuntimeError(
            "Expect carried_inputs to be a tuple of possibly nested dict/list/tuple that only consists of "
            f"tensor or int leaves, but got {carried_inputs}."
        )
    found: Any = tuple(carried_inputs)
    given = found
    while _holds(cond_fn(*given)):
        found = body_fn(*given)
        after = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        _check_round(given, after)
        given = after
    return found


def _holds(answer: Any) -> bool:
    if isinstance(answer, fb.Tensor):
        if answer.dtype != fb.bool or answer.numel() != 1:
            raise RuntimeError(
                "torch.while_loop: cond_fn must return a boolean scalar tensor or a boolean but got a "
                "tensor of "
                f"{answer.dtype} with shape {tuple(answer.shape)}"
            )
        return bool(answer)
    if not isinstance(answer, bool):
        raise RuntimeError(
            f"torch.while_loop: cond_fn must return a boolean scalar tensor or a boolean but got {answer!r}"
        )
    return answer


def _check_round(before: tuple, after: tuple) -> None:
    """Raise unless the values of a round are like those that went in."""
    old, new = pytree.tree_leaves(before), pytree.tree_leaves(after)
    if len(old) != len(new):
        raise RuntimeError(
            "Expected body_fn_output and carried_inputs to have same number of outputs but got "
            f"{len(new)} and {len(old)}"
        )
    for i, (a, b) in enumerate(zip(old, new)):
        differ = [
            f"'{what}: {getattr(b, what)} vs {getattr(a, what)}'"
            for what in ("shape", "dtype", "device")
            if isinstance(a, fb.Tensor) and getattr(a, what) != getattr(b, what, None)
        ]
        if differ:
            raise RuntimeError(
                "Expected body_fn_output and carried_inputs to have same metadata but found:\n"
                f"pair[{i}] differ in {', '.join(differ)}"
            )


def map(f: Callable[..., Any], xs: Any, *args: Any) -> Any:
    """``f(x, *args)`` of each slice along the first dimension, put together there.

    Parameters
    ----------
    f : function of slices, and of `args`, which are whole; returns tensors in any structure.
    xs : a tensor, or a structure of tensors of one length.
    """
    leaves, spec = pytree.tree_flatten(xs)
    if not leaves or not all(isinstance(x, fb.Tensor) for x in leaves):
        raise RuntimeError(f"Mapped xs can only consist of tensors. Got xs {leaves}.")
    lengths = [x.shape[0] for x in leaves if x.dim()]
    if len(lengths) < len(leaves) or any(n != lengths[0] for n in lengths):
        raise RuntimeError(
            "Leading dimensions of mapped xs must be consistent. Got shapes "
            f"{[tuple(x.shape) for x in leaves]}."
        )
    if lengths[0] == 0:
        raise RuntimeError("Leading dimensions of mapped xs cannot be 0.")
    rows = [f(pytree.tree_unflatten([x[i] for x in leaves], spec), *args) for i in range(lengths[0])]
    flat = [pytree.tree_leaves(row) for row in rows]
    if not all(isinstance(x, fb.Tensor) for x in flat[0]):
        raise RuntimeError(f"Expect outputs of map only contains tensors or None. Got types {flat[0]}")
    return pytree.tree_unflatten([fb.stack(column) for column in zip(*flat)], pytree.tree_structure(rows[0]))


def foreach_map(op: Callable[..., Any], *operands: Any, **kwargs: Any) -> list:
    """``op`` of the first elements of all lists, of the second ones, and so on; what is no list goes to
    each."""
    lists = [x for x in operands if isinstance(x, (list, tuple))]
    if not lists:
        raise RuntimeError("foreach_map: expected at least one list of tensors")
    count = len(lists[0])
    if any(len(x) != count for x in lists):
        raise RuntimeError(f"foreach_map: lists have lengths {[len(x) for x in lists]}")
    return [
        op(*(x[i] if isinstance(x, (list, tuple)) else x for x in operands), **kwargs) for i in range(count)
    ]
