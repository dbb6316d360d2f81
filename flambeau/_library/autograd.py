"""Derivatives of custom operators: one `autograd.Function` an operator, around its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flambeau as fb

from ..autograd.function import Function
from ..utils._pytree import TreeSpec, tree_flatten, tree_unflatten

__all__ = ["Formula", "apply"]


class Formula(NamedTuple):
    """What `register_autograd` was given."""

    backward: Callable
    setup_context: Callable | None


class _Call:
    """One call on its way through the Function: how its flat arguments and results are put together again."""

    def __init__(self, overload: Any, values: list) -> None:
        self.overload = overload
        self.flat, self.spec = tree_flatten(values)
        self.results: TreeSpec | None = None

    def values(self, flat: tuple) -> list:
        return tree_unflatten(list(flat), self.spec)


def apply(overload: Any, values: list) -> Any:
    """Call an operator so that its result knows the derivative."""
    call = _Call(overload, values)
    flat = _function_of(overload).apply(call, *call.flat)
    return tree_unflatten(list(flat), call.results)


def _function_of(overload: Any) -> type[Function]:
    made = overload.__dict__.get("_function_class")
    if made is None:
        name = f"GeneratedBackwardFor_{overload.namespace}_{overload._opname}_{overload._overloadname}"
        methods = {"forward": _forward, "setup_context": _setup_context, "backward": _backward}
        made = type(Function)(name, (Function,), methods)
        made.__module__ = "torch.autograd.function"
        overload._function_class = made
    return made


@staticmethod
def _forward(call: _Call, *flat: Any) -> tuple:
    results, call.results = tree_flatten(call.overload._below(call.values(flat)))
    return tuple(results)


@staticmethod
def _setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
    call: _Call = inputs[0]
    ctx._call = call
    overload = call.overload
    formula = overload._gradient
    if formula is None or formula.setup_context is None:
        return
    values, result = call.values(inputs[1:]), tree_unflatten(list(output), call.results)
    given, keywords = tuple(overload._positional(values)), overload._keywords(values)
    if keywords:
        formula.setup_context(ctx=ctx, inputs=given, keyword_only_inputs=keywords, output=result)
    else:
        formula.setup_context(ctx=ctx, inputs=given, output=result)


@staticmethod
def _backward(ctx: Any, *flat: Any) -> tuple:
    call: _Call = ctx._call
    overload = call.overload
    formula = overload._gradient
    if formula is None:
        raise RuntimeError(
            f"Trying to backward through {overload} but no autograd formula was registered. Please use"
            " register_autograd to add one."
        )
    arguments = overload._schema.arguments
    needs = call.values(ctx.needs_input_grad[1:])
    positional = [i for i, a in enumerate(arguments) if not a.kwarg_only]
    before, ctx.needs_input_grad = ctx.needs_input_grad, tuple(needs[i] for i in positional)
    try:
        gradient = tree_unflatten(list(flat), call.results)
        single = call.results.is_leaf() or len(overload._schema.returns) == 1
        found = formula.backward(ctx, gradient) if single else formula.backward(ctx, *gradient)
    finally:
        ctx.needs_input_grad = before
    if not isinstance(found, tuple):
        found = (found,)
    per_argument: list[Any] = [None] * len(arguments)
    if len(found) != len(positional):
        raise RuntimeError(
            "Expected the return from backward to be of the same structure as the inputs. Got:"
            f" {len(found)} gradients for {len(positional)} inputs of {overload}"
        )
    for i, g in zip(positional, found):
        per_argument[i] = g
    originals = call.values(tuple(call.flat))
    result: list[Any] = []
    for value, g in zip(originals, per_argument):
        leaves = tree_flatten(value)[0]
        if isinstance(value, (tuple, list)):
            if g is None:
                g = [None] * len(leaves)
            if len(g) != len(leaves):
                raise RuntimeError(
                    "Expected the return from backward to be of the same structure as the inputs. Got: a"
                    " list of"
                    f" {len(g)} gradients for a list of {len(leaves)} of {overload}"
                )
            result.extend(g)
        else:
            result.append(g)
    return (None, *(g if isinstance(v, fb.Tensor) else None for v, g in zip(call.flat, result)))
